"""Errors that a user can cause and mend."""

import os
import reprlib
import sys
from collections.abc import Callable, Sequence


class InputError(Exception):
    """A file, option or value given by the user cannot be used.

    The message is one line: what was found where, what was expected, and what to do. `change`: names of the arguments
    that mend it, such as "data_dir"; a command adds its options of these names.
    """

    def __init__(self, message: str, change: Sequence[str] = ()):
        super().__init__(message)
        self.change = change


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


def run_script(main: Callable[[], None], name: str) -> None:
    """Call `main()`; end user errors in one line on standard error with exit status 2, Ctrl-C with 130.

    A closed pipe on standard output ends it silently, with 141 as the shell has it.
    """
    try:
        main()
    except InputError as error:
        sys.exit(_report(f"{name}: error: {error}", 2))
    except BrokenPipeError:  # whoever reads our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except (MemoryError, RuntimeError) as error:
        if type(error).__name__ not in ("MemoryError", "OutOfMemoryError"):  # the latter is PyTorch's, on a GPU
            raise
        sys.exit(_report(f"{name}: error: not enough memory; try a smaller --batch-size or a larger machine", 2))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        sys.exit(
            _report(f"{name}: error: {where}{error.strerror or error}; check the path, its rights and free space", 2)
        )
    except KeyboardInterrupt as stop:
        sys.exit(_report(f"{name}: stopped by Ctrl-C{'; ' + str(stop) if stop.args else ''}", 130))


def _report(line, status):
    print(" ".join(line.split()), file=sys.stderr)
    return status
