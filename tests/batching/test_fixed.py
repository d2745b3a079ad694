"""Sizes of fixed shape, by hand."""

import numpy as np

from common.batching.fixed import capacity_of, flatten
from common.batching.packing import Capacity


def test_capacity_holds_the_worst_batch():
    """Of two out of three dialogues: the two longest, the two shortest, and those with most turns without history."""
    no_self = [np.array([True, False, False]), np.array([True]), np.array([True, True])]
    no_cross = [np.array([True, True, False]), np.array([True]), np.array([True, False])]
    capacity = capacity_of(np.array([3, 1, 2]), no_self, no_cross, 2)
    assert capacity == Capacity(dialogues=2, longest=3, rows=5, padding=3, no_self=3, no_cross=3)
    assert capacity_of(np.array([3, 1, 2]), no_self, no_cross, 9).dialogues == 3


def test_a_plan_as_one_array():
    assert flatten({"a": np.array([[1, 2], [3, 4]]), "b": np.array([5])}).tolist() == [1, 2, 3, 4, 5]
