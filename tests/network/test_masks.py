import pytest
import torch

from common.batching.batches import Batches
from common.network.masks import NEVER, history_masks
from common.settings import NetworkSettings
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
    corpus, heads = random_corpus([4, 1, 20, 2, 13]), 2
    (batch,) = Batches(corpus, "test", 5, "cpu", shapes=shapes)
    packing = batch.packing
    masks = history_masks(packing, batch.speaker, NetworkSettings(empty_history=empty_history, heads=heads))
    assert len(packing.groups) == (1 if shapes == "fixed" else 3)
    at = [(b, p) for b, length in enumerate(corpus.lengths) for p in range(length)]
    for history, allowed in zip((masks.history, masks.self_party, masks.cross_party), slow_masks(corpus), strict=True):
        cells = [
            (g, head, b, q)
            for g, (members, width) in enumerate(history.queries.shapes)
            for head in range(heads)
            for b in range(members)
            for q in range(width)
        ]
        results = history.result.view(-1, heads).tolist()

        def keys(row, head, history=history, cells=cells, results=results):
            """Of the query in `row` what it may attend to, as (dialogue, position)."""
            g, found_head, member, q = cells[results[row][head]]
            assert found_head == head
            assert history.queries.there[results[row][head]] == row * heads + head
            bias = history.biases[g][member, q]
            assert set(bias.tolist()) <= {0.0, NEVER}
            first, n = sum(b * n for b, n in history.keys.shapes[:g]), history.keys.shapes[g][1]
            of_head = 2 * heads * first + (head * len(history.biases[g]) + member) * n  # its keys; then come values
            vectors = history.keys.there[of_head : of_head + n][bias == 0].tolist()
            assert all(vector % (2 * heads) == head for vector in vectors)
            return [at[vector // (2 * heads)] for vector in vectors]

        for row, (b, p) in enumerate(at):
            expected = [(b, k) for k in allowed[b, p].nonzero()[:, 0].tolist()]
            for head in range(heads):
                if (behind := results[row][head] - len(cells)) >= 0:
                    assert not expected
                    assert behind % heads == head
                    assert history.empty_dialogues[behind // heads] == b
                else:
                    assert keys(row, head) == expected != []
        if history is masks.history and empty_history == "released":
            for b in range(5):
                for p in range(20):
                    expected = [(b, k) for k in allowed[b, p].nonzero()[:, 0].tolist()]
                    assert keys(int(packing.padded_row_at[b, p]), 1) == expected
        assert (history.empty_dialogues is None) == (history is masks.history)
    if empty_history == "released":
        torch.testing.assert_close(masks.history.rule._uniform, torch.full((20,), 1 / 20))


def test_never_leaves_a_weight_of_exactly_zero():
    for dtype in (torch.float32, torch.bfloat16):
        weights = torch.tensor([[3e4, -3e4], [NEVER, 0]]).to(dtype).sum(0).softmax(0)
        assert weights.tolist() == [0, 1]
