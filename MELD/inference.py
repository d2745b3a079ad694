"""Evaluate ECERC checkpoints on MELD. Edit the values below, or give any as an option: see `--help`."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from common.commands.inference import inference

# What the released checkpoints were trained with. Runs of train.py carry their own values in settings.yaml.
HYPERPARAMETERS = dict(
    batch_size=32,  # dialogues; with "released" empty history the scores depend on it
    labels="emotion",  # 7 classes; "sentiment": 3
    hidden_width=128,  # of a mapped modality
    layers=1,  # of each attention block
    heads=8,
    head_width=64,
    feedforward_factor=2,  # width of a feed-forward layer over that of its block
    positions=False,  # sinusoidal positions are added to the features
    empty_history="released",  # a query without history attends to all of the padded dialogue; "strict": to nothing
    modality_order="released",  # columns of the audio and visual maps, as the release cuts them; "aligned": in place
    # Variants (Tables 4 to 7)
    modalities="TAV",  # T text, A audio, V visual: "TAV", "TA", "TV", "AV", "T", "A" or "V"
    without=[],  # parts to leave out, such as "evidence-gating"; --help lists them
    evidence_gate_inputs="all",  # what the gate of a modality sees: "all" modalities, or its "own"
    feature_gate_inputs="own",  # what the gate of a candidate sees: its "own" candidate, or "all"
    # Speed
    precision="float32",  # of matrix products; not exact: "tf32" (NVIDIA GPUs), "bfloat16"
)

if __name__ == "__main__":
    inference("MELD", HERE, HYPERPARAMETERS)
