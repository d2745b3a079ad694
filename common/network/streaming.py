"""Live conversations: the emotion of an utterance as soon as it is there, each step linear in what came before.

All that is needed of earlier utterances are their keys and values in the attention layers. These are kept, layer by
layer, in one cache for all conversations: row 0 is zeros, which queries without history attend to; then comes a row for
each utterance, in any order. N new utterances, Q of them in one conversation of n utterances by now; b
conversations in a grid; A = heads · head width.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor, nn

from common.batching.batches import Batch
from common.batching.packing import Packing
from common.errors import InputError, brief
from common.network.attention import sinusoid
from common.network.ecerc import ECERC
from common.network.empty_history import Strict
from common.network.masks import NEVER, Cells, History, Masks
from common.network.streaming_input import check_state, fingerprint, names_of, numbers_of

FEW = 15  # conversations of up to so many utterances share a grid


def _none():
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class _Conversation:
    """`numbers`: speaker to number. `speaker`, `row` (n,): of each utterance its speaker's number and its row."""

    numbers: dict[Hashable, int] = field(default_factory=dict)
    speaker: np.ndarray = field(default_factory=_none)
    row: np.ndarray = field(default_factory=_none)

    def extended(self, speakers, row):
        """With utterances of `speakers` in rows `row` (Q,) behind."""
        numbers = dict(self.numbers)
        new = [numbers.setdefault(name, len(numbers)) for name in speakers]
        return _Conversation(numbers, np.append(self.speaker, new), np.append(self.row, row))


class Live:
    """Conversations under way, any number of them, which `network` classifies utterance by utterance.

    The log-probabilities are those that it gives for whole conversations, within rounding (1e-5). It is put into
    evaluation mode, and its weights may not change any more. Raises InputError where its empty history is "released":
    then an output depends on later turns.
    """

    def __init__(self, network: ECERC):
        if network.settings.empty_history != "strict":
            raise InputError(
                f"live conversations: the network has {network.settings.empty_history} empty history, where outputs "
                "depend on later turns; expected strict; build it, and better train it too, with that",
                change=["empty_history"],
            )
        self.network = network.eval()
        self._device = network.classifier.weight.device
        self._conversations: dict[Hashable, _Conversation] = {}
        self._cache: dict[nn.Module, Tensor] = {}  # keys and values, (capacity, 2 A) each
        self._capacity, self._free = 1, _none()

    @property
    def lengths(self) -> dict[Hashable, int]:
        """The conversations under way, and the number of utterances of each."""
        return {name: len(conversation.row) for name, conversation in self._conversations.items()}

    @torch.no_grad()
    def __call__(
        self,
        conversations: Iterable[Hashable],
        speakers: Iterable[Hashable],
        **features: ArrayLike | Tensor,
    ) -> Tensor:
        """Log-probabilities (N, C) of the next N utterances, on the network's device.

        `conversations`, `speakers`: names or numbers, one for each utterance. A conversation begins with its first
        utterance; several utterances of one stand in their order. Features are (N, width) each; those that the
        network does not use may be left out. Raises InputError where sizes do not fit, and for features that are no
        finite numbers, or too large for the network; then nothing has changed.
        """
        if self.network.training:  # somebody called train() since: dropout would make the outputs random
            self.network.eval()
        ids, names = names_of(conversations, "conversations"), names_of(speakers, "speakers")
        if len(ids) != len(names):
            raise InputError(
                f"live conversations: found {len(names)} speakers for {len(ids)} utterances; expected one for each"
            )
        if not ids:
            return torch.empty(0, self.network.classifier.out_features, device=self._device)
        features = self._checked(features, ids)
        if len(ids) > len(self._free):
            grown = max(2 * self._capacity, self._capacity + len(ids))
            self._free = np.append(self._free, np.arange(self._capacity, grown))
            self._capacity = grown
        rows, free = np.split(self._free, [len(ids)])

        turns, position = defaultdict(list), np.empty(len(ids), np.int64)
        for i, name in enumerate(ids):
            turns[name].append(i)
        now = {}
        for name, at in turns.items():
            before = self._conversations.get(name, _Conversation())
            position[at] = len(before.row) + np.arange(len(at))
            now[name] = before.extended([names[i] for i in at], rows[at])

        network, count = self.network, torch.arange(len(ids), device=self._device)
        packing = cast(Packing, SimpleNamespace(rows=len(ids), position=count))  # given masks, no more is asked of it
        batch = Batch(features, label=count, speaker=count, rows=count, packing=packing)
        table = None
        if network.settings.positions:
            table = sinusoid(torch.from_numpy(position), network.evidence_width, network.position_columns)
            table = table.to(self._device)
        masks = self._masks([(turns[name], now[name]) for name in now], rows)
        log_prob = network.decide(*network.encode(batch, masks, table)).log_prob
        self._refuse(log_prob, ids, "{} has no finite log-probabilities: its features are too large")
        self._conversations |= now
        self._free = free
        return log_prob

    def end(self, conversation: Hashable) -> None:
        """Forget a conversation; its rows go to others. Raises InputError where it is not under way."""
        (name,) = names_of([conversation], "conversation")
        if name not in self._conversations:
            there = f"expected one of {brief(list(self.lengths))}" if self.lengths else "none is"
            raise InputError(f"live conversations: {brief(name)} is not under way; {there}")
        self._free = np.append(self._free, self._conversations.pop(name).row)

    def state_dict(self) -> dict[str, Any]:
        """The conversations under way, as tensors on the CPU and their names and speakers, for `torch.save`.

        `torch.load` reads it back with `weights_only=True` where these are numbers, strings, or tuples of them.
        """
        rows = np.concatenate([_none(), *(conversation.row for conversation in self._conversations.values())])
        rows = torch.from_numpy(rows).to(self._device)
        return {
            "network": fingerprint(self.network),
            "conversations": {
                name: {"speakers": list(conversation.numbers), "speaker": torch.from_numpy(conversation.speaker)}
                for name, conversation in self._conversations.items()
            },
            "memory": {
                name: self._cache[layer].index_select(0, rows).cpu()
                for name, layer in self.network.named_modules()
                if layer in self._cache
            },
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume the conversations of a `state_dict`, in place of those under way.

        Raises InputError where it is of a network with other weights or settings, or damaged.
        """
        check_state(state, self.network)
        conversations, used = {}, 1
        for name, saved in state["conversations"].items():
            numbers = {speaker: number for number, speaker in enumerate(saved["speakers"])}
            rows = np.arange(used, used + len(saved["speaker"]))
            conversations[name] = _Conversation(numbers, saved["speaker"].numpy(), rows)
            used += len(rows)
        cache = {name: F.pad(tensor, (0, 0, 1, 0)).to(self._device) for name, tensor in state["memory"].items()}
        self._conversations, self._capacity, self._free = conversations, used, _none()
        layers = dict(self.network.named_modules())
        self._cache = {layers[name]: tensor for name, tensor in cache.items()}

    def _checked(self, features, ids):
        """The features that the network uses as tensors, None for the others."""
        network = self.network
        used = (*network.modalities, *(["event"] if network.event_map else []))
        if unknown := [name for name in features if name not in network.widths]:
            raise InputError(
                f"live conversations: features {', '.join(unknown)}; expected some of {', '.join(network.widths)}"
            )
        tensors = {}
        for name in used:
            if features.get(name) is None:
                both = ", or the text features again, if those of training served as both" if name == "event" else ""
                raise InputError(f"live conversations: no {name} features; expected {', '.join(used)}{both}")
            expected = len(ids), network.widths[name]
            tensors[name] = numbers_of(name, features[name], expected, self._device)
            self._refuse(tensors[name], ids, f"{name} of {{}} holds NaN or infinity")
        return tensors

    def _refuse(self, rows, ids, what):
        """Raise InputError where one of `rows` (N, n) is not finite, saying `what` of its utterance."""
        finite = rows.isfinite().all(1)
        if not finite.all():
            at = int(finite.int().argmin())
            before = self.lengths.get(ids[at], 0) + ids[:at].count(ids[at])
            where = f"utterance {before + 1} of {brief(ids[at])}"
            raise InputError(f"live conversations: {what.format(where)}; mend its features, or leave it out")

    def _masks(self, parts, rows):
        """H, S and C of Figure 3 for new utterances in `rows` (N,) of the memory.

        `parts`: of each conversation the places of its new utterances among these (Q), and the conversation by now.
        """
        groups = defaultdict(list)
        for at, conversation in parts:  # of similar size, so that little of a grid is empty
            groups[len(at).bit_length(), max(len(conversation.row), FEW).bit_length()].append((at, conversation))
        device, heads = self._device, np.arange(self.network.settings.heads)
        pairs = np.arange(2 * len(heads))  # of keys, then of values
        queries, keys, biases, result, first = [], [], ([], [], []), np.empty((len(rows), len(heads)), np.int64), 0
        for group in groups.values():
            most, longest = (max(sizes) for sizes in zip(*((len(at), len(c.row)) for at, c in group), strict=True))
            query, before = np.zeros((len(group), most), np.int64), np.zeros((len(group), 1), np.int64)
            key, speaker = np.zeros((len(group), 1 + longest), np.int64), np.zeros((len(group), longest), np.int64)
            for i, (at, conversation) in enumerate(group):
                n = len(conversation.row)
                query[i, : len(at)], before[i] = at, n - len(at)
                key[i, 1 : n + 1], speaker[i, :n] = conversation.row, conversation.speaker
                result[at] = first + heads * query.size + (i * most + np.arange(len(at)))[:, None]
            first += query.size * len(heads)
            queries.append(query)
            keys.append(key)
            before, speaker = (torch.from_numpy(x).to(device) for x in (before, speaker))
            position = before + torch.arange(most, device=device)  # (b, Q)
            same = speaker.gather(1, position.clamp(max=longest - 1))[:, :, None] == speaker[:, None]  # (b, Q, n)
            ago = position[:, :, None] - torch.arange(longest, device=device)
            allowed = ago >= 0, (ago > 0) & same, (ago > 0) & ~same
            for bias, may in zip(biases, allowed, strict=True):
                bias.append(torch.cat([may.any(2, keepdim=True), ~may], 2) * NEVER)
        asked, known = (
            Cells([grid.shape for grid in grids], torch.from_numpy(np.concatenate(there)).to(device), None)
            for grids, there in (
                (queries, [np.add.outer(heads, grid * len(heads)).ravel() for grid in queries]),
                (keys, [np.add.outer(pairs, grid * len(pairs)).ravel() for grid in keys]),
            )
        )
        result, rows = (torch.from_numpy(x).to(device) for x in (result.ravel(), rows))

        def cached(layer, new):
            return self._cached(layer, new, rows)

        return Masks(*(History(len(rows), asked, known, bias, result, Strict(), cache=cached) for bias in biases))

    def _cached(self, layer, new, rows):
        """Put keys and values (N, 2 A) of new utterances into `rows` of a layer's cache; returns all of it."""
        cache = self._cache.get(layer, new.new_zeros(1, new.shape[1]))
        if len(cache) < self._capacity:
            cache = F.pad(cache, (0, 0, 0, self._capacity - len(cache)))
        self._cache[layer] = cache.index_copy_(0, rows, new)
        return cache
