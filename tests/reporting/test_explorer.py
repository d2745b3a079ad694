"""Finding conversations and going through them: the report in a headless Chromium, skipped where there is none."""

from urllib.parse import parse_qs, urlencode

import pytest

from tests.browser import wait_for
from tests.reporting.made_up import HOSTILE, result

SHOWN = """() => [document.querySelector("#heading bdi").innerText,
    document.querySelector(".selected .who")?.textContent.split(" ")[0] ?? null]"""


def is_shown(page, dialogue, turn=None):
    """The page follows its address a moment later."""
    wait_for(page, f"shown => JSON.stringify(({SHOWN})()) === JSON.stringify(shown)", [dialogue, turn])


def errors_of(data, checkpoint, d):
    turns = data["dialogues"][d]["turns"]
    return [t for t, turn in enumerate(turns) if turn["label"] not in (-1, result(data, checkpoint, d, t)[1])]


def fits(data, checkpoint, d, t, asked):
    """Whether a turn is what filters of an address are about, said slowly."""
    dialogue, classes = data["dialogues"][d], data["classes"]
    turn, (output, prediction) = dialogue["turns"][t], result(data, checkpoint, d, t)
    every = [result(data, c, d, t)[1] for c in (0, 1)]
    words = asked.get("search", "").lower()
    outcomes = {
        "wrong": turn["label"] not in (-1, prediction),
        "right": turn["label"] == prediction,
        "all-wrong": turn["label"] >= 0 and turn["label"] not in every,
        "all-right": every == [turn["label"]] * 2,
        "mixed": every[0] != every[1] and turn["label"] in every,
        "disagree": every[0] != every[1],
    }
    title, _, row = asked.get("group", ": ").partition(": ")
    when, _, k = asked.get("bin", "-").partition("-")
    groups = {(g["title"], g["rows"][at]) for g, at in zip(data["groups"], turn["groups"], strict=True) if at >= 0}
    return (
        ("label" not in asked or (turn["label"] >= 0 and classes[turn["label"]] == asked["label"]))
        and ("predicted" not in asked or classes[prediction] == asked["predicted"])
        and asked.get("speaker", turn["speaker"]) == turn["speaker"]
        and ("outcome" not in asked or outcomes[asked["outcome"]])
        and ("group" not in asked or (title, row) in groups)
        and ("bin" not in asked or output["bins"][["before", "after"].index(when)] == int(k) - 1)
        and any(words in text.lower() for text in (dialogue["id"], turn["speaker"], turn["sentence"]))
    )


ASKED = [
    {"search": "friend HER"},
    {"search": "&IMPRO=03#%<"},
    {"search": "<script>"},
    {"search": "&ünal"},
    {"search": "!-- <"},
    {"search": "x" * 50_000},
    {"label": "fear", "predicted": "neutral"},
    {"outcome": "wrong", "speaker": "1"},
    {"label": "joy", "outcome": "wrong", "search": "not"},
    {"speaker": "<i>&Ünal"},
    {"label": "joy", "predicted": "joy", "outcome": "wrong"},
    {"outcome": "all-wrong"},
    {"outcome": "disagree"},
    {"outcome": "mixed"},
    {"outcome": "all-right"},
    {"group": "emotion shift: other emotion", "outcome": "right"},
]
BINS = [{"bin": "before-9"}, {"bin": "after-7", "outcome": "wrong"}]  # chosen in the reliability diagrams only


@pytest.mark.parametrize(
    ("by", "asked"),
    [*(("address", asked) for asked in [{}, *ASKED, *BINS]), *(("controls", asked) for asked in ASKED)],
    ids=lambda value: value if isinstance(value, str) else " ".join(value.values())[:60] or "none",
)
def test_filters(data, open_page, by, asked):
    """The list has the conversations with a turn that fits, each leads to its first one; an address does so at once."""
    page = open_page("#" + urlencode(asked | {"checkpoint": "2"} if by == "address" else {"checkpoint": "2"}))
    if by == "controls":
        for name, value in asked.items():
            if name == "search":
                page.fill("#search", value)
            else:
                page.select_option(f"#{name}", value=f"={value}" if name == "speaker" else value)
    expected, count = [], 0
    for d, dialogue in enumerate(data["dialogues"]):
        n, wrong = len(dialogue["turns"]), len(errors_of(data, 1, d))
        fitting = [t + 1 for t in range(n) if fits(data, 1, d, t, asked)]
        count += len(fitting)
        labelled = sum(turn["label"] >= 0 for turn in dialogue["turns"])
        of = "" if labelled == n else f" of {labelled} labelled"
        by_id = set(asked) <= {"search"} and asked.get("search", "").lower() in dialogue["id"].lower()
        if fitting:
            text = f"{dialogue['id']} {n} turn{'s' * (n > 1)}, {wrong}{of} wrong"
            expected.append((dialogue["id"], None if by_id else [str(fitting[0])], text))
    said = f", {count} turn{'s' * (count != 1)} that fit{'s' * (count == 1)}" if asked else ""
    assert page.locator("#found").inner_text() == f"{len(expected)} of 115 conversations{said}"
    if by == "address" and expected and asked:
        assert page.evaluate(SHOWN) == [expected[0][0], expected[0][1] and expected[0][1][0]]
    if len(expected) > 100:
        assert page.locator("#list a").count() == 100
        page.click("#more")
    assert not page.locator("#more").is_visible()
    links = page.locator("#list a").evaluate_all("links => links.map(a => [a.hash, a.textContent])")
    queries = [parse_qs(link[1:], keep_blank_values=True) for link, _ in links]
    assert [(q["dialogue"][0], q.get("turn"), text) for q, (_, text) in zip(queries, links, strict=True)] == expected
    assert all(q["checkpoint"] == ["2"] for q in queries)
    assert all({name: q[name][0] for name in asked} == asked for q in queries)
    now = parse_qs(page.evaluate("location.hash.slice(1)"), keep_blank_values=True)
    assert {name: now[name][0] for name in asked} == asked
    if asked:
        page.click("#clear")
        assert page.locator("#found").inner_text() == "115 of 115 conversations"
        assert set(parse_qs(page.evaluate("location.hash.slice(1)"))) <= {"dialogue", "turn", "checkpoint"}


def test_the_count_of_a_cell_is_that_of_its_turns(data, open_page):
    for label, predicted in ((0, 0), (4, 0), (6, 3)):
        page = open_page(f"#label={data['classes'][label]}&predicted={data['classes'][predicted]}")
        count = data["checkpoints"][0]["confusion"][label][predicted]
        assert f", {count} turn" in page.locator("#found").inner_text()


@pytest.mark.parametrize("sort", ["errors", "share", "sure", "unsure"])
@pytest.mark.parametrize("asked", [{}, {"outcome": "wrong"}], ids=["all", "wrong"])
def test_sorts(data, open_page, sort, asked):
    """Equal ones keep the order of the file; where turns are sorted, each conversation leads to its first one."""
    page = open_page("#" + urlencode({"sort": sort} | asked))
    found = []
    for d, dialogue in enumerate(data["dialogues"]):
        turns = [t for t in range(len(dialogue["turns"])) if fits(data, 0, d, t, asked)]
        if not turns:
            continue
        sure = [round(max(result(data, 0, d, t)[0]["probability"]), 3) for t in turns]  # as exact as the page has them
        labelled = sum(turn["label"] >= 0 for turn in dialogue["turns"])
        wrong = len(errors_of(data, 0, d))
        at = {"sure": sure.index(max(sure)), "unsure": sure.index(min(sure))}.get(sort, 0)
        keys = {"errors": -wrong, "share": -wrong / labelled, "sure": -max(sure), "unsure": min(sure)}
        turn = str(turns[at] + 1) if asked or sort in ("sure", "unsure") else None
        found.append((keys[sort], d, dialogue["id"], turn))
    expected = [[name, turn] for _, _, name, turn in sorted(found, key=lambda one: one[:2])]
    assert len({key for key, *_ in found}) < len(found)  # some are equal
    if page.locator("#more").is_visible():
        page.click("#more")
    hashes = page.locator("#list a").evaluate_all("links => links.map(a => a.hash.slice(1))")
    assert [[(q := parse_qs(one))["dialogue"][0], q.get("turn", [None])[0]] for one in hashes] == expected
    assert page.evaluate(SHOWN) == expected[0]


def test_a_hit_is_marked_and_in_view(data, open_page):
    page = open_page("#search=HER+not")
    d, t = next(
        (d, t)
        for d, dialogue in enumerate(data["dialogues"])
        for t, turn in enumerate(dialogue["turns"])
        if "her not" in turn["sentence"].lower()
    )
    assert page.evaluate(SHOWN) == [data["dialogues"][d]["id"], str(t + 1)]
    assert page.locator(".selected mark").first.inner_text().lower() == "her not"
    assert page.locator(".selected .sentence").inner_text() == data["dialogues"][d]["turns"][t]["sentence"]
    assert page.locator(".selected mark").first.evaluate(
        "e => e.getBoundingClientRect().top > 0 && e.getBoundingClientRect().bottom < innerHeight"
    )
    page.fill("#search", "")
    wait_for(page, "() => !document.querySelector('mark')")
    page.fill("#search", "a (b")  # signs of patterns are words here
    assert page.locator("#found").inner_text() == "0 of 115 conversations, 0 turns that fit"
    page.fill("#search", "you")
    page.press("#search", "Enter")
    wait_for(page, "() => document.activeElement.closest('.selected')?.querySelector('mark')")


def test_next_and_previous_error(data, open_page):
    """Through all errors of the list, on to the next conversation, and back; at the end the page says so."""
    page = open_page("#outcome=wrong&label=anger&theme=light")
    errors = [
        [dialogue["id"], str(t + 1)]
        for d, dialogue in enumerate(data["dialogues"])
        for t in errors_of(data, 0, d)
        if data["classes"][dialogue["turns"][t]["label"]] == "anger"
    ]
    assert len({name for name, _ in errors}) > 2
    assert page.evaluate(SHOWN) == errors[0]
    for k, error in enumerate(errors[1:]):
        if k % 2:
            page.click("#next")
        else:
            page.keyboard.press("n")
        assert page.evaluate(SHOWN) == error
        assert page.evaluate("document.activeElement.closest('.turn').dataset.turn") == str(int(error[1]) - 1)
    page.keyboard.press("n")
    assert page.locator("#notice").inner_text() == "No error after this one fits the filters."
    assert page.evaluate(SHOWN) == errors[-1]
    for error in errors[-2::-1]:
        page.keyboard.press("p")
        assert page.evaluate(SHOWN) == error
    page.click("#previous")
    assert page.locator("#notice").inner_text() == "No error before this one fits the filters."
    page.go_back()
    is_shown(page, *errors[1])


def test_hostile_text(data, open_page):
    page = open_page(f"#dialogue={data['dialogues'][0]['id']}")
    sentences = page.locator(".sentence").all_text_contents()
    assert sentences[: len(HOSTILE)] == HOSTILE
    page.goto(page.url.split("#")[0] + f"#dialogue={data['dialogues'][1]['id']}&turn=2")
    wait_for(page, "() => document.querySelectorAll('.turn').length === 3")
    text = " ".join(page.locator(".selected > button").inner_text().split())
    prediction = data["classes"][result(data, 0, 1, 1)[1]]
    assert text.startswith(f"2 · speaker <i>&Ünal (no sentence) no label, predicted {prediction} ")
    assert "wrong" not in text
    assert "right" not in text
