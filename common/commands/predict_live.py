"""`python -m common predict --live`: each line of standard input is answered at once."""

import io
import sys
from pathlib import Path

from common.commands.parser import Terminated
from common.environment import allow_tf32, choose_device
from common.errors import InputError
from common.features.sources.talk import begins_another, line
from common.prediction.emotions import HERE, TEXTUAL, silent
from common.prediction.live import Conversations, history_note
from common.prediction.run import open_run
from common.terminal import show


def answer_lines(path: Path, data_dir: Path | None, device: str) -> None:
    """Answer lines `Name: sentence` of standard input with emotion and probability, by the run in `path`.

    A line that is none is told on standard error and passed over. Ends with the input; after Ctrl-C without a word,
    with status 130.
    """
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding=None if sys.stdin.isatty() else "utf-8-sig", errors="replace")
    try:
        _answer(path, data_dir, device)
    except KeyboardInterrupt as stop:
        if isinstance(stop, Terminated):
            raise
        raise SystemExit(130) from None


def _answer(path, data_dir, device):
    run = open_run(path, data_dir, choose_device(device))
    allow_tf32(run.network.settings.precision)
    extractors, notes = run.recipe.extractors(str(run.device), [kind for kind in run.kinds if kind in TEXTUAL])
    conversations = Conversations(run, extractors)
    for note in filter(None, [*run.notes, run.members(), *history_note(run), *silent(run), *notes]):
        _tell(note)
    if sys.stdin.isatty():
        _tell("Type lines such as `Ann: Did it arrive?`; --- begins another conversation, Ctrl-D ends.")
    for number, text in enumerate(iter(sys.stdin.readline, ""), 1):
        if not text.strip():
            continue
        if begins_another(text):
            if HERE in conversations.lengths:
                conversations.end(HERE)
            continue
        try:
            print(_answer_to(text, conversations, number), flush=True)
        except InputError as error:
            _tell(f"line {number}: {error}")


def _answer_to(text, conversations, number):
    if "\ufffd" in text:
        raise InputError("found letters that are not UTF-8; expected UTF-8; this line is left out")
    emotion = conversations(HERE, *line(text))
    for modality, reason in emotion.lacks.items():
        if modality in TEXTUAL:
            _tell(f"line {number}: {modality}: {reason}; zeros in its place")
    return emotion


def _tell(text):
    show(text, sys.stderr)
