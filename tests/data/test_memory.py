"""Memory while reading: what numpy arrays take in the file, plus what is kept of them, and little more."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from common.data import meld
from tests.small import small_corpus

MEASURE = """
import re, sys
from common.data import meld

def peak():
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read()).group(1))

before = peak()
meld.read(sys.argv[1])
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory from Linux's /proc")
def test_reading_takes_less_than_twice_the_file(tmp_path):
    corpus = small_corpus("MELD", sizes=(300, 10, 20), turns=(8, 8))
    meld.write(corpus, tmp_path)
    path = tmp_path / meld.FILE
    content = list(pickle.loads(path.read_bytes()))
    rng = np.random.default_rng(0)
    for field in (3, 4, 5, 6, 7, 8, 9, 10):  # 1024 wide, three unused layers beside each one that is read
        content[field] = {i: list(rng.standard_normal((8, 1024), dtype=np.float32)) for i in corpus.ids}
    path.write_bytes(pickle.dumps(tuple(content), 3))
    size = path.stat().st_size
    assert size > 80e6
    measured = subprocess.run([sys.executable, "-c", MEASURE, tmp_path], capture_output=True, text=True, check=True)
    assert size / 2 < int(measured.stdout) < 2 * size


BUILT = """
import re, resource, sys
from pathlib import Path
from common.__main__ import main
from common.batching.batches import Batches
from common.commands import build  # what is imported later would count
from common.data.own import build_corpus, read_own, write_own
import torch

data = int(re.search(r"VmData:\\s+(\\d+) kB", open("/proc/self/status").read()).group(1)) * 1024
resource.setrlimit(resource.RLIMIT_DATA, [data + int(sys.argv[2])] * 2)  # of what is not mapped from files
folder = Path(sys.argv[1])
words = ["--utterances", folder / "u.csv", "--audio", folder / "audio.npy", "--output", folder / "data"]
sys.argv = ["common", "build", *map(str, words)]
main()
corpus = read_own(folder / "data")
for split in corpus.splits:
    total = sum(float(batch.features["audio"].sum()) for batch in Batches(corpus, split, 10, "cpu"))
print(total)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the system limits memory that is not mapped from files")
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_own_conversations_may_be_larger_than_memory(tmp_path, kind):
    """Built, read and picked into batches; rows that have to be converted and put into another order, too."""
    utterances, width = 3000, 8192
    dialogues = np.arange(utterances).reshape(-1, 10)
    rows = ["dialogue,utterance,speaker,label,split"]
    for d, turns_of in enumerate(dialogues):
        split = "train" if d < 0.8 * len(dialogues) else "valid" if d < 0.9 * len(dialogues) else "test"
        rows += [f"{d},{turn},{'AB'[turn % 2]},c{turn % 3},{split}" for turn in turns_of]
    (tmp_path / "u.csv").write_text("\n".join(rows if kind == np.float32 else [rows[0], *rows[:0:-1]]))
    values = np.lib.format.open_memmap(tmp_path / "audio.npy", "w+", kind, (utterances, width))
    values[:] = np.arange(utterances)[:, None] % 7
    values.flush()
    words = [sys.executable, "-c", BUILT, tmp_path, str(4 * utterances * width // 2)]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
