"""The report in a headless Chromium, for the tests of this folder."""

import numpy as np
import pytest

from tests.browser import CHROMIUM, browser
from tests.reporting.made_up import HOSTILE, made_up, page_in, some_corpus
from tests.small import random_corpus


@pytest.fixture
def two_talks():
    """Two dialogues: speakers A B A A / B A, labels as given."""
    corpus = random_corpus([4, 2], speakers=2, classes=3)
    corpus.speaker[:] = [0, 1, 0, 0, 1, 0]
    corpus.label[:] = [2, 1, 2, 0, 1, 1]
    return corpus


@pytest.fixture(scope="session")
def data():
    """Data of a report with hostile sentences, speakers and ids, a turn without label, two checkpoints."""
    corpus = some_corpus([8, 3, 12, 1, 20, *[2] * 110], seed=3)
    corpus.sentences[: len(HOSTILE)] = HOSTILE
    corpus.sentences[9], corpus.label[9] = "", -1
    corpus.ids[3] = "Ses05_F&impro=03#%<b>"
    data = made_up(corpus, checkpoints=2, seed=5)
    data["dialogues"][1]["turns"][1]["speaker"] = "<i>&Ünal"
    data["dialogues"][2]["turns"][4]["number"] = 17
    near = [0.22461, 0.224618, 0.224618, 0.2, 0.126154, 0, 0]  # alike once they are rounded
    turn = data["checkpoints"][0]["turns"][8 + 3 + 5]
    shift = 2 - turn["prediction"]
    turn["probability"] = near[shift:] + near[:shift]
    for turn in data["checkpoints"][0]["turns"][26], data["checkpoints"][0]["turns"][33]:  # of one dialogue, alike
        turn["probability"] = [0.9982 if k == turn["prediction"] else 0.0003 for k in range(7)]
    return data


@pytest.fixture(scope="session")
def chromium():
    if CHROMIUM is None:
        pytest.skip("needs Chromium (Debian: apt-get install chromium)")
    with browser() as chromium:
        yield chromium


@pytest.fixture(scope="session")
def address(data, tmp_path_factory):
    return page_in(tmp_path_factory.mktemp("report"), data).as_uri()


@pytest.fixture(scope="session")
def meld_sized(tmp_path_factory):
    """A report on as many dialogues and utterances as MELD's test split has, with three checkpoints."""
    lengths = np.random.default_rng(0).multinomial(2610 - 280, np.ones(280) / 280) + 1
    return page_in(tmp_path_factory.mktemp("meld"), made_up(some_corpus(lengths)))


@pytest.fixture
def open_page(chromium, address):
    """Opens the report, in a window of its own; nothing may be fetched, nothing may go wrong."""
    pages, noise = [], []

    def open_(hash_="", **window):
        page = chromium.new_page(**{"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"} | window)
        page.set_default_timeout(10_000)
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("dialog", lambda dialog: noise.append(dialog.message))
        page.on("request", lambda request: None if request.url.startswith(address) else noise.append(request.url))
        page.goto(address + hash_)
        pages.append(page)
        return page

    yield open_
    for page in pages:
        assert page.evaluate("window.hostile") is None
        page.close()
    assert noise == []
