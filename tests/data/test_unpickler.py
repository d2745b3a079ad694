"""Our reader of pickles against the standard library's, on what ordinary pickles hold."""

import io
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.data.safe_pickle import _ALLOWED
from common.data.unpickler import Unpickler

keys = st.text() | st.integers(-(2**63), 2**64 - 1) | st.booleans() | st.none() | st.floats(allow_nan=False)
flat = keys | st.binary() | st.complex_numbers(allow_nan=False)
objects = st.recursive(
    flat | st.lists(st.floats(allow_nan=False), max_size=50),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.tuples(inner) | st.dictionaries(keys, inner),
)


def read(content):
    return Unpickler(io.BufferedReader(io.BytesIO(content), 64), len(content), _ALLOWED).load()


@settings(max_examples=100, deadline=None)
@given(objects, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_any_builtin_object_comes_back(value, protocol):
    found = read(pickle.dumps(value, protocol))
    assert found == value
    assert repr(found) == repr(value)  # 1, 1.0 and True are equal


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_runs_of_numbers_across_buffers_and_batches(protocol):
    value = [[k / 7 for k in range(n)] for n in (0, 1, 2, 999, 1000, 1001, 2001)] + [[1.5, 2, 2.5, "G", 3.5]]
    assert read(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize(
    "content",
    [
        b"(lp0\nS'a\\n\\xe9\"'\np1\naI01\naI-3\naL5L\nag1\na.",
        b"(dp0\nV\\u00e9\np1\n(F1.5\nI2\ntp2\ns.",
        b"\x80\x02](U\x01\xe9T\x02\0\0\0ab\x8a\x00NK\x01M\x01\x02J\xfe\xff\xff\xffe.",
        b"](I1\n(I2\n1I3\n0e]2N\x87.",
        b"(K\x01K\x02d.",
        b"]\x940](h\x00h\x00e.",
    ],
)
def test_opcodes_of_older_picklers_do_what_they_do_in_the_standard_library(content):
    expected = pickle.loads(content, encoding="latin1")
    assert repr(read(content)) == repr(expected)
