"""The tokens of many sentences on one device, and padded batches of them."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch


class Tokens:
    """`ids`: of each sentence its tokens, at least one. They are moved to `device` once."""

    def __init__(self, ids: Sequence[Sequence[int]], padding: int, device: str):
        self.lengths = np.array([len(sentence) for sentence in ids], np.int64)
        self._starts = np.cumsum(self.lengths) - self.lengths
        self._flat = torch.tensor([token for sentence in ids for token in sentence], dtype=torch.long, device=device)
        self._places = torch.arange(self.lengths.max(initial=0), device=device)
        self._padding, self._device = padding, device

    def padded(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Numbers (B, L) of the tokens of `rows` (B,), L those of the longest, and which are real, (B, L), 0 or 1."""
        about = np.stack([self._starts[rows], self.lengths[rows]])
        starts, lengths = torch.from_numpy(about).to(self._device, non_blocking=True)[..., None]
        places = self._places[: self.lengths[rows].max()]
        mask = places < lengths
        at = (starts + places).clamp_(max=len(self._flat) - 1)
        return self._flat[at].masked_fill_(~mask, self._padding), mask.long()

    def batches(self, tokens: int) -> Iterator[np.ndarray]:
        """All rows in batches of similar length, the longest first, of at most so many `tokens`, padding included."""
        order = np.argsort(-self.lengths, kind="stable")
        start = 0
        while start < len(order):
            count = max(1, tokens // int(self.lengths[order[start]]))
            yield order[start : start + count]
            start += count
