"""Numbers and links of the sections on a checkpoint: the report in a headless Chromium, skipped where there is none."""

from urllib.parse import parse_qs

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from tests.browser import tables, wait_for
from tests.reporting.test_sections import between, labels, number, predictions

LINKS = """id => [...document.getElementById(id).closest("section").querySelectorAll("td, th")]
    .filter(cell => cell.checkVisibility())
    .map(cell => [cell.innerText.trim(), cell.querySelector("a")?.hash ?? ""]).filter(([, hash]) => hash)"""


def links(page, section):
    """[text, what its address says] of each linked cell."""
    found = [(text, parse_qs(hash_[1:], keep_blank_values=True)) for text, hash_ in page.evaluate(LINKS, section)]
    return [(text, {name: values[0] for name, values in parts.items()}) for text, parts in found]


@pytest.fixture(params=[0, 1])
def chosen(request, data, open_page):
    """(page with a checkpoint chosen, its position, what the data say of it)"""
    page = open_page()
    page.select_option("#checkpoint", data["checkpoints"][request.param]["name"])
    return page, request.param, data["checkpoints"][request.param]


def asked(checkpoint):
    return {"checkpoint": str(checkpoint + 1)} if checkpoint else {}


def test_classes(data, chosen):
    page, checkpoint, part = chosen
    ((_, *rows),) = tables(page, "classes")
    assert rows == [
        [
            row["name"],
            *(number(row[key]) for key in ("precision", "recall", "f1")),
            between(row["interval"]),
            "",
            number(row["support"], 0),
        ]
        for row in part["per_class"]
    ]
    known = labels(data) >= 0
    of_each = precision_recall_fscore_support(
        labels(data)[known], predictions(data)[checkpoint][known], labels=range(7), zero_division=0
    )
    for row, precision, recall, f1, support in zip(rows, *of_each, strict=True):
        assert row[1:4] == [f"{100 * value:.2f}" for value in (precision, recall, f1)]
        assert row[6] == str(support)
    expected = [
        (row["name"], {"label": row["name"]} | asked(checkpoint)) for row in part["per_class"] if row["support"]
    ]
    assert links(page, "classes") == expected


def test_confusion(data, chosen):
    page, checkpoint, _ = chosen
    known = labels(data) >= 0
    table = confusion_matrix(labels(data)[known], predictions(data)[checkpoint][known], labels=range(7))
    names = data["classes"]
    assert tables(page, "confusion")[0][1:] == [
        [name, *(number(count, 0) for count in row)] for name, row in zip(names, table.tolist(), strict=True)
    ]
    assert (table == 0).any()
    expected = [
        (number(count, 0), {"label": names[i], "predicted": names[j]} | asked(checkpoint))
        for (i, j), count in np.ndenumerate(table)
        if count
    ]
    assert links(page, "confusion") == expected
    page.check("#show-shares")
    assert tables(page, "confusion")[0][1:] == [
        [name, *(number(100 * count / sum(row), 1) for count in row)]
        for name, row in zip(names, table.tolist(), strict=True)
    ]


def test_calibration(data, chosen):
    page, checkpoint, part = chosen
    (errors,) = tables(page, "calibration")
    before, after = (part["calibration"][when] for when in ("before", "after"))
    digits = {"ece": 2, "adaptive_ece": 2, "brier": 4, "nll": 4}
    assert [row[1:] for row in errors[1:]] == [
        [number(x[name], k) for x in (before, after)] for name, k in digits.items()
    ]
    page.click("#calibration >> xpath=.. >> summary:text('bins'):visible")
    bins = tables(page, "calibration")[1][2:]
    for row, *pair in zip(bins, before["bins"], after["bins"], strict=True):
        shares = [[None if x[name] is None else 100 * x[name] for name in ("confidence", "accuracy")] for x in pair]
        assert row[1:] == [
            text
            for x, s in zip(pair, shares, strict=True)
            for text in (number(x["count"], 0), *(number(v, 1) for v in s))
        ]
    placed = np.array([turn["bins"] for turn in part["turns"]])
    expected = [
        (str((placed[:, k] == row).sum()), {"bin": f"{when}-{row + 1}"} | asked(checkpoint))
        for row in range(len(bins))
        for k, when in enumerate(("before", "after"))
        if (placed[:, k] == row).any()
    ]
    assert links(page, "calibration") == expected


def test_bins_of_the_diagrams_lead_to_their_utterances(chosen):
    page, checkpoint, part = chosen
    drawn = page.evaluate(
        """() => [...document.querySelectorAll(".reliability")].filter(svg => svg.checkVisibility())
            .map(svg => [...svg.querySelectorAll("a")].map(a => a.getAttribute("href")))"""
    )
    end = f"&checkpoint={checkpoint + 1}" if checkpoint else ""
    assert drawn == [
        [f"#bin={when}-{k}{end}" for k, one in enumerate(part["calibration"][when]["bins"], 1) if one["count"]]
        for when in ("before", "after")
    ]


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


def test_groups(data, chosen):
    page, checkpoint, part = chosen
    for group, rows in zip(part["groups"], tables(page, "groups"), strict=True):
        assert rows[1:] == [
            [
                row["name"],
                number(row["count"], 0),
                number(row["accuracy"]),
                number(row["wf1"]),
                between(row["interval"], 1),
                "",
            ]
            for row in group["rows"]
        ]
    titles = {f"{group['title']}: {row}" for group in data["groups"] for row in group["rows"]}
    expected = [
        (row["name"], {"group": f"{group['title']}: {row['name']}"} | asked(checkpoint))
        for group in part["groups"]
        for row in group["rows"]
    ]
    assert links(page, "groups") == expected
    assert {parts["group"] for _, parts in expected} <= titles


def test_errors(data, chosen):
    page, checkpoint, _ = chosen
    page.locator("#errors").scroll_into_view_if_needed()
    hashes = page.locator("#errors >> xpath=.. >> p a >> visible=true").evaluate_all("all => all.map(a => a.hash)")
    end = f"&checkpoint={checkpoint + 1}" if checkpoint else ""
    assert hashes == [f"#outcome=wrong{end}", f"#outcome=all-wrong{end}"]
    assert len(tables(page, "errors")[0]) == 21


def test_weights(chosen):
    page, _, part = chosen
    gates, attention = tables(page, "weights")
    assert gates[1:] == [
        [row["name"].replace("_", " "), number(row["mean"], 4), number(row["std"], 4), number(row["rho"]), ""]
        for row in part["gates"]
    ]
    assert attention[1:] == [
        [
            row["route"].replace("_", " "),
            str(row["rows"]),
            number(row["largest"], 3),
            number(100 * row["evenness"], 1),
            "",
        ]
        for row in part["attention_spread"]
        if row["route"] != "self_event"
    ]
    flat = [row for row in part["gates"] if row["std"] < 0.01]
    assert 0 < len(flat) < len(part["gates"])
    found, own = (" ".join(text.split()) for text in page.locator(".finding >> visible=true").all_inner_texts())
    names = [row["name"].replace("_", " ") for row in flat]
    low, high = (number(f(row["std"] for row in flat), 4) for f in (min, max))
    assert f"{', '.join(names[:-1])} and {names[-1]} vary by {low} to {high}" in found
    assert own.startswith("The self event route always looks at the turn itself alone")


def fitting(data, checkpoint, asked):
    """Per dialogue the turns, from 1, that an address asks for, worked out from the data."""
    found, outputs = [], iter(data["checkpoints"][checkpoint]["turns"])
    everywhere = predictions(data)
    at = 0
    for dialogue in data["dialogues"]:
        turns = []
        for number_of, turn in enumerate(dialogue["turns"], 1):
            output, said, label = next(outputs), everywhere[:, at], turn["label"]
            at += 1
            row = [
                f"{g['title']}: {g['rows'][k]}" for g, k in zip(data["groups"], turn["groups"], strict=True) if k >= 0
            ]
            bins = [f"{when}-{k + 1}" for when, k in zip(("before", "after"), output["bins"], strict=True) if k >= 0]
            outcomes = {"wrong": label not in (-1, output["prediction"]), "disagree": len(set(said)) > 1}
            outcomes["all-wrong"] = label >= 0 and label not in said
            outcomes["all-right"] = label >= 0 and {*said} == {label}
            outcomes["mixed"] = label in said and not outcomes["all-right"]
            fits = {
                "label": lambda value, label=label: label >= 0 and data["classes"][label] == value,
                "predicted": lambda value, output=output: data["classes"][output["prediction"]] == value,
                "group": lambda value, row=row: value in row,
                "bin": lambda value, bins=bins: value in bins,
                "outcome": lambda value, outcomes=outcomes: outcomes[value],
            }
            if all(fits[name](value) for name, value in asked.items() if name != "checkpoint"):
                turns.append(number_of)
        found.append(turns)
    return found


COUNTED = """() => [...document.querySelectorAll("#scores, #confusion, #groups")].flatMap(head =>
    [...head.closest("section").querySelectorAll("tbody tr")].filter(row => row.checkVisibility()).flatMap(row =>
        [...row.querySelectorAll("a")].filter(a => a.checkVisibility()).map(a =>
            [a.hash, Number((a.closest("td") ?? row.cells[1]).innerText.replace(",", ""))])))"""


def test_each_count_is_that_of_the_turns_that_its_link_leads_to(open_page):
    page = open_page()
    counted = page.evaluate(COUNTED)
    assert {"outcome", "label", "group"} <= {name for hash_, _ in counted for name in parse_qs(hash_[1:])}
    found = {}
    for hash_, _ in counted:
        page.evaluate("hash => { location.hash = hash }", hash_)
        wait_for(page, "hash => new URLSearchParams(location.hash.slice(1)).has('dialogue')")
        found[hash_] = int(page.locator("#found").inner_text().split(", ")[1].split()[0].replace(",", ""))
    assert found == dict(counted)


@pytest.mark.parametrize(
    "link",
    [
        "#confusion >> xpath=.. >> tbody tr:nth-child(3) td a >> nth=1",
        "#classes >> xpath=.. >> tbody a >> nth=4",
        "#groups >> xpath=.. >> table >> nth=1 >> tbody a >> nth=2",
        "#errors >> xpath=.. >> p a >> nth=0",
        "#errors >> xpath=.. >> p a >> nth=1",
        "#scores >> xpath=.. >> td a, th a >> nth=0",
        ".reliability a >> nth=4",
    ],
)
def test_a_link_leads_to_its_turns(data, open_page, link):
    page = open_page()
    page.locator(f"{link} >> visible=true" if "scores" not in link else link).first.click()
    asked = {name: values[0] for name, values in parse_qs(page.url.partition("#")[2]).items()}
    expected = fitting(data, 0, {k: v for k, v in asked.items() if k not in ("dialogue", "turn")})
    count = sum(map(bool, expected))
    assert 0 < count < len(expected)
    wait_for(page, "text => document.getElementById('found').textContent.startsWith(text)", f"{count} of ")
    first = next(k for k, turns in enumerate(expected) if turns)
    assert data["dialogues"][first]["id"] in page.locator("#heading").inner_text()
    assert page.locator(".turn.selected").get_attribute("data-turn") == str(expected[first][0] - 1)
