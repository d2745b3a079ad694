import numpy as np
import pandas as pd
import pytest
import torch

from common.data.own import build_corpus
from common.evaluation.predictions import prediction_rows
from tests.small import small_corpus

NUMBERS = {"from 0": (0, 1, 2, 3), "from 1": (1, 2, 3, 4), "with gaps": (0, 3, 4, 9), "negative": (-2, 0, 5, 7)}


@pytest.mark.parametrize("numbers", NUMBERS.values(), ids=NUMBERS)
def test_rows_join_with_the_csv_file_that_they_came_from(tmp_path, numbers):
    """Every row gets its own label, wherever numbers begin and whatever they leave out, in a file in any order."""
    rows = [
        (f"d{d}", u, "Ann", random, ("train", "valid", "test")[d % 3])
        for d, draws in enumerate(np.random.default_rng(0).integers(4, size=(6, 4)))
        for u, random in zip(numbers, draws, strict=True)
    ]
    given = pd.DataFrame(rows, columns=["dialogue", "utterance", "speaker", "label", "split"])
    given.sample(frac=1, random_state=1).to_csv(tmp_path / "u.csv", index=False)
    np.save(tmp_path / "audio.npy", np.zeros((24, 2)))
    corpus, _ = build_corpus("mine", tmp_path / "u.csv", {"audio": [tmp_path / "audio.npy"]})
    table = prediction_rows(corpus, "test", torch.zeros(8, 4), seed=1)
    assert list(table)[:6] == ["seed", "dialogue", "utterance", "position", "speaker", "label"]
    assert table.utterance.tolist() == [*numbers] * 2
    assert table.position.tolist() == [0, 1, 2, 3] * 2
    table.to_csv(tmp_path / "p.csv", index=False)
    joined = pd.read_csv(tmp_path / "p.csv").merge(
        pd.read_csv(tmp_path / "u.csv"), on=["dialogue", "utterance"], suffixes=("", "_given")
    )
    assert len(joined) == 8
    assert (joined.label == joined.label_given).all()


def test_released_files_give_positions():
    corpus = small_corpus("MELD", sizes=(3, 2, 4))
    rows = corpus.rows("test")
    table = prediction_rows(corpus, "test", torch.zeros(len(rows), 7), checkpoint="a")
    expected = [u for d in corpus.splits["test"] for u in range(corpus.lengths[d])]
    assert table.utterance.tolist() == table.position.tolist() == expected
