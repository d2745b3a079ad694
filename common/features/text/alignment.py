"""Features of one encoder in the space of another: an orthogonal map that is fitted on sentences seen by both."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.errors import InputError
from common.features.packages import package
from common.files import atomic

NEAR = 1e-6  # how much an anchor pulls that says of each direction that it stays, beside an average one


@dataclass(frozen=True)
class Alignment:
    """x ↦ (x - theirs) rotation + ours, for features x (d,).

    `theirs`, `ours`: means (d,) of the anchors in both spaces. `rotation` (d, d), orthogonal: of all such maps the one
    that brings the centred anchors closest together in squared distance (orthogonal Procrustes problem: U Vᵀ of the
    singular value decomposition of theirsᵀ ours; Schönemann, 1966). Distances between features stay as they are. What
    the anchors do not tell, as where there are fewer of them than d, stays where it is (NEAR).
    """

    theirs: np.ndarray
    ours: np.ndarray
    rotation: np.ndarray

    @classmethod
    def fit(cls, theirs: np.ndarray, ours: np.ndarray) -> "Alignment":
        """The map from `theirs` (n, d) to `ours` (n, d), features of the same n anchors. Raises InputError where there
        are none, or other numbers of them.
        """
        if theirs.shape != ours.shape or theirs.ndim != 2 or not len(theirs):
            raise InputError(f"anchors of shapes {theirs.shape} and {ours.shape}; expected the same (n, d), n above 0")
        theirs, ours = theirs.astype(np.float64), ours.astype(np.float64)
        means = theirs.mean(0), ours.mean(0)
        theirs, ours = theirs - means[0], ours - means[1]
        unmoved = NEAR * (theirs**2).mean() * len(theirs) * np.eye(theirs.shape[1])
        left, _, right = np.linalg.svd(theirs.T @ ours + unmoved)
        return cls(*means, left @ right)

    def apply(self, rows: np.ndarray) -> np.ndarray:
        """`rows` (n, d) of the one encoder in the space of the other, float32."""
        return ((rows.astype(np.float64) - self.theirs) @ self.rotation + self.ours).astype(np.float32)

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
