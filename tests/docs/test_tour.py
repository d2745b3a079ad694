"""The notebook docs/tour.ipynb, and the README's second quick start: they run as they stand there, from their first
line to their last, on a few dialogues and local servers.
"""

import base64
import json
import re
import shutil
import subprocess
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.docs.mirrors import COMMIT, MINILM, ROOT, copy_of_the_project, first_dialogues
from tests.docs.test_documents import check_commands

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("transformers")
pytest.importorskip("sentence_transformers")

TOUR = ROOT / "docs" / "tour.ipynb"
BOOK = nbformat.read(TOUR, as_version=4)
CODE = [cell.source for cell in BOOK.cells if cell.cell_type == "code"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DIALOGUES = 4
SMALLER = {"DIALOGUES = None": f"DIALOGUES = {DIALOGUES}", "--epochs 10": "--epochs 1"}


def run(cells, folder, environment, home, **options):
    """Run `cells` of code in the folder, in a kernel with that environment; returns them, with their outputs.

    A shell command that fails is an error here, while a notebook goes on.
    """
    cells = [re.sub(r"^( *)!.*$", r"\g<0>\n\1assert _exit_code == 0", source, flags=re.MULTILINE) for source in cells]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    client = nbclient.NotebookClient(book, timeout=240, resources={"metadata": {"path": str(folder)}}, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_RUNTIME_DIR", str(home / "jupyter"))
        client.execute(env=environment | {"IPYTHONDIR": str(home / "ipython")})
    return book.cells


def printed(cell):
    """What a cell printed, and the last value in words."""
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    return "".join(texts)


@pytest.fixture(scope="module")
def tour(mirrored, tmp_path_factory):
    """The notebook, smaller, after it was run in docs/ of a copy of the project: its `folder` and code `cells`."""
    folder = copy_of_the_project(tmp_path_factory.mktemp("project"))
    (folder / "docs").mkdir()
    source = "\n\0\n".join(CODE)
    for words, fewer in SMALLER.items():
        assert words in source
        source = source.replace(words, fewer)
    cells = run(source.split("\n\0\n"), folder / "docs", mirrored, tmp_path_factory.mktemp("home"))
    return SimpleNamespace(folder=folder, cells=cells)


def cell_with(tour, words):
    (cell,) = (cell for cell in tour.cells if words in cell.source)
    return cell


def test_the_texts_of_meld_become_features_of_the_encoder(tour, shared):
    for split in ("train", "dev", "test"):
        name = f"{split}_sent_emo.csv"
        published = (shared / "raw" / "meld" / name).read_bytes()
        assert (tour.folder / "data" / "meld_raw" / name).read_bytes() == published
    assert "also I was the point person on my company" in printed(cell_with(tour, ".head("))
    made = yaml.safe_load((tour.folder / "data" / "tour" / "recipe.yaml").read_text())["features"]
    models = {kind: (of["width"], of["identity"]["model"], of["identity"]["revision"]) for kind, of in made.items()}
    assert models == {"text": (384, MINILM, COMMIT), "event": (384, MINILM, COMMIT)}


def test_a_network_is_trained_on_these_dialogues_alone(tour, shared):
    predictions = pd.read_csv(tour.folder / "MELD" / "runs" / "tour" / "predictions.csv")
    expected = first_dialogues(shared / "raw" / "meld" / "test_sent_emo.csv", DIALOGUES)
    assert predictions.dialogue.tolist() == [f"test_{d}" for d in expected.Dialogue_ID]
    assert predictions.utterance.tolist() == expected.Utterance_ID.astype(int).tolist()
    assert predictions.label.tolist() == expected.Emotion.tolist()
    scores = pd.read_csv(tour.folder / "MELD" / "runs" / "tour" / "results.csv")
    right = 100 * (predictions.prediction == predictions.label).mean()
    assert scores.test_accuracy.tolist() == pytest.approx([right])
    (number,) = re.findall(r"test_accuracy\s+(\S+)", printed(cell_with(tour, "results.csv")))
    assert float(number) == pytest.approx(right, abs=0.01)


def test_the_chat_gets_emotions(tour):
    (chat,) = re.findall(r'CHAT = """\n(.*?)"""', "\n".join(CODE), re.DOTALL)
    lines = [tuple(line.split(": ", 1)) for line in chat.splitlines()]
    table = pd.read_csv(tour.folder / "data" / "chat.csv")
    assert list(zip(table.speaker, table.sentence, strict=True)) == lines
    assert 10 <= len(lines) <= 20
    probability = table.filter(regex="^probability_")
    assert probability.shape[1] == 7
    assert np.allclose(probability.sum(axis=1), 1)
    shown = printed(cell_with(tour, "common predict"))
    for (speaker, sentence), emotion in zip(lines, table.emotion, strict=True):
        assert re.search(rf"{speaker} +{re.escape(sentence[:20])}.* +{emotion} ", shown)


def test_python_answers_line_by_line(tour):
    shown = printed(cell_with(tour, "import Emotions"))
    assert len(re.findall(r"^[a-z]+ 0\.\d{3}$", shown, re.MULTILINE)) == 3
    numbers = re.findall(r"'[a-z]+': ([\d.e-]+)", shown)
    assert len(numbers) == 7
    assert sum(map(float, numbers)) == pytest.approx(1)


def test_the_report_is_shown(tour):
    (html,) = (output.data["text/html"] for output in cell_with(tour, "IFrame(").outputs)
    (page,) = re.findall(r'src="data:text/html;base64,([^"]*)"', html)
    assert base64.b64decode(page) == (tour.folder / "data" / "chat_report" / "report.html").read_bytes()


def shell(commands, folder, environment):
    done = subprocess.run(
        ["bash", "-e", "-c", commands], cwd=folder, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_second_quick_start(tour, mirrored, tmp_path):
    """Its command for features goes on with those of the notebook, whose utterances and encoders are the same."""
    install, begin = "pip install -r requirements-features.txt\n", "python -m common features meld "
    blocks = re.findall(r"^```sh\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    (block,) = (block for block in blocks if block.startswith(install) and "common predict" in block)
    assert "--epochs 10" in block
    block = block.replace("--epochs 10", "--epochs 1 --seeds 0")
    obtain, features, rest = block.removeprefix(install).partition(begin)
    folder = copy_of_the_project(tmp_path)
    shell(obtain, folder, mirrored)
    for path in (folder / "data" / "meld_raw").glob("*.csv"):
        first_dialogues(path, DIALOGUES).to_csv(path, index=False)
    (made,) = re.findall(r"--output (\S+)", rest.splitlines()[0])
    shutil.copytree(tour.folder / "data" / "tour" / "work", folder / made / "work")
    printed = shell(features + rest, folder, mirrored)
    chat = (folder / "chat.txt").read_text(encoding="utf-8").splitlines()
    assert len(chat) >= 3
    for line in chat:
        speaker, sentence = line.split(": ", 1)
        assert re.search(rf"^{speaker} +{re.escape(sentence)} +[a-z]+ +0\.\d+$", printed, re.MULTILINE), line


def test_elsewhere_the_project_is_cloned_and_what_is_missing_installed(mirrored, tmp_path):
    """On Colab: nothing but the notebook is there."""
    origin = copy_of_the_project(tmp_path / "origin")
    with open(origin / "requirements-features.txt", "a", encoding="utf-8") as file:
        file.write("no-such-package==1.0\n")
    author = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["init", "-q"], ["add", "-A"], [*author, "commit", "-q", "-m", "all"]):
        subprocess.run(["git", *words], cwd=origin, check=True)
    (tmp_path / "content").mkdir()
    clone, install = CODE[:2]
    cells = [
        clone,
        clone.replace("https://github.com/OWNER/ecerc", f"file://{origin}"),
        install.replace("%pip install -q ", "!echo would install "),
        "import common\nprint(os.getcwd(), common.__file__)",
        clone,  # run again: it is there
        "print(os.getcwd())",
    ]
    done = run(cells, tmp_path / "content", mirrored, tmp_path, allow_errors=True)
    failed = [[o.evalue for o in cell.outputs if o.output_type == "error"] for cell in done]
    assert failed == [["write the address of the project in the first line"], [], [], [], [], []]
    project = tmp_path / "content" / "ecerc"
    assert printed(done[2]).split() == ["would", "install", "no-such-package==1.0"]
    assert printed(done[3]).split() == [str(project), str(project / "common" / "__init__.py")]
    assert printed(done[5]).split() == [str(project)]


def test_every_command_and_option_exists():
    check_commands("\n".join(cell.source for cell in BOOK.cells))


def test_files_that_it_names_exist():
    named = re.findall(r"`(docs/[\w-]+\.md)`", "\n".join(cell.source for cell in BOOK.cells))
    assert named
    assert all((ROOT / name).is_file() for name in named), named


def test_it_is_stripped_and_small():
    """No outputs, no numbers of executions, nothing of the machine on which it was written."""
    nbformat.validate(BOOK)
    content = TOUR.read_text(encoding="utf-8")
    assert len(content) < 20_000
    for cell in BOOK.cells:
        assert cell.metadata == {}
        assert cell.cell_type == "markdown" or (cell.outputs, cell.execution_count) == ([], None)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    assert BOOK.metadata == {"kernelspec": kernel, "language_info": {"name": "python"}}
    assert content == json.dumps(json.loads(content), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


@pytest.mark.parametrize("path", [r"(?<![\w.}:/])[/~][\w.]", r"\b[A-Za-z]:\\", r"file:/", r"/content\b", r"\.\./"])
def test_no_cell_names_a_place_of_one_machine(path):
    for cell in BOOK.cells:
        assert not re.search(path, cell.source), cell.source
