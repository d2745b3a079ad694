"""Checkpoints as people have them: wrapped, prefixed, in other types and formats; and files that are something else."""

import gzip
import io
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch

from common.errors import InputError
from common.release.checkpoint import load_released, read_checkpoint, released_state
from tests.small import random_corpus, safetensors, small_network

CORPUS = random_corpus([2])
HALF = {torch.float16: 2**-10, torch.bfloat16: 2**-7, torch.float64: 0}  # how far rounding goes


def state(**kind):
    """A released state dict of a network with random weights, all finite in each type."""
    return OrderedDict((name, tensor.to(**kind)) for name, tensor in released_state(small_network(CORPUS)).items())


def prefixed(prefix):
    return {f"{prefix}{name}": tensor for name, tensor in state().items()}


OPTIMIZER = {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 1e-4, "params": [0]}]}
WRITTEN = {  # what people save: and what is said of it
    "released": (state(), None),
    "state_dict": ({"state_dict": state(), "optimizer": OPTIMIZER, "epoch": 3}, "taken from its state_dict"),
    "model": ({"epoch": 3, "best": 66.4, "model": dict(state())}, "taken from its model"),
    "model_state_dict": ({"model_state_dict": state(), "loss": torch.ones(1)}, "taken from its model_state_dict"),
    "DataParallel": (prefixed("module."), "prefix module. removed"),
    "compiled": (prefixed("_orig_mod."), "prefix _orig_mod. removed"),
    "both": (prefixed("module._orig_mod."), "prefix module._orig_mod. removed"),
    "Lightning": (
        {"state_dict": prefixed("model."), "pytorch-lightning_version": "2.5.0", "optimizer_states": [OPTIMIZER]},
        "taken from its state_dict; prefix model. removed",
    ),
    "half": (state(dtype=torch.float16), "float16 converted to float32"),
    "bfloat16": (state(dtype=torch.bfloat16), "bfloat16 converted to float32"),
    "double": (state(dtype=torch.float64), "float64 converted to float32"),
    "all": (
        {"model": {f"module.{name}": tensor for name, tensor in state(dtype=torch.float16).items()}},
        "taken from its model; prefix module. removed; float16 converted to float32",
    ),
}


def saved(content, path):
    torch.save(content, path)


def saved_before_1_6(content, path):
    torch.save(content, path, _use_new_zipfile_serialization=False)


def as_safetensors(content, path):
    path.write_bytes(safetensors(content))


def ways(content):
    """Those in which `content` can be written."""
    plain = all(isinstance(value, torch.Tensor) for value in content.values())
    return [saved, saved_before_1_6, *([as_safetensors] if plain else [])]


@pytest.mark.parametrize(("name", "write"), [(name, way) for name in WRITTEN for way in ways(WRITTEN[name][0])])
def test_what_people_save_is_read_and_said(tmp_path, name, write):
    content, said = WRITTEN[name]
    path = tmp_path / "model.bin"
    write(content, path)
    network, expected = small_network(CORPUS, seed=1), small_network(CORPUS).state_dict()
    notes = load_released(network, path)
    assert notes == ([f"Note: {path}: {said}."] if said else [])
    error = max(HALF.get(kind, 0) for kind in {tensor.dtype for tensor in read_checkpoint(path).state.values()})
    for key, tensor in network.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.allclose(tensor, expected[key], rtol=error, atol=1e-7 if error else 0)


REFUSED = {
    "two": ({"model": state(), "state_dict": state()}, "holds weights under state_dict and model; expected one of"),
    "beyond": (state() | {"smax_fc.bias": torch.full((4,), 1e300, dtype=torch.float64)}, "or more than float32 can"),
    "half infinite": (state() | {"smax_fc.bias": torch.full((4,), torch.inf).half()}, "smax_fc.bias holds NaN or inf"),
    "huge": (state() | {"smax_fc.bias": torch.zeros(1).half().expand(10**12)}, "smax_fc.bias has shape (100000000000"),
    "one without prefix": (prefixed("module.") | {"smax_fc.bias": torch.ones(4)}, "foreign (such as module.position"),
    "wrapped numbers": ({"state_dict": {"a": 1}}, "found a dict; expected a state dict"),
    "wrapped mixture": ({"state_dict": state() | {"a": 1}}, "names to plain tensors"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_ambiguous_or_too_large_is_refused(tmp_path, name):
    content, words = REFUSED[name]
    torch.save(content, tmp_path / "a.pkl")
    with pytest.raises(InputError, match=r"a\.pkl: ") as error:
        load_released(small_network(CORPUS), tmp_path / "a.pkl")
    assert words in str(error.value)


def entry(**changes):
    """A safetensors file whose entry of the classifier's bias, the last one of its data, is changed."""
    whole = state()
    whole.move_to_end("smax_fc.bias")
    end = sum(tensor.numel() for tensor in whole.values()) * 4
    right = {"dtype": "F32", "shape": [4], "data_offsets": [end - 16, end]}
    return safetensors(whole, **{"smax_fc.bias": right | changes})


def test_a_safetensors_file_has_to_fit_to_the_last_byte(tmp_path):
    path, network = tmp_path / "model.safetensors", small_network(CORPUS)
    path.write_bytes(entry())
    load_released(network, path)
    end = int.from_bytes(entry()[:8], "little")
    for content in (
        entry(shape=[5]),
        entry(shape=[2**62, 2**62]),
        entry(shape=[-4]),
        entry(shape=[4.0]),
        entry(shape="4"),
        entry(shape=[1] * 10**5 + [4]),
        entry(dtype="F16"),
        entry(dtype="I64"),
        entry(data_offsets=[0, 16]),  # on top of another
        entry(data_offsets=[2**70, 2**70 + 16]),
        entry(data_offsets=None),
        entry() + b"\0",
        entry()[:-1],
        entry()[: end + 8],
        entry()[:end],
        (2**63).to_bytes(8, "little") + entry()[8:],
        (2).to_bytes(8, "little") + b"{}",
        (8).to_bytes(8, "little") + b"{" * 8,
        (10**6).to_bytes(8, "little") + b'{"a":' * 200000,
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"model\.safetensors: (not a complete checkpoint|\d+ missing)"):
            load_released(network, path)


def zipped(name):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, b"weights")
    return content.getvalue()


class Whole:
    def __init__(self):
        self.weights = torch.ones(1)


INSTEAD = {  # what stands in place of a checkpoint, and what is said of it
    "gzip": (gzip.compress(b"weights"), "it is a file packed by gzip"),
    "zip": (zipped("ECERC_MODEL.pkl"), "it is a zip archive (`unzip FILE` unpacks it)"),
    "zip, damaged": (zipped("ä").replace("ä".encode(), b"\x89!"), "it is a zip archive"),
    "not found": (b"Not Found", "it is a text ('Not Found')"),
    "page": (b"<!DOCTYPE html><title>Sign in</title>", "a web page ('Sign in')"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a Git LFS pointer"),
    "empty": (b"", "an empty file"),
    "line ends": (
        pickle.dumps({"a": [1.5, "b"]}, 0).replace(b"\n", b"\r\n"),
        "a pickle whose line ends were changed, as git does",
    ),
    "pickle.dump": (pickle.dumps(state()), "it is of pickle.dump"),
    "pickle.dump, protocol 2": (pickle.dumps(state(), 2), "it is of pickle.dump"),
    "arrays": (pickle.dumps({"a": np.ones(2)}, 2), "it asks for numpy._core.multiarray._reconstruct; if it holds"),
    "a whole model": (
        pickle.dumps(Whole(), 2),
        "it asks for tests.release.test_reading.Whole; if it holds a network, whoever",
    ),
    "noise": (bytes(range(1, 200)), "damaged, incomplete, or of another kind"),
}


@pytest.mark.parametrize("name", INSTEAD)
def test_what_stands_in_place_of_a_checkpoint_is_named(tmp_path, name):
    content, words = INSTEAD[name]
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.pkl: not a complete checkpoint of weights only, it ") as error:
        read_checkpoint(tmp_path / "a.pkl")
    assert words in str(error.value)
    assert "\n" not in str(error.value)
