"""Measurements as one Markdown table, and the tables of `docs/speed.md`, each made from a file of `docs/speed/`.

`python -m benchmarks.markdown` writes these tables anew.
"""

import json
import re
from pathlib import Path

from benchmarks.measures import ROOT, number
from benchmarks.products import ALL
from common.commands.benchmark import PARTS
from common.files import atomic
from common.settings import DATASET_NAMES

PAGE = ROOT / "docs" / "speed.md"
LEFT_OUT = ("necessary GFLOP", "bound, s")
# A place for a table: its JSON file, beside the page, and what stands there now.
PLACE = re.compile(r"(<!-- table of (?P<file>[\w/.-]+\.json) -->\n).*?(<!-- end of the table -->)", re.DOTALL)


def table(rows: dict) -> str:
    """What `python -m common benchmark --json` writes, as a Markdown table: a row per measurement.

    Single products and what the bound is made of stand in the JSON only.
    """
    names = [name for name in DATASET_NAMES if any(f"{name} {part}" in rows for part in PARTS)]
    about, threads = rows["machine"], rows["threads"]
    where = about["gpu"] if rows["device"].startswith("cuda") else about["cpu"]
    title = (
        f"{where}; {threads} thread{'s' * (threads > 1)}; PyTorch {about['torch']}; {rows['library']}; {rows['date']}"
    )
    lines = [f"| {title} | {' | '.join(names)} |", "|---" * (1 + len(names)) + "|"]
    for part in PARTS:
        columns = [rows.get(f"{name} {part}", {}) for name in names]
        for row in dict.fromkeys(row for column in columns for row in column):
            if (part == "products" and not row.startswith(ALL)) or row.endswith(LEFT_OUT):
                continue
            cells = [words(column[row]) if row in column else "" for column in columns]
            lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def words(value: object) -> str:
    """A measurement in words: the median, in brackets the least and the most, and milliseconds where there are some."""
    if isinstance(value, dict):
        spread = number(value["median"])
        if value["n"] > 1:
            spread += f" ({number(value['least'])}–{number(value['most'])})"
        return spread + (f"; {number(value['ms'])} ms" if "ms" in value else "")
    return number(value) if isinstance(value, float) else str(value)


def filled(text: str, folder: Path) -> str:
    """The page `text`, its tables made from the files in `folder`."""

    def made(place):
        return place[1] + table(json.loads((folder / place["file"]).read_text(encoding="utf-8"))) + place[3]

    return PLACE.sub(made, text)


if __name__ == "__main__":
    page = filled(PAGE.read_text(encoding="utf-8"), PAGE.parent)
    with atomic(PAGE) as file:
        file.write(page)
