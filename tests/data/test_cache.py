import multiprocessing
import os
import shutil

import numpy as np
import pytest

from common.data import cache, meld
from common.data.cache import cached
from common.errors import InputError
from tests.small import same, small_corpus


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    meld.write(small_corpus("MELD"), tmp_path / "meld")
    return tmp_path / "meld"


class Reader:
    """meld.read, counting its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self, folder):
        self.calls += 1
        return meld.read(folder)


def replace_sources(folder, seed):
    (folder / meld.FILE).unlink()
    meld.write(small_corpus("MELD", seed=seed), folder)


def test_the_second_time_comes_from_the_cache(folder):
    read = Reader()
    first, origin = cached(read, folder, meld.FILES)
    assert "next time" in origin
    second, origin = cached(read, folder, meld.FILES)
    assert read.calls == 1
    assert origin.startswith("cache")
    assert same(first, second)
    assert second.sources == first.sources == {meld.FILE: cache.sha256(folder / meld.FILE)}
    assert all(values.dtype == np.float32 for values in second.features.values())


def test_changed_sources_are_read_again(folder):
    read = Reader()
    cached(read, folder, meld.FILES)
    replace_sources(folder, seed=1)
    corpus, _ = cached(read, folder, meld.FILES)
    assert read.calls == 2
    assert same(corpus, small_corpus("MELD", seed=1))


def test_a_cache_of_older_readers_is_rebuilt(folder, monkeypatch):
    read = Reader()
    cached(read, folder, meld.FILES)
    monkeypatch.setattr(cache, "VERSION", cache.VERSION + 1)
    cached(read, folder, meld.FILES)
    assert read.calls == 2


def test_a_source_of_the_same_size_and_date_is_read_again(folder):
    read, path = Reader(), folder / meld.FILE
    cached(read, folder, meld.FILES)
    times = path.stat()
    content = bytearray(path.read_bytes())
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    cached(read, folder, meld.FILES)
    assert read.calls == 2


def test_a_damaged_cache_is_rebuilt(folder):
    read = Reader()
    cached(read, folder, meld.FILES)
    path = folder / "corpus_cache.npz"
    complete = path.read_bytes()
    rng = np.random.default_rng(0)
    damages = [complete[:length] for length in (0, 1, 10, 100, len(complete) // 2, len(complete) - 1)]
    for at in rng.integers(len(complete), size=40):
        damages.append(complete[:at] + bytes([complete[at] ^ 0xFF]) + complete[at + 1 :])
    for damaged in damages:
        path.write_bytes(damaged)
        corpus, _ = cached(read, folder, meld.FILES)
        assert same(corpus, small_corpus("MELD"))
    assert read.calls > len(damages) // 2


def test_a_cache_cut_off_anywhere_is_no_cache(folder):
    """At every length of its header, and at random ones beyond."""
    cached(Reader(), folder, meld.FILES)
    path = folder / "corpus_cache.npz"
    complete, state = path.read_bytes(), cache._state(folder, meld.FILES)
    assert cache.load(path, state) is not None
    header = complete.index(b"PK\x03\x04", 4)  # the next array begins
    assert complete[:header].count(b'"state"') == 1
    for length in [*range(header + 1), *np.random.default_rng(0).integers(header, len(complete), size=200)]:
        path.write_bytes(complete[:length])
        assert cache.load(path, state) is None


@pytest.mark.parametrize("what", [b"sentiment.npy", b"PK\x01\x02"])
def test_a_cache_with_a_damaged_directory_is_rebuilt(folder, what):
    """One changed byte around each place where the zip directory names an array: rebuilt, or right all the same."""
    cached(Reader(), folder, meld.FILES)
    path = folder / "corpus_cache.npz"
    complete = path.read_bytes()
    last = complete.rindex(what)
    for at in range(last - 46, min(last + 46, len(complete))):
        path.write_bytes(complete[:at] + bytes([complete[at] ^ 0x01]) + complete[at + 1 :])
        corpus, _ = cached(Reader(), folder, meld.FILES)
        assert same(corpus, small_corpus("MELD"))


def test_a_compressed_cache_is_not_ours_and_rebuilt(folder):
    """It could hold any amount."""
    cached(Reader(), folder, meld.FILES)
    path, read = folder / "corpus_cache.npz", Reader()
    with np.load(path) as archive:
        np.savez_compressed(path, **archive)
    cached(read, folder, meld.FILES)
    assert read.calls == 1


def test_a_folder_that_is_not_writable(folder, tmp_path, monkeypatch):
    """The copy goes to the user's cache folder; where that fails too, there is none."""

    def refuse(corpus, state, path):
        if tmp_path / "user" not in path.parents or closed:
            raise PermissionError(13, "Permission denied", str(path))
        save(corpus, state, path)

    save, read, closed = cache.save, Reader(), False
    monkeypatch.setattr(cache, "save", refuse)
    cached(read, folder, meld.FILES)
    _, origin = cached(read, folder, meld.FILES)
    assert read.calls == 1
    assert str(tmp_path / "user" / "ecerc") in origin
    assert not (folder / "corpus_cache.npz").exists()

    closed = True
    shutil.rmtree(tmp_path / "user")
    corpus, origin = cached(read, folder, meld.FILES)
    assert "no cache" in origin
    assert same(corpus, small_corpus("MELD"))


def test_sources_that_change_while_they_are_read(folder):
    def read(folder):
        corpus = meld.read(folder)
        replace_sources(folder, seed=1)
        return corpus

    with pytest.raises(InputError, match="changed while they were read"):
        cached(read, folder, meld.FILES)
    assert not (folder / "corpus_cache.npz").exists()


def build(folder, queue):
    queue.put(same(cached(meld.read, folder, meld.FILES)[0], small_corpus("MELD")))


def test_several_processes_build_it_at_once(folder):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=build, args=(folder, queue)) for _ in range(3)]
    for process in processes:
        process.start()
    assert [queue.get(timeout=120) for _ in processes] == [True] * 3
    for process in processes:
        process.join()
    read = Reader()
    cached(read, folder, meld.FILES)
    assert read.calls == 0
    assert sorted(os.listdir(folder)) == ["corpus_cache.npz", meld.FILE]


def test_a_modality_unknown_when_it_was_written_has_no_columns(tmp_path):
    corpus = small_corpus("MELD")
    del corpus.features["visual"]
    cache.save(corpus, None, tmp_path / "old.npz")
    loaded = cache.load(tmp_path / "old.npz", None)
    assert loaded.features["visual"].shape == (len(corpus.label), 0)
    assert np.array_equal(loaded.features["audio"], corpus.features["audio"])
