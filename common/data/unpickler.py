"""A pickle reader that can do nothing but what is written here: no code runs, memory and time follow the file's size.

The opcodes are methods under their names in `pickletools`, or stand in the tables at the end; a pickle with any other
opcode is refused. A pickle can call only the functions that it is given by name, with arguments that the file has bytes
for. Unlike the standard library's readers it allocates nothing on the word of the file: places in the memo, lengths
and whole numbers of any size that a file declares without having the bytes cost nothing.
"""

import codecs
import pickletools
import re
import struct
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np

from common.errors import brief

_KEYS = str | bytes | int | float | np.integer | None  # hashed without recursion, and hardly made to collide
_NUMBER = np.dtype([("opcode", "S1"), ("value", ">f8")])
_BINFLOATS = re.compile(rb"(?:G.{8})+", re.DOTALL)
_FLOATS = re.compile(rb"(?:aF[^\n]{1,40}\n)+")


class Refused(Exception):
    """What a pickle asks for and does not get, in words."""


class Unpickler:
    """Reads one pickle of any protocol from `file`, which is buffered and has `size` bytes in all.

    `names`: "module.name" to what it stands for; what is callable may be called. Byte strings of Python 2 are read
    as latin-1. `persistent` turns a persistent id into an object. `load` raises Refused for what is not allowed, and
    nearly anything for a damaged file.
    """

    def __init__(
        self, file: BinaryIO, size: int, names: Mapping[str, Any], persistent: Callable[[Any], Any] | None = None
    ):
        self.file, self.size, self.names = file, size, names
        self.stack, self.marks, self.memo = [], [], {}
        self.content = 4 * size + 2**16  # how many values and bytes may go into calls; honest files need the size once
        if persistent:
            self.persistent = persistent

    def load(self) -> Any:
        """The object in the pickle."""
        opcodes, read = _OPCODES, self.file.read
        while (code := read(1)) != b".":
            opcode = opcodes.get(code)
            if opcode is None:
                if not code:
                    raise EOFError("it ends too early")
                raise Refused(f"the opcode {_NAMES.get(code, code)}")
            opcode(self)
        return self.stack.pop()

    def bytes(self, kind):
        """A byte string after its length, a number of struct type `kind`."""
        (length,) = struct.unpack(kind, self.file.read(struct.calcsize(kind)))
        return self.take(length)

    def take(self, length):
        data = self.file.read(length) if 0 <= length <= self.size else b""
        if len(data) != length:
            raise EOFError(f"{length} bytes declared, and not there")
        return data

    def line(self, longest=None):
        line = self.file.readline()
        if line[-1:] != b"\n" or (longest and len(line) > longest):
            raise ValueError(f"a line of {len(line)} bytes")
        return line[:-1]

    def unsigned(self, length):
        return int.from_bytes(self.take(length), "little")

    def last(self, count):
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def marked(self):
        """What stands on the stack above the last mark, taken from it."""
        at = self.marks.pop()
        items = self.stack[at:]
        del self.stack[at:]
        return items

    def under(self, kind, depth=1):
        """The object on the stack that is to be filled."""
        if type(self.stack[-depth]) is not kind:
            raise Refused(f"a change of a {type(self.stack[-depth]).__name__}, as if it were a {kind.__name__}")
        return self.stack[-depth]

    def used(self, values):
        """Counts what goes into a call: one string in the file could be copied by a million calls."""
        self.content -= 1 + sum(len(v) for v in values if type(v) in _SIZED)
        if self.content < 0:
            raise Refused("copies of more than the file holds")

    # numbers

    def whole(self, number):
        if not -(2**63) <= number < 2**64:
            raise Refused("a whole number of more than 64 bits")
        self.stack.append(number)

    def INT(self):
        line = self.line(longest=32)
        self.stack.append(line == b"01") if line in (b"00", b"01") else self.whole(int(line))

    def LONG(self):
        self.whole(int(self.line(longest=32).rstrip(b"L")))

    def LONG1(self):
        self.whole(int.from_bytes(self.bytes("<B"), "little", signed=True))

    def BININT(self):
        self.stack.append(int.from_bytes(self.take(4), "little", signed=True))

    def FLOAT(self):
        self.stack.append(float(self.line(longest=64)))
        if run := _FLOATS.match(self.file.peek()):  # "append, next number", thousands of times
            values = [self.stack.pop(), *map(float, self.take(run.end())[2:-1].split(b"\naF"))]
            self.stack.append(values.pop())
            self.under(list, 2).extend(values)

    def BINFLOAT(self):
        self.stack.extend(struct.unpack(">d", self.take(8)))
        if run := _BINFLOATS.match(self.file.peek()):  # a list of floats, all at once
            self.stack += np.frombuffer(self.take(run.end()), _NUMBER)["value"].tolist()

    def STRING(self):
        text = self.line().strip()
        if len(text) < 2 or text[0] != text[-1] or text[0] not in b"'\"":
            raise ValueError("a string without quotes")
        self.stack.append(codecs.escape_decode(text[1:-1])[0].decode("latin1"))

    def UNICODE(self):
        self.stack.append(self.line().decode("raw-unicode-escape"))

    def LIST(self):
        self.stack.append(self.marked())

    def TUPLE(self):
        self.stack.append(tuple(self.marked()))

    def DICT(self):
        items = self.marked()
        self.stack.append({})
        self.set_items(items)

    def FROZENSET(self):
        self.stack.append(frozenset(map(key, self.marked())))

    def APPEND(self):
        value = self.stack.pop()
        self.under(list).append(value)

    def APPENDS(self):
        values = self.marked()
        self.under(list).extend(values)

    def SETITEM(self):
        value, name = self.stack.pop(), self.stack.pop()
        self.under(dict)[key(name)] = value

    def SETITEMS(self):
        self.set_items(self.marked())

    def set_items(self, items):
        self.under(dict).update(zip(map(key, items[::2]), items[1::2], strict=True))

    def ADDITEMS(self):
        values = self.marked()
        self.under(set).update(map(key, values))

    # the stack and the memo

    def MARK(self):
        self.marks.append(len(self.stack))

    def POP(self):
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.stack.pop()

    def POP_MARK(self):
        self.marked()

    def DUP(self):
        self.stack.append(self.stack[-1])

    def MEMOIZE(self):
        self.memo[len(self.memo)] = self.stack[-1]

    def PUT(self):
        self.memo[int(self.line(longest=32))] = self.stack[-1]

    def GET(self):
        self.stack.append(self.memo[int(self.line(longest=32))])

    # names, calls, states

    def GLOBAL(self):
        self.find(self.line().decode(), self.line().decode())

    def STACK_GLOBAL(self):
        name, module = self.stack.pop(), self.stack.pop()
        self.find(module, name)

    def find(self, module, name):
        module = _RENAMED.sub("numpy.core", "builtins" if module == "__builtin__" else module)
        name = f"{module}.{name}"
        if name not in self.names:
            raise Refused(name if re.fullmatch(r"[\w.]{1,200}", name, re.ASCII) else brief(name))
        self.stack.append(self.names[name])

    def INST(self):
        self.GLOBAL()
        raise Refused("the opcode INST")

    def REDUCE(self):
        arguments = self.stack.pop()
        self.used(arguments)
        if not callable(self.stack[-1]):
            raise Refused(f"a call of a {type(self.stack[-1]).__name__}")
        self.stack[-1] = self.stack[-1](*arguments)

    def BUILD(self):
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Stateful):
            self.used(state)
            target.restore(state)
        elif type(target) is not dict:  # an OrderedDict may have attributes, which nobody needs
            raise Refused(f"a change of a {type(target).__name__}")

    def BINPERSID(self):
        self.stack.append(self.persistent(self.stack.pop()))

    def persistent(self, _):
        raise Refused("a persistent id")

    # the frame

    def PROTO(self):
        self.take(1)

    def FRAME(self):
        self.take(8)  # a hint for faster reading


class Stateful:
    """An object of a pickle that takes a state, with the method `restore`."""


def key(value: Any) -> Any:
    """`value`, where it may be a key of a dictionary or in a set: a string, a number or None."""
    if not isinstance(value, _KEYS):
        raise Refused(f"a {type(value).__name__} as a key")
    return value


def _latin1(data):
    return data.decode("latin1")


def _utf8(data):
    return data.decode("utf-8", "surrogatepass")


_RENAMED = re.compile(r"^numpy\._core\b")  # numpy 2 renamed it
_SIZED = (str, bytes, bytearray, list, tuple, set, frozenset, dict)
_NAMES = {opcode.code.encode("latin1"): opcode.name for opcode in pickletools.opcodes}
_STRINGS = {  # type of the length, and what becomes of the bytes
    f"{name}BIN{what}{eight}": (kind, make)
    for what, make in {"STRING": _latin1, "UNICODE": _utf8, "BYTES": bytes}.items()
    for name, kind, eight in (("SHORT_", "<B", ""), ("", "<i" if what == "STRING" else "<I", ""), ("", "<Q", "8"))
} | {"BYTEARRAY8": ("<Q", bytearray)}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_PUTS, _GETS = ((("BIN" + what, 1), ("LONG_BIN" + what, 4)) for what in ("PUT", "GET"))
_EMPTY = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set}
_METHODS = {
    **vars(Unpickler),
    **{name: lambda self, value=value: self.stack.append(value) for name, value in _CONSTANTS.items()},
    **{name: lambda self, kind=kind: self.stack.append(kind()) for name, kind in _EMPTY.items()},
    **{
        name: lambda self, k=k, make=make: self.stack.append(make(self.bytes(k)))
        for name, (k, make) in _STRINGS.items()
    },
    **{f"TUPLE{n}": lambda self, n=n: self.stack.append(tuple(self.last(n))) for n in (1, 2, 3)},
    **{f"BININT{n}": lambda self, n=n: self.stack.append(self.unsigned(n)) for n in (1, 2)},
    **{name: lambda self, n=n: self.memo.update({self.unsigned(n): self.stack[-1]}) for name, n in _PUTS},
    **{name: lambda self, n=n: self.stack.append(self.memo[self.unsigned(n)]) for name, n in _GETS},
}
_OPCODES = {code: _METHODS[name] for code, name in _NAMES.items() if name in _METHODS}
