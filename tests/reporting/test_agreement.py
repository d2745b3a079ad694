"""The page beside predictions.csv and scikit-learn: where both show a number, it is the same."""

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_score, recall_score

import common.commands.report
from common.batching.batches import Batches
from common.commands.report import Report
from common.evaluation.calibration import with_temperature
from common.evaluation.metrics import scores
from common.evaluation.predictions import prediction_rows
from common.network.explain import explain
from common.reporting.run_analysis import ensemble_scores
from common.reporting.tables import ensemble_line
from common.settings import EvaluationSettings
from tests.small import random_corpus, small_network

TEMPERATURES = {"a.pkl": 2.0, "b.pkl": 0.5}


@pytest.fixture(scope="module")
def corpus():
    corpus = random_corpus([30, 1, 20, 60], classes=4, seed=2)
    corpus.label[[3, 30, 40]] = -1  # one of them a conversation of its own
    return corpus


@pytest.fixture(scope="module")
def plain(corpus, tmp_path_factory):
    return written(corpus, tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def warm(corpus, tmp_path_factory):
    return written(corpus, tmp_path_factory.mktemp("warm"), calibrated=True)


def written(corpus, folder, calibrated=False, split="test"):
    """The page and predictions.csv of two checkpoints, of made-up log-probabilities with near and exact ties."""
    network, rng = small_network(corpus), np.random.default_rng(0)
    settings = EvaluationSettings(hidden_width=8, heads=2, head_width=4)
    report = Report(folder / "report.html", corpus, split, settings, torch.device("cpu"), calibrated)
    tables, shown, named = [], [], {}
    for name, temperature in TEMPERATURES.items():
        probability = rng.dirichlet(np.ones(4), len(corpus.label))
        probability[:3] = [[0.35, 0.200772, 0.22461, 0.224618], [0.3, 0.1, 0.3, 0.3], [0.1, 0.3, 0.29999, 0.30001]]
        log_prob = torch.from_numpy(np.log(probability)).float()
        named[name] = scores(corpus.label, log_prob.argmax(1), corpus.classes)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(common.commands.report, "temperature_of", lambda *_, t=temperature: (t, "validation"))
            report.add(name, SimpleNamespace(path=Path(name), sha256="", trained=None), network, log_prob)
        if calibrated:
            log_prob = torch.from_numpy(with_temperature(log_prob.numpy(), temperature))
        shown.append(log_prob)
        tables.append(prediction_rows(corpus, split, log_prob, checkpoint=name))
    ensemble = ensemble_scores(shown, corpus.label, corpus.classes) if (corpus.label >= 0).any() else None
    report.write(shown, None, "")
    pd.concat(tables).to_csv(folder / "predictions.csv", index=False)
    html = (folder / "report.html").read_text(encoding="utf-8")
    explorer = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html)[1])
    table = pd.read_csv(folder / "predictions.csv", keep_default_na=False, dtype={"dialogue": str})
    line = ensemble and ensemble_line(ensemble, 2)
    return SimpleNamespace(html=html, explorer=explorer, table=table, ensemble=line)


def numbers_of(table):
    """Per checkpoint of predictions.csv its rows, and the probabilities in them."""
    for _, rows in table.groupby("checkpoint", sort=False):
        yield rows.reset_index(), np.exp(rows.filter(regex="^log_prob_").to_numpy(float))


def cells(html, heading):
    """Rows of texts of all tables in a section, one after the other."""
    section = re.search(rf'<section aria-labelledby="{heading}".*?</section>', html, re.DOTALL)[0]
    rows = re.findall(r"<tr>(.*?)</tr>", section, re.DOTALL)
    texts = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [[re.sub(r"<.*?>", " ", text, flags=re.DOTALL).strip() for text in row] for row in texts]


@pytest.mark.parametrize("name", ["plain", "warm"])
def test_turns_and_errors_are_those_of_the_predictions(corpus, name, request):
    page = request.getfixturevalue(name)
    listed = cells(page.html, "errors")
    for part, (rows, probability) in zip(page.explorer["checkpoints"], numbers_of(page.table), strict=True):
        turns = part["turns"]
        assert [corpus.classes[k] for k in turns["prediction"]] == rows.prediction.tolist()
        assert rows.prediction[1] == "c0"  # the first of those that are equal
        np.testing.assert_array_equal(turns["probability"], probability.round(3))
        confidence = probability.max(1)
        wrong = rows[(rows.label != rows.prediction) & (rows.label != "")].index
        order = sorted(wrong, key=lambda row: -confidence[row])[:20]
        expected = []
        for row in order:
            at = rows.loc[row]
            turn = row - corpus.offset[corpus.ids.index(at.dialogue)] + 1
            share = f"{100 * confidence[row]:.1f}"
            expected.append([f"{at.dialogue} , turn {turn}", at.speaker, "", at.label, at.prediction, share])
        head, *found, listed = listed[0], *listed[1:21], listed[21:]
        assert found == expected
        assert head[-1] == "Probability, %"
    assert listed == []


def test_scores_are_those_of_scikit_learn_on_the_predictions(corpus, plain):
    page, shown = plain, []
    summary, classes, confusion = (cells(page.html, name) for name in ("scores", "classes", "confusion"))
    for k, (rows, _) in enumerate(numbers_of(page.table)):
        known = rows[rows.label != ""]
        pair, options = (known.label, known.prediction), {"labels": corpus.classes, "zero_division": 0}
        expected = [
            accuracy_score(*pair),
            *(f1_score(*pair, average=kind, **options) for kind in ("weighted", "macro")),
        ]
        expected += f1_score(*pair, average=None, **options).tolist()
        assert [row[3 + k] for row in summary[1:8]] == [f"{100 * value:.2f}" for value in expected]
        shown.append(100 * np.array(expected))
        for row, *values in zip(
            classes[5 * k + 1 : 5 * k + 5],
            *(score(*pair, average=None, **options) for score in (precision_score, recall_score, f1_score)),
            known.label.value_counts().reindex(corpus.classes),
            strict=True,
        ):
            assert [*row[1:4], row[6]] == [*(f"{100 * value:.2f}" for value in values[:3]), f"{values[3]}"]
        counts = confusion_matrix(*pair, labels=corpus.classes)
        found = [[int(text.split()[0]) for text in row[1:]] for row in confusion[5 * k + 1 : 5 * k + 5]]
        np.testing.assert_array_equal(found, counts)
    spread = zip(np.mean(shown, 0), np.std(shown, 0, ddof=1), strict=True)
    assert [row[1] for row in summary[1:8]] == [f"{mean:.2f}  ± {std:.2f}" for mean, std in spread]
    positions = [int(row[1]) for row in cells(page.html, "groups") if row[0].startswith("turn")]
    assert sum(positions) == 2 * len(known)


def test_calibrated_probabilities_are_on_the_page_and_in_its_ensemble(corpus, plain, warm):
    assert "Probabilities are calibrated" in warm.html
    assert "Probabilities are calibrated" not in plain.html
    assert plain.ensemble != warm.ensemble
    for page in (plain, warm):
        mean = np.mean([probability for _, probability in numbers_of(page.table)], axis=0)
        known = corpus.label >= 0
        accuracy = f"{100 * accuracy_score(corpus.label[known], mean.argmax(1)[known]):.2f}"
        assert f"accuracy {accuracy}, " in page.ensemble
        together = cells(page.html, "scores")[8:]
        assert together[0][:2] == ["Score", "Ensemble"]
        assert together[1][:2] == ["accuracy", accuracy]


def test_weights_of_a_turn_sum_to_one(plain):
    """Those of at most six turns do, but for the rounding of each; else they leave something for the others."""
    for part in plain.explorer["checkpoints"]:
        rows = [row for dialogue in part["attention"] for route in dialogue.values() for row in route if row]
        for keys, effective, *top in rows:
            turns, shares = top[::2], np.array(top[1::2]) / keys
            assert len(set(turns)) == len(turns) == min(keys, 6)
            assert 0.99 <= effective <= keys + 0.01
            assert abs(1 - shares.sum()) < 0.01 if keys <= 6 else shares.sum() < 1.01
            assert (np.diff(shares) <= 0).all()


def test_a_split_without_labels(tmp_path):
    corpus = random_corpus([4, 5])
    corpus.label[:] = -1
    page = written(corpus, tmp_path)
    assert "9 of 9 utterances have no label, so there are predictions, but no scores." in page.html
    for section in ("scores", "without", "classes", "confusion", "groups", "errors"):
        assert cells(page.html, section) == []
    text = re.sub(r"<script.*?</script>|<[^>]*>", " ", page.html, flags=re.DOTALL)
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)  # the word, as a command line holds any letters
    assert "wrong predictions" not in text


def test_splits_that_had_a_part_in_the_training_are_said_to(corpus, plain, tmp_path):
    words = "had a part in the training"
    assert words not in plain.html
    for split in ("train", "valid"):
        moved = replace(corpus, splits={"train": [], "valid": [], "test": []} | {split: corpus.splits["test"]})
        page = written(moved, tmp_path / split, split=split)
        assert f"The {split} split {words}" in page.html


def test_drops_are_of_the_log_probabilities_that_are_shown():
    """With two classes, what one loses tells the probabilities before and after, and so what it loses when divided."""
    corpus = random_corpus([5, 3], classes=2)
    network = small_network(corpus)
    plain, warm = (explain(network, Batches(corpus, "test", 2, "cpu"), t) for t in (1.0, 0.5))
    np.testing.assert_array_equal(plain.log_prob, warm.log_prob)
    before = plain.log_prob.max(1, keepdims=True)
    for kind in ("drop", "route_drop"):
        a, b = (np.exp(x) for x in (before, before - getattr(plain, kind)))
        a, b = (p**2 / (p**2 + (1 - p) ** 2) for p in (a, b))
        np.testing.assert_allclose(getattr(warm, kind), np.log(a / b), atol=1e-5)
