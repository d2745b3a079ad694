"""No file runs code: hostile files, read in a process with limits of memory and time."""

import json
import re
import subprocess
import sys
from collections import Counter
from itertools import groupby
from pathlib import Path

import pytest

from common.data import meld
from common.data.cache import _state
from tests.security import others, pickles
from tests.security.opcodes import UNBOUNDED
from tests.small import random_corpus, small_corpus, small_network

EXTRA, SECONDS = 2**30, 10  # bytes beside what is there after the imports; of the processor, for one file
KINDS = ("checkpoint", "settings", "cache", "features")


def collection(folder):
    """(kind, content, what the refusal says) of every hostile file; None: it is read."""
    state = _state(folder / "sources", meld.FILES)
    every = {
        "checkpoint": others.checkpoints(small_network(random_corpus([2]))),
        "settings": others.settings(),
        "cache": ((content, "the feature files") for content in others.caches(state)),
        "features": pickles.every(folder / "made"),
    }
    for kind in KINDS:
        for content, expected in every[kind]:
            yield kind, content.encode() if isinstance(content, str) else content, expected


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Per kind, of each hostile file what its reader said, and what was expected. All are read in one process."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("needs Linux's /proc and resource limits")
    folder, here = tmp_path_factory.mktemp("hostile"), Path(__file__).resolve().parents[2]
    for name in ("files", "features", "run", "made"):
        (folder / name).mkdir()
    (folder / "run" / "results.csv").touch()
    meld.write(small_corpus("MELD"), folder / "sources")
    expected = []
    for number, (kind, content, words) in enumerate(collection(folder)):
        mark = f"-{UNBOUNDED}" if words is UNBOUNDED else ""
        (folder / "files" / f"{number:04d}-{kind}{mark}").write_bytes(content)
        expected.append((kind, words))
    command = [sys.executable, "-m", "tests.security", folder, str(EXTRA), str(SECONDS)]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"ended with {done.returncode} at {lines[-1:]}: {done.stderr[-2000:]}"
    assert not [*here.glob("canary"), *folder.rglob("canary")]
    answers = [line for line in lines if "said" in line]
    both = [(kind, words, line) for (kind, words), line in zip(expected, answers, strict=True)]
    return {kind: list(group) for kind, group in groupby(both, key=lambda one: one[0])}


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_files_run_no_code_and_are_refused_by_name_in_one_line(read, kind):
    wrong = [f"{words!r}: {line}" for _, words, line in read[kind] if not fits(line["said"], words)]
    assert not wrong, "\n".join(wrong)
    slowest = max(line["seconds"] for _, _, line in read[kind])
    assert slowest < SECONDS
    unbounded = [line["said"].split(": ")[-1][:50] for _, words, line in read[kind] if words is UNBOUNDED]
    short = sum("not enough memory" in (line["said"] or "") for _, words, line in read[kind] if words is not UNBOUNDED)
    print(f"{len(read[kind])} hostile files for the reader of {kind}, the slowest in {slowest:.1f} s;")
    print(f"{short} were refused for lack of memory, {len(unbounded)} are unbounded: {dict(Counter(unbounded))}")


def fits(said, words):
    if said is None or words is None:
        return said is words
    if words is UNBOUNDED:
        return re.fullmatch("SIGSEGV|SIGPROF|.*not (enough memory|a complete checkpoint).*", said)
    return re.search(words, said) and len(said.splitlines()) == 1 and len(said) < 2000
