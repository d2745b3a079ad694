"""Memory while reading: what numpy arrays take in the file, plus what is kept of them, and little more."""

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
