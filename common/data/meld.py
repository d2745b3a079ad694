"""The released MELD file <-> Corpus."""

from pathlib import Path

import numpy as np

from common.data import agreement
from common.data.corpus import SENTIMENTS, Corpus, from_dialogues
from common.data.feature_pickle import refuse_existing, save
from common.data.fields import FeatureFile
from common.errors import InputError

NAME, FOLDER = "MELD", "meld"
CLASSES = ["neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"]
WIDTHS = {"text": 1024, "event": 1024, "audio": 300, "visual": 342}
FILE = "meld_emotion_semantic_features_roberta.pkl"
_READ = {0: "speakers", 1: "emotion labels", 2: "sentiment labels", 3: "emotion text features"}
_READ |= {7: "event text features", 11: "audio", 12: "visual", 13: "sentences"}
_READ |= {14: "train ids", 15: "test ids", 16: "valid ids"}
_FEATURES = {"text": 3, "event": 7, "audio": 11, "visual": 12}
FIELDS = {FILE: (17, _READ)}  # how many there are, and those that are read
FILES = tuple(FIELDS)
SENTIMENT_OF = np.array([0, 1, 2, 2, 1, 2, 2])  # of each emotion; surprise can be negative, too
SPEAKERS = 9  # length of the one-hot speaker entries


def read(folder: str | Path) -> Corpus:
    """The Corpus in `folder`'s released file, labelled by emotion, with `sentiment` beside.

    Two utterances have the same speaker when their speaker entries are equal. Dialogues in no split are left out.
    Raises InputError for a file that does not hold together, naming file, field and dialogue.
    """
    file = FeatureFile(Path(folder) / FILE, *FIELDS[FILE])
    train, test, valid = file.splits([14, 15, 16])
    ids = train + valid + test
    label, lengths = file.labels(1, ids, CLASSES)
    speaker, speakers = file.speakers(0, ids, lengths)
    return from_dialogues(
        NAME,
        lengths=lengths,
        ids=ids,
        split_sizes=(len(train), len(valid), len(test)),
        label=label,
        sentiment=_sentiment(file, ids, lengths, label),
        speaker=speaker,
        speakers=speakers,
        classes=CLASSES,
        sentences=file.strings(13, ids, lengths),
        features={name: file.features(position, ids, lengths) for name, position in _FEATURES.items()},
    )


def _sentiment(file, ids, lengths, label):
    """Sentiment labels (U,), held against the emotions; None where all are neutral, as `write` makes of none."""
    found = file.labels(2, ids, SENTIMENTS, lengths)[0]
    if not found.any():
        return None
    expected = np.where(label == CLASSES.index("surprise"), found, SENTIMENT_OF[label])  # surprise may be any
    named = [[SENTIMENTS[s] for s in column] for column in (found, expected)]
    agreement.require(file, 2, ids, lengths, *named, agreement.unequal, "field 1 (emotion labels)")
    return found


def write(corpus: Corpus, folder: str | Path) -> None:
    """Write `corpus` as the released file. The inverse of `read`; without a sentiment labelling all are neutral.

    Raises InputError where the layout cannot express it: more than nine speakers.
    """
    if len(corpus.speakers) > SPEAKERS:
        raise InputError(f"{corpus.name}: found {len(corpus.speakers)} speakers; the MELD layout holds {SPEAKERS}")
    refuse_existing(folder, FILES)
    per_dialogue = corpus.per_dialogue
    one_hot = np.eye(SPEAKERS, dtype=np.int64)[corpus.speaker]
    sentiment = np.zeros_like(corpus.label) if corpus.sentiment is None else corpus.sentiment
    sentences = per_dialogue(np.array(corpus.sentences or [""] * len(corpus.label), object), as_list=True)
    text, event, audio, visual = (per_dialogue(corpus.features[name]) for name in _FEATURES)
    splits = [[corpus.ids[i] for i in corpus.splits[s]] for s in ("train", "test", "valid")]
    labels = [per_dialogue(values, as_list=True) for values in (one_hot, corpus.label, sentiment)]
    content = (*labels, text, {}, {}, {}, event, {}, {}, {}, audio, visual, sentences, *splits)
    save(content, Path(folder) / FILE)
