"""ECERC for other programs: `load` gives a trained network, `Emotions` what it finds in sentences.

The commands are in `common.commands`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from common.prediction.emotions import Emotions
    from common.release.loading import Trained

__all__ = ["Emotions", "load"]


def load(source: str | Path, *, device: "str | torch.device" = "cpu", **changes: Any) -> "Trained":
    """The network in `source`, in evaluation mode on `device`, with its `settings`, `widths` and names of `classes`.

    `source`: the folder of a run (of several checkpoints, the first one), a checkpoint, or one of the authors' by its
    name on the hub, "zt-ai/ECERC/IEMOCAP/ECERC_MODEL.pkl", which is downloaded where it is missing. `changes`:
    EvaluationSettings in place of those that it was trained with; a line on standard error says which differ. Raises
    InputError where there is no such checkpoint, or where it is not known what it was trained with.
    """
    from common.release.loading import load as load_network  # torch takes long to import, and `--help` imports this

    return load_network(source, device, changes)


def __getattr__(name: str) -> Any:
    if name == "Emotions":  # not before somebody asks for it: it imports torch
        from common.prediction.emotions import Emotions

        return Emotions
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
