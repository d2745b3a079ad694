"""Train ECERC on MELD. Edit the values below, or give any of them as an option: `python train.py --help`."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from common.commands.train import train

HYPERPARAMETERS = dict(
    # Runs
    seeds=[0, 1, 2],  # one training per seed
    epochs=40,  # at most
    patience=20,  # epochs without a better validation F1 or loss, then stop
    batch_size=32,  # dialogues
    shuffle=True,  # the training dialogues, every epoch
    labels="emotion",  # 7 classes; "sentiment": 3
    # Optimiser: Adam
    learning_rate=1e-5,
    weight_decay=2e-4,  # L2 penalty, not decoupled
    # Loss
    focal_gamma=1.0,  # exponent of (1 - p); 0: cross-entropy
    class_weights="none",  # frequencies behind the weights: "released", "train" or "none"
    class_weight_formula="log-inverse",  # of a frequency: "inverse" or "log-inverse"
    # Dropout
    evidence_dropout=0.0,  # of the gated evidence
    attention_dropout=0.1,  # weights, output and feed-forward inside the attention blocks
    classifier_dropout=0.2,  # before the classifier
    # Network
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
    threads=1,  # of each seed's training on a CPU; with another number results differ in their last digits
    precision="float32",  # of matrix products; not exact: "tf32" (NVIDIA GPUs), "bfloat16"
)

if __name__ == "__main__":
    train("MELD", HERE, HYPERPARAMETERS)
