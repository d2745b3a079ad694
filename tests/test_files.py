import hashlib
import os
import re
import time
from pathlib import Path

import pytest

from common.errors import InputError
from common.files import atomic, check_free, locked, read_yaml, require_writable, sha256


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


def test_where_nothing_can_be_written_is_known_before(tmp_path):
    (tmp_path / "file").touch()
    require_writable(tmp_path / "new" / "folder", "--report x")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nothing"), Path("/proc/self/fd")):
        with pytest.raises(InputError, match=rf"--report x: .* {re.escape(str(folder.parent))}.* cannot be written"):
            require_writable(folder, "--report x")


@pytest.mark.parametrize("content", ["- a\n- b\n", "a: [1\n", "\xff"])
def test_a_yaml_file_that_is_no_mapping_is_named(tmp_path, content):
    (tmp_path / "settings.yaml").write_bytes(content.encode("latin1"))
    with pytest.raises(InputError, match=r"settings\.yaml"):
        read_yaml(tmp_path / "settings.yaml")


def test_a_yaml_file_that_is_none_is_named(tmp_path):
    with pytest.raises(InputError, match=r"found a folder; expected a YAML file, such as settings.yaml of a run"):
        read_yaml(tmp_path)
    with pytest.raises(InputError, match=r"a.yaml: no such file; expected a YAML file"):
        read_yaml(tmp_path / "a.yaml")


def test_what_killed_writers_left_goes_after_an_hour(tmp_path):
    """Of the file that is written anew, and of no other; younger ones may still be written."""
    for name, age in ((".a.csv.1.x.part", 3700), (".a.csv.2.x.part", 3500), (".b.csv.3.x.part", 3700)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    with atomic(tmp_path / "a.csv") as file:
        file.write("new")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a.csv.2.x.part", ".b.csv.3.x.part", "a.csv"]


def test_a_lock_is_held_by_one_and_leaves_nothing(tmp_path):
    path = tmp_path / ".lock"
    check_free(path, "taken")
    assert not path.exists()
    for _ in range(2):
        with locked(path, "taken"):
            with pytest.raises(InputError, match="taken"):
                check_free(path, "taken")
            with pytest.raises(InputError, match="taken"), locked(path, "taken"):
                pass
            assert path.exists()
        assert not path.exists()
    path.touch()  # of a process that was killed
    check_free(path, "taken")
    with locked(path, "taken"):
        pass
    assert not path.exists()
