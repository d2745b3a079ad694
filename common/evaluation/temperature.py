"""The temperature of a checkpoint: fitted once on the validation split, and kept beside it."""

from pathlib import Path

import torch
import yaml

from common.batching.batches import Batches
from common.data.corpus import Corpus
from common.errors import InputError
from common.evaluation.calibration import fit_temperature
from common.evaluation.evaluate import evaluate
from common.files import atomic, read_yaml, sha256
from common.network.ecerc import ECERC
from common.settings import EvaluationSettings

_MATTERS = ("batch_size", "labels", "empty_history", "modality_order", "precision")  # beside the weights


def temperature_of(
    checkpoint: Path, network: ECERC, corpus: Corpus, settings: EvaluationSettings, device: torch.device
) -> tuple[float, str]:
    """The temperature of `checkpoint`, whose weights `network` has, and what it was fitted on in words.

    It stands in <checkpoint>.temperature.yaml, which is made where it does not fit the checkpoint and `settings`, from
    the validation split of `corpus`. Raises InputError where there is neither.
    """
    path = checkpoint.with_suffix(".temperature.yaml")
    key = {"checkpoint": sha256(checkpoint), "settings": {name: getattr(settings, name) for name in _MATTERS}}
    if path.exists():
        kept = read_yaml(path)
        if {name: kept.get(name) for name in key} == key and isinstance(kept.get("temperature"), float):
            return kept["temperature"], str(kept.get("fitted_on"))
    label = corpus.label[corpus.rows("valid")] if corpus.splits["valid"] else []
    if not len(label) or min(label) < 0:
        raise InputError(
            f"--calibrated: {path} does not exist, and {corpus.name} has no validation split to make it; evaluate the "
            "checkpoint once with --calibrated on the data that it was trained on"
        )
    log_prob, _ = evaluate(network, Batches(corpus, "valid", settings.batch_size, device))
    fitted_on = f"validation split of {corpus.name}, {len(label):,} utterances"
    found = key | {"temperature": fit_temperature(log_prob.numpy(), label), "fitted_on": fitted_on}
    try:
        with atomic(path) as file:
            yaml.safe_dump(found, file, sort_keys=False)
    except OSError:  # a folder that is not writable: it is fitted anew the next time
        pass
    return found["temperature"], fitted_on
