import numpy as np
import pandas as pd
from matplotlib.image import imread

from common.reporting.figures import confusion_figure, curves_figure, figure_paths, save_figure

COUNTS = np.array([[30, 10, 0], [1, 1, 2], [0, 0, 0]])


def test_cells_hold_counts_and_shares_of_the_row():
    (axes, *_) = confusion_figure(COUNTS, ["a", "b", "c"], "title").axes
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["30\n75 %", "10\n25 %", "0\n0 %", "1\n25 %", "1\n25 %", "2\n50 %", *["0"] * 3]
    np.testing.assert_allclose(axes.images[0].get_array(), [[75, 25, 0], [25, 25, 50], [0, 0, 0]])
    assert axes.images[0].get_clim() == (0, 100)
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("predicted", "label", "title")


def test_curves_and_the_selected_epochs():
    history = pd.DataFrame(
        [[5, 0, 3.0, 2.0, 10.0], [5, 1, 2.0, 1.5, 30.0], [5, 2, 1.0, 1.7, 20.0], [6, 0, 3.5, 2.5, 40.0]],
        columns=["seed", "epoch", "train_loss", "valid_loss", "valid_wf1"],
    )
    results = pd.DataFrame({"seed": [5, 6], "selected_epoch": [1, 0]})
    loss, score = curves_figure(history, results, "title").axes
    drawn = {line.get_label(): line.get_xydata().tolist() for line in score.lines}
    assert drawn["seed 5, selected"] == [[1, 30]]
    assert drawn["seed 6, selected"] == [[0, 40]]
    curves = [line.get_xydata().tolist() for line in loss.lines]
    assert [[0, 3], [1, 2], [2, 1]] in curves
    assert [[0, 2], [1, 1.5], [2, 1.7]] in curves
    assert [[1, 1.5]] in curves
    assert len({line.get_marker() for line in score.lines if "selected" in line.get_label()}) == 2


def test_files_are_the_same_each_time(tmp_path):
    first, again = (
        save_figure(confusion_figure(COUNTS, list("abc"), "title"), tmp_path / name) for name in ("first", "again")
    )
    assert [path.name for path in first] == ["first.png", "first.svg"]
    for path, other in zip(first, again, strict=True):
        assert path.read_bytes() == other.read_bytes()
    assert imread(first[0]).std() > 0


def test_a_point_in_a_name_is_no_ending():
    for given, name in (("fig4.1", "fig4.1"), ("case", "case"), ("case.png", "case"), ("a/b.svg", "a/b")):
        assert [str(path) for path in figure_paths(given)] == [f"{name}.png", f"{name}.svg"]
