import collections
import gzip
import io
import os
import pickle
import pickletools
import zipfile

import numpy as np
import pytest
import torch

from common.data import feature_pickle
from common.errors import InputError

VALUES = {
    "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big endian": np.arange(3, dtype=">i4"),
    "bool": np.array([True, False]),
    "empty": np.zeros((0, 4), np.float16),
    "text": np.array(["a", "bcd", "é"]),
    "objects": np.array(["a", None, 3], object),
    "scalar": np.float64(1.5),
    "empty string scalar": np.array([""])[0],
    "axes in another order": np.arange(24.0).reshape(2, 3, 4).transpose(1, 0, 2),
    "containers": {"a": [1, 2.5, (True, None)], "b": {3, 4}, 5: frozenset("x"), "c": bytearray(b"y"), "d": b"z"},
    "ordered": collections.OrderedDict(a=1),
    "default": collections.defaultdict(list, a=[1]),
}


def zipped(name):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, b"...")
    return content.getvalue()


@pytest.fixture
def read(tmp_path):
    def read(content):
        (tmp_path / "features.pkl").write_bytes(content)
        return feature_pickle.load(tmp_path / "features.pkl")

    return read


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", VALUES)
def test_arrays_and_containers_come_back(read, name, protocol):
    value = VALUES[name]
    result = read(pickle.dumps(value, protocol))
    if isinstance(value, np.ndarray | np.generic):
        assert result.dtype.newbyteorder("=") == value.dtype.newbyteorder("=")  # numpy may turn the bytes
        np.testing.assert_array_equal(result, value)
    else:
        assert result == value


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_both_spellings_of_the_numpy_module(read, protocol):
    new = pickle.dumps(VALUES["float32"], protocol)
    assert b"numpy._core.multiarray" in new
    if protocol == 4:  # here names are preceded by their lengths
        old = new.replace(b"\x16numpy._core.multiarray", b"\x15numpy.core.multiarray")
        at = old.index(b"\x95") + 1
        old = old[:at] + (int.from_bytes(old[at : at + 8], "little") - 1).to_bytes(8, "little") + old[at + 8 :]
    else:
        old = new.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    for content in (old, new):
        np.testing.assert_array_equal(read(content), VALUES["float32"])


def test_a_pickle_of_python_2(read):
    """Protocol 2 of Python 2 stores the bytes of an array, and text, as 8-bit strings."""
    values = np.array([1.0, -2.0], "<f4")
    content = (
        b"\x80\x02}U\x01\xe9cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x08" + values.tobytes() + b"tbs."
    )
    pickletools.dis(content, out=open(os.devnull, "w"))  # noqa: SIM115
    result = read(content)
    assert list(result) == ["é"]
    np.testing.assert_array_equal(result["é"], values)


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.uint8, torch.bool])
def test_torch_tensors_come_as_arrays(read, dtype, protocol):
    flat = torch.arange(24).to(dtype)
    tensors = [flat.reshape(4, 6).T, flat[3:9], flat[5], torch.zeros(0, 3, dtype=dtype)]
    for array, tensor in zip(read(pickle.dumps({"a": tensors}, protocol))["a"], tensors, strict=True):
        expected = (tensor.float() if dtype == torch.bfloat16 else tensor).numpy()
        np.testing.assert_array_equal(array, expected, strict=True)


def test_a_tensor_larger_than_its_storage_is_refused(read):
    content = pickle.dumps(torch.arange(4.0), 2)
    assert content.count(b"K\x04\x85") == 1
    with pytest.raises(InputError, match="not a complete pickle"):
        read(content.replace(b"K\x04\x85", b"K\x64\x85"))


def test_memory_that_runs_out_is_not_taken_for_a_damaged_file(tmp_path, monkeypatch):
    (tmp_path / "features.pkl").write_bytes(pickle.dumps([1]))

    def load(self):
        raise MemoryError

    monkeypatch.setattr(feature_pickle._Unpickler, "load", load)
    with pytest.raises(InputError, match="not enough memory"):
        feature_pickle.load(tmp_path / "features.pkl")


class Attack:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


FOREIGN = {
    "posix.system": Attack(os.system, "touch {0}"),
    "builtins.eval": Attack(eval, "open('{0}', 'w')"),
    "builtins.getattr": Attack(getattr, "x", "upper"),
    "numpy.load": Attack(np.load, "{0}"),
    "torch.serialization.load": Attack(torch.load, "{0}"),
    "collections.Counter": collections.Counter("aab"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_anything_else_is_refused_by_name_and_not_run(tmp_path, name):
    trace, path = tmp_path / "trace", tmp_path / "features.pkl"
    value = FOREIGN[name]
    if isinstance(value, Attack):
        value = Attack(value.call[0], *(text.format(trace) for text in value.call[1]))
    path.write_bytes(pickle.dumps(({"a": 1}, value)))
    with pytest.raises(InputError, match=name) as error:
        feature_pickle.load(path)
    assert str(path) in str(error.value)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        # BUILD with a state for attributes, on a function that is allowed
        (b"cnumpy\ndtype\n(N}U\x01xK\x01stb.", "a change of a function"),
        (b"cbuiltins\nlist\nK\x05\x85\x81.", "NEWOBJ class argument must be a type"),
        (b"cnumpy\nndarray\nK\x05\x85R.", "a call of numpy.ndarray"),
        (b"cnumpy.core.multiarray\n_reconstruct\ncbuiltins\nlist\nK\x00\x85U\x01b\x87R.", "an array of class"),
        (b"cnumpy\ndtype\nU\x03O,O\x85R.", "numpy dtype 'O,O'"),
        (b"c_codecs\nencode\nU\x01xU\x05rot13\x86R.", "the encoding 'rot13'"),
    ],
)
def test_allowed_names_do_nothing_but_what_they_are_for(read, content, reason):
    with pytest.raises(InputError, match=reason):
        read(b"\x80\x02" + content)


STATES = [b"}U\x01xK\x01s", b"N}U\x09_functionK\x01s\x86", b"}U\x09__class__K\x01s", b"K\x01", b"("]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", feature_pickle._ALLOWED)
def test_no_pickle_changes_what_a_name_stands_for(read, name, state):
    """BUILD would set attributes of functions for the rest of the process."""
    function = feature_pickle._ALLOWED[name]
    before = dict(vars(function)), dict(getattr(function._function, "__dict__", {}))
    module, _, last = name.rpartition(".")
    with pytest.raises(InputError):
        read(b"c" + module.encode() + b"\n" + last.encode() + b"\n" + state + b"b.")
    assert before == (dict(vars(function)), dict(getattr(function._function, "__dict__", {})))


def array(shape, dtype, state, content):
    """An array in opcodes, its dtype with any state."""
    start = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\0\x85U\1btR"
    return start + b"(K\1" + shape + b"cnumpy\ndtype\nU\2" + dtype + b"K\0K\1\x87R" + state + b"\x89" + content + b"tb"


def test_flags_and_sizes_in_the_state_of_a_dtype_reach_no_array(read):
    """numpy believes them: bytes as pointers to objects, or strings longer than their memory."""
    state = b"(K\3U\1<NNNM\x00\x10K\x01K\x00tb"
    with pytest.raises(InputError, match="objects in a bytes"):
        read(array(b"K\1\x85", b"O8", state, b"C\x08" + b"A" * 8) + b".")
    assert read(array(b"K\1\x85", b"S1", state, b"C\1a") + b".").dtype == "S1"


@pytest.mark.parametrize("shape", [b"K\5\x85", b"J\xff\xff\xff\xffJ\xff\xff\xff\xff\x86", b"G?\xf0\0\0\0\0\0\0\x85"])
def test_an_array_of_objects_takes_no_more_than_its_list_has(read, shape):
    with pytest.raises(InputError, match="not a complete pickle"):
        read(array(shape, b"O8", b"(K\3U\1|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb", b"]K\1a") + b".")


def test_sizes_that_overflow_are_no_shape(read):
    """16 * 16 is 0 to numpy's 8-bit integers."""
    sizes = pickle.dumps((np.int8(16), np.int8(16)), 2)[2:-1]
    with pytest.raises(InputError, match="array of shape"):
        read(array(sizes, b"O8", b"(K\3U\1|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb", b"]") + b".")


@pytest.mark.parametrize("axes", [33, 70])
def test_an_array_has_32_axes_at_most(read, axes):
    """numpy takes more than 64, and finds sizes for them in memory that is not the array's."""
    shape = b"(" + b"K\0" * axes + b"t"
    with pytest.raises(InputError, match="array of shape"):
        read(array(shape, b"i1", b"(K\3U\1|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb", b"C\0") + b".")


def test_an_array_gets_its_content_once(read):
    """A memoryview of the first content, which protocol 5 can make, would see freed memory."""
    content = array(b"K\2\x85", b"i1", b"(K\3U\1|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb", b"C\2ab")
    assert read(content + b".").tolist() == [97, 98]
    with pytest.raises(InputError, match="a second content of an array"):
        read(content + content[content.index(b"(K\1") :] + b".")


def test_an_array_with_too_few_values_is_refused(read):
    content = pickle.dumps(np.zeros(4, np.float32), 2)
    assert content.count(b"K\x04\x85") == 1
    with pytest.raises(InputError, match=r"not a complete pickle \(ValueError: buffer size"):
        read(content.replace(b"K\x04\x85", b"K\x05\x85"))


def test_a_file_cut_anywhere_is_named(tmp_path):
    path, content = tmp_path / "features.pkl", pickle.dumps([VALUES["float32"], {"a": "b"}], 2)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"features\.pkl: not a complete pickle"):
            feature_pickle.load(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.pkl: no such file"):
        feature_pickle.load(tmp_path / "nothing.pkl")
    with pytest.raises(InputError, match="not readable"):
        feature_pickle.load(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0f44\nsize 3\n", "but a Git LFS pointer"),
        (
            b"<!DOCTYPE html><title>Google Drive -\n Quota exceeded</title>",
            "but a web page ('Google Drive - Quota exceeded')",
        ),
        (b"\xef\xbb\xbf \r\n<?xml version='1.0'?>", "but a web page;"),
        (b"", "but an empty file"),
        (b"Not Found", "but a text ('Not Found');"),
        (b"Internal Server Error\r\n", "but a text ('Internal Server Error');"),
        (b"dialogue,utterance\na,1\n", "but a text ('dialogue,utterance');"),
        (b"can't open file\nno such thing\n", 'but a text ("can\'t open file");'),
        (b'{"error": "quota"}', 'but a text (\'{"error": "quota"}\');'),
        ("Zugriff verweigert für dich".encode() * 500, "but a text ('Zugriff"),
        (gzip.compress(b"(lp0\n.", mtime=0), "but a file packed by gzip (`gzip -dc FILE > NEW` unpacks it);"),
        (b"BZh91AY", "but a file packed by bzip2"),
        (zipped("ECERC_MODEL/data.pkl"), "but a zip archive (a checkpoint);"),
        (zipped("audio.npy"), "but a zip archive (arrays of numpy);"),
        (zipped("features.pkl"), "but a zip archive (`unzip FILE` unpacks it);"),
        (b"PK\x03\x04", "but a zip archive;"),
        (pickle.dumps(VALUES, 2)[:-1], "but only the first"),
        (pickle.dumps(VALUES, 0).replace(b"\n", b"\r\n"), "but a pickle whose line ends were changed, as git does"),
        (pickle.dumps([0] * 9, 0)[:-9].replace(b"\n", b"\r\n"), "but a pickle whose line ends were changed"),
        (pickle.dumps([0] * 9999, 0)[:-9], "but only the first"),
        (b"cposix\nsystem\n(S'exit'\ntR.", "refused, the pickle asks for posix.system"),
    ],
)
def test_what_was_saved_instead_of_the_file_is_named(read, content, words):
    with pytest.raises(InputError) as error:
        read(content)
    assert words in str(error.value)
