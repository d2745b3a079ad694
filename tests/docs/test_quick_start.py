"""The README's second quick start, without anyone's files: it runs as it stands there, on a few dialogues."""

import re
import subprocess

import pytest

from tests.docs.mirrors import ROOT, copy_of_the_project, first_dialogues

pytest.importorskip("transformers")
pytest.importorskip("sentence_transformers")

README = (ROOT / "README.md").read_text(encoding="utf-8")
INSTALL = "pip install -r requirements-features.txt\n"
FEATURES = "python -m common features meld "
DIALOGUES = 8
SMALLER = {"--epochs 10": "--epochs 1 --seeds 0"}


def shell(commands, folder, environment):
    done = subprocess.run(
        ["bash", "-e", "-c", commands], cwd=folder, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_second_quick_start(mirrored, tmp_path):
    blocks = re.findall(r"^```sh\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    (block,) = (block for block in blocks if block.startswith(INSTALL) and "common predict" in block)
    for words, fewer in SMALLER.items():
        assert words in block
        block = block.replace(words, fewer)
    obtain, features, rest = block.removeprefix(INSTALL).partition(FEATURES)
    folder = copy_of_the_project(tmp_path)
    shell(obtain, folder, mirrored)
    for path in (folder / "data" / "meld_raw").glob("*.csv"):
        first_dialogues(path, DIALOGUES).to_csv(path, index=False)
    printed = shell(features + rest, folder, mirrored)
    chat = (folder / "chat.txt").read_text(encoding="utf-8").splitlines()
    assert len(chat) >= 3
    for line in chat:
        speaker, sentence = line.split(": ", 1)
        assert re.search(rf"^{speaker} +{re.escape(sentence)} +[a-z]+ +0\.\d+$", printed, re.MULTILINE), line
