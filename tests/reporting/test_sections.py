"""First screen, scores and comparison: the report in a headless Chromium, skipped where there is none."""

from urllib.parse import parse_qs

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, f1_score

from tests.browser import tables
from tests.reporting.made_up import made_up, page_in, some_corpus


def number(value, digits=2):
    return "–" if value is None else f"{round(value, digits) + 0.0:,.{digits}f}".replace("-", "−")


def signed(value, digits=2):
    return ("+" if round(value, digits) > 0 else "") + number(value, digits)


def spread(row):
    return f"{number(row['mean'])} ± {number(row['std'])}"


def between(ends, digits=2):
    return f"{number(ends[0], digits)} to {number(ends[1], digits)}" if ends else "–"


def labels(data):
    return np.array([turn["label"] for dialogue in data["dialogues"] for turn in dialogue["turns"]])


def predictions(data):
    return np.array([[turn["prediction"] for turn in part["turns"]] for part in data["checkpoints"]])


@pytest.fixture(scope="module")
def two():
    """Two runs with three checkpoints each, and their comparison, made up; the second has no video, and an odd name."""
    data = made_up(some_corpus([5, 9, 4, 14], seed=2), runs=2, seed=3)
    data["runs"][1]["name"] = "runs/b|<"
    data["runs"][1]["without"] = [row for row in data["runs"][1]["without"] if row["name"] != "visual"]
    rows = [
        {"name": a["name"], "difference": b["mean"] - a["mean"], "interval": [b["mean"] - a["mean"] - k, 1.5 + k]}
        for k, (a, b) in enumerate(zip(data["runs"][0]["summary"], data["runs"][1]["summary"], strict=True))
    ]
    rows[3]["interval"] = [0.25, 4]  # without zero
    turns = {"both_right": 1401, "first_only": 7, "second_only": 9, "both_wrong": 3}
    data["comparison"] = {"names": [run["name"] for run in data["runs"]], "rows": rows, "turns": turns}
    data["runs"][1]["settings"]["empty_history"] = "strict"
    return data


@pytest.fixture(scope="module")
def page_of_two(two, chromium, tmp_path_factory):
    file = page_in(tmp_path_factory.mktemp("two"), two)
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.goto(file.as_uri())
    yield page
    page.close()


def test_first_screen(data, open_page):
    page = open_page()
    run = data["runs"][0]
    rows = {row["name"]: row for row in run["summary"]}
    seen = page.locator(".headline > div").all_inner_texts()
    for text, name in zip(seen, ("weighted F1", "accuracy"), strict=True):
        row = rows[name]
        assert (
            text.split()
            == (
                f"{number(row['mean'])} ± {number(row['std'])} {name}, % 95 %: {between(row['interval'], 1)} "
                f"paper: {number(row['paper'])} ({signed(row['mean'] - row['paper'])})"
            ).split()
        )
    classes, without = tables(page, "overview")
    means = [rows[f"F1 {name}"]["mean"] for name in data["classes"]]
    marks = ["best" if k == np.argmax(means) else "worst" if k == np.argmin(means) else "" for k in range(len(means))]
    assert classes == [
        [name, "", number(mean, 1), mark] for name, mean, mark in zip(data["classes"], means, marks, strict=True)
    ]
    expected = [
        [
            row["name"].replace("_", " "),
            "",
            f"{signed(row['mean'])} ± {number(row['std'])}",
            f"{100 * row['changed']:.1f} %",
        ]
        for row in sorted(run["without"], key=lambda row: (row["kind"] == "route", row["mean"]))
    ]
    assert without[1:] == expected
    for kind in ("modality", "route"):  # the greatest change fills half of the bar
        changes = [abs(row["mean"]) for row in run["without"] if row["kind"] == kind]
        names = [row["name"].replace("_", " ") for row in run["without"] if row["kind"] == kind]
        widths = page.evaluate(
            """names => [...document.querySelectorAll(".plain tr")]
                .filter(row => names.includes(row.cells[0].innerText))
                .map(row => +row.querySelector(".fill").getAttribute("width"))""",
            names,
        )
        np.testing.assert_allclose(widths, 50 * np.sort(changes)[::-1] / max(changes), atol=0.051)


def test_first_screen_needs_no_scrolling(open_page):
    page = open_page()
    page.evaluate("scrollTo(0, 0)")
    boxes = page.locator(".first .card, h1, nav").evaluate_all("all => all.map(e => e.getBoundingClientRect().bottom)")
    assert len(boxes) == 5
    assert max(boxes) < 900


def test_conversation_worth_a_look(data, open_page):
    page = open_page()
    at = data["highlight"]
    dialogue = data["dialogues"][at["dialogue"]]
    first = sum(len(d["turns"]) for d in data["dialogues"][: at["dialogue"]])
    predicted = predictions(data)[at["checkpoint"]][first : first + len(dialogue["turns"])]
    cells = page.evaluate(
        """() => [...document.querySelectorAll(".first .strip a")].map(a =>
            [...a.querySelectorAll("rect")].map(rect => [rect.className.baseVal, rect.getAttribute("fill")]))"""
    )
    assert cells == [
        [
            ["cell", data["colors"][turn["label"]]],
            ["cell", data["colors"][prediction]],
            *([["miss", None]] if turn["label"] != prediction else []),
        ]
        for turn, prediction in zip(dialogue["turns"], predicted.tolist(), strict=True)
    ]
    card = page.locator(".card.wide")
    assert at["reason"] in card.inner_text()
    assert dialogue["turns"][at["turn"]]["sentence"] in card.locator("blockquote").inner_text()
    address = parse_qs(card.locator(".action").get_attribute("href")[1:])
    assert address == {"dialogue": [dialogue["id"]], "turn": [str(at["turn"] + 1)]}


def test_scores(data, open_page):
    page = open_page()
    scores, ensemble, agreement = tables(page, "scores")
    run = data["runs"][0]
    names = [part["name"] for part in data["checkpoints"]]
    assert scores[0] == ["Score", "Mean ± std", "95 % interval", "Paper", *names]
    assert scores[1:] == [
        [row["name"], spread(row), between(row["interval"]), number(row["paper"]), *map(number, row["values"])]
        for row in run["summary"]
    ]
    known = labels(data) >= 0
    weighted = [100 * f1_score(labels(data)[known], p[known], average="weighted") for p in predictions(data)]
    assert scores[2][-2:] == [f"{value:.2f}" for value in weighted]
    assert ensemble[1:] == [
        [row["name"], number(row["value"]), between(row["interval"]), number(single["mean"])]
        for row, single in zip(run["ensemble"]["scores"], run["summary"], strict=True)
    ]
    assert "not the paper’s protocol" in page.locator("caption", has_text="Ensemble").inner_text()
    right = (predictions(data) == labels(data))[:, known].sum(0)
    counts = [(right == 2).sum(), (right == 1).sum(), (right == 0).sum()]
    assert [row[1:3] for row in agreement[1:]] == [[str(n), f"{100 * n / known.sum():.1f}"] for n in counts]
    caption = page.locator("caption", has_text="Agreement").inner_text()
    assert f"κ of the predictions: {cohen_kappa_score(*predictions(data)):.2f};" in caption
    assert f"{(predictions(data)[0] == predictions(data)[1]).sum()} turns are predicted alike by all" in caption
    links = page.locator("#scores >> xpath=.. >> a").evaluate_all("all => all.map(a => a.hash)")
    assert links == ["#outcome=all-right", "#outcome=mixed", "#outcome=all-wrong"]


def test_without_a_part(data, open_page):
    ((head, *rows),) = tables(open_page(), "without")
    names = [part["name"] for part in data["checkpoints"]]
    assert head == ["Without", "Kind", "Mean ± std", "", "Changed, %", *names]
    known = labels(data) >= 0
    truth = labels(data)[known]
    for row, text in zip(data["runs"][0]["without"], rows, strict=True):
        assert text[:3] == [row["name"].replace("_", " "), row["kind"], spread(row)]
        column = "without" if row["kind"] == "modality" else "route_without"
        k = data["runs"][0]["modalities" if row["kind"] == "modality" else "routes"].index(row["name"])
        for part, cell in zip(data["checkpoints"], text[5:], strict=True):
            blind = np.array([turn[column][k] for turn in part["turns"]])[known]
            whole = np.array([turn["prediction"] for turn in part["turns"]])[known]
            change = f1_score(truth, blind, average="weighted") - f1_score(truth, whole, average="weighted")
            assert cell == number(100 * change)


def test_two_runs(two, page_of_two):
    page = page_of_two
    scores, turns, settings = tables(page, "compare")
    a, b = two["comparison"]["names"]
    assert scores[0] == ["Score", a, b, "Difference", "", "95 % interval"]
    of = [{row["name"]: row for row in run["summary"]} for run in two["runs"]]
    assert scores[1:] == [
        [
            row["name"],
            *(spread(one[row["name"]]) for one in of),
            signed(row["difference"]),
            "",
            between(row["interval"]),
        ]
        for row in two["comparison"]["rows"]
    ]
    bold = page.locator("#compare >> xpath=.. >> td:nth-child(4) b").all_inner_texts()
    assert bold == [signed(row["difference"]) for row in two["comparison"]["rows"] if np.prod(row["interval"]) > 0]
    assert turns == [["", f"{b} right", f"{b} wrong"], [f"{a} right", "1,401", "7"], [f"{a} wrong", "9", "3"]]
    assert settings == [["Setting", a, b], ["empty history", "released", "strict"]]
    assert len(tables(page, "scores")) == 6  # of each run: scores, ensemble, agreement
    options = page.locator("#checkpoint option").all_inner_texts()
    assert options == [f"{two['runs'][c['run']]['name']} {c['name']}" for c in two["checkpoints"]]
    links = page.locator("#scores >> xpath=.. >> a").evaluate_all("all => all.map(a => a.hash)")
    assert links[3:] == [f"#outcome={outcome}&checkpoint=4" for outcome in ("all-right", "mixed", "all-wrong")]
    head = page.locator(".headline").inner_text()
    for run in two["runs"]:
        assert run["name"] in head
        assert number(run["summary"][1]["mean"]) in head
    page.evaluate("scrollTo(0, 0)")
    assert page.locator(".card").first.bounding_box()["y"] < 200


def test_about(data, open_page):
    page = open_page()
    about = " ".join(page.locator("#about >> xpath=..").inner_text().split())
    assert data["about"]["data"] in about
    for name, version in data["about"]["versions"].items():
        assert f"{name} {version}" in about
    checkpoints = tables(page, "about")[0]
    assert checkpoints[1:] == [
        [row["name"], str(row["seed"]), str(row["selected_epoch"]), row["sha256"]]
        for row in data["runs"][0]["provenance"]["checkpoints"]
    ]
    assert "learning rate 1e-05" in about
    drawn = page.evaluate(
        """() => [...document.querySelectorAll(".curves")].map(svg =>
            [svg.querySelectorAll("polyline").length, svg.querySelectorAll("circle").length])"""
    )
    assert drawn == [[6, 3], [3, 3]]  # of three seeds: two losses, one score


def test_a_part_that_one_run_lacks_has_the_room_of_its_bar(two, page_of_two):
    (row,) = page_of_two.evaluate(
        """() => [...document.querySelectorAll(".first tbody tr")].filter(row => row.innerText.startsWith("visual"))
            .map(row => [...row.querySelectorAll(".plot svg")].map(svg => svg.childElementCount > 0)
                .concat(row.cells[row.cells.length - 1].innerText))"""
    )
    assert row == [True, False, "–"]


def test_a_class_that_never_occurs_leads_nowhere(chromium, tmp_path):
    corpus = some_corpus([5, 3])
    corpus.label[corpus.label == 2] = 0
    page = chromium.new_page()
    page.goto(page_in(tmp_path, made_up(corpus)).as_uri())
    linked = page.locator(".first tbody a").evaluate_all("all => all.map(a => a.innerText)")
    assert linked == [name for k, name in enumerate(corpus.classes) if (corpus.label == k).any()]
    assert "fear" not in linked
    page.close()
