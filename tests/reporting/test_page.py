import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from common.reporting import page as page_module
from common.reporting.page import report_page
from tests.reporting.made_up import HOSTILE, made_up, some_corpus


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
    corpus = some_corpus([6, 1, 4], seed=1)
    corpus.sentences[:6] = HOSTILE
    corpus.ids[1] = "</script>&'\"<b>"
    return made_up(corpus, checkpoints=2)


@pytest.fixture(scope="module")
def page(data):
    return Reader(report_page(data))


def small(**more):
    """The data of a report on one turn, labelled 0, and predicted as labelled."""
    corpus = some_corpus([1])
    corpus.label[0] = 0
    data = made_up(corpus, checkpoints=1, **more)
    data["checkpoints"][0]["turns"][0] |= {"probability": [1.0, 0, 0, 0, 0, 0, 0], "prediction": 0}
    return data


def test_sentences_stay_text(data, page):
    explorer, heads, script = page.all("script")  # no other one
    assert json.loads(explorer)["dialogues"] == data["dialogues"]
    assert not set("<>&\u2028\u2029") & set(explorer + heads)
    cells = " ".join(page.all("td"))
    wrong = [
        turn["sentence"] for turn, at in zip(data["dialogues"][0]["turns"], range(6), strict=True) if _wrong(data, at)
    ]
    assert wrong
    for sentence in wrong:
        assert sentence in cells
    assert script.startswith('"use strict"')


def _wrong(data, at, checkpoint=0):
    label = [turn["label"] for dialogue in data["dialogues"] for turn in dialogue["turns"]][at]
    return label not in (-1, data["checkpoints"][checkpoint]["turns"][at]["prediction"])


def test_nothing_is_fetched(page):
    assert not [a for a in page.attributes if a[1] in ("src", "srcset", "action", "style") or a[1].startswith("on")]
    assert all(value.startswith("#") for _, name, value in page.attributes if name == "href")
    assert not re.search(r"url\(|@import|@font-face", *page.all("style"))
    script = page.all("script")[2].replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"://|fetch|XMLHttpRequest|import\b|innerHTML|insertAdjacentHTML|document\.write|eval", script)


def test_the_policy_lets_only_this_style_and_script_in(page):
    (policy,) = (value for tag, name, value in page.attributes if tag == "meta" and "default-src" in value)
    style, script = (
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in (page.all("style")[0], page.all("script")[2])
    )
    assert policy == (
        f"default-src 'none'; style-src {style}; script-src {script}; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def test_predictions_are_those_before_rounding():
    data = small()
    data["checkpoints"][0]["turns"][0] |= {"probability": [0.3, 0.3001, 0.3002, 0.0997, 0, 0, 0], "prediction": 2}
    data["dialogues"][0]["turns"][0]["label"] = 2
    page = report_page(data)
    assert json.loads(Reader(page).all("script")[0])["checkpoints"][0]["turns"]["prediction"] == [2]
    assert "Every label is predicted by ECERC_MODEL.pkl." in page


def test_most_confident_errors():
    corpus = some_corpus([7, 20, 3, 40])
    corpus.label[0] = -1  # unknown: no error
    data = made_up(corpus, checkpoints=2)
    data["highlight"] = None
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
    data = small()
    data["dialogues"][0]["turns"][0] |= {"label": 1, "number": 17}
    assert "<bdi>100</bdi>, turn 1 (utterance 17)</a>" in report_page(data)


def test_what_is_missing_is_left_out_or_dashed():
    data = made_up(some_corpus([5]), checkpoints=1, paper=None)
    data["notes"] = ["Not the released files."]
    data["checkpoints"][0]["gates"][0]["rho"] = None
    data["highlight"] = None
    for name in ("provenance", "curves"):
        del data["runs"][0][name]
    page = report_page(data)
    assert "Not the released files." in page
    assert "–" in Reader(page).all("td")
    for absent in (
        ">None<",
        "Ensemble",
        "Agreement",
        "Mean ± std",
        ">Paper<",
        "One conversation worth a look",
        "Hyperparameters",
        "epoch<",
    ):
        assert absent not in page


def test_nothing_is_labelled():
    corpus = some_corpus([5, 2])
    corpus.label[:] = -1
    data = made_up(corpus, checkpoints=2)
    page = report_page(data)
    assert page.count("Not known: no utterance here has a label.") == 6  # scores, and five sections
    assert page.count("Not known: it takes labels here, and a validation split") == 2
    cells = Reader(page).all("td")
    assert not [cell for cell in cells if "nan" in cell.lower()]
    predictions = [turn["prediction"] for part in data["checkpoints"] for turn in part["turns"]]
    shares = [f"{100 * predictions.count(k) / 14:.1f} %" for k in range(7)]
    shown = [cell for cell in cells if re.fullmatch(r"[\d.]+ %", cell)]
    assert shown[:7] == shares
    changed = [(row["kind"] == "route", -row["changed"]) for row in data["runs"][0]["without"]]
    assert shown[7:] == [f"{-100 * share:.1f} %" for _, share in sorted(changed)]


def test_of_classes_that_are_alike_the_first_is_named():
    data = made_up(some_corpus([6, 9]), checkpoints=1)
    for row, mean in zip(data["runs"][0]["summary"][3:], (50.0, 70, 70, 20, 20, None, 30), strict=True):
        row["mean"] = mean
    first = page_module._first(data["runs"][0])
    assert (first["best"]["name"], first["worst"]["name"]) == ("surprise", "sadness")
    assert report_page(data)


def test_what_is_flat_is_a_finding():
    data = small()
    part = data["checkpoints"][0]
    for gate in part["gates"]:
        gate |= {"std": 0.003, "flat": True}
    for spread, largest in zip(part["attention_spread"], (1.01, 1.02, 1, 1.0), strict=True):
        spread |= {"largest": largest, "evenness": 0.99, "flat": not spread["own_only"]}
    words = " ".join(report_page(data).split())
    assert "<b>Finding: all gates are flat.</b>" in words
    assert "vary by 0.0030 (standard deviation, on a scale from 0 to 1)" in words
    assert "attention is all but even on self emotion, cross emotion and cross event.</b>" in words
    assert "on average, 1.000 to 1.020 times an even share" in words
    for gate in part["gates"]:
        gate["flat"] = gate["name"] == "text"
    for spread in part["attention_spread"]:
        spread["flat"] = False
    words = " ".join(report_page(data).split())
    assert "<b>Finding: a gate is flat.</b> From one utterance to another that of text varies by 0.0030" in words
    assert "all but even" not in words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"id": "abc", "changed": True}, "id abc, changed yes"),
        ([], "none"),
        (["audio", "visual"], "audio, visual"),
        (None, "–"),
        (1e-05, "1e-05"),
        ({}, "–"),
    ],
)
def test_provenance_in_words(value, text):
    assert page_module._words(value) == text


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("scores", ""), "scores"),
        (("errors", "runs/a b:c.pkl"), "errors-runs-a-b-c.pkl"),
        (("..", "/etc/passwd"), "etc-passwd"),
        (("é", "贵"), "é-贵"),
        (("x" * 200,), "x" * 80),
    ],
)
def test_names_of_files(parts, name):
    assert page_module._file_name(*parts) == name


def test_any_text_can_be_written():
    data = small()
    data["dialogues"][0]["turns"][0] |= {"sentence": "half \ud83d", "label": 6}
    assert b"half ?" in report_page(data).encode()


def test_names_that_are_alike_save_under_their_own():
    data = made_up(some_corpus([3, 4]), runs=2)
    data["comparison"] = None
    names = [value for tag, name, value in Reader(report_page(data)).attributes if name == "data-name"]
    assert len(names) == len(set(names))
    assert len(names) > 40


def test_meld_sized_report_is_small(meld_sized):
    assert meld_sized.stat().st_size < 15e6
