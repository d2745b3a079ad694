"""How many operators a step takes: on a GPU each is a kernel of a few microseconds, whatever its size, or several."""

from collections import Counter

import pytest
from torch.utils._python_dispatch import TorchDispatchMode

from common.network import linear
from tests.small import small_corpus
from tests.training.test_graphs import trainer

VIEWS = """view _unsafe_view _reshape_alias alias as_strided detach expand permute select slice split split_with_sizes
    squeeze t transpose unbind unsqueeze empty empty_like empty_strided new_empty new_empty_strided"""
# Rule of empty history, positions: operators of a training step, and of one of validation
MOST = {("released", False): (565, 225), ("strict", False): (505, 205), ("released", True): (593, 237)}


class Counted(TorchDispatchMode):
    """Counts operators that compute or copy."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.__name__.split(".")[0]
        self.counts[name] += name not in VIEWS.split()
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(("empty_history", "positions"), list(MOST))
def test_operators_of_a_step(monkeypatch, empty_history, positions):
    """In one of fixed shapes, as on a GPU, but for the mask of each dropout, which is drawn one by one here."""
    monkeypatch.setattr(linear, "matrix_library", lambda: "pytorch")  # oneDNN converts in between
    rates = dict.fromkeys(("evidence_dropout", "attention_dropout", "classifier_dropout"), 0.1)
    settings = {"empty_history": empty_history, "positions": positions, "modality_order": "released"}
    t = trainer(small_corpus("MELD", sizes=(9, 5, 5)), "fixed", "cpu", **settings, **rates)
    t.run_epoch()
    found = []
    for train, batches, step in ((True, t._train, t._train_step), (False, t._valid, t._valid_step)):
        t.network.train(train)
        batch = next(iter(batches))
        with Counted() as counted:
            step(batch)
        found.append(counted.counts.total())
    assert found[0] <= MOST[empty_history, positions][0]
    assert found[1] <= MOST[empty_history, positions][1]
    assert counted.counts["mm"] + counted.counts["addmm"] >= 30  # they are counted
