"""When a report is written, and what report.json can hold."""

import json
import os

import pytest

import common.commands.report
from common.commands.report import FILE, NUMBERS, report_path
from common.errors import InputError


def test_nothing_finished_is_overwritten(tmp_path):
    assert report_path(tmp_path / "new", False) == tmp_path / "new" / FILE
    for name in (FILE, NUMBERS):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).touch()
        with pytest.raises(InputError, match="holds a report already; use another folder"):
            report_path(folder, False)
        assert report_path(folder, True) == folder / FILE
        (folder / name).unlink()
        (folder / name).mkdir()
        with pytest.raises(InputError, match=f"{name} is a folder there"):
            report_path(folder, True)


@pytest.mark.parametrize("name", [FILE, NUMBERS])
@pytest.mark.parametrize("how", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "stopped"])
@pytest.mark.parametrize("old", [False, True], ids=["new", "over"])
def test_both_files_or_neither(tmp_path, monkeypatch, name, how, old):
    """Whichever of the two cannot be put into its place."""
    for file in (FILE, NUMBERS) if old else ():
        (tmp_path / file).write_text("old")
    put = os.replace

    def failing(source, target):
        if str(target).endswith(name):
            raise how
        put(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(type(how)):
        common.commands.report._write_both(tmp_path / FILE, "page", "{}")
    left = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert FILE not in left or left[FILE] == "old"
    if not old:
        assert left == {}


def test_numbers_that_are_not_finite_are_null():
    data = {"a": [1.5, float("inf"), {"b": float("nan"), "c": "NaN"}], "d": (2, None)}
    clean, text = common.commands.report._as_json(data)
    assert json.loads(text) == clean == {"a": [1.5, None, {"b": None, "c": "NaN"}], "d": [2, None]}
    odd = {"sentence": "half \ud83d of one"}
    assert json.loads(common.commands.report._as_json(odd)[1]) == odd
