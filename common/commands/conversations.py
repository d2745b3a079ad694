"""Which conversations a script works on: those of its dataset, synthetic ones, or the user's own."""

from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

from common.commands.options import short_path
from common.commands.parser import option_name
from common.data import DATASETS, OWN
from common.data.corpus import SPLITS, Corpus
from common.data.load import load_corpus
from common.errors import InputError
from common.settings import MODALITIES, EvaluationSettings, TrainingSettings


def own_corpus_of(arguments: Namespace) -> Corpus | None:
    """The user's own conversations, where the command line asks for them; else None.

    Raises InputError for a file in place of its folder, and for a folder of files that are not built yet.
    """
    if arguments.synthetic:
        return None
    folder = Path(arguments.data_dir)
    if folder.is_file():
        raise InputError(f"{folder}: is a file; give the folder that holds it", ["data_dir"])
    corpus = None
    if (folder / OWN).exists():
        from common.data.own import read_own  # brings pandas, which takes a third of a second

        corpus = read_own(folder)
    released = any((folder / module.FOLDER).is_dir() for module in DATASETS.values())  # beside it, a CSV is anything
    if corpus is None and not released and any(folder.glob("*.csv")):
        raise InputError(
            f"{folder}: holds CSV files, but no {OWN}; make it with `python -m common build`", ["data_dir"]
        )
    return corpus


def corpus_of(dataset: str, arguments: Namespace, labels: str, own_corpus: Corpus | None) -> tuple[Corpus, str]:
    """The Corpus to work on, and in words where it came from: `own_corpus`, or as `load_corpus` has it."""
    if own_corpus is None:
        return load_corpus(dataset, arguments.data_dir, synthetic=arguments.synthetic, labels=labels)
    corpus = own_corpus.with_sentiment() if labels == "sentiment" else own_corpus
    older = ", of an older build, so utterances are numbered by position: build it again to have your numbers"
    return corpus, f"{short_path(arguments.data_dir)}, your own{older if corpus.numbers is None else ''}"


def settings_for_own_corpus(
    settings: TrainingSettings, given: dict, own_corpus: Corpus
) -> tuple[TrainingSettings, list[str]]:
    """`settings` for training on the user's own conversations, and what was changed, a list of lines.

    What the top of a script says of the released files does not apply: their class frequencies, their order of
    modalities, and modalities that the conversations lack. Raises InputError where options, `given`, ask for these, and
    for empty splits and such without labels.
    """
    if settings.labels == "sentiment":
        own_corpus = own_corpus.with_sentiment()
    notes = _check_labels(own_corpus)
    present = "".join(name[0].upper() for name in MODALITIES if own_corpus.widths[name])
    lacking = len(own_corpus.classes) - len(set(own_corpus.label[own_corpus.rows("train")].tolist()) - {-1})
    wanted: dict[str, Any] = {
        "modalities": "".join(m for m in settings.modalities if m in present),
        "modality_order": "aligned",
        "class_weights": settings.class_weights.replace("released", "none" if lacking else "train"),
    }
    reason = {
        "modalities": f"these conversations have {present}",
        "modality_order": "the order is that of MELD's released file",
        "class_weights": "the frequencies are those of the released files"
        + (", and train lacks a class" if lacking else ""),
    }
    for name, value in wanted.items():
        top = getattr(settings, name)
        if value == top:
            continue
        if name in given or not value:
            unfit = f"not for own conversations: {reason[name]}"
            raise InputError(f"{option_name(name)} {top}: {unfit}; try {value or present}")
        notes.append(f"For your own conversations {name} is {value} (top of the script: {top}).")
    return replace(settings, **wanted), notes


def _check_labels(own_corpus):
    """In a line how many utterances have no label. Raises InputError where a split is empty, or none has one."""
    lost = []
    for split in SPLITS:
        if not own_corpus.splits[split]:
            mend = f"put some dialogues into {split} and build it again"
            raise InputError(f"{own_corpus.name}: no dialogue in split {split}; training needs all three; {mend}")
        known = own_corpus.label[own_corpus.rows(split)] >= 0
        if split != "test" and not known.any():
            mend = f"label some utterances of {split} and build it again"
            raise InputError(f"{own_corpus.name}: no utterance of split {split} has a label; {mend}")
        used = set(own_corpus.label[own_corpus.rows(split)].tolist()) - {-1}
        if split == "train" and len(used) == 1:
            only = own_corpus.classes[used.pop()]
            mend = "were the labels taken from the right column? Build it again with two classes at least"
            raise InputError(
                f"{own_corpus.name}: all labels of split train are {only!r}, so nothing is learned; {mend}"
            )
        if not known.all():
            lost.append(f"{len(known) - known.sum()} of {len(known)} utterances of {split}")
    return [f"Without a label, so in no loss and no score: {', '.join(lost)}."] if lost else []


def check_own_corpus(own_corpus: Corpus, split: str, settings: EvaluationSettings) -> None:
    """Raises InputError where `split` of the user's conversations is empty, or a modality in use is missing."""
    if not own_corpus.splits[split]:
        filled = ", ".join(name for name in SPLITS if own_corpus.splits[name])
        raise InputError(f"--split {split}: {own_corpus.name} has no such dialogue, but {filled}; choose one of these")
    for name in settings.modalities_in_use:
        if not own_corpus.widths[name]:
            what = f"no {name} features, which modalities {settings.modalities} need; build it with --{name}"
            raise InputError(
                f"{own_corpus.name}: has {what}, or name those of the checkpoint's training", ["modalities"]
            )
