"""Numbers, bars and links: the report in a headless Chromium, skipped where there is none."""

import numpy as np
import pytest

from tests.browser import tables
from tests.reporting.made_up import result


def number(value, digits=2):
    return "–" if value is None else f"{round(value, digits) + 0.0:,.{digits}f}".replace("-", "−")


def test_scores(data, open_page):
    page = open_page()
    scores, ensemble = tables(page, "scores")
    names = [part["name"] for part in data["checkpoints"]]
    assert scores[0] == ["Score", *names, "Mean ± std", "Paper"]
    assert scores[1:] == [
        [
            row["name"],
            *map(number, row["values"]),
            f"{number(row['mean'])} ± {number(row['std'])}",
            number(row["paper"]),
        ]
        for row in data["summary"]
    ]
    assert ensemble == [list(data["ensemble"]), list(map(number, data["ensemble"].values()))]
    assert "not the paper’s protocol" in page.locator(".ensemble caption").inner_text()


@pytest.mark.parametrize("checkpoint", [0, 1])
def test_numbers_of_a_checkpoint(data, open_page, checkpoint):
    page = open_page()
    part = data["checkpoints"][checkpoint]
    page.select_option("#checkpoint", part["name"])
    (classes,) = tables(page, "classes")
    assert classes[1:] == [
        [row["name"], number(row["precision"]), number(row["recall"]), number(row["f1"]), "", number(row["support"], 0)]
        for row in part["per_class"]
    ]
    assert tables(page, "confusion")[0][1:] == [
        [name, *(number(count, 0) for count in row)]
        for name, row in zip(data["classes"], part["confusion"], strict=True)
    ]
    page.check("#show-shares")
    assert tables(page, "confusion")[0][1:] == [
        [name, *(number(100 * count / sum(row), 1) for count in row)]
        for name, row in zip(data["classes"], part["confusion"], strict=True)
    ]
    (errors,) = tables(page, "calibration")
    before, after = (part["calibration"][when] for when in ("before", "after"))
    digits = {"ece": 2, "adaptive_ece": 2, "brier": 4, "nll": 4}
    assert [row[1:] for row in errors[1:]] == [
        [number(x[name], k) for x in (before, after)] for name, k in digits.items()
    ]
    page.click("summary:visible")
    bins = tables(page, "calibration")[1][2:]
    for row, *pair in zip(bins, before["bins"], after["bins"], strict=True):
        shares = [[None if x[name] is None else 100 * x[name] for name in ("confidence", "accuracy")] for x in pair]
        assert row[1:] == [
            text
            for x, s in zip(pair, shares, strict=True)
            for text in (number(x["count"], 0), *(number(v, 1) for v in s))
        ]
    for group, rows in zip(part["groups"], tables(page, "groups"), strict=True):
        assert rows[1:] == [
            [row["name"], number(row["count"], 0), number(row["accuracy"]), number(row["wf1"]), ""]
            for row in group["rows"]
        ]
    (agreement,) = tables(page, "weights")
    expected = [[row["name"].replace("_", " "), number(row["rho"]), ""] for row in part["agreement"]]
    assert agreement[1:] == expected


def test_reliability_diagrams(data, open_page):
    page = open_page()
    drawn = page.evaluate(
        """() => [...document.querySelectorAll(".reliability")].filter(svg => svg.checkVisibility()).map(svg => {
            const of = (name, side) => [...svg.querySelectorAll(name)].map(e => +e.getAttribute(side));
            return [of("rect.fill", "height"), of("line.mean", "y1"), of("rect.count", "height"),
                [...svg.querySelectorAll("text.small")].map(e => +e.textContent)]})"""
    )
    for when, (accuracy, confidence, counts, texts) in zip(("before", "after"), drawn, strict=True):
        bins = data["checkpoints"][0]["calibration"][when]["bins"]
        filled = [b for b in bins if b["count"]]
        assert texts == [b["count"] for b in bins]
        np.testing.assert_allclose(np.array(counts) / 46 * max(texts), texts, atol=0.06 * max(texts) / 46)
        np.testing.assert_allclose(np.array(accuracy) / 230, [b["accuracy"] for b in filled], atol=3e-4)
        np.testing.assert_allclose(1 - np.array(confidence) / 230, [b["confidence"] for b in filled], atol=3e-4)


SELECTED = """() => ({
    tables: [...document.querySelectorAll(".selected .details table")]
        .map(table => [...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.innerText))),
    bars: [...document.querySelectorAll(".selected .minis svg")].map(svg =>
        [...svg.querySelectorAll(".fill")].map(e => +e.getAttribute("width") / 100)),
    ticks: [...document.querySelectorAll(".selected .minis .tick")]
        .map(e => (+e.getAttribute("x") + 1) / 100),
    words: [...document.querySelectorAll(".selected dd")].map(e => e.innerText),
    links: [...document.querySelectorAll(".turn")].map(turn => [...turn.querySelectorAll(".lanes > span")]
        .map(lane => lane.innerText)),
    lines: [...document.querySelectorAll(".turn")].map(turn => [...turn.querySelectorAll(".lanes > span")]
        .map(lane => lane.className)),
})"""  # what a selected turn shows, and its links


@pytest.mark.parametrize("checkpoint", [0, 1])
def test_turns_and_what_they_attended_to(data, open_page, checkpoint):
    """Every turn of a dialogue, selected one after the other by the arrow key: texts, numbers, bars and links."""
    d = 2
    page = open_page(f"#dialogue={data['dialogues'][d]['id']}&turn=1&checkpoint={checkpoint + 1}")
    turns, part = data["dialogues"][d]["turns"], data["checkpoints"][checkpoint]
    page.locator(".selected button").focus()
    for t, turn in enumerate(turns):
        output, prediction = result(data, checkpoint, d, t)
        button = page.locator(".selected button")
        badge = " ✗ wrong" if prediction != turn["label"] else ""
        label, predicted = data["classes"][turn["label"]], data["classes"][prediction]
        verdict = f"label {label}, predicted {predicted} {100 * output['probability'][prediction]:.1f} %{badge}"
        assert " ".join(button.inner_text().split()) == (
            f"{t + 1}{' (utterance 17)' if t == 4 else ''} · speaker {turn['speaker']} {turn['sentence']} {verdict}"
        )
        seen = page.evaluate(SELECTED)
        probability, evidence, feature = seen["tables"]
        assert [row[2] for row in probability] == [number(100 * round(p, 3), 1) for p in output["probability"]]
        names = [row[0] for row in probability]
        assert names[prediction] == predicted + (" (predicted)" if badge else " (label, predicted)")
        assert names[turn["label"]].startswith(f"{label} (label")
        for rows, keys, gates, drops in (
            (evidence, data["modalities"], output["gates"], output["drop"]),
            (feature, data["routes"], output["route_gates"], output["route_drop"]),
        ):
            for row, key, gate, drop in zip(rows, keys, gates, drops, strict=True):
                assert row[0] == key.replace("_", " ")
                assert [row[k] for k in (2, 3, 5)] == [number(x, 3) for x in (gate, part["gate_mean"][key], drop)]
        drawn = [output["probability"], output["gates"], output["route_gates"]]
        for values, expected in zip(seen["bars"], drawn, strict=True):
            np.testing.assert_allclose(values, expected, atol=1e-3)
        np.testing.assert_allclose(seen["ticks"], list(part["gate_mean"].values()), atol=1e-3)
        for r, route in enumerate(data["routes"]):
            weights = part["attention"][d][route][t]
            drawn, lines = ([row[r] for row in seen[name]] for name in ("links", "lines"))
            if weights is None:
                assert drawn == ["none" if k == t else "" for k in range(len(turns))]
                assert seen["words"][r] == "no history; looked evenly at the whole padded dialogue"
                continue
            rounded = np.array([float(text.removesuffix(" %") or 0) for text in drawn])
            np.testing.assert_allclose(rounded, 100 * np.array(weights), atol=0.1)
            assert round(10 * rounded.sum()) == 1000
            first = min(k for k, text in enumerate(drawn) if text)
            marks = ["first" if k == first < t else "line" if first < k <= t else "" for k in range(len(turns))]
            assert [line.split()[-1] if line else "" for line in lines] == marks
            order = [k for k in np.argsort(-rounded, kind="stable") if drawn[k]]
            assert seen["words"][r] == ", ".join(
                f"{'this turn' if k == t else f'turn {k + 1}'} {drawn[k]}" for k in order
            )
        page.keyboard.press("ArrowDown")
    assert page.locator(".selected").get_attribute("data-turn") == str(len(turns) - 1)  # there it stays
