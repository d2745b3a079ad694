"""The arrays of a dataset while it is made."""

import numpy as np

from common.features.dataset import fill
from common.features.extract import Part, Workers, extract
from common.features.store import opened
from tests.features.light import Letters, called


def test_arrays_have_their_place_on_the_disk(tmp_path):
    """A file of holes, as numpy makes one, ends the process by SIGBUS where the disk turns out to be full."""
    said = called([f"a{k}" for k in range(3000)])
    part = Part(Letters(), np.arange(10))
    with opened(tmp_path / "store") as store:
        extract(part, said, store, Workers())
        (tmp_path / "arrays").mkdir()
        features, missing = fill({"text": [part]}, {"text": said}, store, tmp_path / "arrays", {"text": 3}, None)
    assert features["text"].sum(0).tolist() == [10, 0, 20]
    assert missing == []
    about = next((tmp_path / "arrays").iterdir()).stat()
    assert about.st_blocks * 512 >= about.st_size == 3000 * 3 * 4
