"""How a command reads its command line, and how it ends: errors of the user take one line on standard error."""

import argparse
import io
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress

from common.errors import InputError, is_want_of_memory, meant
from common.terminal import show

_REQUIRED = re.compile("the following arguments are required|one of the arguments .* is required")


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are InputErrors: one line, exit status 2."""

    _words: Sequence[str] = ()  # of the command line

    def parse_known_args(self, args=None, namespace=None):
        self._words = sys.argv[1:] if args is None else args
        if "" in self._words:  # as a path it would be the folder one is in
            after = ["the command line", *self._words][list(self._words).index("")]
            self.error(f"{after}: found an empty word; expected a value (is a variable of the shell not set?)")
        arguments, others = super().parse_known_args(args, namespace)
        if others:  # a subcommand would leave them to its parent, which does not know its options
            self.error(f"unrecognized arguments: {' '.join(others)}")
        return arguments, others

    def error(self, message):
        own, given = self.options(), [word.partition("=")[0] for word in self._words]
        wrong = [word for word in given if word.startswith("--") and word not in own and len(word) > 2]
        if wrong and _REQUIRED.match(message) and not self.allow_abbrev:
            message = f"unrecognized arguments: {' '.join(wrong)}"  # as they are there under another name
        if message.startswith("unrecognized arguments"):
            message += next(filter(None, (meant(word, own) for word in wrong)), "")
        raise InputError(f"{message}{' See' if message.endswith('?') else '; see'} --help")

    def _check_value(self, action, value):
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            raise argparse.ArgumentError(action, error.message + meant(str(value), map(str, action.choices))) from None

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


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP came: what is under way ends as after Ctrl-C."""

    number: int = signal.SIGTERM


def run_command(
    parser: OneLineParser, run: Callable[[argparse.Namespace], None], name: str, words: Sequence[str] | None = None
) -> None:
    """Call `run` with what `parser` makes of `words`, by default the command line.

    An InputError ends it in one line on standard error, after `name`, with the options of `parser` that mend it, and
    exit status 2; Ctrl-C, SIGTERM and SIGHUP in one with 128 and the number of the signal. A closed pipe on standard
    output ends it silently, with 141 as in a shell.
    """
    _prepare_streams()
    with _signals():
        status = _status(parser, run, name, words)
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            status = status or _closed_pipe()
        except OSError as error:
            status = status or _report(f"{name}: error: standard output: {error.strerror}", 2)
    if status:
        sys.exit(status)


def _status(parser, run, name, words):
    """Call `run`; returns the exit status."""
    status = 0
    try:
        run(parser.parse_args(words))
    except SystemExit as stop:  # after --help
        status = stop.code
    except InputError as error:
        status = _report(f"{name}: error: {_with_notes(error)}", 2, error.change, parser)
    except BrokenPipeError:  # whoever reads our output, such as `head`, has seen enough
        status = _closed_pipe()
    except (MemoryError, RuntimeError) as error:
        if not is_want_of_memory(error):
            raise
        line = f"{name}: error: not enough memory; give it less at a time, or a larger machine{_notes(error)}"
        status = _report(line, 2, ["batch_size", "jobs"], parser)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        line = f"{name}: error: {where}{error.strerror or error}; check the path, its rights and free space"
        status = _report(line + _notes(error), 2)
    except KeyboardInterrupt as stop:
        number = stop.number if isinstance(stop, Terminated) else signal.SIGINT
        how = signal.Signals(number).name if isinstance(stop, Terminated) else "Ctrl-C"
        status = _report(f"{name}: stopped by {how}{'; ' if stop.args else ''}{_with_notes(stop)}", 128 + number)
    return status


def say(text: str) -> None:
    """Print lines of a command whose work does not end when nobody reads on: what it writes into files counts.

    They are wrapped on a terminal, as `show` does.
    """
    try:
        show(text)
    except BrokenPipeError:
        _closed_pipe()


def _with_notes(error):
    return f"{error}{_notes(error)}"


def _notes(error):
    """What failed after `error`."""
    return "".join(f"; {note}" for note in getattr(error, "__notes__", ()))


def _closed_pipe():
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing fails when Python ends
    return 141


def _report(line, status, change=(), parser=None):
    options = [option_name(name) for name in change if option_name(name) in parser.options()]
    with suppress(OSError):
        print(" ".join(line.split()) + (f"; see {', '.join(options)}" if options else ""), file=sys.stderr)
    return status


def _prepare_streams():
    """Standard output and error take everything: what is closed is nowhere, letters that a terminal lacks are "?"."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            try:
                os.fstat(number)
            except OSError:  # or a file that is opened later would get its number, and what libraries print to it
                os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(os.devnull, "w" if number else "r", encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


@contextmanager
def _signals():
    """Have SIGTERM and SIGHUP raise Terminated, the first time, where nobody else handles them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    taken = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]  # nohup ignores SIGHUP

    def stop(number, frame):
        for other in taken:
            signal.signal(other, signal.SIG_IGN)
        stopped = Terminated()
        stopped.number = number
        raise stopped

    for number in taken:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
