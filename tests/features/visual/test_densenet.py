import copy
import io
import pickle
import zipfile

import pytest
import torch
from torch.nn import functional

from common.errors import InputError
from common.features.visual.densenet import SIZE, WIDTH, DenseNet, load_densenet

LAYERS = range(16)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = DenseNet().eval()
    for name, tensor in network.state_dict().items():  # running means and variances are 0 and 1 at first
        if name.endswith(("running_mean", "bias")):
            tensor.normal_(0, 0.1)
        elif name.endswith(("running_var", "norm.weight", "norm1.weight", "norm2.weight")):
            tensor.uniform_(0.5, 1.5)
    return network


@pytest.fixture(scope="module")
def faces():
    return torch.randint(0, 256, (3, 1, SIZE, SIZE), generator=torch.Generator().manual_seed(0)).float()


def written_out(state, x):
    """The network as the paper has it, one line for each step, from the state dict alone."""

    def norm(x, name):
        weight, bias, mean, variance = (
            state[f"{name}.{part}"][:, None, None] for part in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) / (variance + 1e-5).sqrt() * weight + bias

    x = functional.conv2d((x - state["mean"]) / state["std"], state["first.weight"], padding=1)
    for block in range(3):
        for layer in LAYERS:
            at = f"blocks.{block}.{layer}"
            new = functional.conv2d(functional.relu(norm(x, f"{at}.norm1")), state[f"{at}.conv1.weight"])
            new = functional.conv2d(functional.relu(norm(new, f"{at}.norm2")), state[f"{at}.conv2.weight"], padding=1)
            x = torch.cat([x, new], 1)
        if block < 2:
            at = f"transitions.{block}"
            x = functional.conv2d(functional.relu(norm(x, f"{at}.norm")), state[f"{at}.conv.weight"])
            x = x.unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2))
    return functional.relu(norm(x, "norm")).mean((-1, -2))


def test_channels_and_sizes_are_those_of_the_paper(network, faces):
    """Worked out by hand: 24 + 16 x 12 = 216, half of it 108, + 192 = 300, half of it 150, + 192 = 342."""
    shapes, hooks = {}, []
    for name, module in network.named_modules():
        hooks.append(module.register_forward_hook(lambda _m, _i, o, name=name: shapes.update({name: o.shape[1:]})))
    with torch.inference_mode():
        network(faces)
    for hook in hooks:
        hook.remove()
    assert shapes["first"] == (24, 64, 64)
    assert [shapes[f"blocks.{b}"] for b in range(3)] == [(216, 64, 64), (300, 32, 32), (342, 16, 16)]
    assert [shapes[f"transitions.{t}"] for t in range(2)] == [(108, 32, 32), (150, 16, 16)]
    assert [shapes[f"blocks.0.{n}"][0] for n in LAYERS] == [24 + 12 * n for n in range(1, 17)]
    assert shapes["blocks.0.0.conv1"] == (48, 64, 64)
    assert shapes[""] == (WIDTH,) == (342,)


def test_depth_and_parameters_are_those_of_the_paper(network):
    """Depth 100: 99 convolutions and the classifier that is left out. By hand, c channels in: a layer has 2 c + 48 c +
    96 + 5,184, a block 800 c + 156,480; transitions 23,760 and 45,600; last norm 684; first convolution 216. With three
    colours (+ 432) and a classifier of ten classes (+ 3,430) these are the 0.8 million of the paper's table 2.
    """
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 1 + 3 * 16 * 2 + 2 == 99
    by_hand = sum(800 * c + 156_480 for c in (24, 108, 150)) + 23_760 + 45_600 + 684 + 216
    assert sum(p.numel() for p in network.parameters()) == by_hand == 765_300


def test_features_are_those_of_the_paper_written_out(network, faces):
    with torch.inference_mode():
        features = network(faces)
        expected = written_out(network.state_dict(), faces)
    assert features.std() > 0.01
    assert torch.allclose(features, expected, rtol=1e-4, atol=1e-5)


def test_a_face_does_not_depend_on_those_beside_it(network, faces):
    with torch.inference_mode():
        assert torch.allclose(network(faces)[1:2], network(faces[1:2]), rtol=1e-4, atol=1e-5)


def test_mean_and_std_of_grey_levels_count(network, faces):
    """Faces that are as much brighter and less distinct as mean and std say have the same features."""
    other = copy.deepcopy(network)
    other.mean.fill_(140)
    other.std.fill_(31.79)
    with torch.inference_mode():
        features = network(faces)
        assert torch.allclose(other((faces - 129) / 2 + 140), features, rtol=1e-3, atol=1e-4)
        assert not torch.allclose(other(faces), features, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_weights_come_back(tmp_path, network, faces, suffix):
    path = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        pytest.importorskip("safetensors.torch").save_file(network.state_dict(), path)
    else:
        torch.save(network.state_dict(), path)
    loaded = load_densenet(path)
    assert not loaded.training
    with torch.inference_mode():
        assert torch.equal(loaded(faces), network(faces))


def test_other_floating_point_and_no_counts_of_batches(tmp_path, network):
    state = {n: t.double() for n, t in network.state_dict().items() if "num_batches" not in n}
    torch.save(state, tmp_path / "weights.pt")
    loaded = load_densenet(tmp_path / "weights.pt").state_dict()
    assert all(torch.equal(loaded[name], tensor.float()) for name, tensor in state.items())


WRONG = {
    "missing": (lambda s: s.pop("blocks.1.3.conv2.weight"), r"lacks 1 of 497 tensors, such as blocks\.1\.3\.conv2"),
    "foreign": (lambda s: s.update({"fc.bias": torch.zeros(8)}), "has 1 others, such as 'fc.bias'"),
    "no mean": (lambda s: s.pop("mean"), "lacks 1 of .* such as mean"),
    "shape": (lambda s: s.update({"norm.bias": torch.zeros(1)}), r"norm\.bias is torch\.float32 of shape \(1,\)"),
    "kind": (lambda s: s.update({"norm.bias": torch.zeros(342, dtype=int)}), r"norm\.bias is torch\.int64"),
    "not finite": (lambda s: s.update({"std": torch.tensor(float("nan"))}), "std has values that are not finite"),
    "no std": (lambda s: s.update({"std": torch.tensor(0.0)}), "std has values that are too small"),
    "variance": (lambda s: s.update({"norm.running_var": -torch.ones(342)}), "norm.running_var has values"),
    "sparse": (lambda s: s.update({"norm.bias": torch.zeros(342).to_sparse()}), "something else than names"),
    "number": (lambda s: s.update({"mean": 129.0}), "something else than names and tensors"),
}


@pytest.mark.parametrize("what", WRONG)
def test_weights_that_do_not_fit_are_said(tmp_path, network, what):
    change, message = WRONG[what]
    state = dict(network.state_dict())
    change(state)
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(InputError, match=message) as error:
        load_densenet(tmp_path / "weights.pt")
    assert "\n" not in str(error.value)


class Runs:
    ran = False

    def __reduce__(self):
        return Runs.run, ()

    @staticmethod
    def run():
        Runs.ran = True


def test_files_that_are_no_weights_are_said(tmp_path):
    torch.save(DenseNet(), whole := io.BytesIO())
    contents = {
        "empty.pt": b"",
        "text.pt": b"hello\n",
        "page.pth": b"<html><title>Sign in</title></html>",
        "whole.pt": whole.getvalue(),
        "code.pt": pickle.dumps({"mean": Runs()}),
        "cut.pt": whole.getvalue()[:1000],
        "none.safetensors": b"\x08\0\0\0\0\0\0\0{}      ",
        "noise.safetensors": b"\xff" * 100,
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=rf"{name}: .*expected the state dict of DenseNet-BC") as error:
            load_densenet(tmp_path / name)
        assert "\n" not in str(error.value)
    assert not Runs.ran
    for path in (tmp_path / "nowhere.pt", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            load_densenet(path)


def test_an_archive_that_grows_is_not_read(tmp_path):
    """A zip file of a few kilobytes can hold gigabytes."""
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10_000_000))
    with pytest.raises(InputError, match="an archive with compressed parts"):
        load_densenet(tmp_path / "bomb.pt")


def test_a_file_too_large_for_it_is_not_read(tmp_path):
    with open(tmp_path / "large.pt", "wb") as file:
        file.truncate(2**26 + 2)
    with pytest.raises(InputError, match="found more than 64 MiB"):
        load_densenet(tmp_path / "large.pt")
