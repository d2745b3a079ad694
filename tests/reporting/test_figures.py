from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from matplotlib.text import Text

from common.reporting.figures import confusion_figure, curves_figure, figure_paths, save_figure

COUNTS = np.array([[30, 10, 0], [1, 1, 2], [0, 0, 0]])


def texts_of(axes):
    return [text.get_text() for text in axes.texts]


def boxes(figure):
    """What draws the figure, and where each of its texts stands."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    return canvas.get_renderer(), {text: text.get_window_extent(canvas.get_renderer()) for text in texts}


def test_cells_hold_counts_and_shares_of_the_row():
    figure = confusion_figure(COUNTS, ["a", "b", "c"], "title")
    (axes, *_) = figure.axes
    assert texts_of(axes) == ["30\n75 %", "10\n25 %", "0\n0 %", "1\n25 %", "1\n25 %", "2\n50 %", *["0"] * 3]
    np.testing.assert_allclose(axes.images[0].get_array(), [[75, 25, 0], [25, 25, 50], [0, 0, 0]])
    assert axes.images[0].get_clim() == (0, 100)
    assert (axes.get_xlabel(), axes.get_ylabel(), figure.get_suptitle()) == ("predicted", "label", "title")
    assert figure.get_supxlabel() == "Counts: 44 predictions in all."


def test_cells_of_several_seeds_hold_means():
    seeds = np.stack([COUNTS, COUNTS + np.diag([1, 0, 0])])
    figure = confusion_figure(seeds, ["a", "b", "c"], "title")
    texts = texts_of(figure.axes[0])
    assert texts == ["30.5\n75 %", "10.0\n25 %", "0.0\n0 %", "1.0\n25 %", "1.0\n25 %", "2.0\n50 %", *["0"] * 3]
    assert figure.get_supxlabel() == "Counts: mean over 2 seeds; 89 predictions in all."


def luminance(color):
    """Relative luminance of WCAG 2.2."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color]
    return float(np.dot((0.2126, 0.7152, 0.0722), linear))


def test_ink_can_be_read_on_every_shade():
    """Rows of 100 utterances, so that all shares from 0 to 1 are drawn; the colours are those of the picture."""
    drawn = set()
    for first in range(0, 51, 17):
        counts = np.zeros((17, 17), int)
        for k in range(17):
            counts[k, :2] = first + k, 100 - first - k
        axes = confusion_figure(counts, [str(k) for k in range(17)], "title").axes[0]
        (image,) = axes.images
        for text, value in zip(axes.texts, image.get_array().ravel(), strict=True):
            drawn.add(round(float(value)))
            low, high = sorted((luminance(to_rgb(text.get_color())), luminance(image.to_rgba(value)[:3])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (value, text.get_color())
    assert drawn == set(range(101))


@pytest.mark.parametrize(("classes", "name"), [(2, "a very long name, indeed it is {}"), (12, "number {} of them")])
def test_a_matrix_has_room_for_its_names(classes, name):
    names = [name.format(k) for k in range(classes)]
    title = "MELD, test split, and a title that is longer than a small matrix is wide"
    figure = confusion_figure(np.full((3, classes, classes), 12345), names, title)
    _, found = boxes(figure)
    for text, box in found.items():
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, text
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert len(set(labels)) == classes
    assert all("…" in label for label in labels) == (classes == 2)
    cells = [found[text] for text in figure.axes[0].texts]
    assert not any(a.overlaps(b) for a, b in combinations(cells, 2))


def history_of(seeds, epochs):
    """A history, and of all seeds but the first, if there are several, the rows with the highest F1."""
    rng = np.random.default_rng(1)
    rows = [[seed, epoch, 2.5, 2.0, rng.uniform(20, 60)] for seed in range(seeds) for epoch in range(epochs)]
    history = pd.DataFrame(rows, columns=["seed", "epoch", "train_loss", "valid_loss", "valid_wf1"])
    return history, history.loc[history.groupby("seed").valid_wf1.idxmax()][min(1, seeds - 1) :]


def test_curves_and_the_selected_epochs():
    history = pd.DataFrame(
        [[5, 0, 3.0, 2.0, 10.0], [5, 1, 2.0, 1.5, 30.0], [5, 2, 1.0, 1.7, 20.0], [6, 0, 3.5, 2.5, 40.0]],
        columns=["seed", "epoch", "train_loss", "valid_loss", "valid_wf1"],
    )
    results = pd.DataFrame({"seed": [5, 6], "selected_epoch": [1, 0]})
    figure = curves_figure(history, results, "title")
    loss, score = figure.axes
    curves = {line.get_linestyle(): line.get_xydata().tolist() for line in loss.lines[:2]}
    assert curves == {":": [[0, 3], [1, 2], [2, 1]], "-": [[0, 2], [1, 1.5], [2, 1.7]]}
    assert [line.get_xydata().tolist() for line in loss.lines[-2:]] == [[[1, 1.5]], [[0, 2.5]]]
    assert [line.get_xydata().tolist() for line in score.lines[-2:]] == [[[1, 30]], [[0, 40]]]
    assert len({line.get_marker() for line in score.lines[-2:]}) == 2
    hollow, full = (line for line in loss.lines[:4] if line.get_xydata().tolist() in ([[0, 3.5]], [[0, 2.5]]))
    assert (hollow.get_markerfacecolor(), full.get_markerfacecolor()) == ("white", full.get_color())  # without lines
    assert hollow.get_markersize() == full.get_markersize() > 0
    training, validation, *_ = figure.legends[0].get_lines()
    assert (training.get_markerfacecolor(), validation.get_markerfacecolor()) == ("white", "black")
    assert (training.get_linestyle(), validation.get_linestyle()) == (":", "-")
    assert texts_of(score) == ["40.00"]
    assert score.texts[0].xy == (0, 40)
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["training loss", "validation", "seed 5: epoch 1, 30.00", "seed 6: epoch 0, 40.00"]


@pytest.mark.parametrize(("seeds", "epochs"), [(1, 1), (3, 40), (20, 12)])
def test_nothing_lies_over_the_curves(seeds, epochs):
    """The legend is outside, the number of the best stands above all curves, and marks of seeds differ."""
    history, best = history_of(seeds, epochs)
    results = best[["seed", "epoch"]].rename(columns={"epoch": "selected_epoch"})
    figure = curves_figure(history, results, "a $ in a name")
    renderer, _ = boxes(figure)
    legend = figure.legends[0].get_window_extent(renderer)
    assert not any(legend.overlaps(axes.get_tightbbox(renderer)) for axes in figure.axes)
    assert figure.bbox.x0 <= legend.x0 < legend.x1 <= figure.bbox.x1
    assert figure.bbox.y0 <= legend.y0
    words = [text.get_text() for text in figure.legends[0].get_texts()][2:]
    found = [f"seed {row.seed}: epoch {row.epoch}, {row.valid_wf1:.2f}" for row in best.itertuples()]
    assert words == ["seed 0: not finished"] * (seeds > 1) + found
    (number,) = figure.axes[1].texts
    box, highest = number.get_window_extent(renderer), best.valid_wf1.max()
    assert number.get_text() == f"{highest:.2f}"
    assert box.x1 <= figure.bbox.x1
    assert box.y0 > figure.axes[1].transData.transform((0, highest))[1]
    assert len({(line.get_color(), line.get_marker()) for line in figure.legends[0].get_lines()[2:]}) == seeds


def test_curves_of_a_validation_split_without_labels():
    history, best = history_of(2, 3)
    results = best[["seed", "epoch"]].rename(columns={"epoch": "selected_epoch"})
    figure = curves_figure(history.assign(valid_loss=np.nan, valid_wf1=np.nan), results, "title")
    assert texts_of(figure.axes[1]) == []
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words[2:] == ["seed 0: not finished", f"seed 1: epoch {best.epoch.iloc[0]}"]


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
