import numpy as np
import pytest

from tests.small import random_corpus

LENGTHS = [3, 1, 4, 2]


@pytest.mark.parametrize("dialogues", [[0, 1, 2, 3], [1, 2], [2, 0, 3], [3], []])
def test_rows_of_a_split(dialogues):
    """Dialogue after dialogue in the order of the split, whatever that is."""
    corpus = random_corpus(LENGTHS)
    corpus.splits["train"] = dialogues
    expected = [row for d in dialogues for row in range(sum(LENGTHS[:d]), sum(LENGTHS[: d + 1]))]
    assert corpus.rows("train").tolist() == expected
    assert corpus.rows("train").dtype == np.int64
