"""Killed processes, full disks, read-only folders."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from common.data import meld
from common.data.load import load_corpus
from common.training.run import train_run
from tests.faults.kills import SETTINGS, kill_again_and_again, outcome
from tests.faults.loop import train_again_and_again
from tests.small import small_corpus

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")


@pytest.fixture
def disk(tmp_path):
    """A function that mounts a disk of so many KiB, or changes it, and returns its folder; needs the right to mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = []

    def disk(options):
        again = ["-o", f"remount,{options}"] if mounted else ["-t", "tmpfs", "-o", options, "tmpfs"]
        if subprocess.run(["mount", *again, folder], capture_output=True).returncode:
            pytest.skip("needs the right to mount a small disk")
        mounted.append(options)
        return folder

    yield disk
    if mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_killed_again_and_again(tmp_path):
    """A few kills; `python -m tests.faults trainings` makes as many as one likes."""
    counts = kill_again_and_again(5, tmp_path, random.Random(1))
    assert counts["kills"] == 5
    assert counts["runs"] >= 1


def test_many_seeds_side_by_side(tmp_path):
    """Once; `python -m tests.faults loop` does it again and again."""
    counts = train_again_and_again(1, tmp_path, seeds=4)
    assert counts["history.csv"] == 32


def test_a_full_disk_loses_nothing(disk, tmp_path):
    """Whatever the disk is full of, the run goes on where there is room again, and ends as it should."""
    corpus = small_corpus("MELD", sizes=(8, 4, 4))
    train_run(corpus, SETTINGS, CPU, tmp_path / "quiet", progress=False)
    place = disk("size=40k")
    for size in range(40, 240, 20):  # a state takes 60 KiB, a checkpoint 50
        disk(f"size={size}k")
        resume = (place / "run" / "settings.yaml").exists()
        with pytest.raises(OSError, match="No space left on device") as error:
            train_run(corpus, SETTINGS, CPU, place / "run", overwrite=not resume, resume=resume, progress=False)
        assert Path(error.value.filename).parent in (place / "run", place)
        assert not [path for path in (place / "run").iterdir() if path.name.endswith(".part")]
    disk("size=20m")
    train_run(corpus, SETTINGS, CPU, place / "run", resume=True, progress=False)
    assert outcome(place / "run") == outcome(tmp_path / "quiet")


def script(*words, folder=ROOT / "MELD"):
    done = subprocess.run([sys.executable, *map(str, words)], cwd=folder, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stderr.strip().splitlines()[-1:]


def test_read_only_folders(disk, tmp_path, monkeypatch):
    """Data are read, and cached elsewhere; results are refused in one line that names the file."""
    place = disk("size=20m")
    meld.write(small_corpus("MELD"), place / "meld")
    (place / "runs").mkdir()
    disk("ro")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    for origin in ("the feature files; next time from cache", "cache"):
        assert load_corpus("MELD", place)[1].startswith(f"{origin} {tmp_path}" if origin == "cache" else origin)
    before = sorted(os.walk(place))
    status, line = script("train.py", "--data-dir", place, "--output", place / "runs" / "a", "--epochs", 1)
    assert status == 2
    assert line == [
        f"train.py: error: {place / 'runs' / 'a'}: Read-only file system; check the path, its rights and free space"
    ]
    assert sorted(os.walk(place)) == before
