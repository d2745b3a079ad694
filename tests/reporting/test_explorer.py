"""Finding conversations and going through them: the report in a headless Chromium, skipped where there is none."""

from urllib.parse import parse_qs

import pytest

from tests.browser import tables, wait_for
from tests.reporting.made_up import HOSTILE, result


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"search": "friend HER"},
        {"search": "&IMPRO=03#%<"},
        {"search": "<script>"},
        {"gold": "fear", "predicted": "neutral"},
        {"wrong": True, "speaker": "1"},
        {"gold": "joy", "wrong": True, "search": "not"},
        {"speaker": "<i>&Ünal"},
        {"gold": "joy", "predicted": "joy", "wrong": True},
    ],
)
def test_filters(data, open_page, filters):
    page = open_page()
    page.select_option("#checkpoint", data["checkpoints"][1]["name"])
    for name, value in filters.items():
        if name == "search":
            page.fill("#search", value)
        elif name == "wrong":
            page.check("#wrong")
        else:
            page.select_option(f"#{name}", label=value)
    expected = []
    for d, dialogue in enumerate(data["dialogues"]):
        words = [dialogue["id"], *(turn[key] for turn in dialogue["turns"] for key in ("speaker", "sentence"))]
        if not any(filters.get("search", "").lower() in word.lower() for word in words):
            continue
        labelled = sum(turn["label"] >= 0 for turn in dialogue["turns"])
        wrong, fitting = 0, []
        for t, turn in enumerate(dialogue["turns"]):
            prediction = result(data, 1, d, t)[1]
            is_wrong = turn["label"] not in (-1, prediction)
            wrong += is_wrong
            if (
                filters.get("gold") in (None, data["classes"][turn["label"]] if turn["label"] >= 0 else "")
                and filters.get("predicted") in (None, data["classes"][prediction])
                and filters.get("speaker") in (None, turn["speaker"])
                and (is_wrong or "wrong" not in filters)
            ):
                fitting.append(t + 1)
        if fitting:
            n = len(dialogue["turns"])
            of = "" if labelled == n else f" of {labelled} labelled"
            turn = [str(fitting[0])] if set(filters) - {"search"} else None
            expected.append((dialogue["id"], turn, f"{dialogue['id']}{n} turn{'s' * (n > 1)}, {wrong}{of} wrong"))
    assert page.locator("#found").inner_text() == f"{len(expected)} of 115 conversations"
    if len(expected) > 100:
        assert page.locator("#list a").count() == 100
        page.click("#more")
    assert not page.locator("#more").is_visible()
    links = page.locator("#list a").evaluate_all("links => links.map(a => [a.hash, a.textContent])")
    queries = [parse_qs(link[1:]) for link, _ in links]
    assert [(q["dialogue"][0], q.get("turn"), text) for q, (_, text) in zip(queries, links, strict=True)] == expected
    assert all(q["checkpoint"] == ["2"] for q in queries)


def test_address_and_back_button(data, open_page):
    page = open_page()
    position = """() => [document.querySelector("#heading").innerText.split(":")[0],
        document.querySelector(".selected .who")?.innerText ?? null]"""

    def is_shown(expected):  # the page follows its address a moment later
        wait_for(page, f"shown => JSON.stringify(({position})()) === JSON.stringify(shown)", expected)

    began = page.evaluate(position)
    error = tables(page, "errors")[0][1]  # nothing was asked for: the most confident error is shown
    assert error[0] == f"{began[0].removeprefix('Conversation ')}, turn {began[1].split()[0]}"
    ids = [dialogue["id"] for dialogue in data["dialogues"]]
    page.click(f"#list a >> text='{ids[3]}'")
    is_shown([f"Conversation {ids[3]}", None])
    assert page.locator("#list [aria-current=true] b").inner_text() == ids[3]
    page.click(f"#list a >> text='{ids[4]}'")
    is_shown([f"Conversation {ids[4]}", None])
    page.click(".turn >> nth=6 >> button")
    assert parse_qs(page.evaluate("location.hash.slice(1)")) == {"dialogue": [ids[4]], "turn": ["7"]}
    for expected in ([f"Conversation {ids[4]}", None], [f"Conversation {ids[3]}", None], began):
        page.go_back()
        is_shown(expected)
    page.evaluate("location.hash = '#dialogue=nobody&turn=1'")
    page.evaluate("location.hash = '#scores'")
    assert page.evaluate(position) == began
    page.click(".errors a:visible >> nth=5")
    wait_for(page, "document.activeElement.closest('.selected')")
    dialogue, turn = page.locator(".errors a:visible >> nth=5").inner_text().split(", turn ")
    heading, who = page.evaluate(position)
    assert [heading, who.split()[0]] == [f"Conversation {dialogue}", turn]
    again = open_page(f"#dialogue={ids[4]}&turn=18&checkpoint=2")
    assert again.evaluate("document.querySelector('#checkpoint').selectedIndex") == 1
    assert again.locator(".selected .who").is_visible()
    assert 0 < again.locator(".selected").bounding_box()["y"] < 900


def test_keyboard(open_page, data):
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.evaluate("id => { location.hash = `#dialogue=${id}` }", data["dialogues"][4]["id"])
    wait_for(page, "() => document.querySelectorAll('.turn').length === 20")
    page.locator("#all").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('li').dataset.turn") == "0"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    state = "[document.activeElement.closest('li').dataset.turn, document.activeElement.ariaExpanded]"
    for key, expected in [
        ("Enter", ["0", "true"]),
        ("ArrowDown", ["1", "true"]),
        ("ArrowDown", ["2", "true"]),
        ("Space", ["2", "false"]),
        ("Space", ["2", "true"]),
        ("ArrowUp", ["1", "true"]),
        ("Tab", ["2", "false"]),
    ]:
        page.keyboard.press(key)
        assert page.evaluate(state) == expected, key
    assert page.locator(".details:not(:empty)").count() == 1
    assert page.locator("#live").inner_text().startswith("Turn 2 attended to: self emotion: ")
    page.check("#all")
    assert page.locator(".details:not(:empty)").count() == 20


def test_hostile_text(data, open_page):
    page = open_page(f"#dialogue={data['dialogues'][0]['id']}")
    sentences = page.locator(".sentence").all_text_contents()
    assert sentences[: len(HOSTILE)] == HOSTILE
    page.goto(page.url.split("#")[0] + f"#dialogue={data['dialogues'][1]['id']}&turn=2")
    wait_for(page, "document.querySelectorAll('.turn').length === 3")
    text = " ".join(page.locator(".selected button").inner_text().split())
    prediction = data["classes"][result(data, 0, 1, 1)[1]]
    assert text.startswith(f"2 · speaker <i>&Ünal (no sentence) no label, predicted {prediction} ")
    assert "wrong" not in text
