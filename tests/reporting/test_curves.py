import numpy as np
import pytest

from common.reporting.curves import HEIGHT, WIDTH, curve_panels, ticks


def run(seed, epochs=(0, 1, 2, 3), selected=2, **more):
    n = len(epochs)
    curves = {"train_loss": [2 - k / 4 for k in range(n)], "valid_loss": [2 - k / 8 for k in range(n)]}
    return {
        "seed": seed,
        "epochs": list(epochs),
        "valid_wf1": [10 * k for k in range(n)],
        "selected_epoch": selected,
    } | (curves | more)


def points(line):
    return np.array([[float(value) for value in pair.split(",")] for pair in line["points"].split()])


def test_values_become_heights():
    loss, score = curve_panels([run(0), run(1)])
    assert [line["kind"] for line in loss["lines"]] == ["train_loss", "valid_loss"] * 2
    assert [line["seed"] for line in score["lines"]] == [0, 1]
    x, y = points(score["lines"][0]).T
    np.testing.assert_allclose(x, [0, WIDTH / 3, 2 * WIDTH / 3, WIDTH], atol=0.06)
    np.testing.assert_allclose(np.diff(y), (y[-1] - y[0]) / 3, atol=0.11)  # on a straight line, upwards
    assert HEIGHT > y[0] > y[-1] > 0
    at = {tick["text"]: tick["at"] for tick in score["y"]}
    assert at["0"] == pytest.approx(y[0], abs=0.06)
    assert at["30"] == pytest.approx(y[3], abs=0.06)


def test_the_selected_epoch_is_marked():
    loss, score = curve_panels([run(7), run(8, selected=None)])
    (mark,) = score["marks"]
    assert (mark["seed"], mark["epoch"], mark["value"]) == (7, 2, 20)
    assert (mark["x"], mark["y"]) == tuple(points(score["lines"][0])[2])
    assert [mark["kind"] for mark in loss["marks"]] == ["valid_loss"]


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_what_is_no_number_is_left_out(value):
    loss, score = curve_panels([run(0, valid_wf1=[0, value, 20, 30])])
    assert len(points(score["lines"][0])) == 3
    assert len(points(loss["lines"][0])) == 4


def test_without_values_there_is_no_diagram():
    assert curve_panels([]) == []
    (only,) = curve_panels([run(0, train_loss=[None] * 4, valid_loss=None)])
    assert only["title"].startswith("Validation")


@pytest.mark.parametrize("n", [1, 2, 300])
def test_any_number_of_epochs(n):
    for panel in curve_panels([run(0, epochs=range(n), valid_wf1=[50] * n)]):
        for line in panel["lines"]:
            assert np.isfinite(points(line)).all()
        assert len(panel["x"]) <= 9
        assert len(panel["y"]) >= 1
        assert all(0 <= tick["at"] <= WIDTH for tick in panel["x"])
        assert all(0 <= tick["at"] <= HEIGHT for tick in panel["y"])


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (28.2, 43.9, [30, 35, 40]),
        (0.93, 2.07, [1, 1.5, 2]),
        (0, 59, [0, 20, 40]),
        (-0.3, 0.3, [-0.2, 0, 0.2]),
        (7, 7, [7]),
    ],
)
def test_ticks(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)
