"""Features of one encoder in the space of another: a linear map that is fitted on sentences seen by both."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import RidgeCV

from common.errors import InputError
from common.features.packages import package
from common.files import atomic

PENALTIES = tuple(10.0**exponent for exponent in range(-3, 4))  # of the change, in units of the anchors' mean square


@dataclass(frozen=True)
class Alignment:
    """x ↦ (x - theirs) turn + ours, for features x (d,).

    `theirs`, `ours`: means (d,) of the anchors in both spaces. `turn` (d, d): the identity and a change, by ridge
    regression of how the centred anchors differ on those of the other encoder; both encoders began as one, so little
    change is what is to be expected where the anchors tell nothing. Of PENALTIES that which leaves out best.
    """

    theirs: np.ndarray
    ours: np.ndarray
    turn: np.ndarray

    @classmethod
    def fit(cls, theirs: np.ndarray, ours: np.ndarray) -> "Alignment":
        """The map from `theirs` (n, d) to `ours` (n, d), features of the same n anchors. Raises InputError where there
        are fewer than two, or other numbers of them.
        """
        if theirs.shape != ours.shape or theirs.ndim != 2 or len(theirs) < 2:
            raise InputError(f"anchors of shapes {theirs.shape} and {ours.shape}; expected the same (n, d), n above 1")
        theirs, ours = theirs.astype(np.float64), ours.astype(np.float64)
        means = theirs.mean(0), ours.mean(0)
        theirs, ours = theirs - means[0], ours - means[1]
        unit = float((theirs**2).sum()) / theirs.shape[1] or 1.0
        ridge = RidgeCV([unit * penalty for penalty in PENALTIES], fit_intercept=False).fit(theirs, ours - theirs)
        return cls(*means, np.eye(theirs.shape[1]) + ridge.coef_.reshape(2 * theirs.shape[1:]).T)

    def apply(self, rows: np.ndarray) -> np.ndarray:
        """`rows` (n, d) of the one encoder in the space of the other, float32."""
        return ((rows.astype(np.float64) - self.theirs) @ self.turn + self.ours).astype(np.float32)

    def save(self, path: Path) -> str:
        """Write it to `path`. Returns a hash of what it holds."""
        content = package("safetensors.numpy").save(vars(self))
        with atomic(path, "wb") as file:
            file.write(content)
        return hashlib.sha256(content).hexdigest()

    @classmethod
    def load(cls, path: str | Path) -> "Alignment":
        """That of file `path`. Raises InputError where it is missing or holds something else."""
        try:
            return cls(**package("safetensors.numpy").load_file(path))
        except (OSError, TypeError, package("safetensors").SafetensorError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{path}: no alignment of encoders ({reason}); tune again, or restore the file") from None


def agreement(
    theirs: np.ndarray, ours: np.ndarray, head: tuple[np.ndarray, np.ndarray] | None = None
) -> dict[str, float]:
    """How much features `theirs` (n, d), aligned, are like `ours` (n, d) of the same sentences.

    `cosine`: the mean cosine similarity of both after their means are taken away. With the `head` of our encoder,
    weights (C, d) and bias (C,): `same_class`, the share of sentences for which it gives both the same class.
    """
    centred = [rows - rows.mean(0) for rows in (theirs.astype(np.float64), ours.astype(np.float64))]
    norms = [np.linalg.norm(rows, axis=1) for rows in centred]
    dots = (centred[0] * centred[1]).sum(1)
    found = {"cosine": float(np.mean(dots / np.maximum(norms[0] * norms[1], np.finfo(float).tiny)))}
    if head is not None:
        weight, bias = head
        classes = [(rows @ weight.T + bias).argmax(1) for rows in (theirs, ours)]
        found["same_class"] = float(np.mean(classes[0] == classes[1]))
    return found
