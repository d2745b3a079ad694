import warnings
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from common.batching.batches import SHAPES, Batches
from common.data.corpus import from_dialogues
from common.errors import InputError
from common.evaluation.evaluate import evaluate
from common.training.loss import focal_loss
from tests.small import WIDTHS, arrays, mean_loss, random_corpus, small_corpus, small_network


def test_a_batch_holds_its_dialogues_one_after_the_other():
    corpus = random_corpus([3, 1, 4, 2, 5])
    batches = list(Batches(corpus, "test", 2, "cpu"))
    assert [batch.packing.length.tolist() for batch in batches] == [[3, 1], [4, 2], [5]]
    rows = torch.cat([batch.rows for batch in batches]).numpy()
    np.testing.assert_array_equal(rows, np.arange(15))
    for name, expected in arrays(corpus).items():
        np.testing.assert_array_equal(torch.cat([arrays(batch)[name] for batch in batches]), expected)


def test_the_grid_holds_every_row_at_its_place():
    (batch,) = Batches(random_corpus([3, 1, 2]), "test", 8, "cpu")
    packing = batch.packing
    grid = packing.pad(batch.features["text"])
    assert grid.shape == (3, 3, WIDTHS["text"])
    for b, (first, n) in enumerate([(0, 3), (3, 1), (4, 2)]):
        assert torch.equal(grid[b, :n], batch.features["text"][first : first + n])
        assert not grid[b, n:].any()
    assert packing.padded_row_at.tolist() == [
        [0, 1, 2],
        [3, 6, 7],
        [4, 5, 8],
    ]  # padding rows stand behind the real ones
    assert packing.position.tolist() == [0, 1, 2, 0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("shapes", SHAPES)
def test_features_may_be_maps_of_files(tmp_path, shapes):
    """Which are not read through, and stay as they are; torch warns of arrays that only read."""
    corpus = random_corpus([3, 1, 4, 2, 5])
    np.save(tmp_path / "text.npy", corpus.features["text"])
    mapped = replace(corpus, features=corpus.features | {"text": np.load(tmp_path / "text.npy", mmap_mode="r")})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        theirs, ours = (Batches(each, "test", 2, "cpu", shapes=shapes) for each in (corpus, mapped))
    for a, b in zip(theirs, ours, strict=True):
        for name, values in arrays(a).items():
            assert torch.equal(values, arrays(b)[name])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_of_a_corpus_made_by_hand_are_finite(value):
    corpus = random_corpus([3, 2, 4])
    corpus.features["audio"][[4, 6], 2] = value
    with pytest.raises(
        InputError, match=r"random: audio of utterance 1 \(from 0\) of dialogue d1 holds NaN or infinity"
    ):
        Batches(corpus, "test", 2, "cpu")


def test_outputs_that_are_not_finite_are_no_predictions():
    corpus = random_corpus([3, 2, 4])
    corpus.features["text"][4] = 1e38
    with pytest.raises(InputError, match=r"utterance [34] of the split \(from 0\) has no finite log-probabilities"):
        evaluate(small_network(corpus), Batches(corpus, "test", 1, "cpu"))


@pytest.mark.parametrize("shapes", SHAPES)
def test_groups_hold_every_row_once(shapes):
    """Each row, padding rows too, stands in the cell that its place names, in the grid of each head."""
    lengths, heads = [40, 3, 17, 38, 1, 9, 25], 2
    for batch in Batches(random_corpus(lengths), "test", 4, "cpu", shapes=shapes):
        packing = batch.packing
        real = int(packing.sizes[1])
        for places, at, rows in (
            (packing.places, [group.row_at for group in packing.groups], range(real)),
            (packing.padded_places, [group.padded_row_at for group in packing.groups], range(len(packing.position))),
        ):
            cells = [(head, row) for grid in at for head in range(heads) for row in grid.flatten().tolist()]
            found = cells_of(places, heads)
            for row in rows:
                assert [cells[cell] for cell in found[row]] == [(head, row) for head in range(heads)]
        assert packing.padded_row_at.flatten().sort().values.tolist() == list(range(packing.padded_row_at.numel()))
        taken = {cell for row in cells_of(packing.places, heads)[:real] for cell in row}
        for row in cells_of(packing.places, heads)[real:]:  # surplus rows look where nobody stands
            assert not taken & set(row)
        members = torch.cat([group.dialogues for group in packing.groups]).tolist()
        assert sorted(members) == list(range(len(packing.length)))
        for group in packing.groups:
            assert torch.equal(group.length, packing.length[group.dialogues])
            assert group.row_at.max() < real  # also where a dialogue has ended


def cells_of(places, heads):
    """Of each row its cell in the grid of each head."""
    columns = places.before.tolist(), places.at.tolist(), places.cells.tolist()
    return [[heads * before + h * n + at for h in range(heads)] for before, at, n in zip(*columns, strict=True)]


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("empty_history", ["released", "strict"])
def test_shapes_change_no_output_and_no_gradient(shapes, empty_history):
    """Batches of 3 and of 2 dialogues: loss and gradients are those of exact shapes."""
    corpus = random_corpus([6, 1, 40, 3, 12], speakers=2)
    network = small_network(corpus, empty_history=empty_history, positions=True)
    outputs, gradients = [], []
    for kind in ("exact", shapes):
        batches = Batches(corpus, "test", 3, "cpu", shapes=kind)
        outputs.append((evaluate(network, batches), torch.tensor(mean_loss(network, batches, gamma=1.0))))
        network.zero_grad()
        for batch in batches:
            focal_loss(network(batch), batch.label, 1.0, None, batch.share).backward()
        gradients.append({name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None})
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-6)


def test_rounded_and_fixed_shapes():
    corpus = random_corpus([6, 1, 40, 3, 12], speakers=2)
    sizes = {
        s: [(b.packing.rows, len(b.packing.position)) for b in Batches(corpus, "test", 3, "cpu", shapes=s)]
        for s in SHAPES
    }
    assert sizes["exact"] == [(47, 120), (15, 24)]
    assert sizes["rounded"] == [(64, 120), (15, 24)]  # both of the second batch are a group: no free cell
    assert sizes["fixed"] == [(47, 120), (47, 120)]


def test_batches_of_fixed_shape_share_their_tensors_but_not_with_those_made_again():
    batches = Batches(random_corpus([3, 5, 4]), "test", 2, "cpu", shapes="fixed")
    first, second = batches
    assert first is second
    other = next(iter(batches.with_order()))
    assert other is not first
    assert other.packing.length.data_ptr() != first.packing.length.data_ptr()


def test_a_shuffled_split_has_few_shapes_and_most_batches_are_small():
    rng = np.random.default_rng(0)
    corpus = random_corpus(rng.integers(1, 30, 103).tolist())
    batches = Batches(corpus, "test", 20, "cpu", torch.Generator().manual_seed(0), shapes="fixed")
    seen = Counter((len(b.packing.length), b.packing.rows) for _ in range(30) for b in batches)
    (few, _), *full = sorted(seen)
    assert few == 3
    assert {dialogues for dialogues, _ in full} == {20}
    worst = int(np.sort(corpus.lengths)[-20:].sum())
    assert seen[full[0]] >= 145  # of 150 full batches
    assert full[0][1] < 0.8 * worst


def test_what_is_prepared_is_what_would_have_come_and_is_forgotten_when_the_order_changes():
    corpus = small_corpus("MELD", sizes=(20, 2, 3))
    orders = []
    for prepared in (False, True):
        generator = torch.Generator().manual_seed(0)
        batches = Batches(corpus, "train", 6, "cpu", generator, shapes="fixed")
        epochs = []
        for epoch in range(3):
            epochs.append([batch.rows.tolist() for batch in batches])
            before = generator.get_state()
            if prepared:
                batches.prepare()
            assert torch.equal(generator.get_state(), before)  # which a run keeps, to be resumed from
            if epoch == 1:
                generator.manual_seed(7)
        orders.append(epochs)
    assert orders[0] == orders[1]
    assert orders[0][1] != orders[0][2]


def test_queries_without_history():
    corpus = random_corpus([5, 2, 3], speakers=3)
    corpus.speaker[:] = [0, 0, 1, 0, 2, 1, 1, 2, 0, 1]
    (batch,) = Batches(corpus, "test", 3, "cpu")
    cells = sum(group.row_at.numel() for group in batch.packing.groups)
    expected = {"no_self": [0, 2, 4, 5, 7, 8, 9], "no_cross": [0, 1, 5, 6, 7]}
    for name, rows in expected.items():
        empty = getattr(batch.packing, name)
        places = cells_of(empty.places, 2)
        assert [row for row in range(10) if places[row][0] >= 2 * cells] == rows
        behind = [cell for row in rows for cell in places[row]]
        assert behind == list(range(2 * cells, 2 * cells + 2 * len(rows)))
        assert empty.dialogue.tolist() == [0 if r < 5 else 1 if r < 7 else 2 for r in rows]


def test_an_epoch_sees_every_dialogue_once_in_a_new_order():
    corpus = small_corpus("MELD", sizes=(20, 2, 3))
    batches = Batches(corpus, "train", 6, "cpu", torch.Generator().manual_seed(0))
    assert len(batches) == 4
    epochs = [torch.cat([batch.rows for batch in batches]).tolist() for _ in range(2)]
    assert epochs[0] != epochs[1] != sorted(epochs[1])
    for rows in epochs:
        assert sorted(rows) == list(range(len(corpus.rows("train"))))


def test_features_follow_their_rows_in_later_splits():
    corpus = small_corpus("MELD", sizes=(4, 2, 3))
    for split in ("valid", "test"):
        for batch in Batches(corpus, split, 2, "cpu", torch.Generator().manual_seed(0)):
            rows = corpus.rows(split)[batch.rows]
            np.testing.assert_array_equal(batch.features["audio"], corpus.features["audio"][rows])
            np.testing.assert_array_equal(batch.label, corpus.label[rows])


def test_dialogues_of_a_split_must_stand_together():
    corpus = from_dialogues(
        "random",
        split_sizes=(1, 1, 1),
        **{k: v for k, v in vars(random_corpus([1, 1, 1])).items() if k in _ARRAYS},
        lengths=[1, 1, 1],
    )
    corpus.splits["test"] = [0, 2]
    with pytest.raises(ValueError, match="do not stand one after another"):
        Batches(corpus, "test", 2, "cpu")


_ARRAYS = ("features", "label", "speaker", "ids", "classes", "speakers")
