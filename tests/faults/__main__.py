"""Disturb trainings or sweeps, and say what came of it: `python -m tests.faults sweeps --times 60`."""

import argparse
import random
import tempfile
import time
from pathlib import Path

from tests.faults.kills import kill_again_and_again
from tests.faults.loop import train_again_and_again
from tests.faults.sweeps import kill_sweeps

KINDS = {
    "trainings": kill_again_and_again,
    "sweeps": kill_sweeps,
    "loop": lambda times, folder, choice: train_again_and_again(times, folder),
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--times", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        print(KINDS[arguments.kind](arguments.times, Path(place), random.Random(arguments.seed)))
    print(f"{(time.monotonic() - begun) / 60:.1f} minutes")
