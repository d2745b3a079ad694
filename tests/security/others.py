"""Hostile checkpoints, settings and caches: pairs of content and what the refusal has to say."""

import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from itertools import pairwise

import numpy as np
import torch

from common.release.checkpoint import released_state
from tests.security.opcodes import (
    UNBOUNDED,
    Attack,
    archive,
    body,
    call,
    laughs,
    lists,
    name,
    nested,
    number,
    text,
    torch_bytes,
)
from tests.security.pickles import NAMES, sizes
from tests.small import safetensors

_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # begins every file of torch before 1.6
LACKING = (
    b"}K\1",
    b"}(K\1",
    b"\x8f",
    b"(",
    b"X",
    b"cbuiltins\nfrozenset",
)  # sizes() that begin so have opcodes torch lacks
DEEPEST = 3 * 10**4  # torch's unpickler is Python, and slow
TORCH_CALLS = """
torch.FloatStorage torch.storage.UntypedStorage torch.Tensor torch._utils._rebuild_tensor
torch._utils._rebuild_sparse_tensor torch._utils._rebuild_qtensor torch._utils._rebuild_wrapper_subclass
torch._tensor._rebuild_from_type_v2
""".split()  # noqa: SIM905


def saved(content, **how):
    file = io.BytesIO()
    torch.save(content, file, **how)
    return file.getvalue()


def parts_of(data):
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {info.filename: file.read(info) for info in file.infolist()}


def checkpoints(network):
    state = released_state(network)
    good = parts_of(saved(state))
    root = next(part for part in good if part.endswith("data.pkl")).removesuffix("data.pkl")
    kinds = {
        "zip": torch_bytes,
        "legacy": lambda p: _LEGACY + b"M\xe9\x03." + body({"little_endian": True}) + b"." + p + b"].",
    }
    for wrap in kinds.values():
        yield wrap(pickle.dumps(Attack(), 2)), "it asks for posix.system"
        for full in NAMES:
            module, _, last = full.rpartition(".")
            yield wrap(call(module, last, text("touch canary")) + b"."), answer_of_torch(full)
        yield wrap(call("torch", "FloatStorage", number(10**12)) + b"."), "not a complete checkpoint"
        yield wrap(call("builtins", "bytearray", number(10**12)) + b"."), "not a complete checkpoint"
        yield wrap(b"}" + laughs(b"\x86", b"K\1") + b"Ns."), "not a complete checkpoint"
        yield wrap(b"}" + nested(b")", b"\x85", 2 * 10**5) + b"Ns."), UNBOUNDED
        for depth in (10**4, DEEPEST):
            yield wrap(lists(depth) + b"."), "found a list"
        yield wrap(b"}" + text("a") + lists(DEEPEST) + b"s."), "found a dict"
        # in an OrderedDict, attributes can stand before methods
        hidden = call("collections", "OrderedDict") + text("a") + b"K\1s" + b"}" + text("values")
        yield wrap(hidden + name("collections", "OrderedDict") + b"sb."), "found a dict"
        for pid in (text("x"), b"N", body(("module", 1, 2, 3, 4)), body(("storage", 1, "0", "cpu", 1)), lists(9)):
            yield wrap(pid + b"Q."), "not a complete checkpoint"
        for length in (2**60, 10**12, -1):
            pid = b"(" + text("storage") + name("torch", "FloatStorage") + text("0") + text("cpu") + number(length)
            yield wrap(pid + b"tQ."), "not a complete checkpoint"
        for content, words in sizes(DEEPEST):
            bounded = words is not UNBOUNDED or content.startswith(LACKING)
            yield wrap(content), "not a complete checkpoint|found a" if bounded else UNBOUNDED
    for change in (
        {"smax_fc.bias": torch.zeros(1).expand(10**12)},
        {"smax_fc.bias": torch.ones(4).to_sparse()},
        {"smax_fc.bias": torch.ones(4, device="meta")},
        {"smax_fc.bias": torch.quantize_per_tensor(torch.ones(4), 1.0, 0, torch.qint8)},
        {"smax_fc.bias": torch.nested.nested_tensor([torch.ones(4)])},
        {"smax_fc.bias": torch.ones(4, dtype=torch.complex64)},
        {"smax_fc.bias": torch.ones(4, dtype=torch.bool)},
        {"smax_fc.bias": torch.ones(4, dtype=torch.uint16)},
        {"smax_fc.bias": torch.full((4,), torch.nan)},
        {"smax_fc.bias": torch.ones(2**20, 0)},
        {"smax_fc.bias": np.ones(4)},
        {"smax_fc.bias": 1},
        {"a\nb\x1b" * 10**4: torch.ones(1)},
        {("a", 1): torch.ones(1)},
        {7: torch.ones(1)},
    ):
        for how in ({}, {"_use_new_zipfile_serialization": False}):
            yield saved(state | change, **how), "smax_fc.bias|not a complete checkpoint|names to plain tensors|foreign"
    for how in ({}, {"_use_new_zipfile_serialization": False}):
        yield saved(state | {"smax_fc.bias": torch.zeros(1).expand(4)}, **how), None  # four times the same number
    for part in (f"{root}data.pkl", f"{root}data/0", f"{root}junk"):
        for compression in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
            yield archive(good | {part: bytes(2**24)}, compression), "not a complete checkpoint"
    for part in (f"{root}data.pkl", f"{root}data/0"):
        yield archive({p: data for p, data in good.items() if p != part}), "not a complete checkpoint"
    yield archive({f"{root}{k}": b"" for k in range(20000)}), "not a complete checkpoint"
    yield (
        archive(good | {f"{root}byteorder": b"big"}),
        "holds NaN or infinity",
    )  # what the numbers are, the other way round
    yield overlapping(archive({f"{root}data/{k}": bytes(10**5) for k in range(3)}), 3000), "not a complete checkpoint"
    yield from wrapped(state, good, root)
    yield archive({"m/code/__torch__.py": b"import os", "m/constants.pkl": b"."}), "not a complete checkpoint"
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as file:
        for part in ("storages", "tensors", "pickle", "../canary"):
            file.addfile(tarfile.TarInfo(part))
    yield tar.getvalue(), "not a complete checkpoint"
    yield pickle.dumps(Attack()), "not a complete checkpoint"
    yield b"PK\3\4" + bytes(10**6), "not a complete checkpoint"


def answer_of_torch(full):
    """What the refusal of a call of this function says: torch knows some, which refuse a string."""
    if full in TORCH_CALLS:
        return "not a complete checkpoint"
    if full == "collections.Counter":
        return "found a dict"
    return f"it asks for {full.removeprefix('builtins.').replace('copy_reg', 'copyreg')}"


def overlapping(data, times):
    """A directory that names the same part `times` over."""
    start = data.index(b"PK\1\2")
    entry = data[start : data.index(b"PK\1\2", start + 1)]
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, times, times, len(entry) * times, start, 0)
    entries = b"".join(entry.replace(b"data/0", b"%06d" % k) for k in range(times))
    return data[:start] + entries + end


def wrapped(state, good, root):
    """In formats that are read since people have them, and with a record of their training."""
    small = {"smax_fc.bias": torch.ones(4)}
    for content in (
        {"state_dict": {"state_dict": state}},
        {"state_dict": {"a": torch.ones(1), "b": 1}},
        {"model": small, "state_dict": small},
        {"module." * 10**5 + "a": torch.ones(1)},
        {f"module.{k}": torch.ones(1) for k in range(10**4)},
        {"module.": torch.ones(1)},
        {"smax_fc.bias": torch.zeros(1).half().expand(10**12)} | {"model": 1},
        state | {"smax_fc.bias": torch.zeros(1).half().expand(10**12)},
        state | {"smax_fc.bias": torch.full((4,), 1e300, dtype=torch.float64)},
    ):
        yield saved(content), "names to plain tensors|found a dict|holds weights under|missing|smax_fc.bias"
    itself = b"}q\0" + text("model") + b"h\0s" + text("state_dict") + b"h\0s."
    yield torch_bytes(itself), "found a dict"
    for said, refusal in settings():
        said = said.encode("utf-8", "surrogateescape")
        yield archive(good | {f"{root}settings.yaml": said}), f"settings.yaml in it: .*({refusal}|no hyperparameters)"
    for values in ("[1]", "{heads: 1e400}", "{heads: .nan}", "{heads: " + "9" * 4000 + "}", "{without: [[[[]]]]}"):
        said = f"hyperparameters: {values}".encode()
        yield archive(good | {f"{root}settings.yaml": said}), "settings.yaml in it: "
    for header in (
        b"[" * 10**6,
        b'{"a":' * 10**5,
        b'{"a": ' + b"9" * 10**5 + b"}",
        b'{"a": {"dtype": "F32", "shape": [' + b"9" * 4000 + b'], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [' + b"1, " * 10**5 + b'1], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 1e400]}}',
        b'{"__proto__": {}, "a": null}',
        b'{"__metadata__": 7}',
        b"{"
        + b", ".join(b'"%d": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}' % k for k in range(10**4))
        + b"}",
    ):
        for length in (len(header), 2**62):
            yield length.to_bytes(8, "little") + header + bytes(4), "not a complete checkpoint"
    yield safetensors({"a\nb\x1b" * 10**4: torch.ones(1)}), "missing"


def settings():
    following = list(pairwise("abcdefgh"))
    nines = {a: ", ".join([f"*{a}"] * 9) for a, _ in following}
    many = "a: &a [1]\n" + "".join(f"{b}: &{b} [{nines[a]}]\n" for a, b in following)
    merged = "a: &a {x: 1}\n" + "".join(f"{b}: &{b} {{<<: [{nines[a]}]}}\n" for a, b in following)
    for tag in ("object/apply:os.system", "object/new:os.system", "object/apply:subprocess.Popen"):
        yield f"dataset: !!python/{tag} ['touch canary']", "python/" + tag
    for tag in ("name:os.system", "module:os", "object:os.system", "tuple", "str"):
        yield f"dataset: !!python/{tag} ''", "python/" + tag
    yield many, "more than 20 aliases"
    yield merged, "more than 20 aliases"
    yield "a: &a [" + "*a, " * 10 + "]\nseeds: *a", "no dataset"
    yield "[" * 10**5, "not readable as YAML"
    yield "{a: " * 10**4, "not readable as YAML"
    yield "- " * 10**4, "not readable as YAML"
    yield "a: " + "9" * 10**5, "not readable as YAML"
    yield "a: 1" + ":59" * 10**4, "not readable as YAML|no dataset"
    yield "a: 2024-99-99", "not readable as YAML"
    yield "? [1, 2]\n: 1", "not readable as YAML"
    yield "a: !!binary \xff", "not readable as YAML"
    yield "a: 1\n" * 10**5, "more than"
    yield "\0", "not readable as YAML"
    yield "dataset: [MELD]\ndata: [1]", "no dataset"
    yield "dataset: MELD\ndata: {classes: [[1]]}", "no dataset"
    yield "dataset: {a: 1}", "no dataset"


def caches(state):
    """Instead of a cache: each is passed over, and the sources are read."""

    def cache(compression=zipfile.ZIP_STORED, **arrays):
        return archive({f"{part}.npy": data for part, data in arrays.items()}, compression)

    def npy(shape, dtype="<f4", data=b""):
        header = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode() + b"\n"
        return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + data

    def header(**changes):
        content = json.dumps({"state": state, "arrays": ["text"], "rest": {}} | changes).encode()
        return npy((len(content),), "|u1", content)

    yield cache(zipfile.ZIP_DEFLATED, header=npy((2**27,), "|u1", bytes(2**27)))
    yield cache(zipfile.ZIP_DEFLATED, header=header(), text=npy((2**25,), data=bytes(2**27)))
    yield cache(header=header(), text=npy((10**12,)))
    yield cache(header=header(), text=npy((2**62, 2**62)))
    yield cache(header=header(), text=npy((1,), "|O", pickle.dumps(Attack())))
    yield cache(header=npy((10**12,), "|u1"))
    yield cache(header=npy((10**6,), "|u1", b"[" * 10**6))
    yield cache(header=b"\x93NUMPY\2\0" + struct.pack("<I", 2**31) + b"(" * 10**6)
    yield cache(header=npy("__import__('os').system('touch canary')"))
    yield pickle.dumps(Attack(os.system, "touch canary"))
