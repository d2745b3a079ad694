"""What own conversations cost by their number: `python -m benchmarks.own_data 2000 200000`, in a temporary folder.

For each number of utterances random conversations are written and built; one seed is trained for an epoch, and predicts
the training split, four fifths. Each step is a process of its own on one thread: time of the processor, and the most
anonymous memory. Pages of mapped files do not count in that: the system takes them back when it needs them.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
WIDTHS = {"text": 768, "event": 768, "audio": 300, "visual": 164}  # 2,000 numbers, 8 kB, an utterance
TURNS = 10  # of a dialogue
BLOCK = 10_000
STEPS = ("build", "train", "predict")


def write(folder: Path, count: int, widths: dict[str, int], shuffled: bool) -> None:
    """Write about `count` utterances into `folder`: u.csv and a .npy file of each kind. `shuffled`: rows in any order,
    and features in float64, as a program may leave them; else dialogue after dialogue, train, valid and test, float32.
    """
    rng, dialogues = np.random.default_rng(0), count // TURNS
    ends = int(0.8 * dialogues), int(0.9 * dialogues)
    rows = [(d, turn) for d in range(dialogues) for turn in range(TURNS)]
    if shuffled:
        rows = [rows[k] for k in rng.permutation(len(rows))]
    labels, speakers = rng.integers(7, size=len(rows)), rng.integers(3, size=len(rows))
    with open(folder / "u.csv", "w", encoding="utf-8") as file:
        file.write("dialogue,utterance,speaker,label,split,sentence\n")
        for (d, turn), label, speaker in zip(rows, labels, speakers, strict=True):
            split = "train" if d < ends[0] else "valid" if d < ends[1] else "test"
            words = "What I said was that, as far as I know" if turn % 2 else "All right, let us go then"
            file.write(f'd{d},{turn},{"ABC"[speaker]},c{label},{split},"{words} {d}."\n')
    for name, width in widths.items():
        shape, kind = (len(rows), width), np.dtype("<f8" if shuffled else "<f4")
        with open(folder / f"{name}.npy", "wb") as file:
            head = {"descr": kind.str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, head)
            for first in range(0, len(rows), BLOCK):
                block = rng.standard_normal((min(BLOCK, len(rows) - first), width), np.float32)
                file.write(block.astype(kind).tobytes())


def measured(command: list[str], where: Path) -> dict[str, float]:
    """Seconds of the processor and of the clock of `command`, and its most anonymous memory, in GB."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    before, start, peak = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter(), 0.0
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, cwd=where, stdout=said, stderr=said, env=environment)
        while process.poll() is None:
            peak = max(peak, _anonymous(process.pid))
            time.sleep(0.01)
        if process.returncode:
            said.seek(0)
            sys.exit(f"{' '.join(command)}: status {process.returncode}\n{said.read()[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu s": used, "s": time.perf_counter() - start, "anonymous GB": peak}


def _anonymous(process):
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024 / 1e9
    except (OSError, StopIteration):
        return 0.0


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.own_data", description=__doc__.splitlines()[0])
    parser.add_argument("counts", type=int, nargs="+", metavar="UTTERANCES")
    parser.add_argument("--folder", type=Path, help="where the files go meanwhile; 20 kB an utterance")
    parser.add_argument("--shuffled", action="store_true", help="rows in any order, features in float64")
    parser.add_argument("--network", nargs="*", default=[], metavar="WORD", help="options of train.py, without --")
    parser.add_argument("--until", choices=STEPS, default=STEPS[-1], help="the last step (default: predict)")
    parser.add_argument("--root", type=Path, default=ROOT, help="of the code to measure (default: this)")
    arguments = parser.parse_args()
    network = [f"--{word}" if word[0].isalpha() else word for word in arguments.network]
    for count in arguments.counts:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
            folder = Path(name)
            write(folder, count, WIDTHS, arguments.shuffled)
            given = [word for kind in WIDTHS for word in (f"--{kind}", str(folder / f"{kind}.npy"))]
            data, run = ["--data-dir", str(folder / "data"), "--device", "cpu"], str(folder / "run")
            script = arguments.root / "MELD"
            steps = {"build": ["-m", "common", "build", "--utterances", str(folder / "u.csv"), *given]}
            steps["build"] += ["--output", str(folder / "data")]
            steps["train"] = ["train.py", *data, "--epochs", "1", "--seeds", "0", *network, "--output", run]
            steps["predict"] = ["inference.py", *data, "--checkpoints", run, "--predictions", str(folder / "p.csv")]
            steps["predict"] += ["--split", "train"]
            for step in STEPS[: STEPS.index(arguments.until) + 1]:
                found = measured([sys.executable, *steps[step]], arguments.root if step == "build" else script)
                print(json.dumps({"utterances": count, "step": step} | found), flush=True)


if __name__ == "__main__":
    main()
