"""Checked access to the fields of a feature pickle, with errors that name file, field and dialogue."""

from pathlib import Path
from typing import Any

import numpy as np

from common.data import feature_pickle
from common.data.text import repaired
from common.errors import InputError, brief


class FeatureFile:
    """The fields of one released pickle, a tuple or list of `names` (field position to what it holds).

    Only the positions in `names` are kept. Raises InputError for a file that is not such a tuple.
    """

    def __init__(self, path: str | Path, count: int, names: dict[int, str]):
        self.path, self.names = Path(path), names
        content = feature_pickle.load(path)
        self._size = self.path.stat().st_size
        if not isinstance(content, tuple | list):
            raise InputError(f"{path}: found {_kind(content)}; expected a tuple of {count} fields; {_MEND}")
        if len(content) != count:
            raise InputError(f"{path}: found {len(content)} fields; expected {count}; {_MEND}")
        self._fields = {position: content[position] for position in names}

    def error(self, position: int, found: str, expected: str, dialogue: str | int | None = None) -> InputError:
        """An InputError about one field, and one dialogue of it."""
        where = "" if dialogue is None else f", dialogue {brief(dialogue)}"
        where = f"{self.path}: field {position} ({self.names[position]}){where}"
        return InputError(f"{where}: found {found}; expected {expected}; {_MEND}")

    def ids(self, position: int) -> list:
        """The dialogue ids of a split in file order; those of a set, whose order changes, sorted."""
        field = self._fields[position]
        unordered = isinstance(field, set | frozenset)
        if not unordered and not is_list(field):
            raise self.error(position, _kind(field), "a list of dialogue ids")
        ids = [i.item() if isinstance(i, np.generic) else i for i in field]
        for i in ids:
            if type(i) not in (str, int) or type(i) is not type(ids[0]) or not _plain(i):
                raise self.error(position, f"the id {brief(i)}", "strings only, or whole numbers only")
        return sorted(ids) if unordered else ids

    def splits(self, positions: list[int]) -> list[list]:
        """The ids of several splits. Raises InputError for an empty split or an id that stands twice."""
        seen: dict[str | int, int] = {}
        splits = []
        for position in positions:
            ids = self.ids(position)
            if not ids:
                raise self.error(position, "no dialogue", "at least one")
            for i in ids:
                if i in seen:
                    where = f"twice, also in field {seen[i]} ({self.names[seen[i]]})"
                    raise self.error(position, where, "every dialogue in one split, once", i)
                seen[i] = position
            splits.append(ids)
        return splits

    def is_table(self, position: int) -> bool:
        """Whether a field that can be done without is a dictionary of dialogues, and not an empty one."""
        field = self._fields[position]
        return isinstance(field, dict) and bool(field)

    def listed(self, position: int) -> set:
        """The dialogue ids in a field that can be done without."""
        field = self._fields[position]
        return {i for i in field if _plain(i)} if isinstance(field, list | tuple | set | frozenset) else set()

    def table(self, position: int, ids: list, lengths: list[int] | None = None) -> list:
        """Per dialogue of `ids`, in that order, its list of entries, one per utterance.

        Raises InputError where a dialogue is missing, empty, or not as long as `lengths` says.
        """
        field = self._fields[position]
        if not isinstance(field, dict):
            raise self.error(position, _kind(field), "a dictionary from dialogue ids to utterances")
        rows = []
        for at, i in enumerate(ids):
            if i not in field:
                raise self.error(position, "no such dialogue", "every dialogue of the splits", i)
            row = field[i]
            if not is_list(row):
                raise self.error(position, _kind(row), "a list with an entry per utterance", i)
            if len(row) == 0:
                raise self.error(position, "no utterance", "at least one", i)
            if lengths is not None and len(row) != lengths[at]:
                raise self.error(position, f"{len(row)} utterances", f"{lengths[at]} as in the labels", i)
            rows.append(row)
        if sum(map(len, rows)) > self._size:
            raise self.error(position, "more utterances than the file has bytes", "an entry of its own for each")
        return rows

    def _require_room(self, position, size):
        """Raises InputError where `size` bytes are to be made of a far smaller file, which repeats what it holds."""
        if size > 2**28 + 8 * self._size:
            raise self.error(position, f"what would take {size} bytes of memory", "little more than the file takes")

    def labels(
        self, position: int, ids: list, classes: list[str], lengths: list[int] | None = None
    ) -> tuple[np.ndarray, list[int]]:
        """Labels of all utterances, int64 (U,), and the length of each dialogue."""
        rows = self.table(position, ids, lengths)
        for i, row in zip(ids, rows, strict=True):
            for label in row:
                if not _is_integer(label) or not 0 <= int(label) < len(classes):
                    expected = f"whole numbers from 0 ({classes[0]}) to {len(classes) - 1} ({classes[-1]})"
                    label = label.tolist() if hasattr(label, "tolist") else label
                    raise self.error(position, f"the label {brief(label)}", expected, i)
        return np.array([int(label) for row in rows for label in row], np.int64), [len(row) for row in rows]

    def strings(self, position: int, ids: list, lengths: list[int]) -> list[str]:
        """One string per utterance. Raises InputError for anything else than strings and numbers."""
        strings, size = [], 0
        for i, row in zip(ids, self.table(position, ids, lengths), strict=True):
            for entry in row:
                if not (_plain(entry) or isinstance(entry, np.generic | None)):
                    raise self.error(position, f"the entry {brief(entry)}", "a string", i)
                strings.append(repaired(str(entry)))
                size += len(strings[-1])
                self._require_room(position, size)
        return strings

    def entries(self, position: int, ids: list, lengths: list[int]) -> list[tuple]:
        """One tuple of numbers or strings per utterance, from numbers, strings, or flat lists of them."""
        entries, size = [], 0
        for i, row in zip(ids, self.table(position, ids, lengths), strict=True):
            for entry in row:
                values = entry.tolist() if hasattr(entry, "tolist") else entry
                values = tuple(values) if isinstance(values, list | tuple) else (values,)
                size += 64 * len(values)
                self._require_room(position, size)
                if not values or not all(_plain(value) and value == value for value in values):  # NaN equals nothing
                    raise self.error(position, f"the entry {brief(values)}", "numbers or strings, or a list of them", i)
                entries.append(tuple(repaired(value) if isinstance(value, str) else value for value in values))
        return entries

    def speakers(self, position: int, ids: list, lengths: list[int]) -> tuple[np.ndarray, list[str]]:
        """Speakers of all utterances, int64 (U,), and their names; the same where their whole entries are equal.

        Names: the position of the one where all entries are one-hot, else the entry as it stands. Raises InputError for
        names that differ in case or blanks only.
        """
        entries = self.entries(position, ids, lengths)
        known = sorted(set(entries), key=lambda entry: (len(entry), str(entry)), reverse=True)  # (1, 0, …) and M first
        one_hot = len({len(e) for e in known}) == 1 < len(known[0])
        if one_hot and all(e.count(0) == len(e) - 1 and 1 in e for e in known):
            names = [str(entry.index(1)) for entry in known]
        else:
            names = [str(entry[0] if len(entry) == 1 else list(entry)) for entry in known]
        alike: dict[str, tuple] = {}
        for name, entry in zip(names, known, strict=True):
            other = alike.setdefault(name.strip().casefold(), entry)
            if other != entry:  # such as 1 and "1"
                found = " and ".join(brief(e[0] if len(e) == 1 else list(e)) for e in (other, entry))
                raise self.error(position, f"the speakers {found}", "one spelling of a name")
        at = {entry: k for k, entry in enumerate(known)}
        return np.array([at[entry] for entry in entries], np.int64), names

    def features(self, position: int, ids: list, lengths: list[int]) -> np.ndarray:
        """Features of all utterances, float32 (U, width); the width is that of the first utterance.

        Raises InputError for ragged, non-numeric or non-finite entries.
        """
        flat: Any = None  # made when the width is known
        end = 0
        for i, row in zip(ids, self.table(position, ids, lengths), strict=True):
            shapes = {_shape(entry) for entry in row}
            if len(shapes) > 1:
                raise self.error(position, "entries that are no equally long vectors", "numbers", i)
            shape = shapes.pop()
            if len(shape) != 1 or shape == (0,):
                raise self.error(position, f"entries of shape {shape}", "one vector per utterance", i)
            if flat is None:
                self._require_room(position, 4 * sum(lengths) * shape[0])
                flat = np.empty((sum(lengths), *shape), np.float32)
            if shape != flat.shape[1:]:
                raise self.error(position, f"width {shape[0]}", f"{flat.shape[1]} as in dialogue {brief(ids[0])}", i)
            try:
                with np.errstate(over="ignore"):
                    values = np.array([as_float32(entry) for entry in row])
            except (TypeError, ValueError, OverflowError, RuntimeError) as error:
                raise self.error(position, f"entries that are no numbers ({error})", "numbers", i) from None
            if not np.isfinite(values).all():
                at = int(np.argmin(np.isfinite(values).all(axis=1)))
                raise self.error(position, f"NaN or infinity in utterance {at}", "finite numbers", i)
            flat[end : end + len(row)] = values
            end += len(row)
        return flat


def _is_integer(label):
    value = getattr(label, "item", lambda: label)() if getattr(label, "shape", ()) == () else None
    return isinstance(value, int) and not isinstance(value, bool)


def _plain(value):
    """Whether `value` is a string or a number; one of thousands of digits, which has no `str`, is not."""
    return isinstance(value, str | float) or (isinstance(value, int) and abs(value) < 2**64)


def is_list(value: object) -> bool:
    """Whether `value` is a list, a tuple, or an array of at least one dimension."""
    return value.ndim > 0 if isinstance(value, np.ndarray) else isinstance(value, list | tuple)


def _kind(value):
    array = isinstance(value, np.ndarray)
    return f"a numpy array of shape {value.shape}" if array else f"a {type(value).__name__}"


def _shape(entry):
    if isinstance(entry, list | tuple):
        return (len(entry),)
    return entry.shape if isinstance(entry, np.ndarray) else ()


def as_float32(entry: object) -> np.ndarray:
    """One entry, an array, flat list or number, as a float32 array; raises what numpy raises."""
    if isinstance(entry, np.ndarray) and not entry.dtype.hasobject:
        if entry.dtype.kind == "c":
            raise TypeError("complex numbers")
        return entry.astype(np.float32)
    if isinstance(entry, np.ndarray | list | tuple):
        return np.fromiter(entry, np.float32, len(entry))  # does not walk into lists in a list
    return np.asarray(entry, np.float32)


_MEND = "get the file again or rebuild it"
