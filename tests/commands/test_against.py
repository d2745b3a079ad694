"""Two runs in one report: report.json beside predictions.csv and scikit-learn."""

import io
import json
import re
import runpy
import shutil
import sys
from contextlib import redirect_stdout
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import accuracy_score, cohen_kappa_score, confusion_matrix, f1_score

import common.commands.evaluation
from common.commands.report import NUMBERS
from common.data import meld
from common.data.own import write_own
from common.release.checkpoint import save_released
from tests.commands.conftest import SMALL
from tests.small import WIDTHS, about, random_corpus, small_network

FIGURES = ["accuracy", "weighted F1", "macro F1", *(f"F1 {c}" for c in meld.CLASSES)]


def call(project, script, *words):
    """What a script of MELD prints, in this process, for fixtures that many tests share."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as printed:
        patch.chdir(project / "MELD")
        patch.setattr(sys, "argv", [script, "--data-dir", str(project / "data"), *map(str, words)])
        patch.setattr(sys, "path", [*sys.path])
        runpy.run_path(script, run_name="__main__")
    return printed.getvalue()


@pytest.fixture(scope="module")
def other(project, tmp_path_factory):
    """Another run on MELD: other modalities, routes, history, layers and batches than `run` has."""
    folder = tmp_path_factory.mktemp("other") / "blind"
    words = [*SMALL, "--modalities", "TV", "--without", "cross-event-attention", "--layers", 2, "--batch-size", 3]
    call(project, "train.py", *words, "--empty-history", "released", "--seeds", 5, 6, "--output", folder)
    return folder


@pytest.fixture(scope="module")
def predicted(project, run, other, tmp_path_factory):
    """Of each of the two runs, evaluated by itself: per checkpoint labels, predictions and probabilities."""
    folder, tables = tmp_path_factory.mktemp("predicted"), []
    for k, checkpoints in enumerate((run, other)):
        words = ["--checkpoints", checkpoints, "--predictions", folder / f"{k}.csv"]
        call(project, "inference.py", *words)
        table = pd.read_csv(folder / f"{k}.csv", dtype={"dialogue": str})
        tables.append([part.reset_index() for _, part in table.groupby("checkpoint", sort=False)])
    return tables


@pytest.fixture(scope="module")
def both(project, run, other, tmp_path_factory):
    """The numbers of a report on the two, and what is printed."""
    folder = tmp_path_factory.mktemp("both")
    words = ["--checkpoints", run, "--against", other, "--report", folder, "--predictions", folder / "p.csv"]
    printed = call(project, "inference.py", *words)
    return json.loads((folder / NUMBERS).read_text()), printed, folder


def probability(part):
    return np.exp(part.filter(regex="^log_prob_").to_numpy(float))


def scores(part):
    """The FIGURES of a checkpoint by scikit-learn, in percent."""
    pair, options = (part.label, part.prediction), {"labels": meld.CLASSES, "zero_division": 0}
    means = [f1_score(*pair, average=kind, **options) for kind in ("weighted", "macro")]
    return 100 * np.array([accuracy_score(*pair), *means, *f1_score(*pair, average=None, **options)])


def test_turns_and_scores_are_those_of_the_predictions(both, predicted):
    data, _, _ = both
    assert [run["checkpoints"] for run in data["runs"]] == [[0, 1, 2], [3, 4]]
    for run, parts in zip(data["runs"], predicted, strict=True):
        of_run = [data["checkpoints"][k] for k in run["checkpoints"]]
        for found, part in zip(of_run, parts, strict=True):
            assert [meld.CLASSES[turn["prediction"]] for turn in found["turns"]] == part.prediction.tolist()
            shown = [turn["probability"] for turn in found["turns"]]
            np.testing.assert_allclose(shown, probability(part), rtol=1e-4)
            counts = confusion_matrix(part.label, part.prediction, labels=meld.CLASSES)
            assert found["confusion"] == counts.tolist()
            classes = {row["name"]: row["f1"] for row in found["per_class"]}
            assert [classes[c] for c in meld.CLASSES] == pytest.approx(scores(part)[3:])
            for group in found["groups"]:
                assert sum(row["count"] for row in group["rows"]) == len(part)
        values = np.stack([scores(part) for part in parts], 1)
        for row, name, of_row in zip(run["summary"], FIGURES, values, strict=True):
            assert row["name"] == name
            assert row["values"] == pytest.approx(of_row)
            assert (row["mean"], row["std"]) == pytest.approx((of_row.mean(), of_row.std(ddof=1)))
            assert row["interval"][0] <= row["mean"] <= row["interval"][1]
            assert row["paper"] is None
        mean = np.mean([probability(part) for part in parts], 0)
        assert run["ensemble"]["predictions"] == mean.argmax(1).tolist()
        assert run["ensemble"]["probability"] == pytest.approx(mean.max(1), rel=1e-4)
        accuracy = accuracy_score(parts[0].label, [meld.CLASSES[k] for k in mean.argmax(1)])
        assert run["ensemble"]["scores"][0]["value"] == pytest.approx(100 * accuracy)
        table = np.stack([part.prediction for part in parts])
        right = (table == parts[0].label.to_numpy()).sum(0)
        assert run["agreement"]["all_right"] == (right == len(parts)).sum()
        assert run["agreement"]["all_wrong"] == (right == 0).sum()
    kappas = [cohen_kappa_score(*(predicted[0][k].prediction for k in pair)) for pair in ((0, 1), (0, 2), (1, 2))]
    assert data["runs"][0]["agreement"]["kappa"] == pytest.approx(np.mean(kappas))
    said = [(d["id"], turn["speaker"], turn["label"]) for d in data["dialogues"] for turn in d["turns"]]
    part = predicted[0][0]
    label = [meld.CLASSES.index(name) for name in part.label]
    assert said == [*zip(part.dialogue, part.speaker.astype(str), label, strict=True)]


def test_each_run_has_its_own_settings(both, run, other):
    data, _, folder = both
    first, second = data["runs"]
    assert [first["name"], second["name"]] == [run.name, "blind"]
    assert (first["settings"]["empty_history"], second["settings"]["empty_history"]) == ("strict", "released")
    assert (first["modalities"], second["modalities"]) == (["text", "audio", "visual"], ["text", "visual"])
    assert second["routes"] == ["self_emotion", "cross_emotion", "self_event"]
    for row in data["checkpoints"]:
        of = data["runs"][row["run"]]
        assert {len(turn["gates"]) for turn in row["turns"]} == {len(of["modalities"])}
        assert {len(turn["route_drop"]) for turn in row["turns"]} == {len(of["routes"])}
        assert [gate["name"] for gate in row["gates"]] == of["modalities"] + of["routes"]
    for of, path in ((first, run), (second, other)):
        results = pd.read_csv(path / "results.csv")
        assert [row["seed"] for row in of["provenance"]["checkpoints"]] == results.seed.tolist()
        assert [curve["selected_epoch"] for curve in of["curves"]] == results.selected_epoch.tolist()
        wf1 = pd.read_csv(path / "history.csv").groupby("seed", sort=False).valid_wf1.apply(list).tolist()
        assert [curve["valid_wf1"] for curve in of["curves"]] == wf1
        settings = yaml.safe_load((path / "settings.yaml").read_text())
        assert of["provenance"]["hyperparameters"] == settings["hyperparameters"]
    assert f"--against {other} --report {folder}" in data["about"]["command"]
    assert set(pd.read_csv(folder / "p.csv").checkpoint) == {path.name for path in run.glob("*.pkl")}


def test_the_difference_is_that_of_the_means(both, predicted):
    data, printed, folder = both
    means = [np.mean([scores(part) for part in parts], 0) for parts in predicted]
    compared = data["comparison"]
    assert compared["names"] == [run["name"] for run in data["runs"]]
    assert [row["name"] for row in compared["rows"]] == FIGURES
    assert [row["difference"] for row in compared["rows"]] == pytest.approx(means[1] - means[0])
    label = predicted[0][0].label.map(meld.CLASSES.index).to_numpy()
    a, b = (np.mean([probability(part) for part in parts], 0).argmax(1) == label for parts in predicted)
    counts = confusion_matrix(~a, ~b, labels=[False, True]).ravel().tolist()
    assert [*compared["turns"].values()] == counts
    low, high = compared["rows"][1]["interval"]
    (line,) = [line for line in printed.split("Difference, ")[1].splitlines() if line.startswith("weighted F1")]
    values = [f"{means[0][1]:.2f}", f"{means[1][1]:.2f}", f"{means[1][1] - means[0][1]:+.2f}"]
    assert line.split()[2:] == [*values, f"{low:+.2f}", "to", f"{high:+.2f}"]
    page = (folder / "report.html").read_text()
    section = re.search(r'<section aria-labelledby="compare">(.*?)</section>', page, re.DOTALL)[1]
    assert values[2].replace("-", "\u2212") in section
    for way, count in compared["turns"].items():
        assert (f'<a href="#outcome={way.replace("_", "-")}">{count}</a>' if count else "<td>0</td>") in section
    for run in data["runs"]:
        assert f"Checkpoints of {run['name']}\n" in printed
        assert f"Test split of {run['name']}, in percent\n" in printed


def test_one_run_has_nothing_to_be_compared_with(ran, project, run, both, tmp_path):
    """And its numbers are those that it has beside another one."""
    printed = ran(project / "MELD", "inference.py", "--checkpoints", run, "--report", tmp_path)
    data, two = json.loads((tmp_path / NUMBERS).read_text()), both[0]
    assert data["comparison"] is None
    assert "Difference" not in printed
    assert (data["runs"][0].pop("name"), two["runs"][0].pop("name")) == ("", run.name)
    assert data["runs"] == two["runs"][:1]
    assert data["checkpoints"] == two["checkpoints"][:3]
    assert data["dialogues"] == two["dialogues"]


def test_what_cannot_be_compared(project, run, other, ran, refused, tmp_path):
    words, page = ["inference.py", "--checkpoints", run], ["--report", tmp_path / "page"]
    line = refused(project / "MELD", *words, "--against", other)
    assert "--against: goes with --report, the page that compares; give both; see --against, --report\n" in line
    line = refused(project / "MELD", *words, *page, "--against", tmp_path / "none")
    assert "--against: " in line
    assert line.endswith("none: no such checkpoint; expected ECERC_MODEL*.pkl, or a run's folder; see --against\n")
    line = refused(project / "MELD", *words, *page, "--against", run / "ECERC_MODEL_2.pkl")
    assert "ECERC_MODEL_2.pkl: is one of the checkpoints that it is compared with; give others" in line
    line = refused(project / "MELD", *words, *page, "--against", other, run.parent / "nothing.pkl")
    assert "nothing.pkl: no such checkpoint" in line
    copy = shutil.copy(run / "ECERC_MODEL.pkl", tmp_path / "copy.pkl")
    line = refused(project / "MELD", *words, *page, "--against", other, copy)
    assert "--against: checkpoints: trained with different layers; evaluate them apart" in line
    small = [*SMALL[:-4], "--epochs", 1, "--seeds", 1, "--batch-size", 4]
    for folder, what, options in (
        ("IEMOCAP", "trained on IEMOCAP; this script evaluates on MELD; give a checkpoint of MELD", []),
        ("MELD", "trained on labels sentiment, the others on emotion", ["--labels", "sentiment"]),
    ):
        target = tmp_path / f"run_{folder}"
        ran(project / folder, "train.py", *small, *options, "--output", target)
        line = refused(project / "MELD", *words, *page, "--against", target)
        assert what in line
    assert not (tmp_path / "page").exists()


def test_what_one_has_to_know_is_on_the_page(project, run, other, ran, tmp_path):
    """Notes on either run: other settings than in training, other data, damaged files."""
    copy = shutil.copytree(other, tmp_path / "copy")
    content = yaml.safe_load((copy / "settings.yaml").read_text())
    content["data"]["sha256"] = {"some.pkl": "00"}
    (copy / "settings.yaml").write_text(yaml.safe_dump(content))
    (copy / "history.csv").write_text("seed\n5\n")
    words = ["--checkpoints", run, "--against", copy]
    printed = ran(project / "MELD", "inference.py", *words, "--empty-history", "strict", "--report", tmp_path)
    data = json.loads((tmp_path / NUMBERS).read_text())
    for note in (
        "trained with empty_history released, evaluated with strict.",
        f"{copy} was trained on other data files than these.",
    ):
        assert f"Note: {note}\n" in printed
        assert f"copy: {note}" in data["notes"]
    assert any(note.startswith(f"{copy / 'history.csv'}: damaged, so what it says") for note in data["notes"])
    assert data["runs"][1]["curves"] is None
    assert data["runs"][1]["settings"]["empty_history"] == "strict"
    assert data["runs"][1]["provenance"]["hyperparameters"]["empty_history"] == "released"


def test_the_same_weights_in_both_are_said(project, run, ran, tmp_path):
    copy = shutil.copy(run / "ECERC_MODEL_3.pkl", tmp_path / "copy.pkl")
    words = ["--checkpoints", run, "--against", copy, "--report", tmp_path]
    printed = ran(project / "MELD", "inference.py", *words)
    assert "Note: copy.pkl is a copy of ECERC_MODEL_3.pkl, of the run that it is compared with.\n" in printed


def test_both_are_calibrated(project, run, other, ran, tmp_path):
    """Each by the temperature of each of its checkpoints, as in its own predictions.csv."""
    words = ["--calibrated", "--checkpoints", run, "--against", other, "--report", tmp_path]
    ran(project / "MELD", "inference.py", *words)
    data = json.loads((tmp_path / NUMBERS).read_text())
    ran(project / "MELD", "inference.py", *words[:1], "--checkpoints", other, "--predictions", tmp_path / "p.csv")
    parts = [part for _, part in pd.read_csv(tmp_path / "p.csv").groupby("checkpoint", sort=False)]
    for found, part in zip(data["checkpoints"][3:], parts, strict=True):
        shown = [turn["probability"] for turn in found["turns"]]
        np.testing.assert_allclose(shown, probability(part), rtol=1e-4)
        kept = yaml.safe_load((other / found["name"]).with_suffix(".temperature.yaml").read_text())
        assert found["calibration"]["temperature"] == kept["temperature"]
    together = np.mean([probability(part) for part in parts], 0).max(1)
    assert data["runs"][1]["ensemble"]["probability"] == pytest.approx(together, rel=1e-4)
    assert data["calibrated"]


def own_run(corpus, folder, **settings):
    """A run on conversations of one's own, with one checkpoint."""
    folder.mkdir()
    save_released(small_network(corpus, **settings), folder / "ECERC_MODEL.pkl", about(corpus, **settings))
    return folder


@pytest.mark.parametrize("labelled", [True, False], ids=["labelled", "unlabelled"])
def test_own_conversations(project, in_process, tmp_path, monkeypatch, labelled):
    """What does not fit is said before anything is evaluated; each run has its own precision."""
    precisions = []
    monkeypatch.setattr(common.commands.evaluation, "allow_tf32", precisions.append)
    corpus = replace(random_corpus([3, 4, 2, 5], classes=3), name="talks")
    corpus = replace(corpus, classes=["a", "b", "c"], splits={"train": [0], "valid": [1], "test": [2, 3]})
    first, second = (
        own_run(corpus, tmp_path / "x", layers=2),
        own_run(corpus, tmp_path / "y", modalities="T", precision="tf32"),
    )
    other_order = own_run(replace(corpus, classes=["b", "a", "c"]), tmp_path / "order")
    wider = own_run(
        replace(random_corpus([2], classes=3, widths=WIDTHS | {"text": 13}), classes=["a", "b", "c"]), tmp_path / "wide"
    )
    if not labelled:
        corpus = replace(corpus, label=np.full(14, -1))
    write_own(corpus, tmp_path / "data")
    words = ["inference.py", "--data-dir", tmp_path / "data", "--checkpoints", first, "--report", tmp_path / "page"]
    order = "ECERC_MODEL.pkl: trained on the classes b, a, c; these are a, b, c"
    for run, line in ((other_order, order), (wider, "made for evidence features of width")):
        printed, status = in_process(project / "MELD", *words, "--against", run)
        assert status == 2
        assert re.fullmatch(rf"inference\.py: error: --against: [^\n]*{line}[^\n]*\n", printed.err), printed.err
    assert precisions == []
    printed, status = in_process(project / "MELD", *words, "--against", second)
    assert not status, printed.err
    assert precisions == ["float32", "tf32"]
    assert ("Difference, the second less the first" in printed.out) == labelled
    data = json.loads((tmp_path / "page" / NUMBERS).read_text())
    differences = [row["difference"] for row in data["comparison"]["rows"]]
    assert sum(data["comparison"]["turns"].values()) == 7 * labelled
    if labelled:
        accuracies = [run["summary"][0]["mean"] for run in data["runs"]]
        assert differences[0] == pytest.approx(accuracies[1] - accuracies[0])
    else:
        assert set(differences) == {None}
