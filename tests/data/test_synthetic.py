"""Synthetic conversations: the planted rules hold, and what they plant can be learned, causes included."""

from dataclasses import replace

import numpy as np

from common.__main__ import main
from common.data import iemocap, meld
from common.data.corpus import from_dialogues
from common.data.synthetic import CAUSES, synthetic_corpus
from common.settings import TrainingSettings
from tests.small import result_of, right_after_training, same, small_corpus


def test_the_same_seed_gives_the_same_corpus():
    assert same(small_corpus(seed=3), small_corpus(seed=3))
    assert not np.array_equal(*(small_corpus(seed=seed).features["text"] for seed in (3, 4)))


def test_the_emotion_of_every_turn_follows_from_its_kind():
    """Each label again, found by looking back through the dialogue for the planted cause."""
    corpus = small_corpus("MELD", sizes=(40, 2, 2), turns=(1, 12))
    seen = set()
    for a, b in zip(corpus.offset[:-1], corpus.offset[1:], strict=True):
        showed, mentioned = {}, {}
        for u in range(a, b):
            speaker, kind, label = int(corpus.speaker[u]), corpus.sentences[u], int(corpus.label[u])
            cause = {
                "cross_event": mentioned.get(1 - speaker),
                "self_emotion": showed.get(speaker),
                "cross_emotion": showed.get(1 - speaker),
            }
            if kind == "evidence":
                assert showed.setdefault(speaker, label) == label
            elif kind == "self_event":
                assert mentioned.setdefault(speaker, label) == label
            else:
                assert cause[kind] == label
            seen.add(kind)
    assert seen == {"evidence", *CAUSES}


def test_only_the_causes_asked_for_are_planted():
    corpus = small_corpus(causes=("self_emotion",))
    assert set(corpus.sentences) == {"evidence", "self_emotion"}


def test_written_from_the_command_line(tmp_path, capsys):
    words = "--dialogues 9 1 3 --turns 2 6 --text-width 12 --event-width 10 --audio-width 7 --visual-width 5"
    printed, status = result_of(lambda: main(["synthetic", str(tmp_path), *words.split()]), capsys)
    assert ("wrote" in printed.out, status) == (True, 0)
    for module in (iemocap, meld):
        assert same(module.read(tmp_path / module.FOLDER), small_corpus(module.NAME))
    printed, status = result_of(lambda: main(["synthetic", str(tmp_path), "--turns", "0", "4"]), capsys)
    assert ("--turns: found" in printed.err, status) == (True, 2)


def test_causes_can_be_learned_again_and_again():
    """The whole network beats the same network that sees evidence only, by far, for three seeds; and each kind of
    cause is understood well beyond what evidence alone gives.
    """
    widths = {"text": 32, "event": 32, "audio": 16, "visual": 16}
    corpus = synthetic_corpus("IEMOCAP", sizes=(150, 4, 60), turns=(5, 12), widths=widths)
    kind = np.array(corpus.sentences)[corpus.rows("test")]
    network = {"hidden_width": 32, "heads": 4, "head_width": 16, "positions": True}
    jobs = []
    for seed in range(3):
        for seen in (corpus, evidence_only(corpus)):
            size = round(200 * len(seen.ids) / len(seen.label))  # dialogues that have 200 utterances
            training = {"learning_rate": 5e-3, "epochs": 8, "batch_size": size}
            jobs.append((seen, TrainingSettings(**network, **training, seeds=[seed])))
    right = np.array(right_after_training(jobs)).reshape(3, 2, -1)  # seed, whole or alone, utterance
    whole, alone = right.mean(2).T
    assert min(whole - alone) > 20
    for cause in CAUSES:
        whole, alone = right[..., kind == cause].mean((0, 2))
        assert whole > alone + 10, cause


def evidence_only(corpus):
    """Every utterance a dialogue of its own, and no event features: nothing but its evidence is to be seen."""
    sizes = [len(corpus.rows(split)) for split in ("train", "valid", "test")]
    single = from_dialogues(
        corpus.name,
        lengths=[1] * len(corpus.label),
        ids=range(len(corpus.label)),
        split_sizes=sizes,
        **{name: getattr(corpus, name) for name in ("features", "label", "speaker", "classes", "speakers")},
    )
    return replace(single, features=single.features | {"event": np.zeros_like(corpus.features["event"])})
