"""The conversations of a split as plain data, and how their turns are named."""

from typing import Any

from common.data.corpus import Corpus


def conversations(corpus: Corpus, split: str) -> list[dict[str, Any]]:
    """The dialogues of a split: id, and per turn speaker, sentence ("" where there is none), label (-1: unknown), and
    the number that was given, where that is not how many turns there are up to here.
    """
    dialogues = []
    for dialogue in corpus.splits[split]:
        rows = range(corpus.offset[dialogue], corpus.offset[dialogue + 1])
        turns = [
            {
                "speaker": corpus.speakers[corpus.speaker[row]],
                "sentence": corpus.sentences[row] if corpus.sentences else "",
                "label": int(corpus.label[row]),
            }
            for row in rows
        ]
        if corpus.numbers is not None:
            numbers = corpus.numbers[rows[0] : rows[-1] + 1].tolist()
            turns = [
                turn | ({"number": n} if n != k else {})
                for k, (turn, n) in enumerate(zip(turns, numbers, strict=True), 1)
            ]
        dialogues.append({"id": str(corpus.ids[dialogue]), "turns": turns})
    return dialogues


def turn_name(said: dict[str, Any], turn: int) -> str:
    """How the turn at position `turn`, from 0, is named: from 1, and by the number that was given if that is another.

    `said`: what `conversations` says of it.
    """
    return f"turn {turn + 1}" + (f" (utterance {said['number']})" if "number" in said else "")
