"""Hostile feature files that are pickles of the right layout, with a trap in one field."""

import pickle

import numpy as np

from common.data.meld import write
from common.data.synthetic import synthetic_corpus
from tests.security.opcodes import body, laughs, lists, nested, text


def fields(folder):
    """Files of the right layout, with a trap in one field."""
    widths = dict.fromkeys(("text", "event", "audio", "visual"), 2)
    write(synthetic_corpus("MELD", sizes=(2, 1, 1), turns=(2, 2), widths=widths), folder)
    path = next(folder.glob("*.pkl"))
    good = [body(field) for field in pickle.loads(path.read_bytes())]
    path.unlink()
    laugh, wide = laughs(b"\x86", b"G" + b"\0" * 8), body([0.0] * 10**5)

    def trap(position, *content):
        return b"(" + b"".join(good[:position] + list(content) + good[position + 1 :]) + b"t."

    def table(row):  # the same row in all four dialogues
        return b"}(" + b"K\0" + row + b"q\x63" + b"".join(b"K" + bytes([k]) + b"h\x63" for k in (1, 2, 3)) + b"u"

    def twice(entry):
        return b"](" + entry + b"2e"

    for position, what in ((1, "label"), (2, "label"), (0, "entry"), (13, "entry"), (3, "entries"), (11, "entries")):
        yield trap(position, table(twice(laugh))), what
        yield trap(position, table(twice(lists(10**5)))), what
        yield trap(position, table(twice(nested(b")", b"\x85", 10**5)))), what
    for position in (14, 15, 16):
        yield trap(position, b"](" + laugh + b"e"), "the id"
        yield trap(position, laugh), "the id"
    objects = np.empty(2, object)
    objects[:] = "x"
    odd = body(objects).replace(text("x"), laugh)
    yield trap(3, table(twice(odd))), "entries that are no numbers"
    million = b"](" + b"K\0q\x62" + b"h\x62" * 3 * 10**5 + b"e"
    yield trap(1, table(million)), "more utterances than the file has bytes"
    # as many utterances as the file allows, each of them the same long thing
    labels = b"](" + b"K\0" * 2 * 10**4 + b"e"
    start = [table(labels), *good[1:]]
    start[1] = start[2] = start[13] = start[0]

    def long(position, entry):
        row = b"](" + entry + b"q\x62" + b"h\x62" * (2 * 10**4 - 1) + b"e"
        return b"(" + b"".join([*start[:position], table(row), *start[position + 1 :]]) + b"t."

    yield long(3, wide), "bytes of memory"
    yield long(3, body(np.zeros(10**5))), "bytes of memory"
    yield long(0, wide), "bytes of memory"
    heavy = list(start)
    for position in (3, 7, 11, 12):
        heavy[position] = table(b"](" + body([0.0, 0.0]) + b"q\x62" + b"h\x62" * (2 * 10**4 - 1) + b"e")
    heavy[13] = table(b"](" + text("x" * 2 * 10**4) + b"q\x62" + b"h\x62" * (2 * 10**4 - 1) + b"e")
    yield b"(" + b"".join(heavy) + b"t.", "bytes of memory"
    yield trap(0, table(twice(text("a") + b"K\1\x86"))), None
