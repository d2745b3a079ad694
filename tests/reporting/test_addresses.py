"""Addresses, the back button and the keyboard: the report in a headless Chromium, skipped where there is none."""

from urllib.parse import parse_qs

import pytest

from tests.browser import wait_for
from tests.reporting.test_explorer import SHOWN, is_shown

FOCUS = "() => document.activeElement.closest('.turn')?.dataset.turn ?? document.activeElement.id"


def asked(page):
    return {name: value for name, (value,) in parse_qs(page.url.partition("#")[2], keep_blank_values=True).items()}


def test_it_begins_with_the_conversation_worth_a_look(data, open_page):
    page = open_page()
    look = data["highlight"]
    assert page.evaluate(SHOWN) == [data["dialogues"][look["dialogue"]]["id"], str(look["turn"] + 1)]
    assert page.evaluate("[scrollY, document.activeElement.tagName]") == [0, "BODY"]  # the first screen is seen first
    assert asked(page) == {}


def test_selection_and_back_button(data, open_page):
    page = open_page()
    began = page.evaluate(SHOWN)
    ids = [dialogue["id"] for dialogue in data["dialogues"]]
    page.locator("#list a", has_text=ids[3]).click()
    is_shown(page, ids[3])
    assert page.locator("#list [aria-current=true] b").inner_text() == ids[3]
    page.locator("#list a", has_text=ids[4]).click()
    is_shown(page, ids[4])
    page.click(".turn >> nth=6 >> button >> nth=0")
    assert asked(page) == {"dialogue": ids[4], "turn": "7"}
    page.keyboard.press("ArrowDown")  # in place of that step
    page.keyboard.press("ArrowDown")
    assert asked(page) == {"dialogue": ids[4], "turn": "9"}
    for expected in ([ids[4], None], [ids[3], None], began):
        page.go_back()
        is_shown(page, *expected)
    page.go_forward()
    is_shown(page, ids[3])


def test_a_deep_link_lands_with_the_turn_in_view(data, open_page):
    page = open_page(f"#dialogue={data['dialogues'][4]['id']}&turn=18&checkpoint=2")
    assert page.evaluate("document.querySelector('#checkpoint').selectedIndex") == 1
    assert page.evaluate(FOCUS) == "17"
    page.wait_for_timeout(200)
    box = page.locator(".selected > button").bounding_box()
    assert box["y"] > 60  # not below the bar of the checkpoint
    assert box["y"] + box["height"] < 900


def test_links_of_the_sections_filter_and_keep_the_theme(data, open_page):
    """A link as the sections have them, followed twice: filters are what it says, the theme stays."""
    page = open_page(f"#theme=dark&search=you&dialogue={data['dialogues'][4]['id']}")
    page.evaluate(
        """() => { const link = document.createElement("a"); link.id = "cell"; link.textContent = "3";
            link.href = "#label=anger&predicted=neutral&checkpoint=2"; document.querySelector("h1").append(link) }"""
    )
    page.click("#cell")
    wait_for(page, "() => document.activeElement.closest('.turn.selected')")
    said = {"label": "anger", "predicted": "neutral", "checkpoint": "2", "theme": "dark"}
    first = asked(page)
    assert {name: first.pop(name) for name in said} == said
    assert set(first) == {"dialogue", "turn"}
    page.keyboard.press("n")
    assert asked(page)["label"] == "anger"
    page.evaluate("scrollTo(0, 0)")
    page.click("#cell")
    wait_for(page, "() => scrollY > 0 && document.activeElement.closest('.turn.selected')")
    assert asked(page) == said | first


def test_a_link_to_what_is_shown_leads_there(data, open_page):
    page = open_page(f"#dialogue={data['dialogues'][4]['id']}&turn=18")
    page.evaluate(
        """() => { const link = document.createElement("a"); link.id = "same"; link.textContent = "here";
            link.href = location.hash; document.querySelector("h1").append(link); scrollTo(0, 0) }"""
    )
    page.click("#same")
    wait_for(page, "() => scrollY > 0 && document.activeElement.closest('.turn.selected')")


def test_a_place_of_the_page_keeps_what_is_shown(data, open_page):
    page = open_page(f"#dialogue={data['dialogues'][4]['id']}&turn=5&outcome=wrong&theme=dark&checkpoint=2&sort=share")
    state = f"""() => [({SHOWN})(), document.querySelector("#outcome").value, document.querySelector("#sort").value,
        document.querySelector("#checkpoint").value, document.documentElement.dataset.theme,
        document.querySelector("#found").innerText]"""
    before = page.evaluate(state)
    assert before[0] == [data["dialogues"][4]["id"], "5"]
    assert before[1:5] == ["wrong", "share", "1", "dark"]
    page.reload()
    assert page.evaluate(state) == before
    page.click("nav a >> text=Conversations")
    wait_for(page, "() => location.hash === '#explorer' && history.state")
    assert page.evaluate(state) == before
    page.reload()
    assert page.evaluate(state) == before
    page.select_option("#label", "joy")
    assert asked(page) == {
        "dialogue": data["dialogues"][4]["id"],
        "turn": "5",
        "outcome": "wrong",
        "theme": "dark",
        "checkpoint": "2",
        "sort": "share",
        "label": "joy",
    }


@pytest.mark.parametrize(
    ("hash_", "words"),
    [
        ("#dialogue=nobody&turn=1", "This report has no conversation nobody."),
        ("#dialogue=100&turn=99", "There is no turn 99."),
        ("#dialogue=100&turn=1.5", "There is no turn 1.5."),
        ("#dialogue=100&turn=1&checkpoint=3", "There is no checkpoint 3."),
        ("#label=envy&predicted=joy", "Nothing here has the label “envy”; it is left out."),
        ("#group=age: old", "Nothing here has the group “age: old”; it is left out."),
        ("#sort=backwards", "Nothing here has the sort “backwards”; it is left out."),
        ("#bin=3", "Nothing here has the bin “3”; it is left out."),
        ("#dialogue=100&turn=2", ""),
    ],
)
def test_what_is_not_there_is_said(open_page, hash_, words):
    page = open_page(hash_)
    assert page.locator("#notice").inner_text() == words
    assert page.locator(".turn").count() > 0


def test_turns_that_have_gone_are_not_filled(data, open_page):
    """They come into view in the very moment in which another address takes them away."""
    page = open_page("#search=nothing like it")
    id_ = data["dialogues"][4]["id"]
    for hash_ in (f"dialogue={id_}", "search=nothing like it", f"dialogue={id_}", "search=nor this"):
        page.evaluate("hash => { document.querySelector('#explorer').scrollIntoView(); location.hash = hash }", hash_)
        page.wait_for_timeout(30)
    page.evaluate(
        """id => new Promise(done => requestAnimationFrame(() => {
            go({ dialogue: positionOf.get(id), search: null });
            requestAnimationFrame(() => {
              go({ dialogue: -1, search: "nothing like it" });
              setTimeout(done, 100);
            });
        }))""",
        id_,
    )
    assert page.locator(".turn").count() == 0


def test_theme(open_page):
    page = open_page()
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.click("#theme")
    assert asked(page)["theme"] == "dark"
    assert page.evaluate(ground) != light
    top = page.evaluate("scrollY")
    page.reload()
    assert page.evaluate(ground) != light
    assert page.get_attribute("#theme", "aria-pressed") == "true"
    assert page.evaluate("scrollY") == top
    page.click("#theme")
    assert page.evaluate(ground) == light


def test_from_the_top_to_the_first_turn_in_few_keys(data, open_page):
    page = open_page(f"#dialogue={data['dialogues'][4]['id']}")
    page.evaluate("() => { scrollTo(0, 0); document.activeElement.blur() }")
    page.locator("body").evaluate("body => { body.tabIndex = -1; body.focus(); body.removeAttribute('tabindex') }")
    keys = ["Tab", "Enter", "Tab", "Enter"]
    for key in keys:
        page.keyboard.press(key)
        page.wait_for_timeout(50)
    assert page.evaluate(FOCUS) == "0"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_keyboard_in_the_turns(data, open_page):
    page = open_page(f"#dialogue={data['dialogues'][4]['id']}")
    page.locator(".turn > button").first.focus()
    state = "[document.activeElement.closest('li').dataset.turn, document.activeElement.ariaExpanded]"
    for key, expected in [
        ("Enter", ["0", "true"]),
        ("ArrowDown", ["1", "true"]),
        ("ArrowDown", ["2", "true"]),
        ("Space", ["2", "false"]),
        ("Space", ["2", "true"]),
        ("ArrowUp", ["1", "true"]),
        ("Escape", ["1", "false"]),
        ("Escape", ["1", "false"]),
        ("Tab", ["2", "false"]),
    ]:
        page.keyboard.press(key)
        assert page.evaluate(state) == expected, key
    assert page.locator(".details:not(:empty)").count() == 0
    page.keyboard.press("Enter")
    said = page.locator("#live").inner_text()
    assert said.startswith("Turn 3 is open: predicted ")
    assert len(said) < 80
    page.keyboard.press("Tab")  # into the opened turn, from where Escape closes it too
    page.keyboard.press("Escape")
    assert page.evaluate(state) == ["2", "false"]
    before = asked(page)
    page.locator("#search").press("n")  # a letter there
    assert asked(page) == before | {"search": "n"}
    page.fill("#search", "")
    page.locator("#all").press("n")  # a box takes no letters
    assert asked(page)["turn"] != before.get("turn")


def test_one_tab_stop_for_the_list(data, open_page):
    page = open_page(f"#dialogue={data['dialogues'][2]['id']}")
    assert page.locator("#list a[tabindex='0']").count() == 1
    page.locator("#list a[tabindex='0']").focus()
    current = "document.activeElement.querySelector('b').innerText"
    ids = [dialogue["id"] for dialogue in data["dialogues"]]
    for key, k in [("ArrowDown", 3), ("ArrowDown", 4), ("ArrowUp", 3), ("Home", 0), ("ArrowUp", 0), ("End", 99)]:
        page.keyboard.press(key)
        assert page.evaluate(current) == ids[k], key
        assert page.locator("#list a[tabindex='0']").count() == 1
    page.keyboard.press("Enter")
    is_shown(page, ids[99])
    page.fill("#search", "nothing like it")
    assert page.locator("#list a").count() == 0
