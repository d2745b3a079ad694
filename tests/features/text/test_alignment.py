"""An orthogonal map finds a rotation that was made, and keeps distances."""

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.distance import pdist
from scipy.stats import ortho_group

from common.errors import InputError
from common.features.text.alignment import Alignment, agreement

DRAWN = np.random.default_rng(1)
ANCHORS = DRAWN.normal(size=(60, 8)).astype(np.float32)
OTHERS = DRAWN.normal(size=(20, 8)).astype(np.float32)
ROTATION = ortho_group.rvs(8, random_state=2)


def test_recovers_a_rotation_and_a_shift():
    def other(rows):
        return rows @ ROTATION + np.arange(8)

    alignment = Alignment.fit(other(ANCHORS), ANCHORS)
    np.testing.assert_allclose(alignment.apply(other(OTHERS)), OTHERS, atol=1e-5)


def test_changes_nothing_on_equal_inputs():
    alignment = Alignment.fit(ANCHORS, ANCHORS)
    np.testing.assert_allclose(alignment.apply(OTHERS), OTHERS, atol=1e-5)
    assert alignment.apply(OTHERS).dtype == np.float32


def test_fewer_anchors_than_numbers():
    alignment = Alignment.fit(ANCHORS[:3] @ ROTATION, ANCHORS[:3])
    np.testing.assert_allclose(alignment.apply(ANCHORS[:3] @ ROTATION), ANCHORS[:3], atol=1e-5)
    np.testing.assert_allclose(pdist(alignment.apply(OTHERS)), pdist(OTHERS), rtol=1e-5)


def test_what_anchors_do_not_tell_stays():
    plane = ANCHORS * (np.arange(8) < 3)  # nothing is told of the other five
    turned = plane @ np.block([[ROTATION[:3, :3], np.zeros((3, 5))], [np.zeros((5, 8))]])
    alignment = Alignment.fit(plane, turned)
    np.testing.assert_allclose(alignment.rotation[3:, 3:], np.eye(5), atol=1e-5)


def test_keeps_distances_where_nothing_fits():
    noise = np.random.default_rng(3).normal(size=ANCHORS.shape)
    alignment = Alignment.fit(ANCHORS, noise)
    np.testing.assert_allclose(pdist(alignment.apply(OTHERS)), pdist(OTHERS), rtol=1e-5)
    centred = ANCHORS - ANCHORS.mean(0), noise - noise.mean(0)
    np.testing.assert_allclose(alignment.rotation, orthogonal_procrustes(*centred)[0], atol=1e-5)


def test_saved_and_loaded(tmp_path):
    alignment = Alignment.fit(ANCHORS @ ROTATION, ANCHORS)
    key = alignment.save(tmp_path / "a")
    assert alignment.save(tmp_path / "b") == key != Alignment.fit(OTHERS, ANCHORS[:20]).save(tmp_path / "c")
    np.testing.assert_array_equal(Alignment.load(tmp_path / "a").apply(OTHERS), alignment.apply(OTHERS))


def test_what_is_no_alignment(tmp_path):
    (tmp_path / "a").write_bytes(b"nonsense, and more of it")
    for path in (tmp_path / "a", tmp_path / "gone"):
        with pytest.raises(InputError, match="no alignment of encoders"):
            Alignment.load(path)
    with pytest.raises(InputError, match="expected the same"):
        Alignment.fit(ANCHORS, OTHERS)


def test_agreement():
    head = np.array([[1.0, 0], [0, 1]]), np.zeros(2)
    ours = np.array([[2.0, 0], [0, 2], [2, 0], [0, 2]])
    assert agreement(ours + 7, ours)["cosine"] == pytest.approx(1)
    assert agreement(-ours, ours)["cosine"] == pytest.approx(-1)
    theirs = np.array([[2.0, 0], [0, 2], [0, 2], [2, 0]])  # the same for half of them, the opposite for the others
    assert agreement(theirs, ours, head) == pytest.approx({"cosine": 0, "same_class": 0.5})
