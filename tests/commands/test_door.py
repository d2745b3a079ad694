"""`python -m common`, and what every command does: one line for an error, and help that answers at once."""

import argparse
import importlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from common.__main__ import COMMANDS, main
from common.commands.parser import OneLineParser, run_command
from common.errors import InputError
from tests.small import result_of

ROOT = Path(__file__).resolve().parents[2]
SLOW = ("torch", "pandas", "scipy", "sklearn", "matplotlib", "joblib", "jinja2")  # packages that take long to import
HELP = [["-m", "common"], *(["-m", "common", name, "--help"] for name in COMMANDS)]
HELP += [["-m", "common", "experiments", name, "--help"] for name in ("run", "plan", "report", "compare")]
HELP += [[f"{dataset}/{script}.py", "--help"] for dataset in ("IEMOCAP", "MELD") for script in ("train", "inference")]


@pytest.mark.parametrize("words", HELP, ids=" ".join)
def test_help_imports_nothing_that_takes_long(words):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    imported = set(re.findall(r"\| +(\w+)$", done.stderr, re.MULTILINE))
    assert {"common", "argparse"} & imported  # the list is read as it should be
    assert not imported & set(SLOW)
    assert "usage:" in done.stdout


def test_the_list_has_a_line_for_each_command(capsys):
    for words in ([], ["--help"], ["-h"]):
        printed, status = result_of(lambda words=words: main(words), capsys)
        assert status == 0
        lines = printed.out.splitlines()[2:]
        assert [line.split()[0] for line in lines] == list(COMMANDS)
        assert max(map(len, lines)) <= 80


def test_a_name_that_is_no_command(capsys):
    printed, status = result_of(lambda: main(["obtian", "MELD"]), capsys)
    assert status == 2
    line = r"python -m common: error: no command 'obtian'; expected one of obtain, .*; did you mean obtain\?\n"
    assert re.fullmatch(line, printed.err)


def test_every_command_explains_itself(capsys):
    for name in COMMANDS:
        printed, status = result_of(lambda name=name: main([name, "--help"]), capsys)
        module = importlib.import_module(f"common.commands.{name.replace('-', '_')}")
        assert status == 0
        assert printed.out.startswith(f"usage: python -m common {name} ")
        assert module.__doc__.split("\n")[0] in " ".join(printed.out.split())


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("synthetic some --sead 1", "unrecognized arguments: --sead 1; did you mean --seed? See"),
        ("synthetic some --lr=1", "unrecognized arguments: --lr=1; see"),
        ("synthetic some other", "unrecognized arguments: other; see"),
        ("experiments run --job 2", "unrecognized arguments: --job; did you mean --jobs? See"),
        ("experiments report x --jobs 2", "unrecognized arguments: --jobs 2; see"),
        ("experiments --jobs", "the following arguments are required: COMMAND; see"),
        ("build --Utterence x", "unrecognized arguments: --Utterence; did you mean --utterances? See"),
        ("case-study --data_dir=x", "unrecognized arguments: --data_dir; did you mean --data-dir? See"),
        ("case-study --dataset=x", "argument --dataset: invalid choice: 'x' (choose from .*); see"),
        ("obtain meld", "argument datasets: invalid choice: 'meld' (choose from .*); did you mean MELD? See"),
        ("experiments rnu", "argument COMMAND: invalid choice: 'rnu' (choose from .*); did you mean run? See"),
        ("build --txt a --output b", "unrecognized arguments: --txt; did you mean --text? See"),
        ("build", "the following arguments are required: .*; see"),
        (
            "case-study --dataset MELD --dialogue 0 --utterance 1 --modalities VT",
            "argument --modalities: invalid choice: 'VT' (choose from .*); did you mean TV? See",
        ),
    ],
)
def test_a_wrong_option_ends_in_one_line(capsys, words, line):
    """The option that was meant is told, of a subcommand too, also where it is the one that is required."""
    printed, status = result_of(lambda: main(words.split()), capsys)
    assert status == 2
    expected = re.escape(f"{words.split()[0]}: error: {line} --help\n").replace(r"\.\*", ".*")
    assert re.fullmatch(expected, printed.err), printed.err


def ends(capsys, error, *options):
    """What a command that raises `error` prints on standard error, and its exit status."""
    parser = OneLineParser()
    for option in options:
        parser.add_argument(option)

    def run(arguments: argparse.Namespace) -> None:
        raise error

    printed, status = result_of(lambda: run_command(parser, run, "some", []), capsys)
    return printed.err, status


@pytest.mark.parametrize(
    ("words", "after"), [(["--report", ""], "--report"), (["", "--report", "x"], "the command line")]
)
def test_an_empty_word_is_refused(words, after):
    """As a path it would be the folder one is in."""
    parser = OneLineParser()
    parser.add_argument("--report", type=Path)
    parser.add_argument("talk", nargs="?", type=Path)
    with pytest.raises(InputError, match=rf"^{after}: found an empty word; expected a value"):
        parser.parse_args(words)


def test_how_errors_end_a_command(capsys):
    """The options that mend an error are those which the command has."""
    error = InputError("a:\nb", ["data_dir", "labels"])
    assert ends(capsys, error, "--data-dir") == ("some: error: a: b; see --data-dir\n", 2)
    assert ends(capsys, error, "--labels", "--data-dir") == ("some: error: a: b; see --data-dir, --labels\n", 2)
    assert ends(capsys, error, "--data") == ("some: error: a: b\n", 2)
    line = "some: error: not enough memory; give it less at a time, or a larger machine"
    assert ends(capsys, MemoryError()) == (f"{line}\n", 2)
    assert ends(capsys, MemoryError(), "--batch-size") == (f"{line}; see --batch-size\n", 2)
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**50)
    assert ends(capsys, error.value) == (f"{line}\n", 2)
    assert ends(capsys, MemoryError(), "--jobs") == (f"{line}; see --jobs\n", 2)
    line = "some: error: x.csv: No space left on device; check the path, its rights and free space\n"
    assert ends(capsys, OSError(28, "No space left on device", "x.csv")) == (line, 2)
    assert ends(capsys, KeyboardInterrupt()) == ("some: stopped by Ctrl-C\n", 130)
    stop = KeyboardInterrupt("resume it")
    assert ends(capsys, stop) == ("some: stopped by Ctrl-C; resume it\n", 130)
    stop.add_note("then OSError: disk full")
    assert ends(capsys, stop) == ("some: stopped by Ctrl-C; resume it; then OSError: disk full\n", 130)
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        ends(capsys, RuntimeError("a mistake of ours"))


def test_options_of_subcommands_count(capsys):
    parser = OneLineParser()
    parser.add_subparsers(parser_class=OneLineParser).add_parser("run").add_argument("--jobs")
    assert {"--jobs", "--help"} <= parser.options()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_end_a_command_as_ctrl_c_does(capsys, number):
    """With what is to be done at the end; a second one changes nothing, and afterwards all is as before."""
    done = []

    def run(arguments):
        try:
            os.kill(os.getpid(), number)
        finally:
            os.kill(os.getpid(), number)
            done.append(number)

    printed, status = result_of(lambda: run_command(OneLineParser(), run, "some", []), capsys)
    assert (printed.err, status) == (f"some: stopped by {number.name}\n", 128 + number)
    assert done == [number]
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_signal_that_is_ignored_stays_ignored(capsys):
    """As nohup has it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        printed, status = result_of(
            lambda: run_command(OneLineParser(), lambda _: os.kill(os.getpid(), signal.SIGHUP), "some", []), capsys
        )
        assert (printed.err, status) == ("", 0)
    finally:
        signal.signal(signal.SIGHUP, before)


CLOSED = """
import os, sys
from common.commands.parser import OneLineParser, run_command

def run(arguments):
    print("mean \u00b1 deviation")
    print("a note \u00b1", file=sys.stderr)
    with open("kept", "w") as file:  # takes the first number that is free
        os.write(2, b"a library complains")
        print(file.fileno() > 2, file=file)

run_command(OneLineParser(), run, "some", [])
"""


@pytest.mark.parametrize("closed", ["", "2>&-", ">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_and_letters_that_a_terminal_lacks(tmp_path, closed):
    environment = os.environ | {"PYTHONIOENCODING": "ascii:strict", "PYTHONPATH": str(ROOT)}
    words = ["sh", "-c", f'"$0" -c "$1" {closed}', sys.executable, CLOSED]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ("" if ">&-" in closed.replace("2>&-", "") else "mean ? deviation\n")
    assert (tmp_path / "kept").read_text() == "True\n"


@pytest.mark.skipif(not hasattr(signal, "SIGPIPE"), reason="needs pipes as POSIX has them")
def test_a_reader_who_has_seen_enough():
    read, write = os.pipe()
    os.close(read)
    for words, statuses in ((["environment"], (141,)), (["verify", "--help"], (0, 141))):
        done = subprocess.run(
            [sys.executable, "-m", "common", *words], cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True
        )
        assert done.stderr == ""
        assert done.returncode in statuses
    os.close(write)
