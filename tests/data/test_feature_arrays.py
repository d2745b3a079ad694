import io
import zipfile

import numpy as np
import pytest

from common.data.feature_arrays import read_features
from common.errors import InputError

VALUES = np.arange(12).reshape(6, 2)


def npy(values, **options):
    file = io.BytesIO()
    np.save(file, values, **options)
    return file.getvalue()


@pytest.fixture
def read(tmp_path):
    """What is read of .npy files with these contents."""

    def read(*contents, counts=(6,)):
        paths = [tmp_path / f"{k}.npy" for k in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
        return read_features(paths, counts, "u.csv")

    return read


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", ">f8", "int8", "int64", "uint16"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_kind_of_number(read, kind, order):
    array = read(npy(np.asarray(VALUES, kind, order)))
    assert (array.dtype, array.flags.c_contiguous, array.flags.writeable) == (np.float32, True, True)
    assert (array == VALUES).all()


def test_parts_of_their_own_and_all_in_one(read):
    for contents in ([npy(VALUES)], [npy(VALUES[:1]), npy(VALUES[1:3]), npy(VALUES[3:])]):
        assert (read(*contents, counts=(1, 2, 3)) == VALUES).all()


def archive():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as parts:
        parts.writestr("a.npy", npy(VALUES))
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy(VALUES[:5]), "0.npy: found 5 rows; expected 6, one for each row of u.csv$"),
        (npy(np.zeros((2, 6))), "found 2 rows; expected 6, one for each row of u.csv; transpose it"),
        (npy(np.zeros(6)), r"found float64 of shape \(6,\); expected a .npy file with numbers, \(6, width\)"),
        (npy(np.zeros((6, 0))), r"shape \(6, 0\)"),
        (npy(np.full((6, 2), "x")), "found <U1 of shape"),
        (npy(np.array([[1.0]] * 4 + [[1e300], [np.nan]])), r"in row 4 \(from 0\); expected finite numbers"),
        (
            npy(np.full((6, 2), None), allow_pickle=True),
            "0.npy: not readable as .npy, Python objects in it; .*; save it with",
        ),
        (npy(VALUES)[:-1], r"not readable as .npy, damaged or incomplete \("),
        (npy(VALUES).replace(b"}", b"("), "damaged or incomplete"),
        (npy(VALUES)[:20], "not readable as .npy, damaged or incomplete"),
        (npy(VALUES).replace(b"(6, 2), }      ", b"(6, 9999999), }"), "damaged or incomplete"),
        (b"1.0,2.0\n", r"found a text \('1.0,2.0'\); expected a .npy file with numbers"),
        (b"\x80\x05K\x01.", "found a pickle; save the array in it alone, with np.save; expected"),
        (archive(), "found a zip archive, such as a .npz or PyTorch file; save the array in it alone"),
        (b"", "found an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "found a Git LFS pointer"),
    ],
)
def test_a_wrong_array_is_named(read, content, message):
    with pytest.raises(InputError, match=message) as error:
        read(content)
    assert "allow_pickle" not in str(error.value)


def test_wrong_parts_are_named(read):
    with pytest.raises(InputError, match=r"0.npy: found 2 files; expected one, or one for each of u.csv"):
        read(npy(VALUES), npy(VALUES), counts=(1, 2, 3))
    with pytest.raises(InputError, match=r"0.npy: found 2 files; expected one$"):
        read(npy(VALUES), npy(VALUES))
    with pytest.raises(InputError, match=r"1.npy: found 1 rows; expected 2"):
        read(npy(VALUES[:4]), npy(VALUES[:1]), counts=(4, 2))
    with pytest.raises(InputError, match=r"1.npy: found features of width 1; expected 2 as in .*0.npy"):
        read(npy(VALUES[:4]), npy(VALUES[:2, :1]), counts=(4, 2))


def test_what_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"a.npy: no such file; expected a .npy file"):
        read_features([tmp_path / "a.npy"], [6], "u.csv")
