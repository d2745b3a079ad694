"""Live conversations against the batch results of the whole conversations."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from common.data.corpus import FEATURES
from common.data.meld import CLASSES
from common.errors import InputError
from common.experiments.variants import TABLES, VARIANTS
from common.network.attention import AttentionLayer
from common.network.streaming import Live
from common.release.checkpoint import save_released
from tests.network.test_properties import close, conversations, networks
from tests.small import WIDTHS, about, outputs, random_corpus, small_corpus, small_network

ROWS = dict.fromkeys(name for table in "4567" for name in TABLES[table].rows)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "live.md"


def strict(corpus, **settings):
    return small_network(corpus, empty_history="strict", **settings)


def calls(corpus, seed=0, most=7):
    """All utterances, conversations mixed at random, in calls of up to `most`: lists of rows of the corpus."""
    rng = np.random.default_rng(seed)
    dialogue = rng.permutation(np.repeat(np.arange(len(corpus.ids)), corpus.lengths))
    row = np.empty_like(dialogue)
    row[np.argsort(dialogue, kind="stable")] = np.arange(len(row))
    while len(row):
        now, row = np.split(row, [rng.integers(1, most, endpoint=True)])
        yield now


def feed(live, corpus, rows):
    """Log-probabilities of the utterances `rows`; conversations go by their ids, speakers by their names."""
    dialogue = np.searchsorted(corpus.offset, rows, side="right") - 1
    names = [corpus.speakers[speaker] for speaker in corpus.speaker[rows]]
    return live([corpus.ids[i] for i in dialogue], names, **{name: corpus.features[name][rows] for name in FEATURES})


def fed(live, corpus, parts):
    """Log-probabilities (U, C) of all utterances, fed as `parts` says."""
    found = torch.full((len(corpus.label), len(corpus.classes)), torch.nan)
    for rows in parts:
        found[rows] = feed(live, corpus, rows)
    return found


@given(conversations, networks, st.integers(0, 2**32), st.sampled_from([1, 3, 10, 100]))
def test_any_conversations_in_any_calls(made_of, network, seed, most):
    corpus = random_corpus(**made_of)
    net = strict(corpus, **network)
    live = Live(net)
    close(fed(live, corpus, calls(corpus, seed, most)), outputs(net, corpus))
    assert live.lengths == dict(zip(corpus.ids, corpus.lengths, strict=True))


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("variant", ROWS)
def test_every_variant(variant, layers):
    """Features that a variant does not use need not be given."""
    corpus = random_corpus([5, 1, 40, 18], speakers=4)
    net = strict(corpus, layers=layers, positions=True, modality_order="released", **VARIANTS[variant])
    expected, live = outputs(net, corpus), Live(net)
    close(fed(live, corpus, calls(corpus)), expected)
    used = [*net.settings.modalities_in_use, *(["event"] if "text" in net.settings.modalities_in_use else [])]
    close(live(["new"], [0], **{name: corpus.features[name][:1] for name in used}), expected[:1])


def test_a_long_conversation_beside_others():
    """1,500 turns, longer than any position table, in calls of very different size."""
    corpus = random_corpus([1500, 3, 60], speakers=2)
    net = strict(corpus, positions=True)
    parts = [range(700), [*range(700, 1000), 1500, *range(1503, 1550)], *([row] for row in range(1000, 1020))]
    parts += [[1501, *range(1020, 1500), 1502], range(1550, 1563)]
    close(fed(Live(net), corpus, map(list, parts)), outputs(net, corpus))


def test_a_step_is_linear_in_what_came_before(monkeypatch):
    """Numbers of scores, and of rows that go through a layer, also beside conversations of other length."""
    corpus = random_corpus([1000] + 50 * [1])
    net, cells, rows = strict(corpus), [], []

    def counted(layer, query, key, value, bias):
        cells.append(bias.numel())
        return mixed(layer, query, key, value, bias)

    mixed = AttentionLayer._mixed
    monkeypatch.setattr(AttentionLayer, "_mixed", counted)
    for module in net.modules():
        if isinstance(module, AttentionLayer):
            module.register_forward_hook(lambda module, given, found: rows.append(len(found)))
    live = Live(net)
    for n in (10, 100, 999):
        feed(live, corpus, list(range(sum(live.lengths.values()), n)))
        cells.clear()
        rows.clear()
        feed(live, corpus, [n])
        assert sum(cells) == 5 * (1 + n + 1)  # in the five blocks that look back
        assert set(rows) == {1}
        live.end(corpus.ids[0])
        feed(live, corpus, list(range(n)))
    cells.clear()
    feed(live, corpus, [999, *range(1000, 1050)])
    assert sum(cells) == 5 * (1001 + 50 * 2)


@settings(max_examples=10)
@given(st.integers(0, 2**32), st.sampled_from([1, 2]), st.booleans())
def test_saved_and_restored_in_the_middle(tmp_path_factory, seed, layers, positions):
    """In a file that holds no code, into another copy of the network; conversations ended in between are not there."""
    path = tmp_path_factory.getbasetemp() / "live.pt"
    corpus, gone = random_corpus([6, 1, 20, 4], seed=seed % 100), random_corpus([9, 8])
    corpus.ids[:] = ["a", 1, ("room", 2), -3]
    corpus.speakers[:] = ["Ann", 7, ("x", 1)]
    parts = list(calls(corpus, seed))
    cut = seed % (len(parts) + 1)
    before, after = (Live(strict(corpus, layers=layers, positions=positions)) for _ in range(2))
    feed(before, gone, [0, 9])
    found = fed(before, corpus, parts[:cut])
    before.end("d1")
    feed(after, gone, [0, 9, 10])  # forgotten with what is loaded
    torch.save(before.state_dict(), path)
    after.load_state_dict(torch.load(path, weights_only=True))
    assert after.lengths == before.lengths
    rest = fed(after, corpus, parts[cut:])
    expected = outputs(before.network, corpus)
    close(torch.where(found.isnan(), rest, found), expected)
    close(torch.where(found.isnan(), fed(before, corpus, parts[cut:]), found), expected)  # the first goes on, too
    close(feed(after, gone, [1, 2]), outputs(before.network, gone)[1:3])


def test_a_state_of_another_network_is_refused():
    corpus = random_corpus([3])
    first = Live(strict(corpus))
    feed(first, corpus, [0, 1])
    state = first.state_dict()
    others = [strict(corpus, seed=1), strict(corpus, positions=True), strict(corpus, heads=1, head_width=8)]
    for net in others:
        live = Live(net)
        with pytest.raises(InputError, match="of a network with other weights or settings") as error:
            live.load_state_dict(state)
        assert "\n" not in str(error.value)
        assert live.lengths == {}
    same = Live(strict(corpus, evidence_dropout=0.3))  # which computes the same
    same.load_state_dict(state)
    close(feed(same, corpus, [2]), outputs(same.network, corpus)[2:])


def test_released_history_is_refused():
    with pytest.raises(InputError, match=r"released empty history.*expected strict") as error:
        Live(small_network(random_corpus([2])))
    assert "\n" not in str(error.value)


def test_ended_conversations_leave_nothing_behind():
    """Neither in later ones of the same name, nor in memory; nor do features too large for the network."""
    corpus = random_corpus([6, 4])
    live, sizes = Live(strict(corpus)), []
    expected = outputs(live.network, corpus)
    for _ in range(30):
        ill = {name: np.full((2, width), 1e38, np.float32) for name, width in WIDTHS.items()}
        with pytest.raises(InputError, match="utterance 1 of 'ill' has no finite log-probabilities"):
            live(["ill", "ill"], ["Ann", "Bob"], **ill)
        close(fed(live, corpus, calls(corpus)), expected)
        for name in live.lengths:
            live.end(name)
        sizes.append(sum(memory.numel() for memory in live._cache.values()))
    assert live.lengths == {}
    assert sizes[-1] == sizes[0]
    for name in ("d0", ["d0"]):
        with pytest.raises(InputError, match=r"live conversations: .*(under way; none is|expected names)"):
            live.end(name)


def test_an_empty_call():
    corpus = random_corpus([2])
    live = Live(strict(corpus))
    assert live([], []).shape == (0, 4)
    feed(live, corpus, [0])
    assert live(np.array([]), []).shape == (0, 4)
    assert live.lengths == {"d0": 1}


def test_a_network_that_was_put_into_training_again():
    """With its dropout, every call would answer something else."""
    corpus = random_corpus([4])
    live = Live(strict(corpus, attention_dropout=0.5))
    expected = outputs(live.network, corpus)
    live.network.train()
    close(feed(live, corpus, range(4)), expected)


def test_which_utterance_of_a_call_is_named():
    corpus = random_corpus([9, 3])
    live = Live(strict(corpus))
    feed(live, corpus, [0, 1, 9])
    corpus.features["audio"][[3, 11], 2] = np.nan
    with pytest.raises(InputError, match="audio of utterance 4 of 'd0' holds"):
        feed(live, corpus, [10, 2, 3, 11])
    assert live.lengths == {"d0": 2, "d1": 1}


def damaged(state):
    """States that were spoilt, each in one way."""
    (layer, memory), conversation = next(iter(state["memory"].items())), state["conversations"]["d0"]
    one = {"speakers": ["s0"], "speaker": torch.tensor([0, 1, 2])}
    spoilt = memory.clone()
    spoilt[1, 2] = torch.nan
    yield [state]
    yield {"network": state["network"]}
    yield state | {"memory": {}}
    yield state | {"memory": state["memory"] | {"another": memory}}
    for wrong in (memory[:2], memory[:, :3], spoilt, memory.long(), "text"):
        yield state | {"memory": state["memory"] | {layer: wrong}}
    for wrong in ([], {"d0": one}, {"d0": conversation | {"speaker": [0, 0, 0]}}, {"d0": conversation, "d1": one}):
        yield state | {"conversations": wrong}


def test_a_damaged_state_is_refused_and_changes_nothing():
    corpus = random_corpus([5], speakers=1)
    live = Live(strict(corpus))
    feed(live, corpus, [0, 1, 2])
    state = live.state_dict()
    for wrong in damaged(state):
        with pytest.raises(InputError, match="live conversations: the state is") as error:
            live.load_state_dict(wrong)
        assert "\n" not in str(error.value)
    close(feed(live, corpus, [3]), outputs(live.network, corpus)[[3]])
    fresh = Live(live.network)
    fresh.load_state_dict(Live(live.network).state_dict())  # of no conversation
    assert fresh.lengths == {}


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor, lambda x: [torch.tensor(i) for i in x]])
def test_names_are_numbers_or_words(kind):
    """A number is the same one in a list, an array and a tensor."""
    corpus = random_corpus([7], speakers=3)
    live = Live(strict(corpus))
    for row in range(7):
        features = {name: torch.tensor(corpus.features[name][[row]]) for name in WIDTHS}
        found = live(kind([5]), kind(corpus.speaker[[row]].tolist()), **features)
        close(found, outputs(live.network, corpus)[[row]])
    assert live.lengths == {5: 7}


def test_what_does_not_fit_is_named_and_changes_nothing(monkeypatch):
    corpus = random_corpus([9])
    live = Live(strict(corpus, modality_order="released"))
    expected = outputs(live.network, corpus)
    feed(live, corpus, [0, 1])
    good = {name: corpus.features[name][[2]] for name in FEATURES}
    swapped = good | {"audio": good["visual"], "visual": good["audio"]}
    for speakers, features, message in (
        (["a", "b"], good, "found 2 speakers for 1 utterances"),
        (["a"], swapped, r"audio has shape \(1, 5\); expected \(1, 7\)"),
        (["a"], good | {"audio": None}, "no audio features; expected text, audio, visual, event$"),
        (["a"], good | {"event": None}, "no event features; .*, or the text features again, if those of training"),
        (["a"], good | {"text": good["text"][0]}, r"text has shape \(12,\); expected \(1, 12\)"),
        (["a"], good | {"text": [["a"] * 12]}, "text holds <U1, which are no numbers"),
        (["a"], good | {"text": [[1, [2]]]}, "text is no table of numbers"),
        (["a"], good | {"audio": good["audio"] * np.array(1j)}, "audio holds complex"),
        (
            ["a"],
            good | {"visual": torch.full((1, 5), torch.inf)},
            "visual of utterance 3 of 'd0' holds NaN or infinity",
        ),
        (["a"], good | {"event": np.full((1, 10), 1e300)}, "event of utterance 3 of 'd0' holds NaN or infinity"),
        ([float("nan")], good, "speakers: found nan; expected"),
        ([["a"]], good, r"speakers: found \['a'\]; expected"),
        ("a", good, "speakers: found 'a'; expected a list"),
        (["a"], good | {"sound": good["audio"]}, "features sound; expected some of text, event, audio, visual"),
    ):
        with pytest.raises(InputError, match=message) as error:
            live(["d0"], speakers, **features)
        assert "\n" not in str(error.value)
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):  # half way through the network
        patch.setattr(live.network, "classify", lambda gated: 1 / 0)
        feed(live, corpus, [4, 5, 6])
    assert live.lengths == {"d0": 2}
    close(fed(live, corpus, [[2], [3, 4], list(range(5, 9))])[2:], expected[2:])


def test_bfloat16_is_near():
    corpus = random_corpus([5, 20])
    live = Live(strict(corpus, precision="bfloat16"))
    found = fed(live, corpus, calls(corpus))
    assert found.dtype == torch.float32
    assert 0 < (found - outputs(strict(corpus), corpus)).abs().max() < 0.1


def test_the_example_of_the_documents(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (example,) = (code for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL) if "Live(" in code)
    corpus, run = small_corpus("MELD"), tmp_path / "MELD" / "runs" / "live"
    run.mkdir(parents=True)
    strict = {"empty_history": "strict"}
    save_released(small_network(corpus, **strict), run / "ECERC_MODEL.pkl", about(corpus, **strict))
    exec(example, {})
    first, second, third = capsys.readouterr().out.splitlines()
    assert first in CLASSES
    assert second == "torch.Size([3, 7])"
    assert third == "{'room 2': 2}"
