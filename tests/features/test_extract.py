import numpy as np
import pytest

from common.errors import InputError
from common.features.extract import Part, Workers, extract
from common.features.store import opened
from tests.features.light import Letters, called

SENTENCES = ["a bee", "okay", "empty", "okay", "see a tree", "o"]
EXPECTED = {"a bee": [1, 2, 5], "okay": [1, 0, 4], "see a tree": [1, 4, 10], "o": [0, 0, 1]}
HERE = [Workers(), Workers(jobs=2)]


def found(store, extractor, sentences):
    keys = [extractor.key_of(u) for u in called(sentences)]
    return list(store.get(extractor.key(), keys))


@pytest.mark.parametrize("workers", HERE, ids=["in this process", "two workers"])
def test_every_utterance_has_its_own(tmp_path, workers):
    extractor = Letters()
    with opened(tmp_path / "s") as store:
        assert extract(Part(extractor, np.arange(6)), called(SENTENCES), store, workers) == []
        results = found(store, extractor, SENTENCES)
    assert results[2] == "nothing to count"
    for sentence, result in zip(SENTENCES, results, strict=True):
        if sentence != "empty":
            assert result.tolist() == EXPECTED[sentence]


def test_equal_utterances_are_done_once_and_done_ones_not_again(tmp_path):
    log = tmp_path / "log"
    with opened(tmp_path / "s") as store:
        extract(Part(Letters(log=str(log)), np.array([0, 1, 3])), called(SENTENCES), store, Workers())
        assert sorted(log.read_text().split("\n")[:-1]) == ["a bee", "okay"]
        log.unlink()
        extract(Part(Letters(log=str(log)), np.arange(6)), called(SENTENCES), store, Workers())
        assert sorted(log.read_text().split("\n")[:-1]) == ["empty", "o", "see a tree"]
        log.unlink()
        extract(Part(Letters(2.0, log=str(log)), np.arange(2)), called(SENTENCES), store, Workers())
        assert sorted(log.read_text().split("\n")[:-1]) == ["a bee", "okay"]
        assert found(store, Letters(2.0), ["okay"])[0].tolist() == [2, 0, 8]
        assert found(store, Letters(), ["okay"])[0].tolist() == [1, 0, 4]


def test_one_that_kills_its_process_costs_itself_only(tmp_path):
    sentences = ["okay", "killed", "a bee", "o"]
    with opened(tmp_path / "s") as store:
        problems = extract(Part(Letters(), np.arange(4)), called(sentences), store, Workers(jobs=1))
        results = found(store, Letters(), sentences)
    assert problems == ["dialogue 'd', utterance 1: the process that worked on it was killed (SIGKILL)"]
    assert results[1] is None
    assert [r.tolist() for r in (results[0], results[2], results[3])] == [[1, 0, 4], [1, 2, 5], [0, 0, 1]]


def test_after_a_kill_that_does_not_come_again_nothing_is_missing(tmp_path):
    extractor = Letters(log=str(tmp_path / "log"))
    with opened(tmp_path / "s") as store:
        assert extract(Part(extractor, np.arange(2)), called(["o", "killed once"]), store, Workers(jobs=1)) == []
        assert found(store, extractor, ["killed once"])[0].tolist() == [0, 2, 11]


def test_a_mistake_names_its_utterances_and_the_others_are_done(tmp_path):
    sentences = ["mistake", "a long sentence", "a longer sentence"]
    with opened(tmp_path / "s") as store:
        problems = extract(Part(Letters(), np.arange(3)), called(sentences), store, Workers(jobs=1))
        assert found(store, Letters(), sentences)[2] is not None
    assert problems[0] == "dialogue 'd', utterance 0: ValueError: a mistake of ours"


def test_what_is_wrong_with_all_is_raised_and_done_ones_are_kept(tmp_path):
    with opened(tmp_path / "s") as store:
        with pytest.raises(InputError, match="no such model"):
            extract(Part(Letters(), np.arange(3)), called(["o", "a", "model"]), store, Workers())
        assert found(store, Letters(), ["o", "a"])[0].tolist() == [0, 0, 1]


def test_a_dask_cluster_does_the_same(tmp_path):
    distributed = pytest.importorskip("distributed")
    extractor = Letters()
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        opened(tmp_path / "s") as store,
    ):
        workers = Workers("dask", scheduler=cluster.scheduler_address)
        assert extract(Part(extractor, np.arange(6)), called(SENTENCES), store, workers) == []
        results = found(store, extractor, SENTENCES)
        with pytest.raises(InputError, match="no such model"):
            extract(Part(extractor, np.arange(2)), called(["o", "model"]), store, workers)
    assert [r if isinstance(r, str) else r.tolist() for r in results] == [
        "nothing to count" if s == "empty" else EXPECTED[s] for s in SENTENCES
    ]
