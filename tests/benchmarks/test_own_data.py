"""What is measured of own conversations: files that `build` takes, and memory that a process has."""

import sys

import numpy as np
import pytest

from benchmarks.own_data import TURNS, measured, write
from common.data.own import build_corpus


@pytest.mark.parametrize("shuffled", [False, True])
def test_its_conversations_can_be_built(tmp_path, shuffled):
    write(tmp_path, 200, {"text": 5, "audio": 3}, shuffled)
    given = {name: [tmp_path / f"{name}.npy"] for name in ("text", "audio")}
    corpus, notes = build_corpus("mine", tmp_path / "u.csv", given)
    assert len(corpus.label) == len(corpus.sentences) == 200
    assert set(corpus.lengths) == {TURNS}
    assert [len(dialogues) for dialogues in corpus.splits.values()] == [16, 2, 2]
    assert len(notes) == 1  # that text serves as event features, too
    stored = np.load(tmp_path / "audio.npy")
    assert stored.dtype == (np.float64 if shuffled else np.float32)
    assert np.array_equal(stored, corpus.features["audio"]) != shuffled


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_files_does_not_count(tmp_path):
    np.save(tmp_path / "a.npy", np.ones(25_000_000, np.float32))
    program = "import time, numpy; a = numpy.load('a.npy', mmap_mode={!r}); a.sum(); time.sleep(0.3)"
    found = [measured([sys.executable, "-c", program.format(mode)], tmp_path) for mode in ("r", None)]
    assert found[0]["anonymous GB"] < 0.1 < found[1]["anonymous GB"] < found[0]["anonymous GB"] + 0.15
    assert found[0]["cpu s"] > 0
