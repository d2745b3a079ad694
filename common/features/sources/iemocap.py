"""IEMOCAP as its authors distribute it: evaluations, transcriptions, sound of sentences and films of dialogues."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from common.data.fields import FeatureFile
from common.data.iemocap import CLASSES
from common.errors import InputError
from common.features.sources.arrange import arranged, some
from common.features.sources.iemocap_corpus import UTTERANCE, Turn, of_dialogue, read_corpus
from common.features.sources.source import Missing, Source

TEST = 5  # the session of the test split
_OF_PICKLE = {0: "utterance ids", 2: "labels", 6: "sentences", 7: "train ids", 8: "test ids"}


def read(folder: Path, like: Path | None = None, swap_actors: bool = False) -> Source:
    """The conversations of IEMOCAP_full_release, which is `folder` or lies in it.

    Utterances labelled hap, sad, neu, ang, exc or fru, in the order in which they begin; others (xxx, sur, fea, dis,
    oth) are left out, as in the published features. Speakers are M and F. Session 5 is the test split; of the other
    dialogues, sorted by id, the first tenth (at least one of several) is the validation split, the rule of the released
    code. Sound is that of sentences/wav; the picture that of dialog/avi/DivX between the times of the evaluation: the
    actor whom the letter of the dialogue names stands left, the other right; `swap_actors` turns that round.

    These rules give 7,380 utterances of the full corpus. The published features have 7,433: 53 more labelled hap, in 16
    improvised dialogues; by which rule is not published. `like`: the published IEMOCAP_features.pkl, whose utterances,
    their order, labels and splits are taken instead. One that the corpus lacks is `missing` but for its sentence.

    Raises InputError where folders, or a dialogue of `like`, are missing, and for an utterance that stands twice.
    """
    corpus = read_corpus(Path(folder))
    rows, notes = _by_rules(corpus) if like is None else _by_pickle(corpus, Path(like))
    table = pd.DataFrame(rows)
    if not len(table):
        raise InputError(f"{folder}: found no utterance labelled {', '.join(CLASSES)}; expected IEMOCAP_full_release")
    letters = table.id.str.extract(UTTERANCE)
    table["speaker"] = letters[1]
    left = (table.dialogue.str[5] == table.speaker) != swap_actors  # Ses01F_impro01
    table["side"], table["whole"] = left.map({True: "left", False: "right"}), True
    table, missing, lost = _with_media(table, corpus.sessions)
    files = [*corpus.files, *([] if like is None else [Path(like)])]
    return Source("iemocap", arranged(table), list(CLASSES), files, [*corpus.notes, *notes, *lost], missing)


def _rows(dialogue: str, split: str, turns: Iterable[Turn], sentences: dict[str, str]) -> list[dict]:
    return [
        {
            "dialogue": dialogue,
            "number": number,
            "id": turn.name,
            "sentence": sentences.get(turn.name, ""),
            "label": turn.label,
            "split": split,
            "start": turn.start,
            "end": turn.end,
        }
        for number, turn in enumerate(turns)
    ]


def _by_rules(corpus):
    """The rows of `read` without `like`, and notes."""
    kept = {i: [turn for turn in turns if turn.label in CLASSES] for i, turns in sorted(corpus.turns.items())}
    others = Counter(turn.label for turns in corpus.turns.values() for turn in turns if turn.label not in CLASSES)
    notes = []
    if others:
        counts = ", ".join(f"{count:,} {label}" for label, count in others.most_common())
        notes.append(f"Utterances with other labels, left out: {others.total():,} ({counts}).")
    ids = [i for i, turns in kept.items() if turns]
    train = [i for i in ids if corpus.sessions[i].name != f"Session{TEST}"]
    valid = train[: max(len(train) // 10, len(train) > 1)]
    split = dict.fromkeys(ids, "test") | dict.fromkeys(train, "train") | dict.fromkeys(valid, "valid")
    return [row for i in ids for row in _rows(i, split[i], kept[i], corpus.sentences)], notes


def _by_pickle(corpus, path):
    """The rows of `read` with `like`, and notes."""
    file = FeatureFile(path, 9, _OF_PICKLE)
    train, test = file.splits([7, 8])
    ids, valid = train + test, train[: len(train) // 10]
    if not valid:
        raise file.error(7, f"{len(train)} training dialogues", "at least 10, a tenth of them for validation")
    split = dict.fromkeys(test, "test") | dict.fromkeys(train, "train") | dict.fromkeys(valid, "valid")
    labels, lengths = file.labels(2, ids, CLASSES)
    names = file.strings(0, ids, lengths)
    sentences = dict(zip(names, file.strings(6, ids, lengths), strict=True)) if file.is_table(6) else {}
    sentences |= corpus.sentences
    known = {turn.name: turn for turns in corpus.turns.values() for turn in turns}
    rows, changed, end = [], Counter(), 0
    for i, length in zip(ids, lengths, strict=True):
        if i not in corpus.turns:
            where = next(iter(corpus.sessions.values())).parent
            raise InputError(f"{path}: dialogue {i!r} is not in {where}; expected all of Session1 to Session5 there")
        turns, end = [], end + length
        for name, label in zip(names[end - length : end], labels[end - length : end], strict=True):
            if of_dialogue(name) != i or name in {turn.name for turn in turns}:
                raise file.error(0, f"the utterance {name!r}", f"ids of its utterances, each once, such as {i}_F000", i)
            turn = known.get(name, Turn(name, np.nan, np.nan, CLASSES[label]))
            changed[turn.label, CLASSES[label]] += turn.label != CLASSES[label]
            turns.append(turn._replace(label=CLASSES[label]))
        rows += _rows(i, split[i], turns, sentences)
    notes = [f"Utterances, labels and splits are those of {path}."]
    if changed.total():
        counts = ", ".join(f"{count:,} {ours} for {theirs}" for (theirs, ours), count in changed.items() if count)
        notes.append(f"Labels in it that differ from the corpus: {changed.total():,} ({counts}).")
    more = [name for name in known.keys() - set(names) if known[name].label in CLASSES]
    if more:
        notes.append(f"Utterances with one of its labels that it leaves out: {len(more):,} ({some(sorted(more))}).")
    return rows, notes


def _with_media(table, sessions):
    """`table` with the files of sound and picture that exist, what is missing, and notes."""
    folders = [sessions[i] for i in table.dialogue]
    pairs = list(zip(folders, table.dialogue, table.id, strict=True))
    films = {i: sessions[i] / "dialog" / "avi" / "DivX" / f"{i}.avi" for i in table.dialogue.unique()}
    there = {i for i, path in films.items() if path.is_file()}
    audio = [session / "sentences" / "wav" / dialogue / f"{name}.wav" for session, dialogue, name in pairs]
    table["audio"] = [str(path) if path.is_file() else "" for path in audio]
    timed = table.start.notna()
    table["video"] = [
        str(films[i]) if i in there and known else "" for i, known in zip(table.dialogue, timed, strict=True)
    ]
    notes, silent = [], table.audio == ""
    if silent.all():
        notes.append("No sentences/wav: " + ("sound is that of the films." if there else "no sound."))
    elif (borrowed := silent & (table.video != "")).any():
        notes.append(
            f"Utterances without a wav file, whose sound is that of the film: {some(table.id[borrowed].tolist())}."
        )
    if not there:
        notes.append("No dialog/avi/DivX: no pictures.")
    lacks = {
        "text": (table.sentence == "", "no transcription"),
        "audio": (silent & (table.video == ""), "no wav file"),
        "visual": (table.video == "", "no film"),
    }
    missing = [
        Missing(row.dialogue, row.number, modality, reason if known else "not in the corpus")
        for modality, (lack, reason) in lacks.items()
        if not lack.all()
        for row, known in zip(table[lack].itertuples(), timed[lack], strict=True)
    ]
    return table, missing, notes
