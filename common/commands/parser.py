"""How a command reads its command line, and how it ends: errors of the user take one line on standard error."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from common.errors import InputError


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are InputErrors: one line, exit status 2."""

    def error(self, message):
        raise InputError(f"{message}; see --help")

    def options(self) -> set[str]:
        """All options, such as "--data-dir", those of subcommands too."""
        options = set(self._option_string_actions)
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                options = options.union(*(parser.options() for parser in action.choices.values()))
        return options


def option_name(name: str) -> str:
    """The command line option of an argument: `batch_size` is `--batch-size`."""
    return "--" + name.replace("_", "-")


def run_command(
    parser: OneLineParser, run: Callable[[argparse.Namespace], None], name: str, words: Sequence[str] | None = None
) -> None:
    """Call `run` with what `parser` makes of `words`, by default the command line.

    An InputError ends it in one line on standard error, after `name`, with the options of `parser` that mend it, and
    exit status 2; Ctrl-C in one with 130. A closed pipe on standard output ends it silently, with 141 as in a shell.
    """
    try:
        run(parser.parse_args(words))
    except InputError as error:
        sys.exit(_report(f"{name}: error: {error}", 2, error.change, parser))
    except BrokenPipeError:  # whoever reads our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except (MemoryError, RuntimeError) as error:
        if type(error).__name__ not in ("MemoryError", "OutOfMemoryError"):  # the latter is PyTorch's, on a GPU
            raise
        line = f"{name}: error: not enough memory; try smaller batches or a larger machine"
        sys.exit(_report(line, 2, ["batch_size"], parser))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        line = f"{name}: error: {where}{error.strerror or error}; check the path, its rights and free space"
        sys.exit(_report(line, 2))
    except KeyboardInterrupt as stop:
        sys.exit(_report(f"{name}: stopped by Ctrl-C{'; ' + str(stop) if stop.args else ''}", 130))


def _report(line, status, change=(), parser=None):
    options = [option_name(name) for name in change if option_name(name) in parser.options()]
    print(" ".join(line.split()) + (f"; see {', '.join(options)}" if options else ""), file=sys.stderr)
    return status
