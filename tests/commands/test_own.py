"""The scripts on conversations of one's own."""

import re
import shutil
import subprocess
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from common.__main__ import main
from common.commands.conversations import check_own_corpus, corpus_of, own_corpus_of, settings_for_own_corpus
from common.data.corpus import SENTIMENTS
from common.data.load import load_corpus
from common.data.own import build_meld, write_own
from common.errors import InputError
from common.release.checkpoint import save_released
from common.settings import TrainingSettings
from tests.commands.conftest import SMALL
from tests.small import about, random_corpus, result_of, small_corpus, small_network

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def talks(tmp_path_factory):
    """What the example of docs/own-data.md leaves, run word by word in a copy of the project."""
    project = tmp_path_factory.mktemp("project")
    for name in ("common", "IEMOCAP", "MELD"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__", "runs", "*.pkl"))
    section = (ROOT / "docs" / "own-data.md").read_text()
    (commands,) = re.findall(r"```sh\n(mkdir.*?)```", section, re.DOTALL)
    commands = f'export PATH="{Path(sys.executable).parent}:$PATH"\n{commands}'
    done = subprocess.run(["bash", "-e", "-c", commands], cwd=project, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "8 of 64 utterances have no label" in done.stdout
    return project


@pytest.fixture
def script(talks, in_process):
    """What a script of MELD prints that ends with this status."""

    def script(*words, status=0):
        printed, ended = in_process(talks / "MELD", *words)
        assert (ended or 0) == status, printed.err
        return printed.out + printed.err

    return script


def test_the_example_of_the_documents(talks):
    predictions = pd.read_csv(talks / "talks" / "predictions.csv", keep_default_na=False)
    assert len(predictions) == 3 * 8 * 8
    known = predictions.label != ""
    assert set(predictions.dialogue[~known]) == {39}
    assert set(predictions.prediction) <= {"angry", "calm", "glad"}
    given = pd.read_csv(talks / "talks" / "utterances.csv", keep_default_na=False)
    for table in (predictions, pd.read_csv(talks / "talks" / "run" / "predictions.csv", keep_default_na=False)):
        joined = table.merge(given, on=["dialogue", "utterance"], suffixes=("", "_given"))
        assert len(joined) == len(table)
        assert (joined.label == joined.label_given).all()
        assert (joined.position == joined.utterance - 1).all()
    results = pd.read_csv(talks / "talks" / "run" / "results.csv")
    right = (predictions.label == predictions.prediction)[known].groupby(predictions.checkpoint).mean()
    assert right.tolist() == pytest.approx((results.test_accuracy / 100).tolist())


def test_later_conversations_without_labels(talks, script, tmp_path):
    corpus = random_corpus([3, 5], classes=1, widths={"text": 64, "event": 32, "audio": 0, "visual": 0})
    object.__setattr__(corpus, "label", np.full(8, -1))
    object.__setattr__(corpus, "classes", [])
    write_own(corpus, tmp_path)
    words = ["inference.py", "--data-dir", tmp_path, "--checkpoints", talks / "talks" / "run"]
    printed = script(*words, "--predictions", tmp_path / "p.csv", "--report", tmp_path / "page")
    assert "8 of 8 utterances have no label" in printed
    assert "Not known: it takes labels here" in (tmp_path / "page" / "report.html").read_text()
    rows = pd.read_csv(tmp_path / "p.csv", keep_default_na=False)
    assert set(rows.label) == {""}
    assert len(rows) == 24
    line = script(*words, "--split", "train", status=2)
    assert "--split train: random has no such dialogue, but test" in line
    line = script("inference.py", "--data-dir", tmp_path, status=2)
    assert "no finished run on random in runs/" in line
    line = script("train.py", "--data-dir", tmp_path, status=2)
    assert "random: no dialogue in split train; training needs all three" in line


def test_a_run_on_own_conversations_goes_on_with_them_only(talks, script, tmp_path):
    """They are remembered, and have to be named where they have been moved."""
    shutil.copytree(talks / "talks" / "run", tmp_path / "run")
    (tmp_path / "run" / "results.csv").unlink()
    (talks / "talks" / "data").rename(talks / "talks" / "moved")
    line = script("train.py", "--resume", tmp_path / "run", status=2)
    where = f"whose data lay in {talks / 'talks' / 'data'}"
    assert f"a run on data, {where}, not on MELD; say where they lie now; see --data-dir" in line
    (talks / "talks" / "moved").rename(talks / "talks" / "data")
    script("train.py", "--resume", tmp_path / "run")
    for index in ("", "_2", "_3"):
        a, b = (torch.load(run / f"ECERC_MODEL{index}.pkl") for run in (tmp_path / "run", talks / "talks" / "run"))
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_what_is_left_aside():
    own = random_corpus([4, 3, 3], classes=3, widths={"text": 0, "event": 0, "audio": 4, "visual": 5})
    own.label[:4] = 0, 1, 2, -1
    own.splits.update(train=[0], valid=[1], test=[2])
    top = TrainingSettings(class_weights="released", modality_order="released")
    settings, notes = settings_for_own_corpus(top, {}, own)
    assert (settings.modalities, settings.modality_order, settings.class_weights) == ("AV", "aligned", "train")
    assert len(notes) == 4
    assert notes[0].startswith("Without a label, so in no loss and no score: 1 of 4 utterances of train")
    assert settings_for_own_corpus(settings, {}, own) == (settings, notes[:1])
    for option, value in (("modalities", "TA"), ("modality_order", "released"), ("class_weights", "released")):
        asked = TrainingSettings(**{"modalities": "AV", option: value})
        with pytest.raises(InputError, match=rf"{option.replace('_', '-')} {value}: not for own conversations: the"):
            settings_for_own_corpus(asked, {option: value}, own)
    with pytest.raises(InputError, match=r"--modalities T: not for own conversations: these .* have AV; try AV"):
        settings_for_own_corpus(TrainingSettings(modalities="T"), {}, own)
    with pytest.raises(
        InputError,
        match="has no text features, which modalities TAV need; build it with --text, or name those of the check",
    ):
        check_own_corpus(own, "test", TrainingSettings())
    own.label[2] = 0
    settings, notes = settings_for_own_corpus(top, {}, own)
    assert notes[-1] == "For your own conversations class_weights is none (top of the script: released)."
    with pytest.raises(InputError, match=r"--class-weights released: .*, and train lacks a class; try none"):
        settings_for_own_corpus(TrainingSettings(modalities="AV", class_weights="released"), {"class_weights": 1}, own)
    own.label[:3] = 1
    with pytest.raises(InputError, match="random: all labels of split train are 'c1', so nothing is learned; were"):
        settings_for_own_corpus(top, {}, own)
    own.label[0] = 0
    for split, mend in (("valid", "label some utterances of valid"), ("train", "label some utterances of train")):
        own.label[own.rows(split)] = -1
        with pytest.raises(InputError, match=f"random: no utterance of split {split} has a label; {mend} and build it"):
            settings_for_own_corpus(top, {}, own)


def test_a_folder_that_is_none_of_own_conversations(talks, script, tmp_path):
    line = script("train.py", "--data-dir", talks / "talks", status=2)
    assert re.search(r"talks: holds CSV files, but no corpus.npz; make it with `python -m common build`", line)
    line = script("inference.py", "--data-dir", talks / "talks" / "data" / "corpus.npz", status=2)
    assert "corpus.npz: is a file; give the folder that holds it; see --data-dir" in line


def test_a_csv_file_beside_released_files_is_none_of_own_conversations(tmp_path):
    """Such as the predictions of a run, written there."""
    (tmp_path / "predictions.csv").touch()
    (tmp_path / "meld").mkdir()
    assert own_corpus_of(Namespace(synthetic=False, data_dir=tmp_path)) is None


def test_the_papers_tables_are_of_released_files(tmp_path):
    """Own conversations in their place are not answered with where to download others."""
    (tmp_path / "corpus.npz").touch()
    with pytest.raises(InputError, match="holds conversations of your own; expected those of MELD") as error:
        load_corpus("MELD", tmp_path)
    assert error.value.change == ["data_dir"]


def test_an_older_build_says_that_it_lacks_the_numbers(tmp_path):
    corpus, arguments = random_corpus([3, 2]), Namespace(data_dir=tmp_path)
    assert "numbered by position: build it again" in corpus_of("MELD", arguments, "emotion", corpus)[1]
    numbered = replace(corpus, numbers=corpus.positions + 1)
    assert corpus_of("MELD", arguments, "emotion", numbered)[1].endswith(", your own")


def test_utterances_without_a_label(project, in_process, capsys, tmp_path):
    """From a CSV file as Excel writes it and one array of text: what counts are those that have a label."""
    rng, rows = np.random.default_rng(0), ["Dialogue_ID;Utterance_ID;Speaker;Emotion;Split"]
    for d, split in enumerate(["train"] * 6 + ["dev"] * 3 + ["test"] * 2):
        labels = rng.choice(["calm", "glad", "xxx", ""], size=5) if d else [""] * 5
        rows += [f"{d};{u + 1};{rng.choice(['Ann', 'Bo'])};{label};{split}" for u, label in enumerate(labels)]
    (tmp_path / "u.csv").write_text("\n".join(rows), encoding="utf-16")
    np.save(tmp_path / "text.npy", rng.standard_normal((55, 6)))
    words = ["--utterances", tmp_path / "u.csv", "--text", tmp_path / "text.npy", "--output", tmp_path / "data"]
    printed, status = result_of(lambda: main(["build", *map(str, words)]), capsys)
    assert not status, printed.err

    given = ["--data-dir", tmp_path / "data"]
    words = [*SMALL, *given, "--seeds", 1, "--epochs", 1, "--batch-size", 2, "--output", tmp_path / "run"]
    printed, status = in_process(project / "MELD", "train.py", *words)
    assert not status, printed.err
    assert re.search(r"in no loss and no score: \d+ of 30 utterances of train, \d+ of 15 utterances of v", printed.out)
    words = [*given, "--checkpoints", tmp_path / "run", "--split", "valid", "--predictions", tmp_path / "p.csv"]
    printed, status = in_process(project / "MELD", "inference.py", *words, "--calibrated")
    assert not status, printed.err
    rows = pd.read_csv(tmp_path / "p.csv", keep_default_na=False)
    known = rows[rows.label != ""]
    assert 0 < len(known) < len(rows) == 15
    assert f"of the validation split of data, {len(known)} utterances" in printed.out
    result = pd.read_csv(tmp_path / "run" / "results.csv")
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    accuracy = 100 * (known.label == known.prediction).mean()
    assert (result.valid_accuracy[0], history.valid_accuracy[0]) == pytest.approx((accuracy, accuracy))


def test_melds_own_files_give_what_its_released_file_gives(project, in_process, tmp_path):
    """The same conversations as CSV files and arrays: the same predictions by a checkpoint of MELD."""
    corpus = small_corpus("MELD", sizes=(12, 3, 5))  # as in project/data
    dialogue = [d for d, n in enumerate(corpus.lengths) for _ in range(n)]
    names = {"Speaker": corpus.speakers, "Emotion": corpus.classes, "Sentiment": SENTIMENTS}
    positions = {"Speaker": corpus.speaker, "Emotion": corpus.label, "Sentiment": corpus.sentiment}
    table = pd.DataFrame({name: [names[name][k] for k in positions[name]] for name in names})
    table["Utterance_ID"], table["Utterance"] = 2 * corpus.positions, corpus.sentences
    for split, theirs in (("train", "train"), ("valid", "dev"), ("test", "test")):
        rows = corpus.rows(split)
        part = table.iloc[rows].assign(Dialogue_ID=[dialogue[row] - corpus.splits[split][0] for row in rows])
        part.to_csv(tmp_path / f"{theirs}_sent_emo.csv", lineterminator="\r\n", index_label="Sr No.")
    for name, values in corpus.features.items():
        np.save(tmp_path / f"{name}.npy", values)
    own, _ = build_meld("mine", tmp_path, {name: [tmp_path / f"{name}.npy"] for name in corpus.features})
    write_own(own, tmp_path / "data")
    save_released(small_network(corpus), tmp_path / "ECERC_MODEL.pkl", about(corpus))

    tables = []
    for data in (project / "data", tmp_path / "data"):
        target = tmp_path / f"{len(tables)}.csv"
        words = ["--data-dir", data, "--checkpoints", tmp_path / "ECERC_MODEL.pkl", "--predictions", target]
        printed, status = in_process(project / "MELD", "inference.py", *words)
        assert not status, printed.err
        tables.append(pd.read_csv(target))
    released, built = tables
    assert built.dialogue.unique().tolist() == [f"test_{k}" for k in range(5)]
    assert built.utterance.tolist() == (2 * released.utterance).tolist()
    same = [name for name in released if name not in ("dialogue", "utterance")]
    pd.testing.assert_frame_equal(built[same], released[same], check_dtype=False, rtol=1e-5)
