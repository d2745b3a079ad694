"""Synthetic conversations with planted evidence and causes, in the layout of the released files.

Two parties talk. In each dialogue a party has one mood and one event, drawn for this dialogue, different from those of
the other party. Every turn is of one kind:

- `evidence`: text, audio and visual features show the speaker's mood, and that is the emotion of the turn.
- `self_event`: the event features show the speaker's event, which is the emotion; text only tells the kind.
- `cross_event`: the emotion is the event that the other party mentioned in an earlier turn.
- `self_emotion`: the emotion is the mood that the speaker showed in an earlier turn.
- `cross_emotion`: the emotion is the mood that the other party showed in an earlier turn.

In the last three nothing in the turn itself tells the emotion. A kind that needs an earlier turn occurs only after one.
The kind of each turn stands in `sentences`.
"""

from collections.abc import Sequence

import numpy as np

from common.data import DATASETS, iemocap, meld
from common.data.corpus import Corpus, from_dialogues

CAUSES = ("self_event", "cross_event", "self_emotion", "cross_emotion")
SIZES = {"IEMOCAP": (108, 12, 31), "MELD": (480, 60, 120)}  # dialogues: train, valid, test
WIDTHS = {name: module.WIDTHS for name, module in DATASETS.items()}  # as released
TURNS = {"IEMOCAP": (6, 20), "MELD": (4, 12)}  # shortest and longest dialogue
_STRENGTH = 0.5  # of what is planted, per feature; the noise has a standard deviation of 0.5


def synthetic_corpus(
    dataset: str,
    *,
    seed: int = 0,
    sizes: Sequence[int] | None = None,
    turns: Sequence[int] | None = None,
    widths: dict[str, int] | None = None,
    causes: Sequence[str] = CAUSES,
    evidence_share: float = 0.4,
) -> Corpus:
    """A Corpus of synthetic conversations with the classes of `dataset` ('IEMOCAP' or 'MELD').

    `sizes`: dialogues in train, valid and test. `turns`: shortest and longest dialogue. `widths`: feature name to
    width. `causes`: the kinds of causes that are planted. `evidence_share`: share of evidence turns where others are
    possible. The same arguments give the same Corpus.
    """
    module = DATASETS[dataset]
    sizes, turns, widths = sizes or SIZES[dataset], turns or TURNS[dataset], widths or WIDTHS[dataset]
    rng, count = np.random.default_rng(seed), len(module.CLASSES)
    looks = {name: rng.standard_normal((count, width)) for name, width in widths.items()}  # how each emotion looks
    marks = rng.standard_normal((len(CAUSES), widths["text"]))  # how each kind of cause looks in text

    lengths = rng.integers(turns[0], turns[1], size=sum(sizes), endpoint=True)
    dialogues = [_dialogue(rng, n, count, causes, evidence_share) for n in lengths]
    speaker, kind, label = (np.concatenate([d[k] for d in dialogues]) for k in range(3))
    features = {name: 0.5 * rng.standard_normal((len(label), width)) for name, width in widths.items()}
    for name in ("text", "audio", "visual"):
        features[name][kind == -1] += _STRENGTH * looks[name][label[kind == -1]]
    features["text"][kind >= 0] += _STRENGTH * marks[kind[kind >= 0]]
    mentions = kind == CAUSES.index("self_event")
    features["event"][mentions] += _STRENGTH * looks["event"][label[mentions]]
    ids = range(len(lengths)) if dataset == meld.NAME else [f"Ses{i:04d}" for i in range(len(lengths))]
    return from_dialogues(
        dataset,
        lengths=lengths.tolist(),
        ids=ids,
        split_sizes=sizes,
        label=label,
        speaker=speaker,
        classes=module.CLASSES,
        speakers=["M", "F"] if dataset == iemocap.NAME else ["0", "1"],
        sentences=[("evidence", *CAUSES)[k + 1] for k in kind],
        sentiment=meld.SENTIMENT_OF[label] if dataset == meld.NAME else None,
        sources={"synthetic": f"seed {seed}"},
        features={name: values.astype(np.float32) for name, values in features.items()},
    )


def _dialogue(rng, turns, classes, causes, evidence_share):
    """Speakers, kinds (position in CAUSES, -1 for evidence) and emotions of the turns of one dialogue."""
    mood, event = rng.permutation(classes)[:2], rng.permutation(classes)[:2]
    showed, mentioned, speaker = {0: False, 1: False}, {0: False, 1: False}, int(rng.integers(2))
    rows = []
    for _ in range(turns):
        other = 1 - speaker
        possible = {
            "self_event": True,
            "cross_event": mentioned[other],
            "self_emotion": showed[speaker],
            "cross_emotion": showed[other],
        }
        possible = [cause for cause in causes if possible[cause]]
        kind = "evidence" if not possible or rng.random() < evidence_share else possible[rng.integers(len(possible))]
        emotion = {
            "evidence": mood[speaker],
            "self_event": event[speaker],
            "cross_event": event[other],
            "self_emotion": mood[speaker],
            "cross_emotion": mood[other],
        }[kind]
        rows.append((speaker, CAUSES.index(kind) if kind in CAUSES else -1, emotion))
        showed[speaker] |= kind == "evidence"
        mentioned[speaker] |= kind == "self_event"
        speaker = other if rng.random() < 0.7 else speaker
    return np.array(rows, np.int64).T
