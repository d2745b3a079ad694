"""What a turn shows, in a headless Chromium, skipped where there is none: every number against the report's data."""

import math
import re
from urllib.parse import urlencode

import numpy as np
import pytest

from tests.reporting.made_up import result

SELECTED = """() => {
    const item = document.querySelector(".turn.selected");
    const texts = e => e.innerText.split(/\\s+/).filter(Boolean).join(" ");
    const path = e => [e.className.baseVal, e.getAttribute("d")];
    const paths = svg => [...svg.querySelectorAll("path")].map(path);
    const details = [...item.querySelectorAll(".details table")];
    return {
        button: texts(item.querySelector("button")),
        tables: details.map(table => [...table.tBodies[0].rows].map(row => [...row.cells].map(texts))),
        bars: details.map(table => [...table.querySelectorAll("svg.bar")].map(paths)),
        minis: [...item.querySelectorAll(".minis svg")].map(paths),
        lanes: [...document.querySelectorAll(".turn")].map(turn => [...turn.querySelectorAll(".lanes > span")]
            .map(lane => [lane.className, lane.innerText.trim()])),
    }}"""


def number(value, digits=3, sign=False):
    """As the page writes it, from what its data hold: three decimals, rounded half to even."""
    value = np.round(value, digits) + 0.0
    return f"{value:{'+' if sign and value else ''}.{digits}f}".replace("-", "−")


def widths(paths, kind):
    """y to (x, width) of the rectangles of a kind."""
    found = {}
    for name, d in paths:
        if name == kind:
            for x, y, width in re.findall(r"M(\S+) (\S+?)h(\S+?)v\S+?h\S+?z", d):
                found[float(y) / 8] = float(x), float(width)
    return found


def signed_widths(paths, most):
    """The values that bars from the middle show, in their order."""
    above = {y: width for y, (_, width) in widths(paths, "fill").items()}
    below = {y: -width for y, (_, width) in widths(paths, "fill below").items()}
    return [value * most / 50 for _, value in sorted((above | below).items())]


def parts_of(run):
    """Name and place of what can be left out, as the page orders it: routes, then modalities."""
    return [(name, "route_", k) for k, name in enumerate(run["routes"])] + [
        (name, "", k) for k, name in enumerate(run["modalities"])
    ]


@pytest.mark.parametrize("checkpoint", [0, 1])
def test_turns_and_what_they_attended_to(data, open_page, checkpoint):
    """Every turn of a dialogue, selected one after the other by the arrow key: texts, numbers, bars and lanes."""
    d = 2
    page = open_page(f"#dialogue={data['dialogues'][d]['id']}&turn=1&checkpoint={checkpoint + 1}")
    turns = data["dialogues"][d]["turns"]
    page.locator(".selected > button").focus()
    for t in range(len(turns)):
        seen = page.evaluate(SELECTED)
        check_words(data, checkpoint, d, t, seen["button"])
        check_tables(data, checkpoint, d, t, seen)
        check_attention(data, checkpoint, d, t, seen)
        page.keyboard.press("ArrowDown")
    assert page.locator(".selected").get_attribute("data-turn") == str(len(turns) - 1)  # there it stays


def check_words(data, checkpoint, d, t, button):
    output, prediction = result(data, checkpoint, d, t)
    turn = data["dialogues"][d]["turns"][t]
    given = f" (utterance {turn['number']})" if "number" in turn else ""
    right = sum(result(data, c, d, t)[1] == turn["label"] for c in data["runs"][0]["checkpoints"])
    assert button == (
        f"{t + 1}{given} · speaker {turn['speaker']} "
        f"{turn['sentence']} label {data['classes'][turn['label']]}, predicted {data['classes'][prediction]} "
        f"{number(100 * np.round(output['probability'][prediction], 3), 1)} %"
        f"{'' if prediction == turn['label'] else ' ✗ wrong'} ({right} of 2 right)"
    )


def blind(data, checkpoint, d, t, name):
    """What is said of a route that saw nothing."""
    seen = data["checkpoints"][checkpoint]["attention"][d].get(name)
    return ", no history" if seen and seen[t] is None else ""


def check_tables(data, checkpoint, d, t, seen):
    (output, prediction), part = result(data, checkpoint, d, t), data["checkpoints"][checkpoint]
    run, classes, label = data["runs"][0], data["classes"], data["dialogues"][d]["turns"][t]["label"]
    losses, probabilities, gates, checkpoints = seen["tables"][:4]
    drops = [output[f"{kind}drop"][k] for _, kind, k in parts_of(run)]
    without = [output[f"{kind}without"][k] for _, kind, k in parts_of(run)]
    assert losses == [
        [
            name.replace("_", " ") + blind(data, checkpoint, d, t, name),
            "",
            number(drop, sign=True),
            "stays" if k == prediction else f"becomes {classes[k]}",
        ]
        for (name, _, _), drop, k in zip(parts_of(run), drops, without, strict=True)
    ]
    most = max(abs(x) for k in range(12) for x in drops_of(result(data, checkpoint, d, k)[0]))
    drawn = [signed_widths(paths, most)[0] for paths in seen["bars"][0]]
    np.testing.assert_allclose(drawn, drops, atol=2e-3 * most)
    np.testing.assert_allclose(signed_widths(seen["minis"][0], most), drops, atol=2e-3 * most)

    marks = [[word for word, at in (("label", label), ("predicted", prediction)) if at == k] for k in range(7)]
    assert [row[::2] for row in probabilities] == [
        [name + (f" ({', '.join(words)})" if words else ""), number(100 * np.round(p, 3), 1)]
        for name, words, p in zip(classes, marks, output["probability"], strict=True)
    ]
    drawn = [width / 100 for _, (_, width) in sorted(widths(seen["minis"][1], "colored").items())]
    np.testing.assert_allclose(drawn, output["probability"], atol=1e-3)

    by_name = {gate["name"]: gate for gate in part["gates"]}
    away = []
    for (name, kind, k), row in zip(parts_of(run), gates, strict=True):
        gate, value = by_name[name], output["route_gates" if kind else "gates"][k]
        away.append((value - gate["mean"]) / gate["std"])
        assert row[0] == name.replace("_", " ")
        assert row[2] == number(away[-1], 2, sign=True)
        np.testing.assert_allclose(float(row[3]), value, atol=1e-3)
        assert row[4] == number(gate["mean"], 4)
    np.testing.assert_allclose(signed_widths(seen["minis"][2], 3), np.clip(away, -3, 3), atol=0.01)

    expected = []
    for c in run["checkpoints"]:
        other, k = result(data, c, d, t)
        shares = [number(100 * np.round(other["probability"][at], 3), 1) for at in (k, label)]
        verdict = "✓ right" if k == label else "✗ wrong"
        expected.append([data["checkpoints"][c]["name"], classes[k], *shares, verdict])
    u = sum(len(dialogue["turns"]) for dialogue in data["dialogues"][:d]) + t
    k, probability = run["ensemble"]["predictions"][u], run["ensemble"]["probability"][u]
    share, verdict = number(100 * np.round(probability, 3), 1), "✓ right" if k == label else "✗ wrong"
    assert checkpoints == [*expected, ["ensemble", classes[k], share, "–", verdict]]


def drops_of(output):
    return [*output["drop"], *output["route_drop"]]


def check_attention(data, checkpoint, d, t, seen):
    turns = data["dialogues"][d]["turns"]
    routes = [route for route in data["runs"][0]["routes"] if route != "self_event"]  # which sees itself only
    rows = seen["tables"][4]
    assert [row[0] for row in rows] == [route.replace("_", " ") for route in routes]
    for r, (route, row) in enumerate(zip(routes, rows, strict=True)):
        attention = data["checkpoints"][checkpoint]["attention"][d][route][t]
        lanes = [turn[r] for turn in seen["lanes"]]
        if attention is None:
            assert row[1:] == ["no history; looked evenly at the whole padded dialogue", "–", "–"]
            assert [text for _, text in lanes] == ["no history" if k == t else "" for k in range(len(turns))]
            assert {name for name, _ in lanes} == {""}
            continue
        keys, top = attention["keys"], attention["top"]
        assert row[1] == ", ".join(f"turn {k + 1} {number(weight * keys, 2)}×" for k, weight in top)
        rest = 1 - sum(weight for _, weight in top)
        if keys > len(top):
            others = keys - len(top)
            count, share = row[2].split(", about ")
            assert count == f"{others} other{'s' * (others > 1)}"
            assert float(share.removesuffix(" %")) == pytest.approx(100 * rest, abs=1)
        else:
            assert row[2] == "none"
        effective = number(math.exp(attention["entropy"]), 2)
        assert row[3] == f"{effective} of {keys} turn{'s' * (keys > 1)}"
        own = route.startswith("self")
        visible = [k < t and (turn["speaker"] == turns[t]["speaker"]) == own for k, turn in enumerate(turns)]
        shown = dict(top)
        for k, (name, text) in enumerate(lanes):  # what cannot be seen is told from what is among the others
            assert name == ("seen most" if k in shown else "seen" if visible[k] else "")
            if k in shown:
                assert text == f"{number(shown[k] * keys, 2)}×"
            else:
                assert text == ""


def test_heads_are_read_when_they_are_asked_for(data, open_page):
    page = open_page(f"#dialogue={data['dialogues'][4]['id']}&turn=20")
    assert page.evaluate("heads") is None
    page.click(".selected [data-do=heads]")
    rows = page.locator(".selected .part-heads tbody tr")
    rows = rows.evaluate_all("rows => rows.map(row => [...row.cells].map(cell => cell.innerText))")
    part, routes = data["checkpoints"][0], ["self_emotion", "cross_emotion", "cross_event"]
    expected = []
    for route in routes:
        row, keys = [route.replace("_", " ")], part["attention"][4][route][19]["keys"]
        for turn, weight, entropy in part["heads"][4][route][19]:
            effective = number(math.exp(entropy), 2)
            row.append(f"turn {turn + 1} {number(weight * keys, 2)}×, over {effective}")
        expected.append(row)
    assert rows == expected


@pytest.mark.parametrize("d", [1, 3, 4])
def test_strips(data, open_page, d):
    """True above predicted, each turn in the color of its class, in the list and above the turns."""
    page = open_page("#" + urlencode({"dialogue": data["dialogues"][d]["id"]}))
    turns, colors = data["dialogues"][d]["turns"], data["colors"]
    drawn = page.evaluate(
        """() => ["#list [aria-current] .strip", "#strip .strip"].map(place =>
            [...document.querySelectorAll(`${place} > path`)].map(path => [
                path.getAttribute("fill") ?? path.className.baseVal,
                [...path.getAttribute("d").matchAll(/M(\\S+) (\\S+?)h/g)].map(m => [m[1] / 28, Number(m[2])])]))"""
    )
    expected = set()
    for t, turn in enumerate(turns):
        prediction = result(data, 0, d, t)[1]
        expected |= {("unknown" if turn["label"] < 0 else colors[turn["label"]], t, 0), (colors[prediction], t, 5.6)}
        if turn["label"] not in (-1, prediction):
            expected.add(("wrong-mark", t, 11.4))
    for paths in drawn:
        assert {(color, x, y) for color, places in paths for x, y in places} == expected
    if d == 4:
        page.click("#strip a >> nth=7")
        assert page.locator(".selected").get_attribute("data-turn") == "7"
        assert page.locator("#strip .here").get_attribute("x") == str(7 * 28)
        assert page.url.endswith("&turn=8")
