import pytest

from common.errors import InputError
from common.features.packages import OPENSMILE, package


def test_a_package_that_is_there_is_given():
    assert package("json").loads("1") == 1


@pytest.mark.parametrize(
    ("name", "missing", "line"),
    [
        ("no_such_package", (), "pip install -r requirements-features.txt"),
        (
            "no_such_package.part",
            (OPENSMILE,),
            "pip install -r requirements-opensmile.txt (for non-commercial research",
        ),
    ],
)
def test_a_missing_one_is_named_with_the_line_that_installs_it(name, missing, line):
    with pytest.raises(InputError, match="the package no_such_package is missing; install it: ") as caught:
        package(name, *missing)
    assert line in str(caught.value)


def test_what_a_package_itself_lacks_is_another_matter(tmp_path, monkeypatch):
    (tmp_path / "needs_more.py").write_text("import something_else_that_is_missing")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="something_else"):
        package("needs_more")
