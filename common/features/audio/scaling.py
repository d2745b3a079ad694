"""Standardisation of features by the training split, without holding its rows."""

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.errors import InputError
from common.files import atomic

_LARGEST = 2**26  # bytes of a saved array; a million features have an eighth of it
_ROUNDING = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Scaling:
    """`mean` and `std`, float64 (width,), of each feature; 0 as `std` marks a constant."""

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def of(cls, rows: Iterable[np.ndarray]) -> "Scaling":
        """The scaling by `rows`, each (width,), which are seen once and not kept (Welford, 1962), in float64.

        The standard deviation is that of the population, as in scikit-learn. A feature that varies by no more than
        float32 rounds its mean is a constant. Raises InputError where there are no rows, or a number is not finite.
        """
        count, mean, squares = 0, np.zeros(0), np.zeros(0)
        for row in rows:
            values = np.asarray(row, np.float64)
            if not count:
                mean, squares = np.zeros(values.shape), np.zeros(values.shape)
            if values.ndim != 1 or values.shape != mean.shape or not np.isfinite(values).all():
                raise InputError(
                    f"features to scale by: found NaN, infinity or shape {values.shape} in row {count} (from 0); "
                    f"expected {len(mean)} finite numbers"
                )
            count += 1
            change = values - mean
            mean += change / count
            squares += change * (values - mean)
        if not count:
            raise InputError("there are no features of the training split to scale by; expected at least one utterance")
        std = np.sqrt(squares / count)
        return cls(mean, np.where(std <= _ROUNDING * np.abs(mean), 0.0, std))

    def apply(self, rows: np.ndarray) -> np.ndarray:
        """`rows`, (width,) or (n, width), less the mean and over the standard deviation, float32; constants are 0."""
        constant = self.std == 0
        scaled = (rows - self.mean) / np.where(constant, 1.0, self.std)
        return np.where(constant, 0.0, scaled).astype(np.float32)

    def save(self, path: str | Path) -> None:
        """Write an .npz file of the two arrays."""
        with atomic(path, "wb") as file:
            np.savez(file, mean=self.mean, std=self.std)

    @classmethod
    def load(cls, path: str | Path) -> "Scaling":
        """What `save` has written. Raises InputError for any other file."""
        expected = "expected the scaling of features, an .npz file of mean and std"
        try:
            arrays = _arrays(Path(path))
        except FileNotFoundError:
            raise InputError(f"{path}: no such file; {expected}") from None
        except Exception as error:  # a damaged archive can raise nearly anything
            raise InputError(f"{path}: not readable ({error}); {expected}; make the features again") from None
        mean, std = arrays.get("mean"), arrays.get("std")
        for array in (mean, std):
            if array is None or array.dtype != np.float64 or array.ndim != 1 or not np.isfinite(array).all():
                raise InputError(f"{path}: found no float64 vectors mean and std; {expected}; make the features again")
        if len(mean) != len(std) or (std < 0).any():
            raise InputError(f"{path}: mean and std do not fit each other; {expected}; make the features again")
        return cls(mean, std)


def _arrays(path):
    with zipfile.ZipFile(path) as archive:  # of packed files a small one can unfold to a huge one
        if any(part.file_size != part.compress_size or part.file_size > _LARGEST for part in archive.infolist()):
            raise ValueError("packed, or too large")
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in ("mean", "std") if name in arrays}
