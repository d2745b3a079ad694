"""The tables of `docs/speed.md` say what their files say."""

import json
import re

import pytest

from benchmarks.markdown import PAGE, PLACE, filled
from common.commands.benchmark import PARTS
from common.settings import DATASET_NAMES

TEXT = PAGE.read_text(encoding="utf-8")
FILES = sorted((PAGE.parent / "speed").glob("*.json"))


def test_the_page_is_made_of_its_files():
    assert filled(TEXT, PAGE.parent) == TEXT, "run: python -m benchmarks.markdown"


def test_each_file_has_one_place():
    assert sorted(place["file"] for place in PLACE.finditer(TEXT)) == [f"speed/{path.name}" for path in FILES]
    assert len(FILES) == len(re.findall("<!-- table of", TEXT)) == len(re.findall("<!-- end of the table -->", TEXT))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_say_where_they_come_from(path):
    rows = json.loads(path.read_text(encoding="utf-8"))
    assert {"cpu", "gpu", "torch", "python"} <= rows["machine"].keys()
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", rows["date"])
    assert rows["library"]
    assert {name for name, value in rows.items() if isinstance(value, dict)} - {"machine"} <= {
        f"{dataset} {part}" for dataset in DATASET_NAMES for part in PARTS
    }
