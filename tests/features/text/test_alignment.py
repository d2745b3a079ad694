"""A map of one space into another: it finds a turn that was made, and changes nothing that anchors do not tell."""

import numpy as np
import pytest
from scipy.stats import ortho_group

from common.errors import InputError
from common.features.text.alignment import PENALTIES, Alignment, agreement

DRAWN = np.random.default_rng(1)
ANCHORS = DRAWN.normal(size=(600, 8)).astype(np.float32)
OTHERS = DRAWN.normal(size=(20, 8)).astype(np.float32)
ROTATION = ortho_group.rvs(8, random_state=2)


def test_recovers_a_turn_and_a_shift():
    def other(rows):
        return rows @ ROTATION + np.arange(8)

    alignment = Alignment.fit(other(ANCHORS), ANCHORS)
    np.testing.assert_allclose(alignment.apply(other(OTHERS)), OTHERS, atol=0.01)


def test_changes_nothing_on_equal_inputs():
    for anchors in (ANCHORS, ANCHORS[:2], np.zeros((3, 8), np.float32)):
        alignment = Alignment.fit(anchors, anchors)
        np.testing.assert_allclose(alignment.apply(OTHERS), OTHERS, atol=1e-5)
    assert alignment.apply(OTHERS).dtype == np.float32


def test_what_anchors_do_not_tell_stays():
    plane = ANCHORS * (np.arange(8) < 3)  # nothing is told of the other five
    turned = plane.copy()
    turned[:, :3] = plane[:, :3] @ ortho_group.rvs(3, random_state=3)
    alignment = Alignment.fit(plane, turned)
    np.testing.assert_allclose(alignment.turn[3:], np.eye(8)[3:], atol=1e-5)


def test_few_anchors_change_little_and_never_for_the_worse():
    turn = np.eye(8)
    turn[:2, :2] = [[0.8, 0.6], [-0.6, 0.8]]  # the other six axes are the same in both spaces
    before = np.square(OTHERS @ turn - OTHERS).mean()
    errors = [
        np.square(Alignment.fit(ANCHORS[:n] @ turn, ANCHORS[:n]).apply(OTHERS @ turn) - OTHERS).mean() for n in (5, 50)
    ]
    assert before > errors[0] > errors[1]


def test_it_is_ridge_regression_with_the_penalty_that_leaves_out_best():
    noise = ANCHORS[:40] @ ROTATION + 0.5 * DRAWN.normal(size=(40, 8)).astype(np.float32)
    x, y = (rows.astype(float) - rows.astype(float).mean(0) for rows in (ANCHORS[:40], noise))

    def change(rows, penalty):
        x_, y_ = x[rows], y[rows]
        return np.linalg.solve(x_.T @ x_ + penalty * np.square(x).mean() * 40 * np.eye(8), x_.T @ (y_ - x_))

    left_out = [
        sum(np.square(y[k] - x[k] - x[k] @ change(np.arange(40) != k, penalty)).sum() for k in range(40))
        for penalty in PENALTIES
    ]
    best = PENALTIES[int(np.argmin(left_out))]
    assert best not in (PENALTIES[0], PENALTIES[-1])
    found = Alignment.fit(ANCHORS[:40], noise).turn
    np.testing.assert_allclose(found, np.eye(8) + change(np.arange(40) >= 0, best), atol=1e-6)


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
