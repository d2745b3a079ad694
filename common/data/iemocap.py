"""The released IEMOCAP files <-> Corpus."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.data import agreement
from common.data.corpus import Corpus, from_dialogues
from common.data.feature_pickle import refuse_existing, save
from common.data.fields import FeatureFile
from common.errors import InputError

NAME, FOLDER = "IEMOCAP", "iemocap"
CLASSES = ["hap", "sad", "neu", "ang", "exc", "fru"]
WIDTHS = {"text": 1024, "event": 1024, "audio": 1582, "visual": 342}
BASE = "IEMOCAP_features.pkl"
EMOTION = "iemocap_emotion_features_roberta.pkl"
EVENT = "iemocap_emotion_semantic_features_roberta.pkl"
_BASE = {0: "utterance ids", 1: "speakers", 2: "labels", 4: "audio", 5: "visual", 6: "sentences", 7: "train ids"}
_EMOTION = {0: "speakers", 1: "labels", 2: "emotion text features", 6: "sentences"}
_EMOTION |= {7: "train ids", 8: "test ids", 9: "valid ids"}
_EVENT = {0: "speakers", 1: "labels", 6: "event text features", 10: "sentences"}
_EVENT |= {11: "train ids", 12: "test ids", 13: "valid ids"}
FIELDS = {  # per file, how many there are, and those that are read
    BASE: (9, _BASE | {8: "test ids"}),
    EMOTION: (10, _EMOTION),
    EVENT: (16, _EVENT),
}
FILES = tuple(FIELDS)


def read(folder: str | Path) -> Corpus:
    """The Corpus in `folder`'s three released files.

    The first tenth of the training dialogues, in file order, is the validation split. Two utterances have the same
    speaker when their speaker entries are equal. Dialogues in no split are left out. Raises InputError for files that
    do not hold together, naming file, field and dialogue.
    """
    folder = Path(folder)
    file = FeatureFile(folder / BASE, *FIELDS[BASE])
    train, test = file.splits([7, 8])
    valid = len(train) // 10
    if not valid:
        raise file.error(7, f"{len(train)} training dialogues", "at least 10, a tenth of them for validation")
    ids = train[valid:] + train[:valid] + test
    label, lengths = file.labels(2, ids, CLASSES)
    speaker, speakers = file.speakers(1, ids, lengths)
    features = {"audio": file.features(4, ids, lengths), "visual": file.features(5, ids, lengths)}
    sentences, entries = file.strings(6, ids, lengths), file.entries(1, ids, lengths)
    _check_letters(file, ids, lengths, entries)
    known: dict[str, Sequence] = {"labels": label.tolist(), "speakers": entries, "sentences": sentences}
    del file  # the three files together would not fit into a small memory
    for name, path, position in (("text", EMOTION, 2), ("event", EVENT, 6)):
        file = FeatureFile(folder / path, *FIELDS[path])
        agreement.hold_against(file, known, ids, lengths, CLASSES, BASE)
        agreement.require_splits(file, train, test, BASE)
        features[name] = file.features(position, ids, lengths)
        del file
    return from_dialogues(
        NAME,
        lengths=lengths,
        ids=ids,
        split_sizes=(len(train) - valid, valid, len(test)),
        label=label,
        speaker=speaker,
        speakers=speakers,
        classes=CLASSES,
        sentences=sentences,
        features=features,
    )


def _check_letters(file, ids, lengths, speakers):
    """Raises InputError where ids such as Ses01F_impro01_M003, which tell who speaks, contradict `speakers`."""
    if file.is_table(0):
        rows = [entry for row in file.table(0, ids, lengths) for entry in row]
        found = [re.search(r"_([MF])\d+$", entry) if isinstance(entry, str) else None for entry in rows]
        letters = [match and (match[1],) for match in found]
        differ = agreement.unequal if set(letters) == set(speakers) else agreement.another
        agreement.require(file, 0, ids, lengths, letters, speakers, differ, "field 1 (speakers)")


def write(corpus: Corpus, folder: str | Path) -> None:
    """Write `corpus` as the three released files, text as nested float lists. The inverse of `read`.

    Raises InputError where the layout cannot express it: more than two speakers, or a validation split that is not
    a tenth of the training dialogues.
    """
    train, valid, test = (corpus.splits[s] for s in ("train", "valid", "test"))
    tenth = (len(train) + len(valid)) // 10
    if len(corpus.speakers) > 2 or len(valid) != tenth:
        found = f"{len(corpus.speakers)} speakers, {len(valid)} validation dialogues"
        expected = f"at most 2, and {tenth}, a tenth of train and valid together, in the layout of IEMOCAP"
        raise InputError(f"{corpus.name}: found {found}; expected {expected}", ["dialogues"])
    refuse_existing(folder, FILES)
    train_ids, test_ids = [corpus.ids[i] for i in valid + train], [corpus.ids[i] for i in test]
    per_dialogue, splits = corpus.per_dialogue, (train_ids, test_ids)
    utterances = {i: [f"{i}_{u:03d}" for u in range(n)] for i, n in zip(corpus.ids, corpus.lengths, strict=True)}
    speakers = per_dialogue(np.where(corpus.speaker == 0, "M", "F"), as_list=True)
    labels = per_dialogue(corpus.label, as_list=True)
    sentences = per_dialogue(np.array(corpus.sentences or [""] * len(corpus.label), object), as_list=True)
    audio, visual = (per_dialogue(corpus.features[name]) for name in ("audio", "visual"))
    save((utterances, speakers, labels, {}, audio, visual, sentences, *splits), Path(folder) / BASE)
    emotion = per_dialogue(corpus.features["text"], as_list=True)
    save((speakers, labels, emotion, {}, {}, {}, sentences, *splits, []), Path(folder) / EMOTION)
    event = per_dialogue(corpus.features["event"], as_list=True)
    save((speakers, labels, {}, {}, {}, {}, event, {}, {}, {}, sentences, *splits, [], [], []), Path(folder) / EVENT)
