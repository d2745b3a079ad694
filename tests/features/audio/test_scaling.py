import io
import pickle
import zipfile

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from common.errors import InputError
from common.features.audio.scaling import Scaling

ROWS = np.random.default_rng(0).normal(3, [1, 1e-3, 1e6, 20], (500, 4)).astype(np.float32)


def test_scaling_is_that_of_scikit_learn():
    expected = StandardScaler().fit(ROWS.astype(np.float64))
    scaling = Scaling.of(iter(ROWS))
    np.testing.assert_allclose(scaling.mean, expected.mean_, rtol=1e-12)
    np.testing.assert_allclose(scaling.std, expected.scale_, rtol=1e-9)
    others = ROWS[:5] * 2
    np.testing.assert_allclose(scaling.apply(others), expected.transform(others.astype(np.float64)), rtol=1e-5)
    assert (scaling.apply(others[0]) == scaling.apply(others)[0]).all()
    assert scaling.apply(others).dtype == np.float32


def test_far_from_zero_nothing_is_lost():
    rows = 1e9 + np.random.default_rng(1).integers(-500, 500, (1000, 1)).astype(np.float64)
    np.testing.assert_allclose(Scaling.of(rows).std, rows.std(0), rtol=1e-9)


def test_constants_are_zero():
    rows = np.array([[7, 0, 1e9, 1], [7, 0, 1e9 + 64, 2], [7, 0, 1e9, 3]], np.float32)  # 64: a step of float32 there
    scaling = Scaling.of(rows)
    assert list(scaling.std == 0) == [True, True, True, False]
    assert (scaling.apply(np.array([[8.0, 5, 0, 2]])) == 0).all()


def test_one_row_is_all_constants():
    assert (Scaling.of(ROWS[:1]).apply(ROWS) == 0).all()


def test_rows_are_seen_once_and_not_kept():
    def rows():
        row = np.zeros(4)
        for values in ROWS:
            row[:] = values  # the same memory for all
            yield row

    assert (Scaling.of(rows()).mean == Scaling.of(ROWS).mean).all()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no features of the training split"),
        ([[1.0, 2], [1, np.nan]], r"in row 1 \(from 0\); expected 2 finite numbers"),
        ([[1.0, np.inf]], "in row 0"),
        ([[1.0, 2], [1.0]], r"shape \(1,\) in row 1"),
    ],
    ids=["none", "nan", "infinity", "widths"],
)
def test_rows_that_cannot_be_scaled_by(rows, message):
    with pytest.raises(InputError, match=message):
        Scaling.of(np.array(row) for row in rows)


def test_saved_and_loaded(tmp_path):
    scaling = Scaling.of(ROWS)
    scaling.save(tmp_path / "scaling.npz")
    again = Scaling.load(tmp_path / "scaling.npz")
    assert (again.mean == scaling.mean).all()
    assert (again.std == scaling.std).all()
    assert [path.name for path in tmp_path.iterdir()] == ["scaling.npz"]


def archive(packed=False, **arrays):
    file = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(file, allow_pickle=True, **arrays)
    return file.getvalue()


def zipped(name, content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as parts:
        parts.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not readable"),
        (b"<html>", "not readable"),
        (pickle.dumps(ROWS), "not readable"),
        (archive(mean=ROWS[0]), "no float64 vectors"),
        (archive(mean=ROWS[0], std=ROWS[0]), "no float64 vectors"),
        (archive(mean=np.zeros((2, 2)), std=np.zeros((2, 2))), "no float64 vectors"),
        (archive(mean=np.zeros(3), std=np.full(3, np.nan)), "no float64 vectors"),
        (archive(mean=np.zeros(3), std=np.zeros(2)), "do not fit"),
        (archive(mean=np.zeros(3), std=-np.ones(3)), "do not fit"),
        (archive(mean=np.array([print], object), std=np.zeros(1)), "not readable"),
        (archive(packed=True, mean=np.zeros(10**6), std=np.zeros(10**6)), "packed"),
        (zipped("mean.npy", b"\x93NUMPY\x01\x00spoiled"), "not readable"),
    ],
    ids=[
        "empty",
        "page",
        "pickle",
        "one",
        "float32",
        "matrix",
        "nan",
        "widths",
        "negative",
        "objects",
        "packed",
        "cut",
    ],
)
def test_other_files_are_no_scaling(tmp_path, content, message):
    path = tmp_path / "scaling.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        Scaling.load(path)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="no such file; expected the scaling of features"):
        Scaling.load(tmp_path / "none.npz")
