import numpy as np
from matplotlib.image import imread

from common.reporting.figures import confusion_figure, save_figure

COUNTS = np.array([[30, 10, 0], [1, 1, 2], [0, 0, 0]])


def test_cells_hold_counts_and_shares_of_the_row():
    (axes, *_) = confusion_figure(COUNTS, ["a", "b", "c"], "title").axes
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["30\n75 %", "10\n25 %", "0\n0 %", "1\n25 %", "1\n25 %", "2\n50 %", *["0\n0 %"] * 3]
    np.testing.assert_allclose(axes.images[0].get_array(), [[75, 25, 0], [25, 25, 50], [0, 0, 0]])
    assert axes.images[0].get_clim() == (0, 100)
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("predicted", "label", "title")


def test_files_are_the_same_each_time(tmp_path):
    first, again = (
        save_figure(confusion_figure(COUNTS, list("abc"), "title"), tmp_path / name) for name in ("first", "again")
    )
    assert [path.name for path in first] == ["first.png", "first.svg"]
    for path, other in zip(first, again, strict=True):
        assert path.read_bytes() == other.read_bytes()
    assert imread(first[0]).std() > 0
