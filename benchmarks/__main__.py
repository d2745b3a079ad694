"""Times this implementation against a plain one and against the bound that the arithmetic sets.

`python -m common benchmark` writes random files of the released sizes (`conversations.py`) to a temporary folder, and
takes some minutes. Whatever is compared alternates in one process, and ratios are taken pair by pair; loading, whole
runs and long conversations are measured in processes of their own.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import conversations, plain
from benchmarks.epochs import measure_epochs, settings_of, spread
from common.batching.batches import Batches
from common.commands.benchmark import PARTS, add_arguments
from common.data import DATASETS
from common.data.load import load_corpus
from common.environment import choose_device, describe, keep_memory
from common.evaluation.evaluate import evaluate
from common.training.run import build_network
from tests.small import random_corpus

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument("--inner", nargs="+", help=argparse.SUPPRESS)  # one measurement in a process of its own
    arguments = parser.parse_args()
    if arguments.inner:
        print(json.dumps(_inner(*arguments.inner)))
    else:
        measure_all(arguments)


def measure_all(arguments: argparse.Namespace) -> None:
    """Measure as the `arguments` of `common.commands.benchmark` say."""
    with tempfile.TemporaryDirectory() as folder:
        folder = arguments.data_dir or Path(folder)
        rows = {"machine": describe(), "device": str(choose_device(arguments.device)), "threads": arguments.threads}
        for dataset in arguments.dataset:
            module = DATASETS[dataset]
            if not all((folder / module.FOLDER / name).is_file() for name in module.FILES):
                conversations.write(dataset, folder)
            for part in PARTS:
                if part in arguments.parts:
                    measure = {"load": _load, "epoch": _epoch, "length": _length, "run": _run}[part]
                    rows[f"{dataset} {part}"] = measure(dataset, folder, arguments)
                    _show(f"{dataset} {part}", rows[f"{dataset} {part}"])
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


def _show(title, rows):
    print(f"\n{title}")
    for name, value in rows.items():
        if isinstance(value, dict):
            value = "{median:.3g} ({least:.3g} to {most:.3g}, n = {n})".format(**value)
        elif isinstance(value, float):
            value = f"{value:.3g}"
        print(f"  {name:58} {value}", flush=True)


def _apart(*words, **environment):
    """A measurement in a process of its own, with the peak of its memory in GB."""
    command = [sys.executable, "-m", "benchmarks", "--inner", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ | environment)
    return json.loads(done.stdout.splitlines()[-1])


def _inner(kind, *words):
    base, start = _peak(), time.perf_counter()
    if kind == "load":
        load_corpus(words[0], words[1])
    elif kind == "plain":
        plain.load(words[0], words[1])
    else:
        _classify(words[0], int(words[1]), words[2])
    return {"seconds": time.perf_counter() - start, "peak GB": _peak(), "before GB": base}


def _peak(process="self"):
    """The most memory that a process has held, in GB; 0 where it is not known, or the process has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024 / 1e9
    except (OSError, StopIteration):
        return 0.0


def _load(dataset, folder, arguments):
    rows, cache = {}, Path(folder) / DATASETS[dataset].FOLDER / "corpus_cache.npz"
    for kind, name, n in (
        ("load", "first reading", 2),
        ("load", "from cache", arguments.repetitions),
        ("plain", "plain reading", 2),
    ):
        runs = []
        for _ in range(n):
            if name == "first reading":
                cache.unlink(missing_ok=True)
            runs.append(_apart(kind, dataset, folder))
        rows[f"{name}, s"] = spread([f["seconds"] for f in runs])
        rows[f"{name}, peak GB"] = max(f["peak GB"] for f in runs)
    rows["of which Python and PyTorch, GB"] = runs[0]["before GB"]
    return rows


def _classify(dataset, length, device):
    """One conversation of so many utterances."""
    keep_memory()
    corpus = random_corpus([length], widths=conversations.WIDTHS[dataset])
    device = choose_device(device)
    network = build_network(settings_of(dataset), corpus).to(device)
    evaluate(network, Batches(corpus, "test", 1, device))


def _epoch(dataset, folder, arguments):
    return measure_epochs(dataset, folder, arguments.repetitions, arguments.threads, arguments.device)


def _length(dataset, folder, arguments):
    rows = {}
    for length in (100, 1000, 10_000):
        run = _apart("classify", dataset, length, arguments.device, OMP_NUM_THREADS=str(arguments.threads))
        rows[f"one conversation of {length} utterances, s"] = run["seconds"]
        rows[f"one conversation of {length} utterances, peak GB"] = run["peak GB"]
    return rows


def _run(dataset, folder, arguments):
    """Three seeds, from start to printed table, on all cores, for so many epochs."""
    seconds, peak = {"ours": [], "plain": []}, {"ours": 0.0, "plain": 0.0}
    common = ["--data-dir", str(Path(folder).resolve()), "--epochs", str(arguments.epochs)]
    common += [] if arguments.device == "auto" else ["--device", arguments.device]
    for _ in range(2):
        output = str((Path(folder) / f"run_{dataset}_{time.time_ns()}").resolve())
        commands = {
            "plain": ([sys.executable, "-m", "benchmarks.plain", dataset, *common], ROOT),
            "ours": ([sys.executable, "train.py", "--output", output, *common], ROOT / dataset),
        }
        for name, (command, where) in commands.items():
            start = time.perf_counter()
            process = subprocess.Popen(command, cwd=where, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while process.poll() is None:
                peak[name] = max(peak[name], _peak(process.pid))
                time.sleep(0.02)
            if process.returncode:
                sys.exit(f"{' '.join(command)}: failed with status {process.returncode}")
            seconds[name].append(time.perf_counter() - start)
    title = f"three seeds of {arguments.epochs} epochs"
    ratios = [a / b for a, b in zip(seconds["plain"], seconds["ours"], strict=True)]
    return {
        f"{title}, s": spread(seconds["ours"]),
        f"{title}, plain, s": spread(seconds["plain"]),
        f"{title}, plain / ours": spread(ratios),
        f"{title}, peak GB": peak["ours"],
        f"{title}, plain, peak GB": peak["plain"],
    }


if __name__ == "__main__":
    main()
