"""Which checkpoints are evaluated, and with which settings."""

import argparse
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from common.batching.side_by_side import side_by_side
from common.commands.conversations import corpus_of, own_corpus_of
from common.commands.options import given_options
from common.commands.parser import say
from common.commands.runs import OPTIONS, find_checkpoints, of_other_data, run_names, unfinished
from common.data import DATASETS
from common.data.corpus import Corpus
from common.data.load import require_files
from common.errors import InputError
from common.evaluation.network import build_network
from common.release import published
from common.release.checkpoint import Checkpoint, read_checkpoint
from common.release.reading import RECORD as SETTINGS
from common.release.trained import authors_dataset, check_classes, differences, stands_for_authors
from common.settings import OUTPUTS_DEPEND_ON, EvaluationSettings, build, words

AT_A_TIME = 4  # files that are read
HELD = 3  # checkpoints, of all that are given, whose weights are kept between reading and evaluating them


def _copies(checkpoints):
    """A note for each checkpoint with the bytes of one before it."""
    first: dict[str, str] = {}
    copies = [(name, first.setdefault(c.sha256, name)) for name, c in checkpoints.items()]
    return [f"Note: {a} is a copy of {b}; mean and spread count both." for a, b in copies if a != b]


@dataclass(frozen=True)
class Group:
    """Checkpoints by name that are evaluated with the same `settings`, and `notes` for whoever reads the numbers."""

    checkpoints: dict[str, Checkpoint]
    settings: EvaluationSettings
    notes: list[str]

    @property
    def paths(self) -> list[Path]:
        """Where the checkpoints lie."""
        return [checkpoint.path for checkpoint in self.checkpoints.values()]


def prepared(
    dataset: str,
    folder: Path,
    hyperparameters: dict,
    arguments: argparse.Namespace,
    given: list[Path] | None,
    *,
    all_of_them: bool = True,
) -> tuple[Group, Corpus, str]:
    """Checkpoints and the settings to evaluate them with, the conversations, and in words where these came from.

    Prints which checkpoints, and what is worth knowing of them. `given`, `folder`: see `find_checkpoints`; only the
    first one unless `all_of_them`. Raises InputError where they do not fit together, or where the order of their
    classes, or of features, is not known.
    """
    own_corpus = own_corpus_of(arguments)
    if not (arguments.synthetic or own_corpus):
        require_files(dataset, arguments.data_dir)
    name = own_corpus.name if own_corpus else dataset
    paths, origin = find_checkpoints(given, folder, name, arguments.synthetic)
    paths = paths if all_of_them else dict(list(paths.items())[:1])
    group, classes = _group(f"Checkpoints {origin}", name, paths, hyperparameters, arguments)
    corpus, origin = corpus_of(dataset, arguments, group.settings.labels, own_corpus)
    if not (own_corpus and given):  # later conversations of one's own are other files by intention
        _note_other_data(group, corpus)
    if own_corpus or arguments.classes:
        corpus = corpus.with_classes(classes or corpus.classes)
    elif classes:
        check_classes(next(iter(group.checkpoints)), classes, corpus.classes, [*OPTIONS, "labels"])
    return group, corpus, origin


def prepared_against(
    first: Group, corpus: Corpus, folder: Path, hyperparameters: dict, arguments: argparse.Namespace
) -> Group:
    """The checkpoints of --against, which are compared with the `first` ones on the same `corpus`.

    Prints which they are. Their settings are those that they were trained with, whatever those of the first ones are;
    options of the command line count for both. Raises InputError where they do not fit together or to the corpus, tell
    other classes apart, or are among the first ones.
    """
    with _about_against():
        paths, origin = find_checkpoints(arguments.against, folder, corpus.name, arguments.synthetic)
        here = {path.resolve() for path in first.paths}
        if both := [path for path in paths.values() if path.resolve() in here]:
            raise InputError(f"{both[0]}: is one of the checkpoints that it is compared with; give others", OPTIONS)
        what = f"To be compared with {run_names(first.paths, [*paths.values()])[1]}"
        group, classes = _group(f"{what}, {origin}", corpus.name, paths, hyperparameters, arguments)
        name, checkpoint = next(iter(group.checkpoints.items()))
        if group.settings.labels != first.settings.labels:
            found = f"trained on labels {group.settings.labels}, the others on {first.settings.labels}"
            raise InputError(f"{name}: {found}; compare such as predict the same", [*OPTIONS, "labels"])
        if classes:
            check_classes(name, classes, corpus.classes, [*OPTIONS])
        checkpoint.fill(build_network(group.settings, corpus))  # rather than after the first ones were evaluated
    if corpus.name in DATASETS:
        _note_other_data(group, corpus)
    for name, same in _same(group, first).items():
        _add_note(group, f"Note: {name} is a copy of {same}, of the run that it is compared with.")
    return group


@contextmanager
def _about_against():
    """Has an InputError say that it is about --against."""
    try:
        yield
    except InputError as error:
        change = ["against" if name in OPTIONS else name for name in error.change]
        raise InputError(f"--against: {error}", change) from None


def _same(group, first):
    """Names of checkpoints of `group` to those of the `first` one with the same bytes."""
    names = {checkpoint.sha256: name for name, checkpoint in first.checkpoints.items()}
    return {name: names[c.sha256] for name, c in group.checkpoints.items() if c.sha256 in names}


def _group(what, name, paths, hyperparameters, arguments):
    """The Group of the checkpoints at `paths` for the data of this `name`, and their classes where they are known."""
    checkpoints, options = _read(paths), given_options(arguments, EvaluationSettings)
    settings, classes, notes = trained_settings(
        name, checkpoints, hyperparameters, options, arguments.synthetic, arguments.classes
    )
    notes = [*unfinished(paths), *_copies(checkpoints), *notes]
    say("\n".join([f"{what}: {', '.join(checkpoints)}", *notes]))
    return Group(checkpoints, settings, notes), classes


def _note_other_data(group, corpus):
    for note in of_other_data(group.paths, corpus):
        _add_note(group, note)


def _add_note(group, note):
    say(note)
    group.notes.append(note)


def _read(paths):
    """The checkpoints at `paths`; the weights of the first HELD of them stay in memory."""

    def job(path, held):
        checkpoint = read_checkpoint(path)
        return checkpoint if held else checkpoint.without_weights()

    jobs = (partial(job, path, k < HELD) for k, path in enumerate(paths.values()))
    return dict(zip(paths, side_by_side(jobs, min(AT_A_TIME, torch.get_num_threads())), strict=True))


def trained_settings(
    dataset: str,
    checkpoints: dict[str, Checkpoint],
    hyperparameters: dict,
    options: dict,
    synthetic: bool,
    classes: list[str] | None = None,
) -> tuple[EvaluationSettings, list[str] | None, list[str]]:
    """EvaluationSettings for `checkpoints`, their classes where these are known, and notes for the user, lines.

    The `hyperparameters` at the top of the script count least, over them what a checkpoint was trained with, over that
    the `options` of the command line. `classes`: as the command line has them, for checkpoints that do not know their
    own. Raises InputError for checkpoints of another `dataset`, unless that is the user's own; for such that were not
    trained alike; and on the user's own conversations where the classes are not known.
    """
    top, candidates, known, notes = build(EvaluationSettings, hyperparameters, "inference.py"), [], [], []
    different: dict[str, list[str]] = {}
    for name, checkpoint in checkpoints.items():
        values, reference, mine, said = _known_of(name, checkpoint, dataset, synthetic, classes)
        _check_given(name, checkpoint, classes, mine)
        settings = build(EvaluationSettings, hyperparameters | values | options, "inference.py")
        candidates.append(settings)
        known += [mine] if mine else []
        notes += [*checkpoint.notes, *said]
        for what in differences(reference, settings):
            different.setdefault(what, []).append(name)
    settings = candidates[0]
    for key in OUTPUTS_DEPEND_ON:
        if any(getattr(other, key) != getattr(settings, key) for other in candidates):
            expected = f"evaluate them apart, or give one {key} for all"
            raise InputError(f"checkpoints: trained with different {key}; {expected}", [*OPTIONS, key])
        value, here = getattr(settings, key), getattr(top, key)
        if key not in options and value != here:
            notes.append(f"Trained with {key} {words(value)}, which counts here (top of the script: {words(here)}).")
    for what, names in different.items():
        notes.append(f"Note: {what}" if len(names) == len(checkpoints) else f"Note: {', '.join(names)}: {what}")
    if any(other != known[0] for other in known):
        raise InputError("checkpoints: trained on different classes; evaluate them apart", OPTIONS)
    return settings, classes or (known[0] if known else None), notes


def _known_of(name, checkpoint, dataset, synthetic, given):
    """Of a checkpoint: the values that count over those of the script; those it was trained with, as far as they are
    known; its classes, or None; and notes.
    """
    trained, authors = checkpoint.trained, authors_dataset(checkpoint.path, checkpoint.sha256)
    of = trained.dataset if trained else authors
    if dataset in DATASETS and of != dataset and (trained or authors):
        mend = f"give a checkpoint of {dataset}, or use the {'script' if of in DATASETS else 'data'} of {of}"
        found = f"trained on {of}; this script evaluates on {dataset}"
        raise InputError(f"{checkpoint.path}: {found}; {mend}", ["checkpoints", "data_dir"])
    unknown = f"says nothing of its training, and no {SETTINGS} stands beside it"
    if dataset not in DATASETS and not (given or authors or (trained and trained.classes)):
        raise InputError(
            f"{checkpoint.path}: {unknown}, so the order of its {checkpoint.classes} classes is not known; put the "
            f"{SETTINGS} of its run beside it, or name its classes in this order",
            ["classes"],
        )
    if trained:
        kind, notes = "synthetic" if trained.synthetic else "real", []
        if trained.synthetic != synthetic:
            notes.append(f"Note: {name} was trained on {kind} conversations, unlike what follows.")
        return trained.values, trained.values, trained.classes, notes
    top = "the values at the top of the script, or the options"
    if dataset in DATASETS:
        sure = authors or stands_for_authors(checkpoint.path, dataset)
        order = ", on the classes as given" if given else ""
        note = f"Note: {name} {unknown}: taken as one of the authors'{order}, with {top}."
        return {}, published.SETTINGS[dataset], None, [] if sure else [note]
    if authors:
        values = published.SETTINGS[authors]
        return values, values, DATASETS[authors].CLASSES, []
    return {"modality_order": "aligned"}, {}, None, [f"Note: {name} {unknown}: taken as trained with {top}."]


def _check_given(name, checkpoint, given, known):
    """Raises InputError where the classes `given` on the command line cannot be those of the checkpoint."""
    if not given:
        return
    if len(set(given)) < len(given) or checkpoint.classes not in (0, len(given)):
        found = f"found {len(given)} names, {len(set(given))} of them different"
        raise InputError(f"classes: {found}; expected the {checkpoint.classes} of {name}", ["classes"])
    if known:
        check_classes(name, known, given, ["classes"])
