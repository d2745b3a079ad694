"""What a training step takes as dialogues get longer: each in a process of its own, whose memory is looked at."""

from benchmarks.conversations import WIDTHS
from benchmarks.epochs import settings_of
from benchmarks.measures import apart
from common.environment import memory
from common.training.memory import step_bytes

TURNS = (100, 1000, 5000)


def measure_growth(dataset: str, threads: int, device: str) -> dict:
    """Rows of the table: time and memory of the first step on one dialogue of so many turns."""
    rows: dict[str, float | str] = {}
    for turns in TURNS:
        title = f"training step on a dialogue of {turns:,} turns"
        needed = step_bytes([turns], WIDTHS[dataset], settings_of(dataset)) / 2**30
        if needed > 0.8 * memory():
            rows[f"{title}, s"] = f"not measured: needs {needed:.0f} GiB"
            continue
        run = apart("step", dataset, turns, device, OMP_NUM_THREADS=str(threads))
        rows[f"{title}, s"], rows[f"{title}, peak GB"] = run["seconds"], run["peak GB"]
    return rows
