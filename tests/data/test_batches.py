import numpy as np
import pytest
import torch

from common.data.batches import Batches
from common.data.corpus import from_dialogues
from tests.small import WIDTHS, random_corpus, small_corpus


def test_a_batch_holds_its_dialogues_one_after_the_other():
    corpus = random_corpus([3, 1, 4, 2, 5])
    batches = list(Batches(corpus, "test", 2, "cpu"))
    assert [batch.layout.length.tolist() for batch in batches] == [[3, 1], [4, 2], [5]]
    rows = torch.cat([batch.rows for batch in batches]).numpy()
    np.testing.assert_array_equal(rows, np.arange(15))
    for name in (*WIDTHS, "label", "speaker"):
        found = torch.cat([getattr(batch, name) for batch in batches]).numpy()
        np.testing.assert_array_equal(found, getattr(corpus, name))


def test_the_grid_holds_every_row_at_its_place():
    (batch,) = Batches(random_corpus([3, 1, 2]), "test", 8, "cpu")
    layout = batch.layout
    grid = layout.pad(batch.text)
    assert grid.shape == (3, 3, WIDTHS["text"])
    for b, (first, n) in enumerate([(0, 3), (3, 1), (4, 2)]):
        assert torch.equal(grid[b, :n], batch.text[first : first + n])
        assert not grid[b, n:].any()
    assert torch.equal(layout.pack(grid), batch.text)
    assert layout.position().tolist() == [0, 1, 2, 0, 0, 1]
    whole = layout.whole()
    assert whole.position().tolist() == [0, 1, 2] * 3
    assert torch.equal(whole.pad(whole.pack(grid)), grid)


def test_an_epoch_sees_every_dialogue_once_in_a_new_order():
    corpus = small_corpus("MELD", sizes=(20, 2, 3))
    batches = Batches(corpus, "train", 6, "cpu", torch.Generator().manual_seed(0))
    assert len(batches) == 4
    epochs = [torch.cat([batch.rows for batch in batches]).tolist() for _ in range(2)]
    assert epochs[0] != epochs[1] != sorted(epochs[1])
    for rows in epochs:
        assert sorted(rows) == corpus.rows("train").tolist()


def test_features_follow_their_rows_in_later_splits():
    corpus = small_corpus("MELD", sizes=(4, 2, 3))
    for split in ("valid", "test"):
        for batch in Batches(corpus, split, 2, "cpu", torch.Generator().manual_seed(0)):
            np.testing.assert_array_equal(batch.audio, corpus.audio[batch.rows])
            np.testing.assert_array_equal(batch.label, corpus.label[batch.rows])


def test_dialogues_of_a_split_must_stand_together():
    corpus = from_dialogues(
        "random",
        split_sizes=(1, 1, 1),
        **{k: v for k, v in vars(random_corpus([1, 1, 1])).items() if k in _ARRAYS},
        lengths=[1, 1, 1],
    )
    corpus.splits["test"] = [0, 2]
    with pytest.raises(ValueError, match="do not stand one after another"):
        Batches(corpus, "test", 2, "cpu")


_ARRAYS = (*WIDTHS, "label", "speaker", "ids", "classes", "speakers")
