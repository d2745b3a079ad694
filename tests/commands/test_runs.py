"""What runs are called beside each other."""

from pathlib import Path

import pytest

from common.commands.runs import run_names


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        (["/a/runs/x/1.pkl", "/a/runs/x/2.pkl"], ["/a/runs/y/1.pkl"], ("x", "y")),
        (["/a/one/run/1.pkl"], ["/a/two/run/1.pkl"], ("one/run", "two/run")),
        (["/run/1.pkl"], ["/a/b/run/1.pkl"], ("run", "b/run")),
        (["/a/x/1.pkl", "/a/y/1.pkl"], ["/a/x/2.pkl"], ("x and y", "x")),
        (["/a/x/1.pkl", "/b/x/1.pkl"], ["/a/x/2.pkl"], ("a/x and b/x", "a/x")),
        (["/a/x/1.pkl", "/a/x/3.pkl"], ["/a/x/2.pkl"], ("x: 1.pkl, 3.pkl", "x: 2.pkl")),
        (["/1.pkl"], ["/2.pkl"], ("1.pkl", "2.pkl")),
    ],
)
def test_names_that_tell_two_runs_apart(first, second, names):
    assert run_names([*map(Path, first)], [*map(Path, second)]) == names


def test_relative_paths(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "run")
    assert run_names([Path("1.pkl")], [Path("../other/1.pkl")]) == ("run", "other")
