import numpy as np
import pytest
import torch

from common.errors import InputError
from common.features.visual import onnx_model
from common.features.visual.onnx_model import PIXELS, OnnxModel, providers
from tests.features.visual.onnx_file import FLOAT, UINT8, field, mean_model, node, tensor, value, write

runtime = pytest.importorskip("onnxruntime")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.onnx"


def levels(*colour, size=(16, 16)):
    """A picture of one colour."""
    return np.full((1, *size, len(colour)), colour, np.uint8)


@pytest.mark.parametrize(
    ("shape", "size", "channels"),
    [
        (("n", 3, 16, 24), (16, 24), 3),
        ((1, 3, 16, 24), (16, 24), 3),
        ((1, 1, 64, 64), (64, 64), 1),
        (("n", 16, 24, 3), (16, 24), 3),
        ((1, 64, 64, 1), (64, 64), 1),
    ],
)
def test_size_and_channels_are_those_of_the_file(path, shape, size, channels):
    model = OnnxModel(mean_model(path, shape), device="cpu")
    assert (model.size, model.grey, model.width) == (size, channels == 1, channels)
    assert np.allclose(model(levels(*(10, 20, 255)[:channels], size=size)), [[10, 20, 255][:channels]])


def test_each_picture_gives_a_row(path):
    """Also where the file takes one at a time. The features by hand: the mean levels times the weights."""
    model = OnnxModel(mean_model(path, (1, 3, 16, 16), [[1, 0.5], [0, 2], [0.1, -1]]))
    features = model(np.concatenate([levels(10, 20, 30), levels(200, 0, 100)]))
    assert features.dtype == np.float32
    assert np.allclose(features, [[13, 15], [210, 0]])


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        ("0-255", (255, 0, 51)),
        ("0-1", (1, 0, 0.2)),
        ("-1-1", (1, -1, -0.6)),
        ("imagenet", ((1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0.2 - 0.406) / 0.225)),
    ],
)
def test_what_networks_take(path, pixels, expected):
    assert np.allclose(OnnxModel(mean_model(path), pixels)(levels(255, 0, 51)), [expected], atol=1e-6)
    assert pixels in PIXELS


def test_grey_pictures_have_no_colours_to_scale(path):
    mean_model(path, (1, 1, 16, 16))
    assert np.allclose(OnnxModel(path, "-1-1")(levels(51)), -0.6)
    with pytest.raises(InputError, match="takes grey pictures; pixels 'imagenet' are of colour"):
        OnnxModel(path, "imagenet")


@pytest.mark.parametrize(
    "shape",
    [
        (1, 2, 16, 16),
        (1, 16, 16, 4),
        (1, 3, "height", "width"),
        ("n", "c", 16, 16),
        (2, 3, 16, 16),
        (1, 3, 16, 2000),
        (1, 3, 4, 16),
        (3, 16, 16),
        (1, 3),
    ],
)
def test_inputs_that_are_no_picture_are_said(path, shape):
    outputs = [value("y", shape)]
    write(path, [node("Identity", ["x"], "y")], [], [value("x", shape)], outputs)
    with pytest.raises(
        InputError, match=r"model\.onnx: found an input of shape .*expected an ONNX file with one input"
    ):
        OnnxModel(path)


def test_inputs_that_are_no_float_are_said(path):
    write(path, [node("Identity", ["x"], "y")], [], [value("x", (1, 3, 16, 16), UINT8)], [value("y", (1, 3), UINT8)])
    with pytest.raises(InputError, match=r"found tensor\(uint8\) in"):
        OnnxModel(path)


@pytest.mark.parametrize("shape", [(1, 3, 16, 16), (48, 16), (1, 16, 48), ()])
def test_outputs_that_are_no_vector_are_said(path, shape):
    """Also where the file says that it is one: onnxruntime only warns of that."""
    nodes = [node("Reshape", ["x", "s"], "y")]
    if not shape:
        nodes = [node("ReduceSum", ["x"], "y", keepdims=0)]
    tensors = [tensor("s", np.array(shape, np.int64))] if shape else []
    write(path, nodes, tensors, [value("x", (1, 3, 16, 16))], [value("y", ["a"] * len(shape))])
    with pytest.raises(InputError, match=r"found an output of shape .*one output \(1, n\)"):
        OnnxModel(path)


def test_onnxruntime_warns_of_nothing(path, capfd):
    """Here it would: the output is said to be (1, 5)."""
    nodes = [node("NonZero", ["x"], "i"), node("Cast", ["i"], "y", to=FLOAT)]
    write(path, nodes, [], [value("x", (1, 3, 16, 16))], [value("y", (1, 5))])
    with pytest.raises(InputError, match=r"found an output of shape \(4, 0\)"):
        OnnxModel(path)
    assert not any(capfd.readouterr())


def test_several_inputs_or_outputs_are_said(path):
    x, z, y = (value(name, (1, 3, 16, 16)) for name in "xzy")
    write(path, [node("Add", ["x", "z"], "y")], [], [x, z], [y])
    with pytest.raises(InputError, match="found 2 inputs and 1 outputs"):
        OnnxModel(path)
    write(path, [node("Identity", ["x"], "y"), node("Identity", ["x"], "z")], [], [x], [y, z])
    with pytest.raises(InputError, match="found 1 inputs and 2 outputs"):
        OnnxModel(path)


def test_a_network_that_cannot_run_is_said(path):
    """As its shapes only show when it runs."""
    nodes = [node("Shape", ["x"], "s"), node("Reshape", ["w", "s"], "y")]
    write(path, nodes, [tensor("w", np.zeros(7))], [value("x", ("n", 3, 16, 16))], [value("y", ["a", "b"])])
    with pytest.raises(InputError, match="onnxruntime cannot") as error:
        OnnxModel(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"\x08", b"hello\n", bytes(100), b"<html>", b"PK\x03\x04" + bytes(50)])
def test_files_that_are_no_networks_are_said(path, capfd, content):
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.onnx: .*expected an ONNX file") as error:
        OnnxModel(path)
    assert "\n" not in str(error.value)
    assert not any(capfd.readouterr())


def test_missing_files_are_said(path, tmp_path):
    for where in (path, tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            OnnxModel(where)


def test_an_unknown_operator_is_said(path):
    custom = node("Mine", ["x"], "y") + field(7, "my.domain")
    write(path, [custom], [], [value("x", (1, 3, 16, 16))], [value("y", (1, 3))])
    with pytest.raises(InputError, match="onnxruntime cannot read it"):
        OnnxModel(path)


@pytest.mark.parametrize("where", ["beside", "above", "absolute", "link", "here"])
def test_weights_in_other_files_are_not_read(path, tmp_path, monkeypatch, where):
    """Such a file could be any of the user's, and it is no part of the hash. onnxruntime itself reads one beside."""
    folder = tmp_path / "model"
    folder.mkdir()
    outside, beside = tmp_path / "secret", folder / "weights"
    for file in (outside, beside):
        np.eye(3, dtype="<f4").tofile(file)
    (folder / "link").symlink_to(outside)
    monkeypatch.chdir(folder)
    name = {"beside": "weights", "above": "../secret", "absolute": outside, "link": "link", "here": "./weights"}[where]
    path = mean_model(folder / "model.onnx", external=name)
    if where == "beside":
        assert runtime.InferenceSession(str(path)).get_inputs()
    with pytest.raises(InputError, match=r"onnxruntime cannot read it .*all in one file"):
        OnnxModel(path)


def test_a_gpu_is_used_where_onnxruntime_has_one(monkeypatch):
    class Both:
        @staticmethod
        def get_available_providers():
            return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    assert providers("cpu") == ["CPUExecutionProvider"]
    monkeypatch.setattr(onnx_model, "package", lambda name: Both)
    assert providers("cuda:0") == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert providers("cpu") == ["CPUExecutionProvider"]


def test_as_many_threads_as_torch(path, monkeypatch):
    made, session = [], runtime.InferenceSession

    def spy(data, options, **more):
        made.append((options.intra_op_num_threads, options.inter_op_num_threads))
        return session(data, options, **more)

    monkeypatch.setattr(runtime, "InferenceSession", spy)
    OnnxModel(mean_model(path))
    assert made == [(torch.get_num_threads(), 1)]
