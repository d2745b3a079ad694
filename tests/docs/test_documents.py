"""README and pages: commands and options exist, examples run, links lead somewhere, no table stands twice."""

import contextlib
import io
import os
import re
import runpy
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from common.__main__ import COMMANDS, main

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "tests" / "README.md", *ROOT.glob("docs/*.md")]
TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in DOCUMENTS}
SCRIPTS = [f"{folder}/{script}.py" for folder in ("IEMOCAP", "MELD") for script in ("train", "inference")]
STEPS = {  # of the commands that have some
    "experiments": ("plan", "run", "report", "compare"),
    "features": ("meld", "iemocap", "csv", "talk"),
}

# Beginnings of the blocks of shell commands that are not run here, and why. All others are.
INSTALLS = "installs packages; CI runs the line of the README's section on tests"
NEEDS_FILES = "needs the released files; tests/commands runs the same on small ones"
NOT_RUN = {
    "python3 -m venv .venv && . .venv/bin/activate && pip install -r requirements.txt\n": INSTALLS,
    "python3 -m venv .venv && . .venv/bin/activate && pip install -r requirements-dev.txt": INSTALLS,
    "ruff check . && ruff format --check .": "CI runs it",
    "python -m common obtain": "downloads; tests/release runs it on local servers",
    "pip install -r requirements-features.txt\n": INSTALLS,
    "pip install -r requirements-opensmile.txt\n": INSTALLS,
    "pip install -r requirements-features.txt\npython": "downloads; tests/docs/test_tour.py runs it",
    "python -m common verify": "needs the released files; tests/release runs it on small ones",
    "(cd IEMOCAP && python train.py)": NEEDS_FILES,
    "(cd MELD && python inference.py": NEEDS_FILES,
    "(cd MELD && python train.py --resume": NEEDS_FILES,
    "(cd MELD && python train.py --settings": NEEDS_FILES,
    "(cd MELD && python train.py --empty-history strict": NEEDS_FILES,
    "python -m common case-study": NEEDS_FILES,
    "mkdir talks": "tests/commands/test_own.py runs it",
    "python -m common build --meld": "needs MELD's files; tests/commands/test_build.py runs it on small ones",
    "python -m common experiments plan": "needs the released files and hours; the small example runs",
    "PYTHONPATH=$PWD dask scheduler": "needs several machines; tests/experiments/test_workers.py runs two workers",
    "python -m common benchmark --json": "takes minutes; tests/benchmarks runs its parts",
    "pytest -rs tests/training/test_graphs.py": "needs a GPU",
    "python -m tests.faults": "takes minutes; tests/faults runs less of it",
    "python -m tests.fuzz": "takes minutes; tests/fuzz runs less of it",
    "pytest tests/security": "is part of the suite",
}
SMALLER = {  # what makes the others quick
    "python3 -m venv .venv && . .venv/bin/activate && pip install -r requirements.txt && ": "",
    "--epochs 15": "--epochs 1 --seeds 1",
    "sweep-data --dialogues": "sweep-data --dataset MELD --dialogues",
    "--tables 2 3 7 --seeds 1 2 --epochs 3": "--datasets MELD --tables 7 --seeds 1 --epochs 1 --jobs 1",
}
OF_OTHER_PROGRAMS = {"--help", "--nworkers", "--nthreads", "--check", "--gres", "--times", "--local-dir", "--encoder"}

BLOCKS = [
    (name, block)
    for name, text in TEXTS.items()
    for block in re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
]
RUN = [(name, block) for name, block in BLOCKS if not block.startswith(tuple(NOT_RUN))]


@cache
def options(*command):
    """The options in the help of a command, such as ("MELD/train.py",), ("verify",) or ("features", "meld")."""
    out, script = io.StringIO(), command[0] in SCRIPTS
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        patch.setattr(sys, "path", [*sys.path])  # scripts add to it
        patch.setattr(sys, "argv", [*command, "--help"] if script else ["common", *command, "--help"])
        runpy.run_path(str(ROOT / command[0]), run_name="__main__") if script else main()
    assert "usage:" in out.getvalue(), command
    return set(re.findall(r"--[a-z][\w-]*", out.getvalue()))


def check_commands(text):
    """Each command in `text` has the options that it is given there; other options belong to some command."""
    calls = [
        ((command, *(step for step in STEPS.get(command, ()) if rest.split()[:1] == [step])), rest)
        for command, rest in re.findall(r"python -m common ([a-z][\w-]*)([^`\n&|)#]*)", text)
    ] + [
        ((f"{folder or beside or 'MELD'}/{script}",), rest)
        for folder, beside, script, rest in re.findall(
            r"(?:(IEMOCAP|MELD) && )?python (?:(IEMOCAP|MELD)/)?(\w+\.py)([^`\n&|)#]*)", text
        )
    ]
    for command, rest in calls:
        assert command[0] in [*COMMANDS, *SCRIPTS]
        assert set(re.findall(r"--[a-z][\w-]*", rest)) <= options(*command), command
    every = [(command,) for command in [*COMMANDS, *SCRIPTS]]
    every += [(command, step) for command, steps in STEPS.items() for step in steps]
    named = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", text))
    assert named <= OF_OTHER_PROGRAMS.union(*(options(*command) for command in every))


@pytest.mark.parametrize("name", TEXTS)
def test_every_command_and_option_exists(name):
    check_commands(TEXTS[name])


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project, in which the blocks are run one after the other."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("common", "IEMOCAP", "MELD", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "runs", "*.pkl"))
    return folder


@pytest.mark.parametrize("block", [block for _, block in RUN], ids=[f"{name}: {block[:50]!r}" for name, block in RUN])
def test_examples_run(block, project):
    for words, fewer in SMALLER.items():
        block = block.replace(words, fewer)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-e", "-c", block], cwd=project, env=environment, check=True, timeout=300)


def test_nothing_else_is_left_out():
    assert all(any(block.startswith(begin) for _, block in BLOCKS) for begin in NOT_RUN)
    assert all(any(words in block for _, block in RUN) for words in SMALLER)
    for name, text in TEXTS.items():
        assert all(re.findall(r"^```(.*)$", text, re.MULTILINE)[::2]), f"{name}: a block without language (sh, text …)"


def anchors(path):
    """The anchors that GitHub makes of the headings of a document."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(path):
    """The relative links and images of a document: the file that each leads to, and the anchor in it."""
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            file, _, anchor = target.partition("#")
            yield (path.parent / file).resolve() if file else path, anchor


@pytest.mark.parametrize("path", DOCUMENTS, ids=TEXTS)
def test_links_lead_somewhere(path):
    for file, anchor in links(path):
        assert file.is_file(), file
        assert not anchor or anchor in anchors(file), (file, anchor)
    for name in re.findall(r"`((?:common|tests|benchmarks)/[\w/]*\.\w+)`", path.read_text(encoding="utf-8")):
        assert (ROOT / name).exists(), name


def test_every_page_is_reached_from_a_short_readme():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path not in reached and path.suffix == ".md":
            reached.add(path)
            waiting += [file for file, _ in links(path) if file.is_file()]
    assert set(DOCUMENTS) <= reached
    assert len(TEXTS["README.md"].splitlines()) <= 150


@pytest.mark.parametrize("name", TEXTS)
def test_no_marks_of_a_merge_are_left(name):
    marks = ("<<<<<<< ", "=======", ">>>>>>> ")
    assert [line for line in TEXTS[name].splitlines() if line.startswith(marks)] == []


def test_no_table_stands_twice():
    """No row of three filled cells or more stands in two places, heads of columns aside."""
    places = {}
    for name, text in TEXTS.items():
        for row, below in re.findall(r"^(\|.*\|)$(?=\n?(.*))", text, re.MULTILINE):
            cells = tuple(cell.strip() for cell in row.split("|") if cell.strip("-: "))
            if len(cells) >= 3 and not below.startswith("|--"):
                assert cells not in places, f"{row}: in {places[cells]} and in {name}"
                places[cells] = name
