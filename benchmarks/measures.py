"""Times in this process and in others, and how they are summed up."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]


def spread(values: Sequence[float]) -> dict[str, float]:
    """The median and the range of some measurements."""
    return {"median": float(np.median(values)), "least": min(values), "most": max(values), "n": len(values)}


def number(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def clock_for(device: torch.device, threads: int) -> Callable[[], float]:
    """A clock: what one thread of a CPU works is measured in time of the processor, whatever else runs here."""
    return time.process_time if device.type == "cpu" and threads == 1 else time.perf_counter


def timed(work: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that `work` takes, on a GPU too."""
    start = clock()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - start


def alternating(
    first: Callable[[], Any],
    second: Callable[[], Any],
    repetitions: int,
    clock: Callable[[], float] = time.perf_counter,
) -> list[tuple[float, float]]:
    """Seconds of both, in pairs: now one begins, now the other, after a pair that warms up."""
    pairs = []
    for k in range(repetitions + 1):
        if k % 2:
            later = timed(second, clock)
            pairs.append((timed(first, clock), later))
        else:
            pairs.append((timed(first, clock), timed(second, clock)))
    return pairs[1:]


def peak(process: int | str = "self") -> float:
    """The most memory that a process has held, in GB; 0 where it is not known, or the process has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024 / 1e9
    except (OSError, StopIteration):
        return 0.0


def apart(*words: object, **environment: str) -> dict[str, float]:
    """What `benchmarks/apart.py` measures with these `words`, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.apart", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ | environment)
    if done.returncode:
        sys.exit(f"{' '.join(command[1:])}: failed with status {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])
