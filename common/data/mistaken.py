"""What stands in place of a feature pickle, in words. `head`: the first HEAD bytes of the file."""

import pickletools
import re

from common.files import HEAD, mistaken_for


def instead_of_pickle(head: bytes) -> str | None:
    """What plainly is no pickle; None for what may be one."""
    if not head.startswith(b"PK\x03\x04"):
        return mistaken_for(head)
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")].decode("latin1")  # of the first file in it
    kinds = {"data.pkl": " (a checkpoint)", ".npy": " (arrays of numpy)", ".pkl": " (`unzip FILE` unpacks it)"}
    return "a zip archive" + next((words for end, words in kinds.items() if name.endswith(end)), "")


def text_instead(head: bytes) -> str | None:
    """A text, or a pickle of protocol 0, a text too, with other line ends than Python writes; None for others."""
    if not _is_protocol_0(head.replace(b"\r\n", b"\n"), complete=len(head) < HEAD):
        return mistaken_for(head, text=True)
    why = "as git does on Windows (`*.pkl -text` in .gitattributes stops it)"
    return f"a pickle whose line ends were changed, {why}" if b"\r\n" in head else None


def _is_protocol_0(head, complete):
    """Whether `head`, the beginning of a file or a `complete` one, is that of a pickle of protocol 0, or all of one."""
    later = False
    try:
        for opcode, argument, _ in pickletools.genops(head):
            later = later or opcode.proto > 0
            if opcode.name in ("GLOBAL", "INST") and not re.fullmatch(r"[\w.]+ [\w.]+", argument):
                return False
    except Exception as error:  # of what is no pickle, or not all of it
        return not later and ("exhausted" in str(error) or ("no newline" in str(error) and not complete))
    return True
