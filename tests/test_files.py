import hashlib

import pytest

from common.errors import InputError
from common.files import atomic, read_yaml, sha256


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic(path) as file:
        file.write("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_to_be_seen_before_the_end(tmp_path):
    path = tmp_path / "results.csv"
    with atomic(path, "wb") as file:
        file.write(b"old")
        assert not path.exists()
    with open(path, "rb") as reader:
        with atomic(path, "wb") as file:
            file.write(b"new")
        assert reader.read() == b"old"  # whoever is reading goes on reading one whole file
    assert path.read_bytes() == b"new"
    assert sha256(path) == hashlib.sha256(b"new").hexdigest()


@pytest.mark.parametrize("content", ["- a\n- b\n", "a: [1\n", "\xff"])
def test_a_yaml_file_that_is_no_mapping_is_named(tmp_path, content):
    (tmp_path / "settings.yaml").write_bytes(content.encode("latin1"))
    with pytest.raises(InputError, match=r"settings\.yaml"):
        read_yaml(tmp_path / "settings.yaml")
