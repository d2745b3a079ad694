"""What `train.py` of a dataset does."""

import time
from pathlib import Path

from common.data.load import load_corpus
from common.environment import allow_tf32, choose_device, device_name, keep_memory
from common.errors import run_script
from common.reporting.paper import paper_scores
from common.reporting.tables import summary_table
from common.scripts.options import script_parser, shown
from common.settings import TrainingSettings, add_options, build, given_options
from common.training.run import RunFolder, train_run


def train(dataset: str, folder: str | Path, hyperparameters: dict) -> None:
    """Train ECERC on `dataset` as the command line says. `folder`: that of the script; runs go to its `runs/`.

    `hyperparameters`: the values at the top of the script, names of TrainingSettings; each becomes an option.
    """
    run_script(lambda: _train(dataset, Path(folder), hyperparameters), "train.py")


def _train(dataset, folder, hyperparameters):
    build(TrainingSettings, hyperparameters, "train.py")  # what the user edited is checked first
    parser = script_parser(
        dataset, f"Train ECERC on {dataset}: one network per seed, selected on validation, then tested."
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder of the run (default: runs/<time>)")
    parser.add_argument(
        "--initial-weights",
        type=Path,
        metavar="FILE",
        help="checkpoint that every seed starts from (default: random weights)",
    )
    add_options(parser, TrainingSettings, hyperparameters)
    arguments = parser.parse_args()
    settings = build(TrainingSettings, hyperparameters | given_options(arguments, TrainingSettings), "train.py")
    device = choose_device(arguments.device)
    allow_tf32(settings.precision)
    output = arguments.output or _new_run(folder / "runs")
    RunFolder(output, arguments.overwrite)  # better refused before the data are read
    corpus, origin = load_corpus(dataset, arguments.data_dir, synthetic=arguments.synthetic, labels=settings.labels)
    print(f"{corpus.describe()}\nfrom {origin}; on {device_name(device)}; into {shown(output)}", flush=True)
    keep_memory()  # not before: reading the feature files takes more memory than anything after it
    tested = train_run(
        corpus,
        settings,
        device,
        output,
        synthetic=arguments.synthetic,
        initial_weights=arguments.initial_weights,
        overwrite=arguments.overwrite,
    )
    paper, reason = paper_scores(corpus, "test")
    named = {f"seed {seed}": found for seed, found in zip(settings.seeds, tested, strict=True)}
    print(f"\nTest split, selected weights, in percent\n{summary_table(named, corpus.classes, paper)}")
    print(f"{f'No comparison with the paper: {reason}.' if reason else ''}\nEverything is in {shown(output)}.")


def _new_run(runs):
    name = time.strftime("%Y-%m-%d_%H-%M-%S")
    taken = [runs / name, *(runs / f"{name}_{k}" for k in range(2, 1000))]
    return next(path for path in taken if not path.exists())
