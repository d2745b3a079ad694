"""The paper's scores, and whether a corpus is the data that they were obtained on."""

import numpy as np

from common.data.corpus import Corpus

# Tables 2 and 3, test split, percent, averages of three runs; F1 in label order.
PAPER = {
    "IEMOCAP": {"accuracy": 71.60, "wf1": 71.78, "f1": [60.86, 79.28, 71.95, 66.27, 78.29, 68.25]},
    "MELD": {"accuracy": 67.32, "wf1": 66.46, "f1": [79.80, 58.98, 26.12, 40.95, 64.95, 31.43, 53.89]},
}
TEST_COUNTS = {
    "IEMOCAP": [144, 245, 384, 170, 299, 381],
    "MELD": [1256, 281, 50, 208, 402, 68, 345],
}


def paper_scores(corpus: Corpus, split: str) -> tuple[dict | None, str]:
    """The paper's scores for `split` of `corpus`, or None and the reason why they do not apply.

    They apply to the test split of the real files: emotion labels with the published counts, and no feature blank.
    """
    if "synthetic" in corpus.sources:
        return None, "these are synthetic conversations"
    if split != "test":
        return None, f"its scores are of the test split, not of {split}"
    counts = np.bincount(corpus.label[corpus.rows("test")], minlength=len(corpus.classes)).tolist()
    if counts != TEST_COUNTS[corpus.name]:
        return None, "the test labels are not those of the released files"
    blank = [name for name in corpus.widths if not np.ptp(getattr(corpus, name)[corpus.rows("test")], axis=0).any()]
    if blank:
        return None, f"the {' and '.join(blank)} features are blank, unlike those of the released files"
    return PAPER[corpus.name], ""
