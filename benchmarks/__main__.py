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

import numpy as np
import torch

from benchmarks import conversations, plain
from benchmarks.bound import floating_point_operations, matrix_rate
from common.batching.batches import Batches
from common.commands.benchmark import PARTS, add_arguments
from common.data import DATASETS
from common.data.load import load_corpus
from common.environment import choose_device, describe, keep_memory
from common.evaluation.evaluate import evaluate
from common.evaluation.metrics import scores
from common.settings import TrainingSettings
from common.training.fit import Trainer
from common.training.loss import class_weights
from common.training.run import build_network
from tests.small import random_corpus

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
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
        found = {"machine": describe(), "device": str(choose_device(arguments.device)), "threads": arguments.threads}
        for dataset in arguments.dataset:
            module = DATASETS[dataset]
            if not all((folder / module.FOLDER / name).is_file() for name in module.FILES):
                conversations.write(dataset, folder)
            for part in PARTS:
                if part in arguments.parts:
                    measure = {"load": _load, "epoch": _epoch, "length": _length, "run": _run}[part]
                    found[f"{dataset} {part}"] = measure(dataset, folder, arguments)
                    _show(f"{dataset} {part}", found[f"{dataset} {part}"])
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


def _spread(seconds):
    return {"median": float(np.median(seconds)), "least": min(seconds), "most": max(seconds), "n": len(seconds)}


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
        found = []
        for _ in range(n):
            if name == "first reading":
                cache.unlink(missing_ok=True)
            found.append(_apart(kind, dataset, folder))
        rows[f"{name}, s"] = _spread([f["seconds"] for f in found])
        rows[f"{name}, peak GB"] = max(f["peak GB"] for f in found)
    rows["of which Python and PyTorch, GB"] = found[0]["before GB"]
    return rows


def _settings(dataset, **changes):
    recipe = plain.RECIPE[dataset]
    rates = dict(zip(("evidence_dropout", "attention_dropout", "classifier_dropout"), recipe["rates"], strict=True))
    return TrainingSettings(
        positions=recipe["positions"],
        modality_order="released" if dataset == "MELD" else "aligned",
        batch_size=recipe["batch"],
        learning_rate=recipe["lr"],
        focal_gamma=float(recipe["gamma"]),
        class_weights="released" if dataset == "IEMOCAP" else "none",
        epochs=10**6,
        patience=10**6,
        **rates,
        **changes,
    )


def _epoch(dataset, folder, arguments):
    device, threads = choose_device(arguments.device), torch.get_num_threads()
    torch.set_num_threads(arguments.threads)
    keep_memory()
    rates = matrix_rate(device)
    rows = {f"matrix products, {name}, GFLOP/s": rate / 1e9 for name, rate in rates.items()}
    corpus, _ = load_corpus(dataset, folder)
    splits = plain.load(dataset, folder)
    for rule in ("released", "strict"):
        settings = _settings(dataset, empty_history=rule)
        network = build_network(settings, corpus).to(device)
        network.dropout.seed(0, device)
        fixed = device.type == "cuda"
        train, valid, test = (
            Batches(corpus, s, settings.batch_size, device, g, shapes="fixed" if fixed else shapes)
            for s, g, shapes in (
                ("train", torch.Generator().manual_seed(0), "rounded"),
                ("valid", None, "exact"),
                ("test", None, "exact"),
            )
        )
        weight = class_weights(settings, corpus)
        weight = weight if weight is None else weight.to(device)
        trainer = Trainer(network, train, valid, settings, weight)
        other = plain.build(dataset, strict=rule == "strict").to(device)
        optimizer = plain.adam(dataset, other)

        def ours_evaluates(network=network, test=test):
            log_prob = evaluate(network, test)
            scores(test.label, log_prob.argmax(1), corpus.classes)

        def plain_trains(other=other, optimizer=optimizer):
            plain.passed(dataset, other, splits["train"], optimizer, device)
            plain.passed(dataset, other, splits["valid"], None, device)

        def plain_evaluates(other=other):
            plain.passed(dataset, other, splits["test"], None, device)

        exact = [Batches(corpus, s, settings.batch_size, "cpu") for s in ("train", "valid", "test")]
        flops = [
            floating_point_operations(batches, corpus.widths, len(corpus.classes), settings, k == 0)
            for k, batches in enumerate(exact)
        ]
        works = (
            ("training epoch and validation", trainer.run_epoch, plain_trains, flops[0] + flops[1]),
            ("evaluation of test", ours_evaluates, plain_evaluates, flops[2]),
        )
        for name, ours, theirs, needed in works:
            pairs = [(_timed(theirs), _timed(ours)) for _ in range(arguments.repetitions + 1)][1:]  # the first warms up
            rows[f"{rule}: {name}, s"] = _spread([b for _, b in pairs])
            rows[f"{rule}: {name}, plain, s"] = _spread([a for a, _ in pairs])
            rows[f"{rule}: {name}, plain / ours"] = _spread([a / b for a, b in pairs])
            rows[f"{rule}: {name}, necessary GFLOP"] = needed / 1e9
            median = rows[f"{rule}: {name}, s"]["median"]
            rows[f"{rule}: {name}, bound, s"] = needed / max(rates.values())
            rows[f"{rule}: {name}, share of the matrix rate"] = needed / max(rates.values()) / median
    if device.type == "cuda":
        rows["peak GPU memory, GB"] = torch.cuda.max_memory_allocated(device) / 1e9
    torch.set_num_threads(threads)
    return rows


def _timed(work):
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _classify(dataset, length, device):
    """One conversation of so many utterances."""
    keep_memory()
    corpus = random_corpus([length], widths=conversations.WIDTHS[dataset])
    device = choose_device(device)
    network = build_network(_settings(dataset), corpus).to(device)
    evaluate(network, Batches(corpus, "test", 1, device))


def _length(dataset, folder, arguments):
    rows = {}
    for length in (100, 1000, 10_000):
        found = _apart("classify", dataset, length, arguments.device, OMP_NUM_THREADS=str(arguments.threads))
        rows[f"one conversation of {length} utterances, s"] = found["seconds"]
        rows[f"one conversation of {length} utterances, peak GB"] = found["peak GB"]
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
        f"{title}, s": _spread(seconds["ours"]),
        f"{title}, plain, s": _spread(seconds["plain"]),
        f"{title}, plain / ours": _spread(ratios),
        f"{title}, peak GB": peak["ours"],
        f"{title}, plain, peak GB": peak["plain"],
    }


if __name__ == "__main__":
    main()
