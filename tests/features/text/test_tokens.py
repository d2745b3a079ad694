"""Tokens come in padded batches of similar length."""

import numpy as np
import pytest
import torch

from common.features.text.tokens import Tokens

IDS = [[5, 6], [7], [8, 9, 10], [11], [12, 13, 14, 15, 16, 17, 18, 19, 20]]


def test_padded():
    ids, mask = Tokens(IDS, 3, "cpu").padded(np.array([2, 0, 3]))
    assert ids.tolist() == [[8, 9, 10], [5, 6, 3], [11, 3, 3]]
    assert mask.tolist() == [[1, 1, 1], [1, 1, 0], [1, 0, 0]]
    ids, mask = Tokens(IDS, 3, "cpu").padded(np.array([4, 1]))  # beyond the end of all tokens there is padding, too
    assert ids.tolist() == [IDS[4], [7, *[3] * 8]]
    assert (ids.dtype, mask.dtype) == (torch.int64, torch.int64)


@pytest.mark.parametrize("tokens", [1, 4, 6, 100])
def test_batches(tokens):
    batches = list(Tokens(IDS, 0, "cpu").batches(tokens))
    assert sorted(np.concatenate(batches)) == [0, 1, 2, 3, 4]
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(len(IDS[row]) for row in batch) <= tokens
    lengths = [len(IDS[row]) for batch in batches for row in batch]
    assert lengths == sorted(lengths, reverse=True)


def test_no_sentences():
    assert not list(Tokens([], 0, "cpu").batches(4))
