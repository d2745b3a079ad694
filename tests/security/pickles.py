"""Hostile pickles: pairs of the content of MELD's feature file and what the refusal has to say."""

import io
import pickle
import struct
from itertools import chain

import numpy as np
import torch

from tests.security.fields import fields
from tests.security.opcodes import (
    BOMB,
    COMMAND,
    UNBOUNDED,
    Attack,
    AttackEx,
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

NAMES = """
posix.system os.system nt.system subprocess.Popen builtins.eval builtins.exec builtins.compile builtins.__import__
builtins.getattr builtins.open builtins.__build_class__ builtins.type builtins.object builtins.map builtins.range
builtins.print builtins.globals operator.attrgetter operator.methodcaller functools.partial functools.reduce
importlib.import_module types.FunctionType types.CodeType copyreg._reconstructor copyreg.__newobj__
copy_reg._reconstructor commands.getoutput pickle.loads marshal.loads shutil.rmtree socket.socket ctypes.CDLL
code.InteractiveInterpreter timeit.timeit runpy.run_path pdb.run webbrowser.open pathlib.Path collections.Counter
collections.namedtuple numpy.load numpy.fromfile numpy.memmap numpy.matrix numpy.recarray numpy.lib.npyio.NpzFile
numpy.lib.npyio.load numpy.testing._private.utils.runstring numpy.core.multiarray.fromfile
numpy.core._internal._ctypes numpy.ufunc numpy.core.multiarray._reconstruct.__globals__
numpy.core.multiarray.scalar.__call__ numpy.ndarray.tofile numpy._core.multiarray.frombuffer builtins.set.__class__
collections.OrderedDict.__reduce_ex__ torch.load torch.hub.load torch.jit.load torch.serialization._load
torch.storage.UntypedStorage torch.Tensor torch._utils._rebuild_tensor torch._utils._rebuild_sparse_tensor
torch._utils._rebuild_qtensor torch._utils._rebuild_wrapper_subclass torch._tensor._rebuild_from_type_v2
torch.nn.Linear torch.FloatStorage torch.utils._config_module.load_config torch._dynamo.guards.GuardBuilder.get
joblib.load pandas.read_pickle
""".split()  # noqa: SIM905


def code():
    """Everything that would call what it must not."""
    for protocol in range(6):
        yield pickle.dumps(Attack(), protocol), "posix.system"
        yield pickle.dumps([{"a": AttackEx(eval, "open('canary', 'w')")}], protocol), "builtins.eval"
    for full in NAMES:
        module, _, last = full.rpartition(".")
        shown = full.replace("_core", "core")
        yield name(module, last) + b"(" + text(COMMAND) + b"tR.", shown
        yield text(module) + text(last) + b"\x93" + text(COMMAND) + b"\x85R.", shown
    for module, last in (("numpy", "core.multiarray.scalar.__self__"), ("os", "system\x00"), ("os\x1b[2J", "system")):
        yield text(module) + text(last) + b"\x93.", "refused, the pickle asks for"
    yield text("o" * 10**6) + text("system\n" * 10**5) + b"\x93.", "refused, the pickle asks for 'ooo"
    yield b"c__builtin__\neval\n(S'1'\ntR.", "builtins.eval"
    yield b"(S'" + COMMAND.encode() + b"'\nios\nsystem\n.", "os.system"
    yield b"(" + name("os", "system") + text(COMMAND) + b"o.", "os.system"
    for kind in ("list", "set", "bytearray"):
        arguments = b"(" + number(10**12) + b"t"
        yield name("builtins", kind) + arguments + b"\x81.", "NEWOBJ class argument must be a type, not _Function"
        yield name("builtins", kind) + arguments + b"}\x92.", "NEWOBJ_EX class argument must be a type, not _Function"
        yield b"(" + name("builtins", kind) + number(10**12) + b"o.", "int' object is not iterable|int found"
        yield b"(" + number(10**12) + b"ibuiltins\n" + kind.encode() + b"\n.", "int' object is not iterable|int found"
    for opcode in (b"\x82\1", b"\x83\1\0", b"\x84\1\0\0\0"):
        yield b"\x80\2" + opcode + b".", "unregistered extension code 1"
    for opcode in (b"\x80\2Pid\n", text("id") + b"Q"):
        yield opcode + b".", "A load persistent id instruction was encountered"
    yield b"\x97.", "out-of-band data but no"
    yield text("id") + b"\x98.", "a bytes-like object is required"
    yield b"\xff.", "invalid load key"
    for target in (name("numpy", "dtype"), name("builtins", "set")):
        yield target + b"}" + text("__class__") + text("x") + b"sb.", "asks for a change of a function"
    for target in (b"]", b"\x8f", b")", text("a"), b"N"):
        yield target + b"}" + text("__class__") + text("x") + b"sb.", "has no attribute '__dict__'"
    yield body(torch.ones(2)) + b"(" + body(torch.ones(9)) + b"K\0(K\x63t(K\1ttb.", "not a complete pickle"
    for target in (text("a"), b"]", number(1), body(np.ones(2)), body(torch.ones(2))):
        yield target + b")R.", "object is not callable"
    yield name("numpy", "ndarray") + number(10**9) + b"\x85R.", "a call of numpy.ndarray"
    for inner in (b"os\nsystem\n", b"builtins\neval\n"):
        yield (
            call("torch.storage", "_load_from_bytes", body(torch_bytes(b"c" + inner + b"."))),
            "asks for os.system|asks for eval",
        )


def sizes(deepest=10**5):
    """Everything that would take memory or time without having the bytes.

    The memory limit refuses what the standard library allocates on the word of the file.
    """
    for length in (2**62, 2**40, 2**64 - 1):
        for opcode in (b"\x8d", b"\x8e", b"\x96"):
            yield opcode + struct.pack("<Q", length) + b"abc.", "not enough memory|exceeds system's maximum size"
    for opcode in (b"B", b"X", b"T"):
        yield opcode + b"\xff\xff\xff\x7fabc.", "not enough memory"
    yield b"T\xff\xff\xff\xffabc.", "not enough memory"
    yield b"\x80\4\x95" + struct.pack("<Q", 2**60) + b"cos\nsystem\n.", "not enough memory"
    yield b"\x8b\xff\xff\xff\x7f.", "not enough memory"
    yield b"\x8b" + struct.pack("<i", 10**6) + b"\x7f" * 10**6 + b".", "found a int"
    for opcode in (b"I", b"L", b"F", b"p", b"g"):
        yield b"N" + opcode + b"9" * 10**6 + b"\n.", "not a complete pickle"
    yield b"\x8a\xff" + b"\x7f" * 255 + b".", "found a int"
    for index in (2**32 - 1, 2**31):
        yield b"]r" + struct.pack("<I", index) + b".", "not enough memory"
        yield b"]j" + struct.pack("<I", index) + b".", "not a complete pickle"
    yield b"]p99999999999999999999\n.", "not a complete pickle"
    for module, kind in (("builtins", "bytearray"), ("builtins", "bytes"), ("builtins", "set"), ("builtins", "list")):
        for argument in (number(10**12), number(2**40)):
            yield call(module, kind, argument), "asks for|not a complete pickle"
    for kind in ("list", "tuple", "dict"):
        yield call("builtins", kind, body(b"a")), "not a complete pickle"
    long = text("x" * 10**6) + b"q\0" + text("latin1") + b"q\1" + name("_codecs", "encode") + b"q\2(("
    yield long + b"h\2h\0h\1\x86R0" * 10**5 + b"tt.", UNBOUNDED
    many = body(list(range(10**5))) + b"q\0" + name("builtins", "set") + b"q\1("
    yield many + b"h\1h\0\x85R" * 10**5 + b"t.", UNBOUNDED
    yield call("builtins", "complex", text("1" * 10**6), text("1")), "not a complete pickle"
    for bomb in (laughs(b"\x86", b"K\1"), nested(b")", b"\x85", 2 * 10**5)):
        yield b"}" + bomb + b"Ns.", UNBOUNDED
        yield b"\x8f(" + bomb + b"\x90.", UNBOUNDED
        yield b"(" + bomb + b"\x91.", UNBOUNDED
        yield call("builtins", "frozenset", b"](" + bomb + b"e"), UNBOUNDED
        yield b"}(" + bomb + b"Nu.", UNBOUNDED
    colliding = body([k * (2**61 - 1) for k in range(10, 10**5)])
    yield colliding + b".", "found 99990 fields"
    yield call("builtins", "set", colliding), UNBOUNDED
    for depth in (10**4, deepest):
        yield b"]" * depth + b"a" * (depth - 1) + b".", "found 1 fields"
        yield nested(b")", b"\x85", depth) + b".", "found 1 fields"
        yield b"}" + b"K\1}" * depth + b"s" * depth + b".", "found a dict"
        yield b"(" * depth + b"l" * depth + b".", "found 1 fields|found 0 fields"
        yield b"(" * depth + b"t" * depth + b".", "found 1 fields|found 0 fields"
        yield b"(" * depth + b".", "not a complete pickle"
    yield b"0" * 100 + b".", "not a complete pickle"
    yield b"]q\0h\0a.", "found 1 fields"  # a list in itself
    yield laughs(b"\x86", b"]") + b".", "found 2 fields"


def arrays():
    """Arrays and tensors that lie about what they are."""

    def array(shape, dtype, data, state="(K\3U\1<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"):
        made = call("numpy", "dtype", text(dtype), b"K\0", b"K\1") + state.encode("latin1")
        start = name("numpy", "ndarray") + b"K\0\x85U\1b"
        start = name("numpy.core.multiarray", "_reconstruct") + b"(" + start + b"tR"
        return start + b"(K\1" + shape + made + b"\x89" + data + b"tb."

    def shape(*sizes):
        return b"(" + b"".join(map(number, sizes)) + b"t"

    for sizes_ in ((10**12,), (10**12, 0), (2**40, 2**40, 0), (-1,), (2**62, 4), (1,) * 40, (0,) * 70):
        yield array(shape(*sizes_), "f4", body(b"" if 0 in sizes_ else b"abcd")), "not a complete pickle"
    for kind in ("U0", "S0"):
        yield array(shape(10**12), kind, body(b"")), "not a complete pickle"
    for kind in ("V9", "O,O", "M8[ns]", "S99999999", "f4,f4", "x" * 10**6, "(9,9)f4", "object"):
        yield array(shape(1), kind, body(b"abcd")), "numpy dtype"
    yield array(shape(1), "O8", body(b"12345678")), "objects in a bytes"
    yield array(shape(9), "O8", body([1.0])), "objects in a list"
    yield array(shape(1), "f8", body([1.0])), "not a complete pickle"
    yield array(lists(3), "f4", body(b"abcd")), "not a complete pickle"
    yield array(shape(1), "f4", body(b"abcd"), "(K\3U\1<N(U\1atNK\4K\1K\0tb"), "a structured numpy dtype"
    for kind in (b"N", name("builtins", "set"), text("ndarray"), body(torch.ones(1))):
        yield call("numpy.core.multiarray", "_reconstruct", kind, b"K\0\x85", body(b"b")), "an array of class"
    for data in (number(10**12), text("a" * 8), b"]"):
        dtype = call("numpy", "dtype", text("f8"), b"K\0", b"K\1")
        yield call("numpy.core.numeric", "_frombuffer", data, dtype, shape(1), text("C")), "an array in a"
        yield call("numpy.core.multiarray", "scalar", dtype, data), "not a complete pickle"
    dtype = call("numpy", "dtype", text("f8"), b"K\0", b"K\1")
    empty = body(b"") + dtype + shape(10**12, 0) + text("C")
    yield call("numpy.core.numeric", "_frombuffer", empty), "not a complete pickle"
    obj = call("numpy", "dtype", text("O8"), b"K\0", b"K\1")
    deep = name("numpy.core.multiarray", "_reconstruct") + b"q\0(" + name("numpy", "ndarray") + b"K\0\x85U\1btq\1" + obj
    deep += b"q\2(K\1\x85q\3" + b"h\0h\1R(K\1h\3h\2\x89](" * 10**5 + b"N" + b"etb" * 10**5 + b"."
    yield deep, "not a complete pickle|a mutable|found"
    storage = call("torch.storage", "_load_from_bytes", body(storage_bytes(4)))
    for offset, size, stride in (
        (0, (5,), (1,)),
        (3, (2,), (1,)),
        (0, (10**12,), (0,)),
        (0, (2, 2), (2**62, 1)),
        (-1, (1,), (1,)),
        (0, (2**40, 0), (0, 0)),
        (2**62, (1,), (1,)),
        (0, (4,), (-1,)),
        (0, (1,) * 100, (1,) * 100),
    ):
        rest = number(offset) + shape(*size) + shape(*stride) + b"\x89}"
        yield call("torch._utils", "_rebuild_tensor_v2", storage, rest), "not a complete pickle"
    yield call("torch._utils", "_rebuild_tensor_v2", b"N", b"K\0))\x89}"), "a tensor of something else"
    yield call("torch.storage", "_load_from_bytes", number(10**12)), "not a complete pickle"
    yield call("torch.storage", "_load_from_bytes", body(BOMB)), "parts of more than|not a complete pickle"


def storage_bytes(values):
    content = io.BytesIO()
    torch.save(torch.ones(values).storage(), content, _use_new_zipfile_serialization=False)
    return content.getvalue()


def every(folder):
    """All of the above; `folder` is an empty one to work in."""
    yield from chain(code(), sizes(), arrays(), fields(folder))
