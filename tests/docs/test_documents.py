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
BLOCKS = {  # of shell commands, by document
    (name, block): block.splitlines()[0]
    for name, text in TEXTS.items()
    for block in re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
}

# Beginnings of the blocks that are not run here, and why. All others are.
INSTALLS = "installs packages; CI runs the line of the README's section on tests"
NEEDS_FILES = "needs the released files; tests/commands runs the same on small ones"
NOT_RUN = {
    "python3 -m venv .venv && . .venv/bin/activate && pip install -r requirements.txt\n": INSTALLS,
    "python3 -m venv .venv && . .venv/bin/activate && pip install -r requirements-dev.txt": INSTALLS,
    "ruff check . && ruff format --check .": "CI runs it",
    "python -m common obtain": "downloads; tests/release runs it on local servers",
    "python -m common verify": "needs the released files; tests/release runs it on small ones",
    "(cd IEMOCAP && python train.py)": NEEDS_FILES,
    "(cd MELD && python inference.py": NEEDS_FILES,
    "(cd MELD && python train.py --resume": NEEDS_FILES,
    "python -m common case-study": NEEDS_FILES,
    "mkdir talks": "tests/commands/test_own.py runs it",
    "python -m common experiments plan": "needs the released files and hours; the small example runs",
    "dask scheduler": "needs several machines; tests/experiments/test_workers.py runs two workers",
    "python -m common benchmark --json": "takes minutes; tests/benchmarks runs its parts",
    "pytest -rs tests/training/test_graphs.py": "needs a GPU; was run on an H100",
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
NOT_OURS = {"--help", "--nworkers", "--nthreads", "--check", "--gres", "--kills"}  # options of other programs


def not_run(block):
    return [begin for begin in NOT_RUN if block.startswith(begin)]


RUN = [key for key in BLOCKS if not not_run(key[1])]


def printed(work):
    """What `work()` prints until it ends or exits."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        work()
    return out.getvalue()


@cache
def options(*command):
    """The options that the help of a command names, such as ("MELD/train.py",) or ("experiments", "run")."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path])
        patch.setattr(sys, "argv", [*(["common"] if command[0] in COMMANDS else []), *command, "--help"])
        script = command[0].endswith(".py")
        text = printed((lambda: runpy.run_path(str(ROOT / command[0]), run_name="__main__")) if script else main)
    assert "usage:" in text, command
    return set(re.findall(r"--[a-z][\w-]*", text))


def commands(text):
    """The calls of commands and scripts in a document: the words that name each, and the options it is given."""
    for name, rest in re.findall(r"python -m common ([a-z][\w-]*)([^`\n&|)#]*)", text):
        part = [rest.split()[0]] if name == "experiments" and rest.split() else []
        yield (name, *part), re.findall(r"--[a-z][\w-]*", rest)
    for folder, script, rest in re.findall(r"(?:(IEMOCAP|MELD) && )?python (\w+\.py)([^`\n&|)#]*)", text):
        yield (f"{folder or 'MELD'}/{script}",), re.findall(r"--[a-z][\w-]*", rest)


@pytest.mark.parametrize("document", TEXTS)
def test_every_command_and_option_exists(document):
    for command, given in commands(TEXTS[document]):
        assert command[0] in COMMANDS or (ROOT / command[0]).is_file(), command
        assert set(given) <= options(*command), command
    scripts = [(f"{folder}/{script}.py",) for folder in ("IEMOCAP", "MELD") for script in ("train", "inference")]
    steps = [("experiments", step) for step in ("run", "plan", "report", "compare")]
    known = set().union(*(options(*command) for command in [*scripts, *steps, *((name,) for name in COMMANDS)]))
    named = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", TEXTS[document])) - NOT_OURS
    assert named <= known


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the project, in which the blocks are run one after the other."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("common", "IEMOCAP", "MELD", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "runs", "*.pkl"))
    return folder


@pytest.mark.parametrize("key", RUN, ids=[f"{name}: {BLOCKS[name, block][:60]}" for name, block in RUN])
def test_examples_run(key, copy):
    block = key[1]
    for words, fewer in SMALLER.items():
        block = block.replace(words, fewer)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(["bash", "-e", "-c", block], cwd=copy, env=os.environ | {"PATH": path}, check=True, timeout=120)


def test_the_lists_above_have_nothing_else():
    assert all(any(block.startswith(begin) for _, block in BLOCKS) for begin in NOT_RUN)
    assert all(any(words in block for _, block in RUN) for words in SMALLER)
    for name, text in TEXTS.items():
        languages = re.findall(r"^```(.*)$", text, re.MULTILINE)[::2]
        assert all(languages), f"{name}: a block without a language; commands are sh, others text"


def anchors(text):
    """The anchors that GitHub makes of the headings of a document."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(path):
    """The relative links and images of a document: the file each leads to, and the anchor in it."""
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            file, _, anchor = target.partition("#")
            yield (path.parent / file).resolve() if file else path, anchor


@pytest.mark.parametrize("path", DOCUMENTS, ids=TEXTS)
def test_links_lead_somewhere(path):
    for file, anchor in links(path):
        assert file.is_file(), file
        assert not anchor or anchor in anchors(file.read_text(encoding="utf-8")), (file, anchor)
    for name in re.findall(r"`((?:common|tests|benchmarks)/[\w/]*\.\w+)`", path.read_text(encoding="utf-8")):
        assert (ROOT / name).exists(), name


def test_every_page_is_reached_from_the_readme():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path not in reached and path.suffix == ".md" and path.is_file():
            reached.add(path)
            waiting += [file for file, _ in links(path)]
    assert set(DOCUMENTS) <= reached


def test_the_readme_is_short():
    assert len(TEXTS["README.md"].splitlines()) <= 150


def test_no_table_stands_twice():
    """No row of three cells or more stands in two places, heads of columns aside."""
    seen = {}
    for name, text in TEXTS.items():
        for row, below in re.findall(r"^(\|.*\|)$(?=\n?(.*))", text, re.MULTILINE):
            cells = [cell.strip() for cell in row.strip("|").split("|") if cell.strip()]
            if len(cells) >= 3 and not set(row) <= set("|-: ") and not below.startswith("|--"):
                assert tuple(cells) not in seen, f"{row}: in {seen[tuple(cells)]} and in {name}"
                seen[tuple(cells)] = name
