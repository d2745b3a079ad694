"""What the fuzzer calls: bytes as a feature file, or as a checkpoint. Nothing else may come of them than a complete
corpus or network, or an InputError of one line; and no code runs, nothing is imported, started or written.
"""

import io
import pickle
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from common.data import iemocap, meld
from common.data.corpus import FEATURES, SPLITS
from common.data.synthetic import synthetic_corpus
from common.errors import InputError
from common.release.checkpoint import load_released, released_state, save_released
from tests.small import about, random_corpus, safetensors, small_network

WIDTHS = dict.fromkeys(FEATURES, 2)
FILES = (meld.FILE, *iemocap.FILES)


class Features:
    """The first byte chooses which of the four feature files the rest is; the others are good ones."""

    def __init__(self, watch):
        self.watch = watch
        self.folder = Path(tempfile.mkdtemp())
        for name, module in (("MELD", meld), ("IEMOCAP", iemocap)):
            sizes = (3, 1, 1) if name == "MELD" else (9, 1, 1)
            corpus = synthetic_corpus(name, sizes=sizes, turns=(1, 2), widths=WIDTHS)
            module.write(corpus, self.folder)
        self.good = {name: (self.folder / name).read_bytes() for name in FILES}

    def seeds(self):
        yield from (bytes([k]) + self.good[name] for k, name in enumerate(FILES))
        for protocol in (0, 4, 5):
            yield b"\0" + pickle.dumps(pickle.loads(self.good[meld.FILE]), protocol)
        tensors = list(pickle.loads(self.good[meld.FILE]))
        tensors[3] = {i: torch.tensor(np.array(rows)) for i, rows in tensors[3].items()}
        yield b"\0" + pickle.dumps(tuple(tensors))

    def __call__(self, data):
        name = FILES[data[0] % len(FILES)] if data else meld.FILE
        (self.folder / name).write_bytes(data[1:])
        try:
            with self.watch.watching(), one_line():
                check_corpus((meld if name == meld.FILE else iemocap).read(self.folder))
        finally:
            (self.folder / name).write_bytes(self.good[name])


class Checkpoint:
    """A whole file, or the pickle of one, which is then put into an archive with the storages of a good checkpoint."""

    def __init__(self, watch):
        self.watch = watch
        self.path = Path(tempfile.mkdtemp()) / "ECERC_MODEL.pkl"
        self.network = small_network(random_corpus([2], widths=WIDTHS), hidden_width=2, head_width=2)
        save_released(self.network, self.path, about(random_corpus([2], widths=WIDTHS), hidden_width=2, head_width=2))
        self.good = self.path.read_bytes()
        with zipfile.ZipFile(self.path) as archive:
            self.parts = {info.filename: archive.read(info) for info in archive.infolist()}
            self.pickle = next(name for name in self.parts if name.endswith("data.pkl"))

    def seeds(self):
        yield self.good
        yield self.parts[self.pickle]
        legacy = io.BytesIO()
        torch.save(released_state(self.network), legacy, _use_new_zipfile_serialization=False)
        yield legacy.getvalue()
        state = released_state(self.network)
        yield safetensors(state)
        wrapped = io.BytesIO()
        torch.save({"model": {f"module.{name}": tensor.half() for name, tensor in state.items()}, "epoch": 1}, wrapped)
        yield wrapped.getvalue()

    def __call__(self, data):
        if data.startswith(b"\x80\x02}"):
            archive = io.BytesIO()
            with zipfile.ZipFile(archive, "w") as parts:
                for name, content in self.parts.items():
                    parts.writestr(name, data if name == self.pickle else content)
            data = archive.getvalue()
        self.path.write_bytes(data)
        with self.watch.watching(), one_line():
            load_released(self.network, self.path)
            assert all(tensor.isfinite().all() for tensor in self.network.state_dict().values())


@contextmanager
def one_line():
    said = ["fine"]
    try:
        yield
    except InputError as error:
        said = str(error).splitlines()
    assert len(said) == 1, said
    assert len(said[0]) < 2000, said


def check_corpus(corpus):
    """Whether everything in a Corpus fits together."""
    count = len(corpus.label)
    for values in corpus.features.values():
        assert values.dtype == np.float32
        assert values.ndim == 2
        assert len(values) == count
        assert np.isfinite(values).all()
    assert len(corpus.speaker) == count
    assert len(corpus.sentences) == count
    assert all(type(sentence) is str for sentence in corpus.sentences)
    assert corpus.speaker.max() < len(corpus.speakers)
    assert 0 <= corpus.label.min() <= corpus.label.max() < len(corpus.classes)
    assert corpus.offset[-1] == count == sum(len(corpus.rows(split)) for split in SPLITS)
    assert len(set(corpus.ids)) == len(corpus.ids) == len(corpus.offset) - 1


TARGETS = {"features": Features, "checkpoint": Checkpoint}
