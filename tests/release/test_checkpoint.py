"""Released checkpoints: names, shapes and dtypes, the way there and back, and what is refused."""

import os
import pickle

import numpy as np
import pytest
import torch

from common.errors import InputError
from common.release.checkpoint import load_released, read_checkpoint, released_state, save_released
from tests import golden_networks
from tests.small import random_corpus, small_network


def weights(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def expected_shapes(width, audio, visual, classes):
    """The 93 entries, written out."""
    shapes = {"position_enc_evi.pos_table": (1, 200, width), "layer_norm.weight": (width,), "layer_norm.bias": (width,)}

    def linear(name, inputs, outputs):
        shapes.update({f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)})

    for name, inputs in {"proj_t": 1024, "proj_a": audio, "proj_v": visual, "q": 128, "k": 128}.items():
        linear(f"modal_filtering.{name}", inputs, 128)
    linear("proj_eve", 1024, 128)
    emotion = ("emotion_encoding", "self_contagion_attention", "cross_emotion_attention")
    for block in (*emotion, "event_encoding", "self_event_attention", "cross_event_attention"):
        m, stem = 384 if block in emotion else 128, f"{block}.layer_stack.0"
        for name in ("w_qs", "w_ks", "w_vs"):
            shapes[f"{stem}.slf_attn.{name}.weight"] = (512, m)
        shapes[f"{stem}.slf_attn.fc.weight"] = (m, 512)
        linear(f"{stem}.pos_ffn.w_1", m, 2 * m)
        linear(f"{stem}.pos_ffn.w_2", 2 * m, m)
        for part in ("slf_attn", "pos_ffn"):
            shapes.update({f"{stem}.{part}.layer_norm.{kind}": (m,) for kind in ("weight", "bias")})
    linear("gate_reset", 384, 384)
    linear("gate_reset2", 384, 384)
    linear("smax_fc", 4 * 384, classes)
    return shapes


@pytest.mark.parametrize(("dataset", "sizes"), [("IEMOCAP", (2948, 1582, 342, 6)), ("MELD", (1666, 300, 342, 7))])
def test_written_names_shapes_and_types(tmp_path, dataset, sizes):
    save_released(golden_networks.network(dataset), tmp_path / "ECERC_MODEL.pkl")
    state = torch.load(tmp_path / "ECERC_MODEL.pkl", weights_only=True)
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == expected_shapes(*sizes)
    assert len(state) == 93
    assert {(tensor.dtype, tensor.device.type) for tensor in state.values()} == {(torch.float32, "cpu")}
    width = sizes[0]
    table = state["position_enc_evi.pos_table"][0]
    for p, j in ((0, 0), (0, 1), (7, 2), (199, width - 1)):
        angle = p / 10000 ** (2 * (j // 2) / width)
        assert table[p, j].item() == pytest.approx(np.cos(angle) if j % 2 else np.sin(angle), abs=1e-7)
    assert state["layer_norm.weight"].eq(1).all()
    assert state["layer_norm.bias"].eq(0).all()


@pytest.mark.parametrize("layers", [1, 2])
def test_what_is_written_is_read_bit_by_bit(tmp_path, layers):
    corpus = random_corpus([2])
    written = small_network(corpus, seed=1, layers=layers)
    read = small_network(corpus, seed=2, layers=layers)
    save_released(written, tmp_path / "a.pkl")
    load_released(read, tmp_path / "a.pkl")
    assert all(torch.equal(tensor, written.state_dict()[name]) for name, tensor in read.state_dict().items())
    save_released(read, tmp_path / "b.pkl")
    a, b = (torch.load(tmp_path / name, weights_only=True) for name in ("a.pkl", "b.pkl"))
    assert list(a) == list(b)
    assert all(torch.equal(a[name], b[name]) for name in a)


class Attack:
    def __reduce__(self):
        return os.system, ("touch trace",)


def spoil(change):
    def write(state, path):
        state = dict(state)
        change(state)
        torch.save(state, path)

    return write


BAD = {
    "missing tensor": (
        spoil(lambda s: s.pop("smax_fc.bias")),
        "1 missing (such as smax_fc.bias) of 93 expected tensors",
    ),
    "foreign tensor": (spoil(lambda s: s.update(extra=torch.ones(1))), "1 foreign (such as extra) of 93"),
    "shape": (
        spoil(lambda s: s.update({"proj_eve.weight": torch.ones(8, 11)})),
        "proj_eve.weight has shape (8, 11); this dataset and these settings need (8, 10)",
    ),
    "dtype": (spoil(lambda s: s.update({"smax_fc.bias": torch.ones(4).long()})), "smax_fc.bias is torch.int64"),
    "NaN": (spoil(lambda s: s["smax_fc.bias"].fill_(torch.nan)), "smax_fc.bias holds NaN or infinity"),
    "no state dict": (lambda s, path: torch.save([1, 2], path), "found a list; expected a state dict"),
    "sparse": (spoil(lambda s: s.update({"smax_fc.bias": torch.ones(4).to_sparse()})), "names to plain tensors"),
    "no storage": (spoil(lambda s: s.update({"smax_fc.bias": torch.ones(4, device="meta")})), "names to plain tensors"),
    "nested": (
        spoil(lambda s: s.update({"smax_fc.bias": torch.nested.nested_tensor([torch.ones(4)])})),
        "names to plain tensors",
    ),
    "numbers": (lambda s, path: torch.save({"a": 1}, path), "found a dict; expected a state dict"),
    "code": (lambda s, path: path.write_bytes(pickle.dumps(Attack())), "weights only"),
    "code, zipped": (lambda s, path: torch.save({"a": Attack()}, path), "weights only, it asks for posix.system;"),
    "text": (lambda s, path: path.write_text("<html>"), "not a complete checkpoint"),
    "empty": (lambda s, path: path.write_bytes(b""), "not a complete checkpoint"),
    "absent": (lambda s, path: None, "no such checkpoint"),
    "folder": (lambda s, path: path.mkdir(), "not readable"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_named_and_changes_nothing(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write, expected = BAD[name]
    network = small_network(random_corpus([2]))
    before = weights(network)
    write(released_state(network), tmp_path / "ECERC_MODEL.pkl")
    with pytest.raises(InputError) as error:
        load_released(network, tmp_path / "ECERC_MODEL.pkl")
    assert expected in str(error.value)
    assert "ECERC_MODEL.pkl" in str(error.value)
    assert "\n" not in str(error.value)
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())
    assert not (tmp_path / "trace").exists()


def test_a_truncated_checkpoint_is_refused(tmp_path):
    network, path = small_network(random_corpus([2])), tmp_path / "ECERC_MODEL.pkl"
    save_released(network, path)
    content = path.read_bytes()
    for length in np.linspace(0, len(content) - 1, 25, dtype=int):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match="not a complete checkpoint"):
            load_released(network, path)


def test_a_changed_byte_in_a_weight_is_noticed(tmp_path):
    """torch.load would take it: it checks no checksums."""
    network, path = small_network(random_corpus([2])), tmp_path / "ECERC_MODEL.pkl"
    save_released(network, path)
    content = bytearray(path.read_bytes())
    content[content.index(network.state_dict()["classifier.weight"].numpy().tobytes()) + 20] ^= 1
    path.write_bytes(content)
    torch.load(path, weights_only=True)
    with pytest.raises(InputError, match="not a complete checkpoint"):
        load_released(network, path)


def test_attributes_of_a_state_dict_hide_nothing(tmp_path):
    """A pickle may give an OrderedDict attributes, which stand before its methods."""
    network = small_network(random_corpus([2]))
    state = released_state(network)
    state["smax_fc.bias"] = 1
    state.values, state.items, state.keys = dict, dict, dict
    torch.save(state, tmp_path / "ECERC_MODEL.pkl")
    with pytest.raises(InputError, match="names to plain tensors"):
        load_released(network, tmp_path / "ECERC_MODEL.pkl")


def test_a_checkpoint_in_the_format_before_torch_1_6_is_read(tmp_path):
    network, other = (small_network(random_corpus([2]), seed=seed) for seed in (1, 2))
    torch.save(released_state(network), tmp_path / "a.pkl", _use_new_zipfile_serialization=False)
    load_released(other, tmp_path / "a.pkl")
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in network.state_dict().items())


def test_a_checkpoint_of_the_other_dataset_names_both_widths(tmp_path):
    save_released(golden_networks.network("MELD"), tmp_path / "ECERC_MODEL.pkl")
    with pytest.raises(InputError, match=r"1666,\) as MELD's; these data have \(2948,\) as IEMOCAP's"):
        load_released(golden_networks.network("IEMOCAP"), tmp_path / "ECERC_MODEL.pkl")


def test_another_number_of_layers_is_named(tmp_path):
    corpus = random_corpus([2])
    save_released(small_network(corpus, layers=2), tmp_path / "ECERC_MODEL.pkl")
    with pytest.raises(InputError, match=r"72 foreign .*other settings") as error:
        load_released(small_network(corpus), tmp_path / "ECERC_MODEL.pkl")
    assert "layers" in error.value.change


def test_large_weights_are_no_infinite_ones(tmp_path):
    """Their sum may be."""
    network, path = small_network(random_corpus([2])), tmp_path / "ECERC_MODEL.pkl"
    for values, fits in (([3e38, 3e38], True), ([float("inf"), float("-inf")], False)):
        with torch.no_grad():
            network.classifier.weight[0, :2] = torch.tensor(values)
        save_released(network, path)
        if fits:
            load_released(network, path)
        else:
            with pytest.raises(InputError, match=r"smax_fc\.weight holds NaN or infinity"):
                load_released(network, path)


def test_weights_that_are_not_kept_are_read_again(tmp_path):
    """But not those of another file in the same place."""
    network, other = (small_network(random_corpus([2]), seed=seed) for seed in (1, 2))
    path = tmp_path / "ECERC_MODEL.pkl"
    save_released(network, path)
    checkpoint = read_checkpoint(path).without_weights()
    assert checkpoint.state is None
    assert checkpoint.classes == 4
    checkpoint.fill(other)
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in network.state_dict().items())
    save_released(small_network(random_corpus([2]), seed=3), path)
    with pytest.raises(InputError, match=r"ECERC_MODEL\.pkl: was changed since"):
        checkpoint.fill(other)
