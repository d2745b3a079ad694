"""The text files of IEMOCAP as its authors distribute it: evaluations and transcriptions."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from common.data.text import repaired
from common.errors import InputError
from common.features.sources.arrange import some

SESSIONS = range(1, 6)
_EVALUATION = re.compile(r"\[(\d+\.?\d*)\s*-\s*(\d+\.?\d*)\]\s+(\w+)\s+(\w+)\s+\[.*\]")
_TRANSCRIPTION = re.compile(r"(\w+)\s+\[[\d.]+\s*-\s*[\d.]+\]:(.*)")
UTTERANCE = re.compile(r"(Ses0\d[FM]_\w+)_([FM])\d{3}")  # Ses01F_impro01_M000: dialogue, speaker


class Turn(NamedTuple):
    """One line of an evaluation: utterance id, seconds in the dialogue, and label of the raters' majority."""

    name: str
    start: float
    end: float
    label: str


class Corpus(NamedTuple):
    """What stands in the text files: dialogue id to its session's folder, and to its turns, all of them, by time;
    utterance id to sentence; files; notes.
    """

    sessions: dict[str, Path]
    turns: dict[str, list[Turn]]
    sentences: dict[str, str]
    files: list[Path]
    notes: list[str]


def read_corpus(folder: Path) -> Corpus:
    """What stands in the text files of `folder`, or of a folder in it that holds the sessions.

    Lines that are noise are passed over: of single raters, and of utterances whose ids end in XX0 and the like. Raises
    InputError where folders are missing, and for an utterance that stands twice.
    """
    sessions: dict[str, Path] = {}
    turns: dict[str, list[Turn]] = {}
    sentences: dict[str, str] = {}
    files: list[Path] = []
    notes: list[str] = []
    odd: list[str] = []  # lines
    twice: list[str] = []  # utterances
    for session in _sessions(folder, notes):
        for path in _texts(session / "dialog" / "EmoEvaluation"):
            turns[path.stem], sessions[path.stem] = _turns(path, odd), session
            files.append(path)
        for path in _texts(session / "dialog" / "transcriptions"):
            for _, line in _lines(path):
                match = _TRANSCRIPTION.fullmatch(line)
                if match and of_dialogue(match[1]):
                    text = match[2].strip()
                    twice += [match[1]] if sentences.setdefault(match[1], text) != text else []
            files.append(path)
    if not turns:
        raise InputError(f"{folder}: found no Session1/dialog/EmoEvaluation/Ses01F_impro01.txt or the like")
    if odd:
        notes.append(f"Lines of evaluations that are none, left out: {len(odd):,} ({some(odd, 3)}).")
    if twice:
        notes.append(f"Utterances with two transcriptions, of which the first is taken: {some(twice)}.")
    return Corpus(sessions, turns, sentences, files, notes)


def _sessions(folder: Path, notes: list[str]) -> list[Path]:
    """The folders of the sessions that are there."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected IEMOCAP_full_release")
    for base in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        found = {k: base / f"Session{k}" for k in SESSIONS if (base / f"Session{k}").is_dir()}
        if found:
            if len(found) < len(SESSIONS):
                notes.append(f"{base}: {some([path.name for path in found.values()])} of Session1 to Session5.")
            return list(found.values())
    raise InputError(f"{folder}: no folder Session1 in it; expected IEMOCAP_full_release")


def _texts(folder: Path) -> list[Path]:
    return sorted(folder.glob("Ses*.txt"))  # and not what macOS writes beside it, ._Ses01F_impro01.txt


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of each line; bytes that are not UTF-8 are taken for Windows-1252."""
    for number, line in enumerate(re.split(r"\r\n|\r|\n", path.read_bytes().decode("latin1")), 1):
        yield number, repaired(line).strip("\ufeff \t")


def _turns(path: Path, odd: list[str]) -> list[Turn]:
    """The turns in the evaluation `path`, in the order in which they begin; lines that are no turns come to `odd`."""
    turns: dict[str, Turn] = {}
    for number, line in _lines(path):
        if not line.startswith("["):  # the head, and what single raters say
            continue
        turn = _turn(line)
        if turn is None or of_dialogue(turn.name) != path.stem:
            odd.append(f"{path.name}: line {number}")
        elif turn.name in turns:
            raise InputError(f"{path}: line {number}: utterance {turn.name} stands twice; get the file again")
        else:
            turns[turn.name] = turn
    return sorted(turns.values(), key=lambda turn: (turn.start, turn.end, turn.name))


def _turn(line: str) -> Turn | None:
    match = _EVALUATION.fullmatch(line)
    return match and Turn(match[3], float(match[1]), float(match[2]), match[4])


def of_dialogue(name: str) -> str | None:
    """The dialogue of the utterance `name`: Ses01F_impro01 of Ses01F_impro01_M000; None where it is no such id."""
    match = UTTERANCE.fullmatch(name)
    return match and match[1]
