"""Which conversations a script works on: those of its dataset, synthetic ones, or the user's own."""

from argparse import Namespace
from dataclasses import replace

from common.commands.options import short_path
from common.commands.parser import option_name
from common.data.corpus import SPLITS, Corpus
from common.data.load import load_corpus
from common.data.own import read_own
from common.errors import InputError
from common.settings import MODALITIES, EvaluationSettings, TrainingSettings


def own_corpus(arguments: Namespace) -> Corpus | None:
    """The own conversations that the command line asks for; None where it asks for others."""
    return None if arguments.synthetic else read_own(arguments.data_dir)


def corpus_of(dataset: str, arguments: Namespace, labels: str, own: Corpus | None) -> tuple[Corpus, str]:
    """The Corpus to work on, and where it came from in words: `own`, or as `load_corpus` finds it."""
    if own is None:
        return load_corpus(dataset, arguments.data_dir, synthetic=arguments.synthetic, labels=labels)
    return (own.with_sentiment() if labels == "sentiment" else own), f"{short_path(arguments.data_dir)}, your own"


def fitted(settings: TrainingSettings, given: dict, own: Corpus) -> tuple[TrainingSettings, list[str]]:
    """`settings` for training on own conversations, and what was changed, a list of lines.

    What the top of a script says of the released files is left aside: their class frequencies, their order of
    modalities, and modalities that are not there. Raises InputError where options, `given`, ask for these, and for
    empty splits.
    """
    for split in SPLITS:
        if not own.splits[split]:
            raise InputError(f"{own.name}: no dialogue in split {split}; training needs all three; build it again")
    there = "".join(name[0].upper() for name in MODALITIES if own.widths[name])
    wanted = {
        "modalities": "".join(m for m in settings.modalities if m in there),
        "modality_order": "aligned",
        "class_weights": settings.class_weights.replace("released", "train"),
    }
    notes = []
    for name, value in wanted.items():
        top = getattr(settings, name)
        if value == top:
            continue
        if name in given or not value:
            raise InputError(
                f"{option_name(name)} {top}: not for own conversations with modalities {there}; try {value or there}"
            )
        notes.append(f"For your own conversations {name} is {value} (top of the script: {top}).")
    return replace(settings, **wanted), notes


def check_own(own: Corpus, split: str, settings: EvaluationSettings) -> None:
    """Raises InputError where `split` of own conversations is empty, or they lack modalities that `settings` use."""
    if not own.splits[split]:
        there = ", ".join(name for name in SPLITS if own.splits[name])
        raise InputError(f"--split {split}: {own.name} has no such dialogue, but {there}; choose one of these")
    for name in settings.modalities_in_use:
        if not own.widths[name]:
            raise InputError(f"{own.name}: has no {name} features, which the checkpoint needs; build it with --{name}")
