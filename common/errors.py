"""Errors that a user can cause and mend."""

import difflib
import reprlib
from collections.abc import Iterable, Sequence


class InputError(Exception):
    """A file, option or value given by the user cannot be used.

    The message is one line: what was found where, what was expected, and what to do. `change`: names of the arguments
    that mend it, such as "data_dir"; a command adds its options of these names.
    """

    def __init__(self, message: str, change: Sequence[str] = ()):
        super().__init__(message)
        self.change = change


def meant(word: str, known: Iterable[str]) -> str:
    """The end of a message about `word`: which of the `known` ones was meant, if one is much like it."""
    names = {_letters(name): name for name in known}
    same = [name for name in names if sorted(name) == sorted(_letters(word))]  # VT is TV, rather than V
    close = same or difflib.get_close_matches(_letters(word), names, n=1)
    return f"; did you mean {names[close[0]]}?" if close else ""


def _letters(name):
    return name.casefold().replace("_", "-").lstrip("-")


def is_want_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory, or that of a GPU, is used up."""
    names = ("MemoryError", "OutOfMemoryError")  # the latter is PyTorch's on a GPU; on a CPU it has no class of its own
    return type(error).__name__ in names or "DefaultCPUAllocator: can't allocate memory" in str(error)


class _Short(reprlib.Repr):
    def __init__(self):
        super().__init__()
        self.maxlevel = 2

    def repr_int(self, x, level):
        return repr(x) if abs(x) < 2**64 else "a huge number"  # one of thousands of digits has no repr

    def repr_instance(self, x, level):
        if isinstance(x, str | bytes):
            return repr(x[:60])
        return repr(x) if x is None or isinstance(x, int | float) else f"a {type(x).__name__}"


def brief(value: object) -> str:
    """`value`, which stood in a foreign file, for a message: in one line and short, whatever it is."""
    return _Short().repr(value)[:200]
