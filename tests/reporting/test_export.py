"""Tables and diagrams saved from the report in a headless Chromium, skipped where there is none."""

import csv
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from tests.browser import tables
from tests.reporting.made_up import made_up, page_in, some_corpus

NAMES = ["=SUM(A1)", 'say "a, b"', "50 %_&_#1$", r"\ {x}^~", "[*] <b>|c>", "-- ,, `a' é", "ends<"]
SENTENCES = ["=1+1", "+49 30 1234", "-5 degrees", '@home, "yes"', "−3.5", "line\nbreak\ttab", "[a] * \\\\ % {", "1,234"]


@pytest.fixture(scope="module")
def data():
    corpus = some_corpus([8, 3, 12, 20], classes=NAMES, seed=4)
    corpus.sentences[: len(SENTENCES)] = SENTENCES
    corpus.label[: len(SENTENCES)] = 0
    data = made_up(corpus, checkpoints=2, paper=None, seed=1)
    for turn in data["checkpoints"][0]["turns"][: len(SENTENCES)]:  # the most confident errors
        turn |= {"prediction": 1, "probability": [0.0, 1.0, 0, 0, 0, 0, 0]}
    return data


@pytest.fixture(scope="module")
def page(data, chromium, tmp_path_factory):
    file = page_in(tmp_path_factory.mktemp("export"), data)
    page = chromium.new_page(color_scheme="dark", accept_downloads=True)
    page.set_default_timeout(10_000)
    noise = []
    page.on("console", lambda message: noise.append(message.text))
    page.on("pageerror", lambda error: noise.append(str(error)))
    page.goto(file.as_uri())
    page.evaluate("for (const menu of document.querySelectorAll('.save, .more')) menu.open = true")
    yield page
    page.close()
    assert noise == []


def save(page, name, kind):
    """(name of the file, its bytes) that the menu of the table or diagram `name` gives."""
    node = page.locator(f'[data-name="{name}"]')
    around = "self::figure or contains(@class, 'scroll') or contains(@class, 'stripes')"
    menu = node.locator(f"xpath=ancestor-or-self::*[{around}][1]")
    button = menu.locator(f"xpath=(descendant::button | following-sibling::details[1]/button)[text()='{kind}']")
    page.wait_for_timeout(110)  # Chromium takes ten downloads a second, and drops others
    with page.expect_download() as download:
        button.click()
    return download.value.suggested_filename, download.value.path().read_bytes()


def saved_csv(page, name):
    file, content = save(page, name, "CSV")
    assert file == f"{name}.csv"
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


def plain(text, is_data=False):
    """A cell as it is shown, as it should be in a CSV file; `is_data`: words of the data, whatever they look like."""
    if not is_data and re.fullmatch(r"[−+]?[\d,]*\d(\.\d+)?( %)?", text):
        return text.replace(",", "").replace("−", "-").removeprefix("+").removesuffix(" %")
    return "" if text == "–" else f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


def test_scores_have_means_and_spreads_in_columns_of_their_own(page, data):
    head, *rows = saved_csv(page, "scores")
    names = [part["name"] for part in data["checkpoints"]]
    assert head == ["Score", "Mean ± std mean", "Mean ± std std", "95 % interval low", "95 % interval high", *names]
    for row, summary in zip(rows, data["runs"][0]["summary"], strict=True):
        assert row[0] == summary["name"]
        numbers = [summary["mean"], summary["std"], *summary["interval"], *summary["values"]]
        np.testing.assert_allclose([float(cell) for cell in row[1:]], numbers, atol=5.001e-3)


@pytest.mark.parametrize(
    ("section", "place", "name"),
    [
        ("classes", 0, "classes"),
        ("confusion", 0, "confusion"),
        ("calibration", 0, "calibration"),
        ("groups", 1, "own-history"),
        ("errors", 0, "errors"),
        ("weights", 0, "gates"),
    ],
)
def test_csv_holds_the_cells_that_are_shown(page, section, place, name):
    shown = tables(page, section)[place]
    head, *rows = saved_csv(page, f"{name}-ECERC_MODEL.pkl")
    bars = [k for k, text in enumerate(shown[0]) if not text]
    assert len(rows) == len(shown) - 1
    for row, texts in zip(rows, shown[1:], strict=True):
        texts = [" ".join(text.split()) for k, text in enumerate(texts) if k not in bars]
        expected = []
        for text in texts:
            ends = re.fullmatch(r"(\S+) to (\S+)", text) if "95 % interval" in shown[0] else None
            expected += map(plain, ends.groups() if ends else [text])
        if name == "errors":
            expected[1:5] = (plain(text, is_data=True) for text in texts[1:5])
        assert row == expected
        assert len(row) == len(head)


def test_only_numbers_may_look_like_formulas(page):
    rows = saved_csv(page, "errors-ECERC_MODEL.pkl")[1:]
    sentences = {row[2] for row in rows}
    assert {"'=1+1", "'+49 30 1234", "'-5 degrees", '\'@home, "yes"', "−3.5", "1,234"} <= sentences
    assert "line break tab" in sentences
    for cell in (cell for row in rows for cell in row):
        assert not re.match(r"[=@]|[+-](?![\d.]+$)", cell), cell
    gates = saved_csv(page, "gates-ECERC_MODEL.pkl")[1:]
    assert any(float(row[3]) < 0 for row in gates)


def test_bins_have_one_row_of_heads(page, data):
    head, *rows = saved_csv(page, "bins-ECERC_MODEL.pkl")
    assert head[:5] == ["Bin, % low", "Bin, % high", "Before Utterances", "Before Confidence", "Before Accuracy"]
    for row, part in zip(rows, data["checkpoints"][0]["calibration"]["before"]["bins"], strict=True):
        np.testing.assert_allclose(
            [float(cell) for cell in row[:2]], [100 * part["low"], 100 * part["high"]], atol=0.051
        )
        assert row[2] == str(part["count"])
        assert row[3] == (f"{100 * part['confidence']:.1f}" if part["count"] else "")


def test_the_confusion_matrix_is_saved_as_it_is_shown(page, data):
    counts = data["checkpoints"][0]["confusion"]
    assert [[int(cell) for cell in row[1:]] for row in saved_csv(page, "confusion-ECERC_MODEL.pkl")[1:]] == counts
    assert saved_csv(page, "confusion-ECERC_MODEL.pkl")[0][1:] == [plain(name, is_data=True) for name in NAMES]
    page.check("#show-shares")
    shares = [[float(cell or 0) for cell in row[1:]] for row in saved_csv(page, "confusion-ECERC_MODEL.pkl")[1:]]
    np.testing.assert_allclose(shares, [[100 * n / max(sum(row), 1) for n in row] for row in counts], atol=0.051)
    page.check("#show-counts")


WORDS = {"textbackslash": "\\", "textasciicircum": "^", "textasciitilde": "~", "textless": "<", "textgreater": ">"}
WORDS |= {"textbar": "|", "textquotedbl": '"', "textquotesingle": "'", "textasciigrave": "`"}
MATHS = {"-": "−", "\\pm": "±", "\\times": "×", "\\rho": "ρ", "\\rightarrow": "→", "\\downarrow": "↓"}


def typeset(text):
    """What LaTeX sets for a cell: by a reader that knows the commands above, and no character with a meaning beside."""
    token = re.compile(
        r"\\([a-z]+)\{\}|\\([{}$&#%_])|\$([^$]+)\$|\{([^\\{}]?)\}|(---?)|(``|'')|([^\\{}$&#%_^~<>|\"`*\[\]])"
    )
    out, at = "", 0
    while at < len(text):
        found = token.match(text, at)
        assert found, text[at:]
        word, sign, maths, group, dash, quote, letter = found.groups()
        out += WORDS[word] if word else MATHS[maths] if maths else {"--": "–", "---": "—"}[dash] if dash else ""
        out += sign or group or ("“" if quote == "``" else "”" if quote else letter or "")
        at = found.end()
    return out


@pytest.mark.parametrize("name", ["scores", "confusion-ECERC_MODEL.pkl", "errors-ECERC_MODEL.pkl"])
def test_latex_sets_what_is_shown(page, name):
    section = name.partition("-")[0]
    shown = tables(page, section)[0]
    file, content = save(page, name, "LaTeX")
    assert file == f"{name}.tex"
    lines = content.decode().splitlines()
    assert lines[0].startswith("%")
    columns = re.fullmatch(r"\\begin\{tabular\}\{([lr]+)\}", lines[4])[1]
    assert [lines[k] for k in (1, 2, 5, 7, -3, -2, -1)] == [
        "\\begin{table}",
        "\\centering",
        "\\toprule",
        "\\midrule",
        "\\bottomrule",
        "\\end{tabular}",
        "\\end{table}",
    ]
    rows = [line.removesuffix(" \\\\").split(" & ") for line in (lines[6], *lines[8:-3])]
    assert [[typeset(cell) for cell in row] for row in rows] == [
        [" ".join(cell.split()).replace("’", "'") for cell in row] for row in shown
    ]
    assert {len(row) for row in rows} == {len(columns)}
    assert typeset(re.fullmatch(r"\\caption\{(.*)\}", lines[3])[1])
    for line in (lines[6], *lines[8:-3]):
        assert line[0] not in "[*"  # the row before would take it for its argument


def test_no_letters_join_in_latex(page):
    texts = ["a--b---c", ",,", "[x]", "*", "\\\\", "$$", "'' ``", "a\u0000b", "ﬁ 贵 حزن 😀"]
    made = page.evaluate("texts => texts.map(latex)", texts)
    assert made[:2] == ["a-{}-b-{}-{}-c", ",{},"]
    assert [typeset(text) for text in made[2:7]] == texts[2:7]
    assert made[8] == texts[8]


SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", ["reliability-before-ECERC_MODEL.pkl", "curves-train_loss"])
def test_svg_stands_alone(page, name):
    """In the colours of the light theme, on white, without style sheet, links and names of this page."""
    file, content = save(page, name, "SVG")
    assert file == f"{name}.svg"
    root = ElementTree.fromstring(content)
    assert root.tag == f"{SVG}svg"
    paper = root[0]
    assert (paper.tag, paper.get("fill")) == (f"{SVG}rect", "#ffffff")
    nodes = list(root.iter())
    held = {attribute for node in nodes for attribute in node.attrib}
    assert not held & {"class", "style", "href", "data-name", "aria-label", "tabindex"}
    assert b"var(" not in content
    there = page.evaluate("name => document.querySelector(`[data-name='${name}']`).querySelectorAll('*').length", name)
    assert len(nodes) == there + 2  # root and paper
    blues = {node.get("fill") for node in nodes} | {node.get("stroke") for node in nodes}
    assert "rgb(43, 108, 176)" in blues  # the accent of the light theme; the page is dark
    words = [node for node in nodes if node.tag == f"{SVG}text"]
    assert words
    assert {node.get("font-size") for node in words} <= {"11px", "8.5px"}
    assert page.evaluate("document.documentElement.dataset.theme") is None


def test_the_strip_of_a_conversation_can_be_saved(page, data):
    _, content = save(page, "conversation", "SVG")
    cells = [node.get("fill") for node in ElementTree.fromstring(content).iter(f"{SVG}rect")][1:]
    at = data["highlight"]
    labels = [turn["label"] for turn in data["dialogues"][at["dialogue"]]["turns"]]
    colors = ["rgb({}, {}, {})".format(*bytes.fromhex(data["colors"][label][1:])) for label in labels]
    assert [cell for cell in cells if cell in colors]
    assert cells[0] == colors[0]
    file, content = save(page, "conversation", "PNG")
    assert file == "conversation.png"
    size = page.locator(".first .strip").bounding_box()
    assert Image.open(io.BytesIO(content)).size == (round(3 * size["width"]), round(3 * size["height"]))


def test_png_shows_the_diagram(page):
    file, content = save(page, "reliability-before-ECERC_MODEL.pkl", "PNG")
    assert file == "reliability-before-ECERC_MODEL.pkl.png"
    image = Image.open(io.BytesIO(content)).convert("RGB")
    assert image.size == (3 * 405, 3 * 368)
    colors = {color for _, color in image.getcolors(1 << 20)}
    assert (255, 255, 255) in colors
    pixels = np.asarray(image).reshape(-1, 3).astype(int)
    assert (np.abs(pixels - [96, 145, 196]).max(1) < 4).sum() > 1000  # the bars: the accent, three quarters of it


def test_each_table_and_diagram_has_its_menu(page):
    missing = page.evaluate(
        """() => [...document.querySelectorAll("section:not(.explorer) [data-name]")].filter(node =>
            !node.closest("figure")?.querySelector(".save") &&
            !node.closest(".scroll, .stripes")?.nextElementSibling?.matches(".save")).map(node => node.dataset.name)"""
    )
    assert missing == []
    assert page.locator("section [data-name]").count() > 20
    page.emulate_media(media="print")
    assert page.locator(".save >> visible=true").count() == 0
    page.emulate_media(media="screen")
