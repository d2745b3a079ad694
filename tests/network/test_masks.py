import pytest
import torch

from common.batching.batches import Batches
from common.network.masks import history_masks
from tests.small import random_corpus


def slow_masks(corpus):
    """H, S and C of Figure 3 for all dialogues as one batch, loops over dialogues, queries and keys: (B, L, L) each."""
    lengths = corpus.lengths.tolist()
    h, s, c = (torch.zeros(len(lengths), max(lengths), max(lengths), dtype=torch.bool) for _ in range(3))
    for b, n in enumerate(lengths):
        speakers = corpus.speaker[corpus.offset[b] : corpus.offset[b + 1]].tolist()
        for query in range(max(lengths)):
            for key in range(min(n, query + 1)):
                h[b, query, key] = True
                if query < n:
                    same = speakers[query] == speakers[key]
                    s[b, query, key] = same and key != query
                    c[b, query, key] = not same
    return h, s, c


@pytest.mark.parametrize("empty_history", ["released", "strict"])
@pytest.mark.parametrize("shapes", ["exact", "rounded", "fixed"])
def test_masks_of_figure_3(empty_history, shapes):
    """What is allowed at each result that is taken, and which rows look behind the results."""
    corpus = random_corpus([4, 1, 20, 2, 13])
    (batch,) = Batches(corpus, "test", 5, "cpu", shapes=shapes)
    packing = batch.packing
    masks = history_masks(packing, batch.speaker, empty_history, positions=False)
    assert len(packing.groups) == (1 if shapes == "fixed" else 3)
    at = [(b, p) for b, length in enumerate(corpus.lengths) for p in range(length)]
    for history, allowed in zip((masks.history, masks.self_party, masks.cross_party), slow_masks(corpus), strict=True):
        results = [
            (g, b, q)
            for g, grid in enumerate(history.grids)
            for b in range(len(grid.query))
            for q in range(grid.query.shape[1])
        ]
        for row, (b, p) in enumerate(at):
            expected = allowed[b, p]
            result = int(history.result[row])
            if result >= len(results):
                assert not expected.any()
                assert history.empty_dialogues[result - len(results)] == b
                continue
            g, member, q = results[result]
            grid = history.grids[g]
            assert expected.any()
            assert grid.query[member, q] == row
            keys = grid.key[member][grid.bias[member, 0, q] == 0]
            assert [at[key] for key in keys.tolist()] == [(b, k) for k in expected.nonzero()[:, 0].tolist()]
        if history is masks.history and empty_history == "released":
            for b in range(5):
                for p in range(20):
                    g, member, q = results[int(history.result[packing.padded_row_at[b, p]])]
                    grid = history.grids[g]
                    assert grid.query[member, q] == packing.padded_row_at[b, p]
                    keys = grid.key[member][grid.bias[member, 0, q] == 0].tolist()
                    assert [at[key] for key in keys] == [(b, k) for k in allowed[b, p].nonzero()[:, 0].tolist()]
        assert (history.empty_dialogues is None) == (history is masks.history)
    if empty_history == "released":
        torch.testing.assert_close(masks.history.rule._uniform, torch.full((20,), 1 / 20))
