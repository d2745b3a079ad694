import pytest
import torch

from common.network.masks import history_masks
from tests.small import one_batch_of, random_corpus


def slow_masks(lengths, speakers, longest):
    """H, S and C of Figure 3 as loops over dialogues, queries and keys."""
    shape = (len(lengths), longest, longest)
    h, s, c = (torch.zeros(shape, dtype=torch.bool) for _ in range(3))
    for b, n in enumerate(lengths):
        for query in range(longest):
            for key in range(n):
                if key > query:
                    continue
                h[b, query, key] = True
                if query < n:
                    same = speakers[b][query] == speakers[b][key]
                    s[b, query, key] = same and key != query
                    c[b, query, key] = not same
    return h, s, c


@pytest.mark.parametrize("empty_history", ["released", "strict"])
def test_masks_of_figure_3(empty_history):
    lengths = [4, 1, 7, 2]
    corpus = random_corpus(lengths)
    batch = one_batch_of(corpus)
    cut = zip(corpus.offset[:-1], corpus.offset[1:], strict=True)
    speakers = [corpus.speaker[a:b].tolist() for a, b in cut]
    masks = history_masks(batch.layout, batch.speaker, empty_history)
    expected = slow_masks(lengths, speakers, 7)
    for found, allowed in zip((masks.history, masks.self_party, masks.cross_party), expected, strict=True):
        for b, n in enumerate(lengths):  # what stands in rows of padded queries matters under H only
            rows = slice(None) if found is masks.history else slice(n)
            assert torch.equal(found.allowed[b, rows], allowed[b, rows])
            assert torch.equal(found.empty[b, rows], ~allowed[b, rows].any(-1))
        assert found.uniform_when_empty == (empty_history == "released")
