"""Tables in Markdown of what was measured."""

import json

import pytest

from benchmarks import markdown
from benchmarks.__main__ import MEASURES
from benchmarks.markdown import filled, table
from common.__main__ import main
from common.commands.benchmark import PARTS

ROWS = {
    "machine": {"cpu": "a processor, 2 cores", "gpu": "a card", "torch": "2.13"},
    "device": "cpu",
    "threads": 1,
    "library": "products by hand",
    "date": "2026-01-02",
    "IEMOCAP epoch": {"one, s": {"median": 1.2345, "least": 1.0, "most": 2.0, "n": 5}, "two, bound, s": 1.0},
    "MELD epoch": {"one, s": {"median": 12.0, "least": 12.0, "most": 12.0, "n": 1}, "three": "not measured"},
    "MELD products": {"1 x 2 → 3: F.linear / linear": 1.0, "all products of a step: forward, ms": 1234.5},
}
TABLE = """\
| a processor, 2 cores; 1 thread; PyTorch 2.13; products by hand; 2026-01-02 | IEMOCAP | MELD |
|---|---|---|
| all products of a step: forward, ms |  | 1234 |
| one, s | 1.23 (1–2) | 12 |
| three |  | not measured |
"""


def test_a_table_written_out():
    assert table(ROWS) == TABLE


def test_a_gpu_is_named():
    assert table(ROWS | {"device": "cuda:0", "threads": 2}).startswith("| a card; 2 threads; ")


def test_a_page_has_the_tables_of_its_files(tmp_path):
    (tmp_path / "a").mkdir()
    for name, rows in (("a/x.json", ROWS), ("y.json", ROWS | {"date": "2027"})):
        (tmp_path / name).write_text(json.dumps(rows))
    place = "before\n<!-- table of {} -->\n{}<!-- end of the table -->\nbetween\n"
    page = place.format("a/x.json", "old\n") + place.format("y.json", "") + "after\n"
    expected = place.format("a/x.json", TABLE) + place.format("y.json", TABLE.replace("2026-01-02", "2027")) + "after\n"
    assert filled(page, tmp_path) == expected == filled(expected, tmp_path)
    with pytest.raises(FileNotFoundError):
        filled(place.format("missing.json", ""), tmp_path)


def test_each_part_has_a_measurement():
    assert tuple(MEASURES) == PARTS


def test_the_command_writes_both_files(tmp_path, monkeypatch):
    """The same rows as JSON and as a table, of the parts that are asked for."""
    made = {part: lambda *_, p=part: {f"{p}, s": 1.5} for part in PARTS}
    monkeypatch.setattr("benchmarks.__main__.MEASURES", made)
    monkeypatch.setattr("benchmarks.conversations.write", lambda dataset, folder: None)
    words = ["benchmark", "--dataset", "MELD", "--parts", "growth", "start", "--device", "cpu"]
    main([*words, "--json", str(tmp_path / "rows.json"), "--markdown", str(tmp_path / "rows.md")])
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert {name: rows[name] for name in rows if name.startswith("MELD")} == {
        "MELD start": {"start, s": 1.5},
        "MELD growth": {"growth, s": 1.5},
    }
    assert (tmp_path / "rows.md").read_text() == markdown.table(rows)
    assert (tmp_path / "rows.md").read_text().splitlines()[2:] == ["| start, s | 1.5 |", "| growth, s | 1.5 |"]
    assert rows["library"]
