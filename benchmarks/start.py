"""How long a command takes before it does something: `--help`, and an evaluation from cached files."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.measures import ROOT, alternating, spread, timed


def measure_start(dataset: str, folder: Path, repetitions: int, device: str) -> dict:
    """Rows of the table. Three checkpoints are evaluated, of a training of one epoch, on all cores."""

    def called(*words):
        done = subprocess.run([sys.executable, *map(str, words)], cwd=ROOT / dataset, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(map(str, words))}: failed\n{done.stderr}")

    pairs = alternating(lambda: called("-c", "import torch"), lambda: called("inference.py", "--help"), repetitions)
    run, how = (folder / f"start_{dataset}_{os.getpid()}").resolve(), ["--data-dir", folder.resolve()]
    how += [] if device == "auto" else ["--device", device]
    called("train.py", "--output", run, "--epochs", 1, *how)
    checkpoints = sorted(run.glob("*.pkl"))
    evaluation = [
        timed(lambda: called("inference.py", "--checkpoints", *checkpoints, *how)) for _ in range(repetitions)
    ]
    rows: dict[str, Any] = {"import torch, s": spread([a for a, _ in pairs])}
    rows["inference.py --help, s"] = spread([b for _, b in pairs])
    rows["inference.py --help / import torch"] = spread([b / a for a, b in pairs])
    rows[f"evaluation of {len(checkpoints)} checkpoints from cache, start to table, s"] = spread(evaluation)
    return rows
