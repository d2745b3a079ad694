"""Conversations whose test split has no labels at all: predictions, and no scores of nothing."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from common.data.own import write_own
from tests.commands.conftest import ROOT, SMALL
from tests.small import small_corpus


@pytest.fixture
def script(in_process, tmp_path):
    """What a script of MELD prints on conversations of one's own without test labels."""
    corpus = small_corpus("MELD", sizes=(6, 2, 3), turns=(8, 8))
    corpus.label[corpus.rows("test")] = -1
    changes = {"name": "talks", "sentiment": None, "sources": {}, "ids": list(map(str, corpus.ids))}
    write_own(dataclasses.replace(corpus, **changes), tmp_path / "talks")

    def script(name, *words):
        printed, status = in_process(ROOT / "MELD", name, "--data-dir", tmp_path / "talks", *words)
        assert not status, printed.err
        assert "nan" not in printed.out
        return printed.out

    return script


def test_training_and_evaluation(script, tmp_path):
    run = tmp_path / "run"
    printed = script("train.py", *SMALL, "--seeds", 1, "--epochs", 1, "--output", run)
    assert "Note: test split: 24 of 24 utterances have no label, so there are predictions, but no scores." in printed
    results = pd.read_csv(run / "results.csv")
    assert results.filter(like="test_").isna().all(axis=None)
    assert results.filter(like="valid_").notna().all(axis=None)
    words = ["--checkpoints", run, "--predictions", tmp_path / "p.csv", "--report", tmp_path / "page"]
    printed = script("inference.py", *words)
    assert "24 of 24 utterances have no label, so there are predictions, but no scores." in printed
    rows = pd.read_csv(tmp_path / "p.csv")
    share = np.exp(rows.filter(like="log_prob").to_numpy()).max(1)
    lines = printed.split("Test split, predictions\n")[1].splitlines()
    assert lines[0].split() == ["dialogue", "utterance", "speaker", "ECERC_MODEL.pkl"]
    expected = [
        [str(row.dialogue), str(row.utterance), str(row.speaker), row.prediction, f"{100 * top:.1f}", "%"]
        for row, top in zip(rows.itertuples(), share, strict=True)
    ]
    assert [line.split() for line in lines[1:21]] == expected[:20]
    assert lines[21] == "… and 4 more"
