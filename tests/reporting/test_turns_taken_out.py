"""What is taken out of a turn: its case figure, its tables, a link to it; in a headless Chromium."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.browser import wait_for
from tests.reporting.made_up import result
from tests.reporting.test_turns import drops_of, number


def test_case_figure(data, open_page):
    """Its words are those of the turns, its numbers those of the data, and it can be taken out."""
    d, t = 4, 16
    shown = {k for row in data["checkpoints"][0]["attention"][d].values() for k, _ in row[t]["top"]}
    assert not set(range(t - 8, t)) <= shown  # some are in it for being recent only
    page = open_page(f"#dialogue={data['dialogues'][d]['id']}&turn={t + 1}")
    page.click(".selected [data-do=case]")
    page.click(".selected .case summary")
    with page.expect_download() as download:
        page.click(".selected .case button >> text=SVG")
    assert download.value.suggested_filename == f"case_ECERC_MODEL_{data['dialogues'][d]['id']}_turn_{t + 1}.svg"
    svg = Path(download.value.path()).read_text(encoding="utf-8")
    words = " ".join(re.findall(r"<text[^>]*>([^<]*)", svg))
    output, prediction = result(data, 0, d, t)
    turns = data["dialogues"][d]["turns"]
    said = f"label {data['classes'][turns[t]['label']]}, predicted {data['classes'][prediction]} "
    assert said + f"{number(100 * np.round(output['probability'][prediction], 3), 1)} %" in words
    for k in shown | set(range(t - 8, t + 1)):
        assert turns[k]["sentence"] in words  # wrapped, so that no word is cut
    for route in ("self_emotion", "cross_emotion", "cross_event"):
        attention = data["checkpoints"][0]["attention"][d][route][t]
        for _, weight in attention["top"]:
            assert f"{number(weight * attention['keys'], 2)}×" in words
    for drop in drops_of(output):
        assert number(drop, sign=True) in words
    assert "style=" not in svg
    boxes = page.evaluate(
        """() => { const svg = document.querySelector(".case-figure"), all = svg.getBBox(), size = svg.viewBox.baseVal;
            return [all.x, all.y, all.x + all.width - size.width, all.y + all.height - size.height] }"""
    )
    assert boxes[0] >= 0
    assert boxes[1] >= 0
    assert max(boxes[2:]) <= 0  # nothing is cut
    page.click(".selected [data-do=case]")
    assert page.locator(".case-figure").count() == 0


@pytest.mark.parametrize(
    ("text", "most"),
    [("one and more of it " * 30, 50), ("one and more of it " * 30, 3), ("x" * 900, 50), ("x" * 900, 2)],
)
def test_sentences_of_the_case_figure_are_wrapped(open_page, text, most):
    """All of it in lines that fit, or an ellipsis where there are too many of them."""
    measure = "([text, most]) => wrapped(text, 200, most).map(line => [line, widthOf(line)])"
    lines = open_page().evaluate(measure, [text, most])
    assert max(width for _, width in lines) <= 200
    joined = (" " if " " in text else "").join(line for line, _ in lines)
    if most == 50:
        assert joined == text.strip()
    else:
        assert len(lines) == most
        assert joined.endswith(" …")
        assert text.startswith(joined.removesuffix(" …"))


@pytest.mark.parametrize("allowed", [True, False])
def test_link_to_a_turn(data, open_page, allowed):
    page = open_page(f"#dialogue={data['dialogues'][2]['id']}&turn=3&checkpoint=2&search=a&theme=dark")
    written = "text => { window.written = text; return Promise.resolve() }" if allowed else "() => Promise.reject()"
    page.evaluate(f"() => Object.defineProperty(navigator, 'clipboard', {{value: {{writeText: {written}}}}})")
    page.click(".selected [data-do=link]")
    wait_for(page, "() => document.querySelector('.selected .done').firstChild")
    link = page.evaluate("window.written") if allowed else page.locator(".selected .done input").input_value()
    assert link == page.url.split("#")[0] + f"#dialogue={data['dialogues'][2]['id']}&turn=3&checkpoint=2"
    if allowed:
        assert page.locator(".selected .done").inner_text() == "Copied."


def test_tables_of_a_turn_are_taken_out(data, open_page):
    page = open_page(f"#dialogue={data['dialogues'][2]['id']}&turn=3")
    page.click(".selected [data-do=heads]")
    end = f"_ECERC_MODEL_{data['dialogues'][2]['id']}_turn_3.csv"
    menus = page.locator(".selected .save")
    names = []
    for k in range(menus.count()):
        menus.nth(k).locator("summary").click()
        with page.expect_download() as download:
            menus.nth(k).locator("text=CSV").click()
        names.append(download.value.suggested_filename)
    assert names == [f"{name}{end}" for name in ("lost", "probability", "gates", "checkpoints", "attention", "heads")]
