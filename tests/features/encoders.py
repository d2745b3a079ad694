"""Encoders of random weights, small enough to be trained in a test."""

import json
import shutil
from pathlib import Path

import torch

TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "vocab.txt")
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "initializer_range": 0.2,
}


def small_bert(folder: Path, minilm: Path) -> Path:
    """A BERT with the tokenizer of MiniLM, in `folder`."""
    import transformers

    torch.manual_seed(1)
    transformers.BertModel(transformers.BertConfig(**SIZES)).save_pretrained(folder)
    for name in TOKENIZER:
        shutil.copy(minilm / name, folder)
    return folder


def small_roberta(folder: Path) -> Path:
    """A RoBERTa of 34 positions with a tokenizer of letters, in `folder`."""
    import transformers

    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *"abcdefghijklmnopqrstuvwxyzĠ"]
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    transformers.RobertaTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt")).save_pretrained(folder)
    torch.manual_seed(1)
    settings = transformers.RobertaConfig(**SIZES, vocab_size=len(tokens), max_position_embeddings=34)
    transformers.RobertaModel(settings).save_pretrained(folder)
    return folder
