"""Sweeps whose process gets a signal at random moments."""

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from common.data import meld
from tests.small import small_corpus

ROOT = Path(__file__).resolve().parents[2]
SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
FILES = ["ECERC_MODEL.pkl", "history.csv", "predictions.csv", "results.csv", "settings.yaml"]
CHOICE = ["--datasets", "MELD", "--tables", "3", "6", "--seeds", "1", "2", "--epochs", "6", "--jobs", "2"]
PATIENCE = 60  # seconds that processes may take to end, on a busy machine


def start(sweep):
    """`experiments run` into `sweep`, in a session of its own, which the processes that it starts belong to."""
    words = [sys.executable, "-m", "common", "experiments", "run", "--output", sweep, *CHOICE]
    log = open(sweep.with_suffix(".log"), "w")  # noqa: SIM115
    data = ["--data-dir", sweep.parent / "data"]
    return subprocess.Popen([*words, *data], cwd=ROOT, start_new_session=True, stdout=log, stderr=log)


def left_of(session):
    """The processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:  # it has just ended
            continue
        if int(of) == session and state != "Z":
            found.append(int(path.parent.name))
    return found


def wait_for_the_end_of(session):
    """Raises AssertionError where processes of a session go on."""
    deadline = time.monotonic() + PATIENCE
    while left := left_of(session):
        assert time.monotonic() < deadline, f"processes go on: {left}"
        time.sleep(0.02)


def runs_of(sweep):
    """Name to results and predictions of the runs that have their name, all of which must be complete."""
    runs = {}
    for folder in sweep.glob("*/*/seed_*"):
        assert sorted(path.name for path in folder.iterdir()) == FILES, folder
        runs[str(folder.relative_to(sweep))] = [(folder / name).read_bytes() for name in FILES[2:4]]
    return runs


def kill_sweeps(times: int, folder: Path, choice: random.Random) -> dict[str, int]:
    """Send signals to `experiments run` `times` times, each at a random moment, and go on with the sweep at once.

    Every finished run must be complete, equal to that of an undisturbed sweep, and still there later; no process may be
    left, and after SIGTERM and SIGHUP nothing half-written either. Returns counts: `signals`, those of each name, how
    many of them found a run `under way`, `sweeps` that came to their end, and `kept` runs, summed over all signals.
    Raises AssertionError.
    """
    meld.write(small_corpus("MELD", sizes=(8, 4, 4)), folder / "data" / meld.FOLDER)
    begun, quiet, victim = time.monotonic(), folder / "quiet", folder / "victim"
    assert start(quiet).wait() == 0
    whole, expected = time.monotonic() - begun, runs_of(quiet)
    counts = dict.fromkeys(("signals", *(number.name for number in SIGNALS), "under way", "sweeps", "kept"), 0)
    try:
        _kill(times, victim, choice, whole, expected, counts)
    except BaseException as error:
        error.add_note(f"after {counts}")
        raise
    return counts


def _kill(times, victim, choice, whole, expected, counts):
    kept: dict[str, list[bytes]] = {}
    process = start(victim)
    while True:
        try:
            ended = process.wait(choice.uniform(0, whole) if counts["signals"] < times else 10 * whole) == 0
        except subprocess.TimeoutExpired:
            number = SIGNALS[counts["signals"] % len(SIGNALS)]
            counts["under way"] += bool(list(victim.glob("*/*/.seed_*.part")))
            process.send_signal(number)
            status, ended = process.wait(PATIENCE), False
            counts["signals"] += 1
            counts[number.name] += 1
            assert status in (-number, 128 + number, 0)  # the first: before it is ready for signals; 0: at its very end
            if status == 128 + number and "at a time" in victim.with_suffix(".log").read_text():
                assert list(victim.rglob(".*")) == [], "something half-written is left"
        session = process.pid
        runs = runs_of(victim)
        assert runs.items() >= kept.items(), "a finished run is gone, or has changed"
        assert runs.items() <= expected.items(), "a run is not what it should be"
        kept = runs
        counts["kept"] += len(kept)
        if ended:
            assert kept == expected
            assert list(victim.rglob(".*")) == []
            counts["sweeps"] += 1
            kept = {}
            shutil.rmtree(victim)
            if counts["signals"] >= times:
                wait_for_the_end_of(session)
                break
        process = start(victim)  # at once: workers of the one before may not have ended
        wait_for_the_end_of(session)
