"""The loss of the release: weighted focal cross-entropy. With γ = 0 and no weights it is eq. 16 of the paper."""

import numpy as np
import torch
from torch import Tensor

from common.data.corpus import Corpus
from common.errors import InputError
from common.settings import TrainingSettings

# Class frequencies over all splits, test included, as the release has them.
RELEASED_FREQUENCIES = {
    "IEMOCAP": (0.087178797, 0.145836136, 0.229786089, 0.148392305, 0.140051123, 0.24875555),
    "MELD": (0.469506857, 0.119346367, 0.026116137, 0.073096002, 0.168368836, 0.026334987, 0.117230814),
}


def focal_loss(
    log_prob: Tensor, label: Tensor, gamma: float = 0.0, weight: Tensor | None = None, share: Tensor | None = None
) -> Tensor:
    """Mean over utterances of -α_y (1 - p_y)^γ log p_y, the focal factor taken as a constant for the gradient.

    `log_prob` (N, C), `label` (N,), `weight` α (C,) or None. Not divided by the sum of the weights. `share`: (N,) what
    each utterance counts in the mean (default: all alike); where the label is not known, -1, it has to be 0.
    """
    label = label.clamp(min=0)
    picked = log_prob.gather(1, label[:, None])[:, 0]  # (N,)
    loss = -picked
    if gamma:
        loss = loss * (1 - picked.detach().exp()) ** gamma
    if weight is not None:
        loss = loss * weight[label]
    return loss.mean() if share is None else (loss * share).sum()


def class_weights(settings: TrainingSettings, corpus: Corpus) -> Tensor | None:
    """The weights α of `settings` (TrainingSettings), float32 (C,), or None.

    Raises InputError where the released frequencies are of other classes, or a class has no training utterance.
    """
    if settings.class_weights == "none":
        return None
    if settings.class_weights == "released":
        frequency = np.array(RELEASED_FREQUENCIES.get(corpus.name, ()))
        if len(frequency) != len(corpus.classes) or settings.labels != "emotion":
            message = "released class weights: frequencies were released for emotions only; use train or none"
            raise InputError(message, change=["class_weights"])
    else:
        label = corpus.label[corpus.rows("train")]
        counts = np.bincount(label[label >= 0], minlength=len(corpus.classes))
        if not counts.all():
            absent = corpus.classes[int(np.argmin(counts))]
            released = "released or " if corpus.name in RELEASED_FREQUENCIES and settings.labels == "emotion" else ""
            message = f"class weights of the training split: no utterance of train is labelled {absent}"
            mend = f"use {released}none, or put a dialogue with {absent} into train"
            raise InputError(f"{message}, so its weight is not known; {mend}", change=["class_weights"])
        frequency = counts / counts.sum()
    weight = 1 / frequency if settings.class_weight_formula == "inverse" else np.log(1 / frequency)
    return torch.tensor(weight, dtype=torch.float32)
