"""Imports in common/ point one way, so that each room can be read without those above it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# What a room may import, besides itself and what stands in common/ itself: errors, files, settings, environment.
BELOW = {
    "data": (),
    "workers": (),
    "features": ("workers", "data"),
    "batching": ("data",),
    "network": ("batching", "data"),
    "evaluation": ("network", "batching", "data"),
    "release": ("network", "batching", "data"),
    "training": ("evaluation", "release", "network", "batching", "data"),
    "reporting": ("training", "evaluation", "release", "network", "batching", "data"),
    "prediction": ("features", "workers", "evaluation", "release", "network", "batching", "data"),
    "experiments": ("workers", "reporting", "training", "evaluation", "release", "network", "batching", "data"),
    "commands": (
        *("prediction", "features", "experiments", "workers", "reporting", "training", "evaluation"),
        *("release", "network", "batching", "data"),
    ),
}
# Of the modules in common/ itself: what each may import of the others.
BASE = {"errors": (), "files": ("errors",), "settings": ("errors",), "environment": ("errors",), "terminal": ()}
BASE["progress"] = ("terminal",)
FILES = sorted((ROOT / "common").rglob("*.py"))


def imported(path):
    """Modules of this project that `path` imports, wherever in it, as lists of names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name.split(".") for name in names if name.split(".")[0] in ("common", "benchmarks", "tests"))


def forbidden(path):
    """The imports of `path` that point the wrong way."""
    room, *rest = path.relative_to(ROOT / "common").with_suffix("").parts
    for top, *names in imported(path):
        if top != "common":
            allowed = top == "benchmarks" and path.relative_to(ROOT / "common").as_posix() == "commands/benchmark.py"
        elif not rest:
            allowed = room in ("__main__", "__init__") or names[0] in BASE[room]
        else:
            allowed = names[0] in (room, *BELOW[room], *BASE)
        if not allowed:
            yield ".".join((top, *names))


def test_every_room_has_its_rule():
    rooms = {path.relative_to(ROOT / "common").parts[0] for path in FILES if path.parent != ROOT / "common"}
    assert rooms == set(BELOW)
    assert {path.stem for path in FILES if path.parent == ROOT / "common"} - {"__main__", "__init__"} == set(BASE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    assert not list(forbidden(path))


def test_no_room_imports_one_that_imports_it():
    for room, below in BELOW.items():
        assert all(room not in BELOW[other] for other in below)
        assert set(below) >= {name for other in below for name in BELOW[other]} - {room}
