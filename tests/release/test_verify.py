"""What is said of feature files: like the released ones, of other conversations, broken, and absent."""

import json
import os
import pickle

import numpy as np
import pytest

from common.__main__ import main
from common.data import DATASETS, iemocap, meld
from common.data.corpus import from_dialogues
from common.release import published, verify
from common.release.obtain import MANIFEST
from tests.data.test_readers import rewrite
from tests.release.server import POINTER
from tests.small import WIDTHS, result_of, small_corpus


@pytest.fixture
def command(capsys):
    """Run the command in this process; returns what it printed, and its status."""

    def command(*words):
        return result_of(lambda: main(["verify", *map(str, words)]), capsys)

    return command


@pytest.fixture
def data(tmp_path):
    """A data folder with small files of both datasets."""
    iemocap.write(small_corpus(), tmp_path / "data" / "iemocap")
    meld.write(small_corpus("MELD"), tmp_path / "data" / "meld")
    return tmp_path / "data"


def real_dialogues(shared, dataset, **features):
    """The real dialogues with narrow random features, or the given ones."""
    packed, key, module = np.load(shared / "data" / "dialogues.npz"), dataset.lower(), DATASETS[dataset]
    label, speaker = packed[f"{key}_label"].astype(np.int64), packed[f"{key}_speaker"]
    if dataset == "MELD":
        speaker = np.unpackbits(speaker, axis=1)[:, :9].argmax(axis=1)
    rng = np.random.default_rng(0)
    random = {name: rng.standard_normal((len(label), width), np.float32) for name, width in WIDTHS.items()}
    return from_dialogues(
        dataset,
        lengths=packed[f"{key}_length"],
        ids=packed[f"{key}_dialogue"].tolist(),
        split_sizes=packed[f"{key}_split_sizes"],
        label=label,
        speaker=speaker.astype(np.int64),
        classes=module.CLASSES,
        speakers=[str(k) for k in range(speaker.max() + 1)],
        features=random | features,
    )


@pytest.fixture(scope="module")
def reports(shared, tmp_path_factory):
    """Reports on files with all that is public of the released ones, as if those were narrow."""
    folder = tmp_path_factory.mktemp("like_released")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(published, "WIDTHS", dict.fromkeys(DATASETS, WIDTHS))
        for dataset, module in DATASETS.items():
            module.write(real_dialogues(shared, dataset), folder / module.FOLDER)
        yield {dataset: verify.verify(dataset, folder) for dataset in DATASETS}


def test_files_with_all_public_properties_are_the_released_ones(reports):
    text = "\n".join(verify.describe(report) for report in reports.values())
    for dataset in DATASETS:
        assert f"Verdict on {dataset}: the released files" in text.splitlines()
    assert "\n- " not in text
    lines = [line.split() for line in text.splitlines()]
    assert ["4", "audio", "151", "7433", "float32", "×", "7", "0", "0"] in lines
    assert ["2", "emotion", "text", "features", "151", "7433", "list", "of", "float", "×", "12", "0", "0"] in lines
    assert ["sad", "771", "68", "245", "1084", "245", "1084"] in lines
    assert ["longest", "dialogue", "33", "33"] in lines
    assert ["speakers", "9", "–"] in lines
    assert ["visual", "5", "0", "0", "0"] in lines
    assert ["(self)", "3.8", "3.8"] in [line[-3:] for line in lines]
    assert ["(cross)", "15.8", "15.8"] in [line[-3:] for line in lines]


def test_real_dialogues_with_other_features_are_told_apart(reports, shared, tmp_path):
    corpus = real_dialogues(shared, "IEMOCAP")
    corpus.features["audio"][:] = 0
    corpus.features["text"][:, 8:] = 0  # a smaller encoder's, padded
    iemocap.write(corpus, tmp_path / "iemocap")
    report = verify.verify("IEMOCAP", tmp_path)
    assert report["verdict"] == "same layout, other features"
    padded, blank = report["reasons"]
    assert padded.startswith("text: 4 columns are constant and 0 copies")
    assert blank == "audio: blank, all zeros"


CHANGES = {  # where in a report, to what: the verdict, and the reason
    ("facts", "fact", "utterances, test", "here", 2609): (
        "same layout, other conversations",
        "utterances, test: 2609, published 2610",
    ),
    ("facts", "fact", "% of test without earlier turn of others (cross)", "here", 15.9): (
        "same layout, other conversations",
        "% of test without earlier turn of others (cross): 15.9, published 15.8",
    ),
    ("classes", "class", "joy", "test", 401): (
        "same layout, other conversations",
        "utterances per class, test: [1256, 281, 50, 208, 401, 68, 345], published",
    ),
    ("classes", "class", "joy", "all", 401): ("same layout, other conversations", "utterances per class, all: ["),
    ("features", "feature", "audio", "width", 6): ("same layout, other features", "audio: width 6, published 7"),
    ("features", "feature", "visual", "blank", 13708): ("same layout, other features", "visual: blank, all zeros"),
    ("features", "feature", "event", "constant", 1): ("same layout, other features", "event: 1 columns are constant"),
    ("features", "feature", "text", "duplicated", 2): (
        "same layout, other features",
        "text: 0 columns are constant and 2",
    ),
    ("features", "feature", "audio", "constant", 20): ("the released files", None),  # openSMILE may well have some
    ("features", "feature", "visual", "blank", 30): ("the released files", None),  # nobody in view
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_public_property_counts(reports, change):
    table, key, name, column, value = change
    changed = {table: [row | ({column: value} if row[key] == name else {}) for row in reports["MELD"][table]]}
    verdict, reason = CHANGES[change]
    judged, reasons = verify._judge(reports["MELD"] | changed)
    assert judged == verdict
    assert [r.startswith(reason) for r in reasons] == [True] if reason else not reasons


def test_other_conversations_in_the_released_layout_are_fine(data, command):
    before = sorted(os.walk(data))
    printed, status = command(data)
    assert (status, printed.err) == (0, "")
    assert "Verdict on MELD: same layout, other conversations\n- dialogues, train: 9, published 1038\n" in printed.out
    assert "Their checksums are not public" in printed.out
    assert sorted(os.walk(data)) == before  # not even a cache


def test_a_dataset_that_is_absent_is_said_so(data, command, tmp_path):
    for name in iemocap.FILES:
        (data / "iemocap" / name).unlink()
    printed, status = command(data)
    assert status == 0
    assert f"IEMOCAP: absent, there are no feature files in {data / 'iemocap'}" in printed.out
    printed, status = command(data / "meld")
    assert status == 2
    assert "no feature files in iemocap/ or meld/ there; give the folder above these, or get" in printed.err
    assert printed.err.count("\n") == 1


BROKEN = {
    "half of the files": (lambda path: path.unlink(), "no such file"),
    "pointer": (lambda path: path.write_bytes(POINTER), "a Git LFS pointer"),
    "page": (
        lambda path: path.write_bytes(b"<!DOCTYPE html><title>Google Drive - Quota exceeded</title>"),
        "a web page ('Google Drive - Quota exceeded')",
    ),
    "empty": (lambda path: path.write_bytes(b""), "an empty file"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-9]), "not a complete pickle"),
    "hostile": (lambda path: path.write_bytes(b"cos\nsystem\n(S'exit'\ntR."), "refused, the pickle asks for os.system"),
    "checkpoint": (lambda path: path.write_bytes(b"PK\x03\x04..."), "not a complete pickle"),
    "no tuple": (lambda path: path.write_bytes(pickle.dumps({})), "found a dict; expected a tuple of fields"),
    "other file": (lambda path: path.write_bytes(pickle.dumps(({},) * 17)), "found 17 fields; expected 9"),
    "NaN": (
        lambda path: rewrite(path, lambda c: c[4]["Ses0000"][0].__setitem__(0, np.nan)),
        "field 4 (audio), dialogue 'Ses0000': found NaN or infinity in utterance 0",
    ),
    "two splits": (
        lambda path: rewrite(path, lambda c: c[8].append(c[7][0])),
        "field 8 (test ids), dialogue 'Ses0009': found twice, also in field 7",
    ),
    "same dialogue twice": (
        lambda path: rewrite(path, copy_dialogue),
        "dialogue 'copy' of test and 'Ses0000' of train",
    ),
}


def copy_dialogue(content, fields=(0, 1, 2, 4, 5, 6)):
    for field in fields:
        content[field]["copy"] = content[field]["Ses0000"]
    if len(content) == 9:
        content[8].append("copy")


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_named(tmp_path, command, name):
    change, words = BROKEN[name]
    folder = tmp_path / "iemocap"
    iemocap.write(small_corpus(turns=(6, 8)), folder)
    if name == "same dialogue twice":
        for file, fields in ((iemocap.EMOTION, (0, 1, 2, 6)), (iemocap.EVENT, (0, 1, 6, 10))):
            rewrite(folder / file, lambda c: copy_dialogue(c, fields))  # noqa: B023
    change(folder / iemocap.BASE)
    printed, status = command(tmp_path)
    assert status == 2
    assert "Verdict on IEMOCAP: wrong\n- " in printed.out
    for text in (printed.out, printed.err):
        assert words in text
        assert str(folder) in text
    assert printed.err.count("\n") == 1


def test_numbers_that_are_none_are_counted(data, command):
    rewrite(data / "meld" / meld.FILE, lambda c: c[11][0][0].__setitem__(slice(0, 3), [np.nan, np.nan, np.inf]))
    printed, status = command(data)
    assert status == 2
    (row,) = [line.split() for line in printed.out.splitlines() if line.split()[1:2] == ["audio"] and "× 7" in line][1:]
    assert row[-2:] == ["2", "1"]


def test_a_file_that_is_not_the_one_obtained_is_named(data, command):
    (data / "meld" / MANIFEST).write_text(json.dumps({meld.FILE: {"sha256": "0f44"}, "other.pkl": {"size": 1}}))
    printed, status = command(data)
    assert status == 2
    assert f"{data / 'meld' / meld.FILE}: SHA-256 " in printed.err
    assert "but 0f44 was obtained" in printed.err


def test_json(data, command, tmp_path):
    printed, status = command(data, "--json", "-")
    assert status == 0
    reports = json.loads(printed.out)
    assert [report["verdict"] for report in reports] == ["same layout, other conversations"] * 2
    assert reports[1]["files"][0]["fields"][11]["entries"] == "float32 × 7"
    printed, status = command(data, "--json", tmp_path / "report.json")
    assert "Verdict on MELD" in printed.out
    assert json.loads((tmp_path / "report.json").read_text()) == reports
    (tmp_path / "report.json").write_text("mine")
    printed, status = command(data, "--json", tmp_path / "report.json")
    assert status == 2
    assert "exists already and is not overwritten" in printed.err
    assert (tmp_path / "report.json").read_text() == "mine"


def test_json_tells_what_is_wrong(data, command):
    (data / "meld" / meld.FILE).write_bytes(POINTER)
    printed, status = command(data, "--json", "-")
    assert status == 2
    report = json.loads(printed.out)[1]
    assert (report["verdict"], report["files"]) == ("wrong", [])
    assert "Git LFS pointer" in report["reasons"][0]


def test_files_that_are_replaced_meanwhile_are_noticed(data, monkeypatch):
    """What is hashed and what is read could be of two files."""
    read = meld.read

    def replaced(folder):
        corpus = read(folder)
        os.utime(folder / meld.FILE, (1, 1))
        return corpus

    monkeypatch.setattr(meld, "read", replaced)
    report = verify.verify("MELD", data)
    assert report["verdict"] == verify.WRONG
    assert "the files changed while they were read; wait" in report["reasons"][-1]
