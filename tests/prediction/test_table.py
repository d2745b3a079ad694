"""Predictions as files, which read back exactly, and as lines for a terminal."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from common.prediction import table
from common.prediction.predict import Prediction
from common.prediction.table import lines_of, rows_of, write
from common.terminal import width
from tests.small import random_corpus

SENTENCES = ['He said "no",\nthen; left.', "naïve – 你好", "", "=1+1", "🙂👍🏽 ok"]


@pytest.fixture
def prediction():
    """Of two dialogues, of 2 and 3 utterances, of which the third has no sound."""
    corpus = random_corpus([2, 3], classes=3)
    corpus.sentences.extend(SENTENCES)
    corpus.label[:] = [-1, 0, 2, -1, 1]
    probability = np.random.default_rng(0).dirichlet(np.ones(3), 5)
    lacks = [{}, {}, {"audio": "no file, sorry", "visual": "no face"}, {}, {}]
    return Prediction(corpus, [torch.zeros(5, 3)], probability, lacks, [], [])


def expected(prediction):
    corpus = prediction.corpus
    for row, p in enumerate(prediction.probability.tolist()):
        label = corpus.label[row]
        yield {
            "dialogue": "d0" if row < 2 else "d1",
            "utterance": row if row < 2 else row - 2,
            "speaker": f"s{corpus.speaker[row]}",
            "sentence": SENTENCES[row],
            "label": "" if label < 0 else f"c{label}",
            "emotion": f"c{p.index(max(p))}",
            "probability": max(p),
            "probabilities": {f"c{k}": p[k] for k in range(3)},
            "missing": prediction.lacks[row],
        }


def test_json_reads_back_exactly(prediction, tmp_path):
    rows = list(rows_of(prediction))
    assert rows == list(expected(prediction))
    write(prediction, tmp_path / "o.JSON")
    text = (tmp_path / "o.JSON").read_text(encoding="utf-8")
    assert text == json.dumps(rows, ensure_ascii=False, indent=1) + "\n"  # though it is written row by row
    assert "你好" in text


def test_a_table_is_the_same_in_however_many_blocks(prediction, tmp_path, monkeypatch):
    for block in (10, 2, 1):
        monkeypatch.setattr(table, "BLOCK", block)
        write(prediction, tmp_path / f"{block}.csv")
    whole, *others = ((tmp_path / f"{block}.csv").read_bytes() for block in (10, 2, 1))
    assert whole.count(b"probability_c0") == 1
    assert others == [whole, whole]


def test_csv_reads_back_exactly(prediction, tmp_path):
    write(prediction, tmp_path / "o.csv")
    table = pd.read_csv(tmp_path / "o.csv", dtype=str, keep_default_na=False)
    numbers = table.filter(like="probability").map(float)  # as Python reads them, without a loss
    table[list(numbers)], table["utterance"] = numbers, table.utterance.map(int)
    names = ["dialogue", "utterance", "speaker", "sentence", "label", "emotion", "probability"]
    assert list(table) == [*names, "probability_c0", "probability_c1", "probability_c2", "missing"]
    assert table[names].to_dict("records") == [{name: row[name] for name in names} for row in expected(prediction)]
    assert table.filter(like="probability_").to_numpy().tolist() == prediction.probability.tolist()
    assert table.missing.tolist() == ["", "", "audio: no file, sorry; visual: no face", "", ""]


def test_without_labels_there_is_no_such_column(prediction, tmp_path):
    prediction.corpus.label[:] = -1
    write(prediction, tmp_path / "o.csv")
    write(prediction, tmp_path / "o.json")
    assert "label" not in pd.read_csv(tmp_path / "o.csv")
    assert all("label" not in row for row in json.loads((tmp_path / "o.json").read_text(encoding="utf-8")))


def row(speaker, sentence, emotion="joy", probability=0.51251, dialogue="d"):
    return dict(speaker=speaker, sentence=sentence, emotion=emotion, probability=probability, dialogue=dialogue)


def test_lines_are_aligned():
    assert lines_of([row("Ann", "Did it arrive?"), row("Bodo", "No.", "sadness", 1.0)], None) == [
        "speaker  sentence        emotion  probability",
        "Ann      Did it arrive?  joy            0.513",
        "Bodo     No.             sadness        1.000",
    ]
    assert lines_of([row("安娜", "到了吗？"), row("Zoé", "e\u0301te\u0301")], None)[1:] == [
        "安娜     到了吗？  joy            0.513",
        "Zoé      e\u0301te\u0301       joy            0.513",
    ]


def test_several_dialogues_stand_under_their_names():
    assert lines_of([row("A", "x"), row("A", "y", dialogue="e\x1b[2J")], None)[1:] == [
        *("", "d:", "A        x         joy            0.513"),
        *("", "e [2J:", "A        y         joy            0.513"),
    ]


@pytest.mark.parametrize("columns", [40, 60, 80, 81, 200])
def test_lines_fit_a_terminal(columns):
    rows = [row("N" * 60, "word " * 40, "e" * 60), row("安" * 30, "你" * 100), row("A", "x", dialogue="d" * 300)]
    lines = lines_of(rows, columns)
    assert max(map(width, lines)) <= max(columns, 16 + 12 + 16 + 11 + 6)
    assert len({width(line) for line in lines if "0.513" in line}) == 1
    assert all("…" in line for line in lines if "word" in line or "你" in line)
    assert max(map(width, lines)) == columns or columns < 61
    whole = lines_of(rows, None)
    assert not any("…" in line for line in whole)
    assert "word " * 39 + "word" in whole[3]


def test_what_would_change_the_terminal_is_left_out():
    (_, line) = lines_of([row("A\tB", "one\ntwo\x1b[31m\x9b red\u2028end\u202e \u200d")], None)
    assert line.startswith("A B      one two [31m red end \u200d  joy")
