"""How large the page of a report is, and how quick: `python -m benchmarks.report`, in a headless Chromium.

Conversations are made up: as many as MELD's test split has, 2,000, and a single one of 400 turns; so are the outputs of
three checkpoints. Per case: seconds of the processor for the numbers, the page and report.json, their sizes, and in
Chromium milliseconds until an opened turn is shown, and to select one turn in view after the other, with the details of
every turn open: from the click until the next frame is drawn. Medians, and the longest selection, with n.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.browser import browser
from tests.reporting.made_up import made_up, page_in, some_corpus

MEAN = 2610 / 280  # utterances of a dialogue of MELD's test split
SELECT = """async () => {
    const frame = () => new Promise(requestAnimationFrame);
    const times = [];
    for (const item of [...document.querySelectorAll(".turn")].slice(-20)) {
        const button = item.querySelector("button");
        item.scrollIntoView({ block: "center" });
        while (!item.querySelector(".details").firstChild) await frame(); // they are made when they come into view
        for (let k = 0; k < 5; k++) await frame();
        const begin = performance.now();
        button.click();
        await frame();
        await new Promise(resolve => setTimeout(resolve));
        times.push(performance.now() - begin);
    }
    return times;
}"""


def lengths(dialogues: int) -> np.ndarray:
    """How long as many dialogues are, at least one turn, MELD's mean."""
    rest = round(dialogues * (MEAN - 1))
    return np.random.default_rng(0).multinomial(rest, np.full(dialogues, 1 / dialogues)) + 1


def measured(turns: np.ndarray, folder: Path, repetitions: int) -> dict[str, float | int]:
    """What a report on conversations of so many `turns` takes."""
    corpus, begin = some_corpus(turns), time.process_time()
    data = made_up(corpus)
    numbers, begin = time.process_time() - begin, time.process_time()
    page = page_in(folder, data)
    written, begin = time.process_time() - begin, time.process_time()
    file = folder / "report.json"
    file.write_text(json.dumps(data, allow_nan=False), encoding="utf-8")
    row: dict[str, float | int] = {"dialogues": len(turns), "utterances": int(turns.sum()), "numbers_s": numbers}
    row |= {"page_s": written, "json_s": time.process_time() - begin}
    row |= {"page_mb": page.stat().st_size / 1e6, "json_mb": file.stat().st_size / 1e6}
    longest = int(turns.argmax())
    opened, selected = [], []
    with browser() as chromium:
        for _ in range(repetitions):
            window = chromium.new_page(viewport={"width": 1280, "height": 900})
            window.set_default_timeout(120_000)
            begin = time.perf_counter()
            window.goto(f"{page.as_uri()}#dialogue={corpus.ids[longest]}&turn=1")
            window.locator(".selected .details table").first.wait_for()
            opened.append(1000 * (time.perf_counter() - begin))
            window.check("#all")
            selected += window.evaluate(SELECT)
            window.close()
    row |= {"open_ms": statistics.median(opened), "select_ms": statistics.median(selected), "n": len(selected)}
    return row | {"longest_select_ms": max(selected)}


def main() -> None:
    """Print a row for each case, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    arguments = parser.parse_args()
    for turns in (lengths(280), lengths(2000), np.array([400])):
        with tempfile.TemporaryDirectory() as folder:
            row = measured(turns, Path(folder), arguments.repetitions)
        print(json.dumps({key: round(value, 2) for key, value in row.items()}), flush=True)


if __name__ == "__main__":
    main()
