"""Times this implementation against the authors' way of doing things and the bound that the arithmetic sets.

`python -m common benchmark` writes random files of the released sizes (`conversations.py`) to a temporary folder, and
takes some minutes. Whatever is compared alternates in one process, and ratios are taken pair by pair; starting,
loading, whole runs and long conversations are measured in processes of their own. Epochs and products of one thread
on a CPU are measured in time of the processor, all else in time on the wall.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import conversations
from benchmarks.epochs import measure_epochs
from benchmarks.growth import measure_growth
from benchmarks.markdown import table, words
from benchmarks.measures import ROOT, apart, peak, spread
from benchmarks.products import library, measure_products
from benchmarks.start import measure_start
from common.commands.benchmark import PARTS, add_arguments
from common.data import DATASETS
from common.environment import choose_device, describe
from common.files import atomic
from common.terminal import columns, show


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    add_arguments(parser)
    measure_all(parser.parse_args())


def measure_all(arguments: argparse.Namespace) -> None:
    """Measure as the `arguments` of `common.commands.benchmark` say, and print each part when it is done."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.data_dir or Path(temporary)
        rows = {"machine": describe(), "device": str(choose_device(arguments.device)), "threads": arguments.threads}
        rows |= {"library": library(choose_device(arguments.device)), "date": time.strftime("%Y-%m-%d")}
        for dataset in arguments.dataset:
            module = DATASETS[dataset]
            if not all((folder / module.FOLDER / name).is_file() for name in module.FILES):
                conversations.write(dataset, folder)
            for part in PARTS:
                if part in arguments.parts:
                    rows[f"{dataset} {part}"] = MEASURES[part](dataset, folder, arguments)
                    _show(f"{dataset} {part}", rows[f"{dataset} {part}"])
    for path, text in ((arguments.json, json.dumps(rows, indent=1) + "\n"), (arguments.markdown, table(rows))):
        if path:
            with atomic(path) as file:
                file.write(text)


def _show(title, rows):
    show(f"\n{title}")
    for name, value in rows.items():
        line, most = f"  {name:62} {words(value)}", columns()
        show(line if most is None or len(line) <= most else f"  {name}\n      {words(value)}")


def _start(dataset, folder, arguments):
    return measure_start(dataset, folder, arguments.repetitions, arguments.device)


def _load(dataset, folder, arguments):
    rows, cache = {}, Path(folder) / DATASETS[dataset].FOLDER / "corpus_cache.npz"
    for kind, name, n in (
        ("load", "first reading", 2),
        ("load", "from cache", arguments.repetitions),
        ("authors", "reading, authors' way", 2),
    ):
        runs = []
        for _ in range(n):
            if name == "first reading":
                cache.unlink(missing_ok=True)
            runs.append(apart(kind, dataset, folder))
        rows[f"{name}, s"] = spread([run["seconds"] for run in runs])
        rows[f"{name}, peak GB"] = max(run["peak GB"] for run in runs)
    rows["of which Python and PyTorch, GB"] = runs[0]["before GB"]
    return rows


def _products(dataset, folder, arguments):
    return measure_products(dataset, arguments.repetitions, arguments.threads, arguments.device)


def _epoch(dataset, folder, arguments):
    return measure_epochs(dataset, folder, arguments.repetitions, arguments.threads, arguments.device)


def _length(dataset, folder, arguments):
    rows = {}
    for length in (100, 1000, 10_000):
        run = apart("classify", dataset, length, arguments.device, OMP_NUM_THREADS=str(arguments.threads))
        rows[f"one conversation of {length:,} utterances, s"] = run["seconds"]
        rows[f"one conversation of {length:,} utterances, peak GB"] = run["peak GB"]
    return rows


def _growth(dataset, folder, arguments):
    return measure_growth(dataset, arguments.threads, arguments.device)


def _run(dataset, folder, arguments):
    """Three seeds, from start to printed table, on all cores, for so many epochs."""
    seconds, most = {"ours": [], "authors": []}, {"ours": 0.0, "authors": 0.0}
    common = ["--data-dir", str(Path(folder).resolve()), "--epochs", str(arguments.epochs)]
    common += [] if arguments.device == "auto" else ["--device", arguments.device]
    for _ in range(2):
        output = str((Path(folder) / f"run_{dataset}_{time.time_ns()}").resolve())
        commands = {
            "authors": ([sys.executable, "-m", "benchmarks.plain", dataset, *common], ROOT),
            "ours": ([sys.executable, "train.py", "--output", output, *common], ROOT / dataset),
        }
        for name, (command, where) in commands.items():
            start = time.perf_counter()
            process = subprocess.Popen(command, cwd=where, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while process.poll() is None:
                most[name] = max(most[name], peak(process.pid))
                time.sleep(0.02)
            if process.returncode:
                sys.exit(f"{' '.join(command)}: failed with status {process.returncode}")
            seconds[name].append(time.perf_counter() - start)
    title = f"three seeds of {arguments.epochs} epochs"
    ratios = [a / b for a, b in zip(seconds["authors"], seconds["ours"], strict=True)]
    return {
        f"{title}, s": spread(seconds["ours"]),
        f"{title}, authors' way, s": spread(seconds["authors"]),
        f"{title}, authors' way / ours": spread(ratios),
        f"{title}, peak GB": most["ours"],
        f"{title}, authors' way, peak GB": most["authors"],
    }


MEASURES = {
    "start": _start,
    "load": _load,
    "products": _products,
    "epoch": _epoch,
    "length": _length,
    "growth": _growth,
    "run": _run,
}

if __name__ == "__main__":
    main()
