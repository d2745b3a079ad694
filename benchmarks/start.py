"""How long a command takes before it does something: `--help`, and an evaluation from cached files."""

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measures import ROOT, alternating, spread


def measure_start(dataset: str, folder: Path, repetitions: int, device: str) -> dict:
    """Rows of the table. Three checkpoints are evaluated, of a training of one epoch, on all cores.

    Times of the processor (CPU) are there as well as times on the wall, since other work on the machine changes these.
    """

    def called(*words):
        done = subprocess.run([sys.executable, *map(str, words)], cwd=ROOT / dataset, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(map(str, words))}: failed\n{done.stderr}")

    run, how = (folder / f"start_{dataset}_{os.getpid()}").resolve(), ["--data-dir", folder.resolve()]
    how += [] if device == "auto" else ["--device", device]
    called("train.py", "--output", run, "--epochs", 1, *how)
    checkpoints, times = sorted(run.glob("*.pkl")), []
    pairs = alternating(
        lambda: called("-c", "import torch"), lambda: called("inference.py", "--help"), repetitions, _of_children
    )
    for _ in range(repetitions):
        start, worked = time.perf_counter(), _of_children()
        called("inference.py", "--checkpoints", *checkpoints, *how)
        times.append((time.perf_counter() - start, _of_children() - worked))
    title = f"evaluation of {len(checkpoints)} checkpoints from cache, start to table"
    return {
        "import torch, CPU s": spread([a for a, _ in pairs]),
        "inference.py --help, CPU s": spread([b for _, b in pairs]),
        "inference.py --help / import torch": spread([b / a for a, b in pairs]),
        f"{title}, s": spread([a for a, _ in times]),
        f"{title}, CPU s": spread([b for _, b in times]),
    }


def _of_children() -> float:
    """Seconds of the processor that processes have taken which were started here and have ended."""
    times = os.times()
    return times.children_user + times.children_system
