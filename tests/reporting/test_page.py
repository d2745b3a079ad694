import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from common.reporting.page import report_page
from tests.reporting.made_up import HOSTILE, made_up, some_dialogues


class Reader(HTMLParser):
    """Texts of scripts, styles and table cells, and all attributes."""

    def __init__(self, page):
        super().__init__()
        self.parts, self.attributes, self.open = [], [], None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag in ("script", "style", "td"):
            self.open = tag
            self.parts.append([tag, ""])

    def handle_endtag(self, tag):
        if tag == self.open:
            self.open = None

    def handle_data(self, data):
        if self.open:
            self.parts[-1][1] += data

    def all(self, tag):
        return [text for name, text in self.parts if name == tag]


@pytest.fixture(scope="module")
def data():
    dialogues = some_dialogues([6, 1, 4], seed=1)
    for turn, sentence in zip(dialogues[0]["turns"], HOSTILE, strict=True):
        turn["sentence"] = sentence
    dialogues[1]["id"] = "</script>&'\"<b>"
    return made_up(dialogues, checkpoints=2)


@pytest.fixture(scope="module")
def page(data):
    return Reader(report_page(data))


def test_sentences_stay_text(data, page):
    explorer, script = page.all("script")  # no third one
    assert json.loads(explorer)["dialogues"] == data["dialogues"]
    assert not set("<>&\u2028\u2029") & set(explorer)
    cells = page.all("td")
    wrong = {
        turn["sentence"] for turn, at in zip(data["dialogues"][0]["turns"], range(6), strict=True) if _wrong(data, at)
    }
    assert wrong
    assert wrong <= set(cells)
    assert script.startswith('"use strict"')


def _wrong(data, at, checkpoint=0):
    label = [turn["label"] for dialogue in data["dialogues"] for turn in dialogue["turns"]][at]
    return label not in (-1, int(np.argmax(data["checkpoints"][checkpoint]["turns"][at]["probability"])))


def test_nothing_is_fetched(page):
    assert not [a for a in page.attributes if a[1] in ("src", "srcset", "action", "style") or a[1].startswith("on")]
    assert all(value.startswith("#") for _, name, value in page.attributes if name == "href")
    assert not re.search(r"url\(|@import|@font-face", *page.all("style"))
    script = page.all("script")[1].replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"://|fetch|XMLHttpRequest|import\b|innerHTML|insertAdjacentHTML|document\.write|eval", script)


def test_the_policy_lets_only_this_style_and_script_in(page):
    (policy,) = (value for tag, name, value in page.attributes if tag == "meta" and "default-src" in value)
    names = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in (page.all("style")[0], page.all("script")[1])
    ]
    assert policy == f"default-src 'none'; style-src {names[0]}; script-src {names[1]}; base-uri 'none'"


def test_data_are_shortened_and_whole(data, page):
    explorer = json.loads(page.all("script")[0])
    for part, short in zip(data["checkpoints"], explorer["checkpoints"], strict=True):
        for turn, again in zip(part["turns"], short["turns"], strict=True):
            for name, values in turn.items():
                np.testing.assert_allclose(again[name], values, atol=5.1e-4)
        for dialogue, again in zip(part["attention"], short["attention"], strict=True):
            for route, rows in dialogue.items():
                for i, (row, less) in enumerate(zip(rows, again[route], strict=True)):
                    assert (row is None) == (less is None)
                    if row:
                        assert len(less) <= i + 1
                        np.testing.assert_allclose(less + [0] * (len(row) - len(less)), row, atol=1e-3)
                        assert sum(less) == pytest.approx(1, abs=1e-9)
    assert len(max(re.findall(r"\.\d+", page.all("script")[0]), key=len)) == 4


def test_predictions_are_those_before_rounding():
    data = made_up(some_dialogues([1]), checkpoints=1)
    turn = {"probability": [0.3, 0.3001, 0.3002, 0.0997, 0, 0, 0], "prediction": 2}
    data["checkpoints"][0]["turns"][0] |= turn
    data["dialogues"][0]["turns"][0]["label"] = 2
    page = report_page(data)
    assert json.loads(Reader(page).all("script")[0])["checkpoints"][0]["turns"][0]["prediction"] == 2
    assert "Every label is predicted by ECERC_MODEL.pkl." in page


def test_most_confident_errors():
    data = made_up(some_dialogues([7, 20, 3, 40]), checkpoints=2)
    data["dialogues"][0]["turns"][0]["label"] = -1  # unknown: no error
    links = [value for tag, name, value in Reader(report_page(data)).attributes if tag == "a" and "dialogue=" in value]
    expected = []
    for k, part in enumerate(data["checkpoints"]):
        places = [(d["id"], t) for d in data["dialogues"] for t in range(1, len(d["turns"]) + 1)]
        wrong = [at for at in range(len(places)) if _wrong(data, at, k)]
        wrong.sort(key=lambda at: max(part["turns"][at]["probability"]), reverse=True)
        assert len(wrong) > 20
        end = f"&checkpoint={k + 1}" if k else ""
        expected += ["#dialogue={}&turn={}{}".format(*places[at], end) for at in wrong[:20]]
    assert links == expected


def test_an_error_is_named_by_the_number_that_was_given():
    data = made_up(some_dialogues([1]), checkpoints=1)
    data["checkpoints"][0]["turns"][0]["prediction"] = 2
    data["dialogues"][0]["turns"][0] |= {"label": 1, "number": 17}
    assert "100, turn 1 (utterance 17)</a>" in report_page(data)


def test_what_is_missing_is_left_out_or_dashed():
    data = made_up(some_dialogues([5]), checkpoints=1)
    data["notes"] = ["Not the released files."]
    data["checkpoints"][0]["agreement"][0]["rho"] = None
    for row in data["summary"]:
        row["paper"] = None
    page = report_page(data)
    assert "Not the released files." in page
    assert "–" in Reader(page).all("td")
    for absent in ("None", "Ensemble", "Mean ± std", ">Paper<"):
        assert absent not in page


def test_any_text_can_be_written():
    data = made_up(some_dialogues([1]), checkpoints=1)
    data["dialogues"][0]["turns"][0] |= {"sentence": "half \ud83d", "label": 6}
    data["checkpoints"][0]["turns"][0] |= {"probability": [1.0, 0, 0, 0, 0, 0, 0], "prediction": 0}
    assert b"half ?" in report_page(data).encode()


def test_meld_sized_report_is_small(meld_sized):
    assert meld_sized.stat().st_size < 15e6
