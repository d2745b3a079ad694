"""The paper's scores, and whether a corpus is the data that they were obtained on."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from common.data.corpus import Corpus
from common.release.published import TEST_COUNTS


def _read() -> dict[str, Any]:
    return yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))


def paper_systems(dataset: str) -> dict[str, dict]:
    """Tables 2 and 3: name of a system to its `accuracy`, `wf1` and `f1` (C,), in percent, on the test split."""
    return _read()["systems"][dataset]


def paper_variants(dataset: str) -> dict[str, dict[str, float]]:
    """Tables 4 to 7: name of a variant to its `wf1` and `accuracy`, in percent, on the test split."""
    first = 0 if dataset == "IEMOCAP" else 2
    rows = _read()["variants"].items()
    return {name: dict(zip(("wf1", "accuracy"), values[first : first + 2], strict=True)) for name, values in rows}


def paper_scores(corpus: Corpus, split: str) -> tuple[dict | None, str]:
    """The paper's scores for `split` of `corpus`, or None and the reason why they do not apply.

    They apply to the test split of the real files: emotion labels with the published counts, and no feature blank.
    """
    if "synthetic" in corpus.sources:
        return None, "these are synthetic conversations"
    if corpus.name not in TEST_COUNTS:
        return None, "these are conversations of your own"
    if split != "test":
        return None, f"its scores are of the test split, not of {split}"
    counts = np.bincount(corpus.label[corpus.rows("test")], minlength=len(corpus.classes)).tolist()
    if counts != TEST_COUNTS[corpus.name]:
        return None, "the test labels are not those of the released files"
    if blank := blank_features(corpus, split):
        return None, f"the {' and '.join(blank)} features are blank, unlike those of the released files"
    return paper_systems(corpus.name)["ECERC"], ""


def blank_features(corpus: Corpus, split: str) -> list[str]:
    """Names of the features that are the same in all utterances of `split`, two or more; it may be a lack of them."""
    rows, blank = corpus.rows(split), []
    for name, values in corpus.features.items():
        parts = np.array_split(rows, len(rows) // 256 + 1)  # the first of them shows it, mostly
        if len(rows) > 1 and values.shape[1] and all((values[part] == values[rows[0]]).all() for part in parts):
            blank.append(name)
    return blank
