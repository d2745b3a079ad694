"""Kill trainings at random moments, and say what came of it: `python -m tests.faults --kills 50`."""

import argparse
import random
import tempfile
from pathlib import Path

from tests.faults.kills import kill_again_and_again

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        print(kill_again_and_again(arguments.kills, Path(place), random.Random(arguments.seed)))
