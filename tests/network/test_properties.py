"""What holds for any conversations, features and variant of the network, however small or odd they are."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from common.batching.batches import SHAPES, Batches
from common.data.corpus import FEATURES
from common.experiments.variants import TABLES, VARIANTS
from tests.small import arrays, outputs, random_corpus, small_network

lengths = st.one_of(
    st.lists(st.integers(1, 12), min_size=1, max_size=6),
    st.builds(lambda n, count: [n] * count, st.integers(1, 20), st.integers(1, 6)),  # one-utterance dialogues, too
    st.lists(st.integers(1, 40), min_size=1, max_size=2),
)
conversations = st.fixed_dictionaries(
    {
        "lengths": lengths,
        "speakers": st.sampled_from([1, 2, 3, 50]),
        "classes": st.integers(2, 7),
        "seed": st.integers(0, 10**6),
        "widths": st.fixed_dictionaries({name: st.sampled_from([1, 2, 9]) for name in FEATURES}),
    }
)
variants = st.sampled_from([VARIANTS[name] for table in "4567" for name in TABLES[table].rows])
networks = st.builds(
    lambda variant, other: variant | other,
    variants,
    st.fixed_dictionaries(
        {
            "positions": st.booleans(),
            "layers": st.sampled_from([1, 2]),
            "modality_order": st.sampled_from(["released", "aligned"]),
        }
    ),
)
histories = st.sampled_from(["released", "strict"])


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@given(conversations, networks, histories, st.integers(1, 7), st.sampled_from(SHAPES))
def test_outputs_are_probabilities(made_of, network, empty_history, size, shapes):
    corpus = random_corpus(**made_of)
    net, found = small_network(corpus, empty_history=empty_history, **network), []
    for batch in Batches(corpus, "test", size, "cpu", shapes=shapes):
        found.append(net(batch)[batch.packing.real])
    found = torch.cat(found)
    assert found.shape == (sum(made_of["lengths"]), made_of["classes"])
    close(found.exp().sum(1), torch.ones(len(found)))


@given(conversations, networks, st.data())
def test_strict_sees_no_later_turn(made_of, network, data):
    """Everything about the turns from some turn on changes; no earlier output does, nor one of another dialogue."""
    corpus, changed = random_corpus(**made_of), random_corpus(**made_of)
    dialogue = data.draw(st.integers(0, len(corpus.ids) - 1))
    first, end = corpus.offset[dialogue : dialogue + 2]
    at = data.draw(st.integers(first, end - 1))
    for name in FEATURES:
        changed.features[name][at:end] += 1
    changed.speaker[at:end] = (changed.speaker[at:end] + 1) % 7
    net = small_network(corpus, empty_history="strict", **network)
    different = (outputs(net, corpus) - outputs(net, changed)).abs().amax(1) > 1e-5
    assert not different[:at].any()
    assert different[at:end].all()
    assert not different[end:].any()


@given(conversations, networks, st.integers(1, 3), st.integers(13, 40))
def test_strict_depends_neither_on_the_batch_nor_on_padding(made_of, network, size, longer):
    corpus = random_corpus(**made_of)
    padded = random_corpus(**made_of | {"lengths": [*made_of["lengths"], longer]})
    n = len(corpus.label)
    for name, values in arrays(corpus).items():
        arrays(padded)[name][:n] = values
    net = small_network(corpus, empty_history="strict", **network)
    together = outputs(net, corpus)
    close(outputs(net, corpus, size), together)
    close(outputs(net, padded)[:n], together)


@given(conversations, networks, histories, st.data())
def test_names_of_speakers_do_not_matter(made_of, network, empty_history, data):
    """Neither which numbers they have, nor that somebody of the same number speaks in another dialogue."""
    corpus, renamed = random_corpus(**made_of), random_corpus(**made_of)
    for first, end in zip(corpus.offset[:-1], corpus.offset[1:], strict=True):
        names = data.draw(st.permutations(range(50)))
        renamed.speaker[first:end] = [names[speaker] for speaker in corpus.speaker[first:end]]
    net = small_network(corpus, empty_history=empty_history, **network)
    close(outputs(net, renamed), outputs(net, corpus))


@given(conversations, networks, histories, st.data())
def test_the_order_of_dialogues_does_not_matter(made_of, network, empty_history, data):
    corpus = random_corpus(**made_of)
    order = data.draw(st.permutations(range(len(corpus.ids))))
    rows = np.concatenate([np.arange(*corpus.offset[i : i + 2]) for i in order])
    moved = random_corpus(**made_of | {"lengths": [made_of["lengths"][i] for i in order]})
    for name, values in arrays(corpus).items():
        arrays(moved)[name][:] = values[rows]
    net = small_network(corpus, empty_history=empty_history, **network)
    close(outputs(net, moved), outputs(net, corpus)[rows])
