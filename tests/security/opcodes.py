"""Pieces of pickles, opcode by opcode; each leaves one object on the stack."""

import io
import os
import pickle
import struct
import zipfile

# In place of what a refusal says, of files for which the standard library or torch allocates, computes or recurses on
# the file's word: their process may end, by a signal or for lack of memory, and nothing else may happen.
UNBOUNDED = "unbounded"
COMMAND = "touch canary"


class Attack:
    def __init__(self, function=os.system, *arguments):
        self.call = function, arguments or (COMMAND,)

    def __reduce__(self):
        return self.call


class AttackEx(Attack):
    def __reduce_ex__(self, protocol):
        return self.call


def name(module, last):
    return f"c{module}\n{last}\n".encode()


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value):
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def body(value):
    """`value` as an ordinary pickle has it."""
    return pickle.dumps(value, 2)[2:-1]


def call(module, last, *arguments):
    return name(module, last) + b"(" + b"".join(arguments) + b"tR"


def nested(start, opcode, depth):
    return start + opcode * depth


def laughs(pair, start, levels=60):
    """A pair of the same pair of the same pair …: 2^60 values to whoever walks through it."""
    return start + (b"2" + pair) * levels


def lists(depth):
    return b"]" * depth + b"a" * (depth - 1)


def torch_bytes(pickled):
    """An archive of torch.save with this pickle in it."""
    return archive({"a/data.pkl": pickled, "a/byteorder": b"little", "a/version": b"3\n"})


def archive(parts, compression=zipfile.ZIP_STORED):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as file:
        for part, data in parts.items():
            file.writestr(part, data)
    return content.getvalue()


BOMB = archive({"a/data.pkl": b"\x80\2].", "a/data/0": bytes(2**27)}, zipfile.ZIP_DEFLATED)
