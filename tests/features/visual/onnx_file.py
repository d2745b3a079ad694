"""Small ONNX files, written by hand: the format is protobuf, and few of its fields are needed.

The numbers of the fields are those of onnx.proto3 (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3).
"""

from pathlib import Path

import numpy as np

FLOAT, INT64, UINT8 = 1, 7, 2  # TensorProto.DataType


def varint(number):
    """`number`, at least 0, as protobuf writes it: seven bits a byte, the lowest first."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def field(number, value):
    """One field of a message: an integer, or bytes or text with their length before them."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value % 2**64)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def fields(number, values):
    return b"".join(field(number, value) for value in values)


def tensor(name, values, external=None):
    """TensorProto; `external`: the file that holds the numbers instead."""
    values = np.asarray(values)
    kind = INT64 if values.dtype == np.int64 else FLOAT
    data = fields(1, values.shape) + field(2, kind) + field(8, name)
    if external is None:
        return data + field(9, values.astype("<i8" if kind == INT64 else "<f4").tobytes())
    return data + field(13, field(1, "location") + field(2, str(external))) + field(14, 1)


def node(kind, inputs, output, **attributes):
    """NodeProto; `attributes`: integers, or lists of them."""
    data = fields(1, inputs) + field(2, output) + field(4, kind)
    for name, value in attributes.items():
        held = field(3, value) + field(20, 2) if isinstance(value, int) else fields(8, value) + field(20, 7)
        data += field(5, field(1, name) + held)
    return data


def value(name, shape, kind=FLOAT):
    """ValueInfoProto; text in `shape` stands for any size."""
    sizes = fields(1, (field(2, size) if isinstance(size, str) else field(1, size) for size in shape))
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, sizes)))


def write(path: Path, nodes, tensors, inputs, outputs) -> Path:
    """ModelProto, of IR version 8 and operators of version 13."""
    graph = fields(1, nodes) + field(2, "test") + fields(5, tensors) + fields(11, inputs) + fields(12, outputs)
    path.write_bytes(field(1, 8) + field(8, field(1, "") + field(2, 13)) + field(7, graph))
    return path


def mean_model(path, shape=("n", 3, 16, 16), weights=None, external=None, kind=FLOAT) -> Path:
    """A network whose output is the mean of each channel, times `weights` (channels, n)."""
    last = shape[-1] in (1, 3)
    channels = shape[-1] if last else shape[1]
    weights = np.eye(channels) if weights is None else np.asarray(weights, float)
    nodes = [node("Transpose", ["x"], "t", perm=[0, 3, 1, 2])] if last else [node("Identity", ["x"], "t")]
    nodes += [node("GlobalAveragePool", ["t"], "p"), node("Flatten", ["p"], "f"), node("MatMul", ["f", "w"], "y")]
    outputs = [value("y", [shape[0], weights.shape[1]])]
    return write(path, nodes, [tensor("w", weights, external)], [value("x", shape, kind)], outputs)


def yunet_like(path, side=32) -> Path:
    """A network with the outputs of YuNet: each white cell of 8 x 8 pixels is a face of `side` pixels around it.

    Of a cell of 8, 16 or 32 pixels, cls and obj are its brightness, 0 to 1; bbox has its centre's offset from the
    cell's corner and the logarithms of width and height, all in cells.
    """
    nodes, tensors, outputs = [], [], []
    for cell in (8, 16, 32):
        box = [0.5, 0.5, np.log(side / cell), np.log(side / cell)]
        for name, count, weight, bias in (
            ("cls", 1, 1, [0]),
            ("obj", 1, 1, [0]),
            ("bbox", 4, 0, box),
            ("kps", 10, 0, [0] * 10),
        ):
            name = f"{name}_{cell}"
            tensors.append(tensor(f"{name}_w", np.full((count, 3, cell, cell), weight / (3 * 255 * cell * cell))))
            tensors.append(tensor(f"{name}_b", np.array(bias, float)))
            tensors.append(tensor(f"{name}_s", np.array([1, -1, count], np.int64)))
            inputs = ["input", f"{name}_w", f"{name}_b"]
            nodes.append(node("Conv", inputs, f"{name}_c", kernel_shape=[cell, cell], strides=[cell, cell]))
            nodes.append(node("Transpose", [f"{name}_c"], f"{name}_t", perm=[0, 2, 3, 1]))
            nodes.append(node("Reshape", [f"{name}_t", f"{name}_s"], name))
            outputs.append((name, count))
    kinds = ["cls", "obj", "bbox", "kps"]
    outputs.sort(key=lambda output: (kinds.index(output[0].split("_")[0]), int(output[0].split("_")[1])))
    values = [value(name, [1, "n", count]) for name, count in outputs]
    return write(path, nodes, tensors, [value("input", [1, 3, 640, 640])], values)
