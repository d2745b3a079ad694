"""What networks predict, utterance by utterance, as a table."""

from typing import TYPE_CHECKING

from torch import Tensor

from common.data.corpus import Corpus

if TYPE_CHECKING:
    import pandas as pd


def prediction_rows(corpus: Corpus, split: str, log_prob: Tensor, **origin: object) -> "pd.DataFrame":
    """A row per utterance of `split`, in file order: the columns `origin`, dialogue, utterance (its number as it was
    given), position (from 0), speaker, label (empty where not known), prediction, and a log_prob_<class> per class,
    from the log-probabilities (U, C).
    """
    import pandas as pd  # takes a third of a second, and few evaluations need it

    rows = corpus.rows(split)
    dialogue = [i for d in corpus.splits[split] for i in [corpus.ids[d]] * int(corpus.lengths[d])]
    number = {"utterance": corpus.utterances[rows], "position": corpus.positions[rows]}
    table = pd.DataFrame(origin | {"dialogue": dialogue} | number)
    table["speaker"] = [corpus.speakers[s] for s in corpus.speaker[rows]]
    table["label"] = [corpus.classes[c] if c >= 0 else "" for c in corpus.label[rows]]
    table["prediction"] = [corpus.classes[c] for c in log_prob.argmax(1)]
    for c, kind in enumerate(corpus.classes):
        table[f"log_prob_{kind}"] = log_prob[:, c].numpy()
    return table
