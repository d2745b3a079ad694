"""How far one has to walk to follow a batch: docs/design.md lists every function that it passes."""

import re
import sys
from pathlib import Path

import pytest
import torch

import common
from common.environment import matrix_library
from tests.small import one_batch_of, random_corpus, small_network

ROOT = Path(common.__file__).parent


def called(network, batch):
    """The functions of common/ that `network(batch)` calls, as (file, name)."""
    names = set()

    def note(frame, event, _):
        code, path = frame.f_code, Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(ROOT) and "<" not in code.co_name:
            names.add((path.name, code.co_qualname))

    with torch.no_grad():
        sys.setprofile(note)
        try:
            network(batch)
        finally:
            sys.setprofile(None)
    return names


@pytest.mark.parametrize("empty_history", ["released", "strict"])
def test_at_most_20_functions_in_8_files_all_of_them_in_the_document(empty_history):
    corpus = random_corpus([5, 2, 9])
    network = small_network(corpus, positions=True, empty_history=empty_history, modality_order="released")
    matrix_library()  # asked once a process
    walk = called(network, one_batch_of(corpus))
    assert len(walk) <= 20
    assert len({file for file, _ in walk}) <= 8
    section = re.split(r"^## ", (ROOT.parent / "docs" / "design.md").read_text(encoding="utf-8"), flags=re.M)[2]
    listed = set(
        re.findall(r"`([\w.]+)`", "".join(row.split("|")[2] for row in section.splitlines() if row[:1] == "|"))
    )
    names = {name.replace("Strict.", "Released.") for _, name in walk}
    assert names <= listed
    if empty_history == "released":
        assert names == listed
