"""Tables that grow seed by seed, beside pandas writing them at once."""

import os
from dataclasses import replace

import pandas as pd
import pytest
import torch

from common.errors import InputError
from common.training import history
from common.training.run import train_run
from common.training.tables import Growing, block_of, joined, strings, whole_rows
from tests.faults.kills import SETTINGS
from tests.small import small_corpus

NAMES = ["plain", "comma, and", 'quote"', "line\nbreak", "both\r\nof them", "", " é ", "00", "NA"]


def table(seed):
    return pd.DataFrame({"seed": seed, "name": NAMES, "number": [seed / 7 + 10.0**-k for k in range(len(NAMES))]})


def at_once(tables):
    return pd.concat(tables).to_csv(index=False)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "table.csv"


def grown(path, order, finished=()):
    """The file at `path` of the tables of `order`, of which the `finished` were there."""
    growing = Growing(path, {index: strings(table(index).to_csv(index=False)) for index in finished})
    for index in order:
        growing.add(index, table(index))
    return growing


def text_of(path):
    return path.read_bytes().decode()


def test_seeds_that_end_in_any_order(path):
    growing = grown(path, [3, 0, 2, 1])
    assert text_of(path) == at_once(map(table, [3, 0, 2, 1]))
    growing.put_in_order()
    assert text_of(path) == at_once(map(table, range(4)))
    growing.add(4, table(4))
    assert text_of(path) == at_once(map(table, range(5)))
    before = path.stat().st_ino
    growing.put_in_order()
    assert path.stat().st_ino == before


@pytest.mark.parametrize("there", [[0, 2], [2, 0]])
def test_a_file_of_a_run_that_was_killed(path, there):
    """It goes on with what is finished, whatever else the file holds."""
    path.write_text(at_once(map(table, [*there, 5]))[:-3], newline="")
    growing = grown(path, [3, 1], finished=there)
    assert text_of(path) == at_once(map(table, [0, 2, 3, 1]))
    growing.put_in_order()
    assert text_of(path) == at_once(map(table, range(4)))


def test_a_run_that_was_killed_just_before_its_end(path):
    path.write_text(at_once(map(table, [2, 0])), newline="")
    grown(path, [], finished=[2, 0]).put_in_order()
    assert text_of(path) == at_once(map(table, [0, 2]))
    before = path.stat().st_ino
    grown(path, [], finished=[0, 2]).put_in_order()
    assert path.stat().st_ino == before


def test_an_older_version_wrote_other_columns(path):
    """As pandas joins them: in the order in which they come, empty where there is nothing."""
    old = table(0).assign(gone=1).drop(columns="number")
    growing = Growing(path, {0: strings(old.to_csv(index=False))})
    growing.add(1, table(1))
    growing.add(2, table(2))
    expected = at_once([old.astype(str), *(strings(table(k).to_csv(index=False)) for k in (1, 2))])
    assert text_of(path) == expected
    assert joined({k: block_of(t) for k, t in enumerate([old, table(1), table(2)])}) == expected


def test_what_cannot_be_appended_leaves_the_file_as_it_was(path, monkeypatch):
    growing, before = grown(path, [0, 1]), at_once(map(table, range(2)))

    def full(*_):
        assert text_of(path) != before  # something has been written
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space") as error:
        patch.setattr(os, "fsync", full)
        growing.add(2, table(2))
    assert error.value.filename == str(path)
    assert text_of(path) == before
    growing.add(2, table(2))
    assert text_of(path) == at_once(map(table, range(3)))


def test_a_file_that_somebody_changes_meanwhile(path):
    growing = grown(path, [0, 1])
    path.write_text(text_of(path)[:-5], newline="")
    with pytest.raises(InputError, match=r"table\.csv: changed while this run writes it"):
        growing.add(2, table(2))
    path.unlink()
    with pytest.raises(FileNotFoundError) as error:
        growing.add(2, table(2))
    assert error.value.filename == str(path)


def test_a_cut_row_is_left_out():
    text = at_once([table(12)])
    for end in range(len(text) + 1):
        assert whole_rows(text[:end]) == "".join(line for line in text[:end].splitlines(True) if line.endswith("\n"))


def converted(folder, corpus, seeds, monkeypatch):
    """How many rows a run of so many seeds turns into text."""
    rows, to_csv = [], pd.DataFrame.to_csv

    def counted(frame, *args, **options):
        rows.append(len(frame))
        return to_csv(frame, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(pd.DataFrame, "to_csv", counted)
        patch.setattr(history, "EVERY", 1e9)
        settings = replace(SETTINGS, seeds=tuple(range(seeds)), epochs=1)
        train_run(corpus, settings, torch.device("cpu"), folder, progress=False)
    return sum(rows)


def test_work_is_linear_in_the_number_of_seeds(tmp_path, monkeypatch):
    """Each seed's rows are turned into text as often, however many there are."""
    threads, corpus = torch.get_num_threads(), small_corpus("MELD", sizes=(2, 1, 1))
    torch.set_num_threads(1)
    try:
        few, some, many = (converted(tmp_path / str(n), corpus, n, monkeypatch) for n in (2, 4, 8))
    finally:
        torch.set_num_threads(threads)
    assert many - some == 2 * (some - few)
