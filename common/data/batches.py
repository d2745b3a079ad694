"""Batch: some dialogues of a Corpus as tensors, and who follows whom in an epoch.

B dialogues, L utterances in the longest of them, N real utterances. Utterances are kept packed, (N, width),
dialogue after dialogue; a Layout knows where each stands in the padded grid (B, L).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from common.data.corpus import FEATURES, Corpus


@dataclass(frozen=True)
class Layout:
    """Where rows stand in a grid of B padded dialogues of L positions.

    `length`: (B,) real utterances of each dialogue. `place`: (R,) grid position, dialogue · L + position, of each row;
    None when every position of the grid is a row, padding included.
    """

    length: Tensor
    longest: int
    place: Tensor | None

    def whole(self) -> "Layout":
        """The same grid with a row for every position, padding included."""
        return Layout(self.length, self.longest, None)

    def pad(self, rows: Tensor) -> Tensor:
        """Rows (R, m) in the grid, (B, L, m), zeros elsewhere."""
        if self.place is not None:
            grid = rows.new_zeros(len(self.length) * self.longest, rows.shape[1])
            rows = grid.index_copy(0, self.place, rows)
        return rows.view(len(self.length), self.longest, -1)

    def pack(self, grid: Tensor) -> Tensor:
        """The rows (R, m) of a grid (B, L, m)."""
        rows = grid.reshape(len(self.length) * self.longest, -1)
        return rows if self.place is None else rows[self.place]

    def position(self) -> Tensor:
        """(R,) position of each row in its dialogue."""
        if self.place is not None:
            return self.place % self.longest
        return torch.arange(self.longest, device=self.length.device).repeat(len(self.length))


@dataclass(frozen=True)
class Batch:
    """Dialogues as tensors: features (N, width), `label` and `speaker` (N,), `rows` (N,) positions in the Corpus."""

    text: Tensor
    event: Tensor
    audio: Tensor
    visual: Tensor
    label: Tensor
    speaker: Tensor
    rows: Tensor
    layout: Layout


class Batches:
    """The dialogues of one split on `device`, as batches of `size` dialogues; the last one may be smaller.

    Iterating follows the file order, or with a `generator` (of torch, on the CPU) a new random order each time.
    """

    def __init__(
        self,
        corpus: Corpus,
        split: str,
        size: int,
        device: torch.device | str,
        generator: torch.Generator | None = None,
    ):
        self._dialogues, self._size, self._device = np.array(corpus.splits[split]), size, device
        self._generator, self._offset, self._lengths = generator, corpus.offset, corpus.lengths
        self._rows = torch.from_numpy(corpus.rows(split))
        self._first = int(self._rows[0])
        if not np.array_equal(self._rows, np.arange(self._first, self._first + len(self._rows))):
            raise ValueError(f"the dialogues of split {split!r} do not stand one after another in the corpus")
        ends = slice(self._first, self._first + len(self._rows))
        self._tensors = {
            name: torch.from_numpy(getattr(corpus, name)[ends]).to(device) for name in (*FEATURES, "label", "speaker")
        }

    @property
    def label(self) -> Tensor:
        """Labels of the split in file order, (U,), on the CPU."""
        return self._tensors["label"].cpu()

    def __len__(self) -> int:
        return -(-len(self._dialogues) // self._size)

    def __iter__(self) -> Iterator[Batch]:
        order = np.arange(len(self._dialogues))
        if self._generator is not None:
            order = torch.randperm(len(order), generator=self._generator).numpy()
        for first in range(0, len(order), self._size):
            yield self._batch(self._dialogues[order[first : first + self._size]])

    def _batch(self, dialogues):
        lengths = self._lengths[dialogues]
        longest = int(lengths.max())
        rows = np.concatenate([np.arange(self._offset[i], self._offset[i + 1]) for i in dialogues])
        place = np.concatenate([b * longest + np.arange(n) for b, n in enumerate(lengths)])
        rows, place, lengths = (torch.from_numpy(v).to(self._device) for v in (rows, place, lengths))
        picked = {name: tensor.index_select(0, rows - self._first) for name, tensor in self._tensors.items()}
        return Batch(**picked, rows=rows, layout=Layout(lengths, longest, place))
