"""MELD as its authors distribute it: small trees with the defects of the real one, and the real CSV files."""

import os
from itertools import pairwise

import pytest

from common.data.meld_csv import ROWS
from common.errors import InputError
from common.features.sources.meld import read
from common.features.sources.source import Missing
from tests.features.sources.contract import kept

HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
FOLDERS = {"train": "train/train_splits", "dev": "dev/dev_splits_complete", "test": "test/output_repeated_splits_test"}
TURNS = {  # of each split, (dialogue, utterance)
    "train": [(0, 0), (0, 1), (1, 0), (125, 3)],
    "dev": [(0, 0), (110, 7)],
    "test": [(0, 1), (0, 0), (38, 4), (220, 0)],
}


def write_csv(folder, split, turns, sentence="We said: hello, “you”"):
    rest = 'Ann,joy,positive,{},{},1,2,"0:0:1,5","0:0:2,25"'
    rows = [f'{k},"{sentence} {d} {u}",{rest.format(d, u)}' for k, (d, u) in enumerate(turns)]
    path = folder / f"{split}_sent_emo.csv"
    path.write_bytes("\r\n".join([HEADER, *rows, ""]).encode())
    return path


@pytest.fixture
def raw(tmp_path):
    """The three CSV files, without any clip."""
    for split, turns in TURNS.items():
        write_csv(tmp_path, split, turns)
    return tmp_path


@pytest.fixture
def clips(raw):
    """The same with a clip for each row, as the official archives unpack them."""
    for split, turns in TURNS.items():
        (raw / FOLDERS[split]).mkdir(parents=True)
        for d, u in turns:
            (raw / FOLDERS[split] / f"dia{d}_utt{u}.mp4").write_bytes(b"clip")
    return raw


def videos(source):
    """(dialogue, number) to the clip, below the folder of the CSV files."""
    folder = source.files[0].parent
    return {(r.dialogue, r.number): r.video and os.path.relpath(r.video, folder) for r in source.table.itertuples()}


def test_the_rows(raw):
    source = kept(read(raw))
    table = source.table
    assert list(zip(table.dialogue, table.number, strict=True)) == [
        *[("train_0", 0), ("train_0", 1), ("train_1", 0), ("train_125", 3), ("dev_0", 0), ("dev_110", 7)],
        *[("test_0", 0), ("test_0", 1), ("test_38", 4), ("test_220", 0)],
    ]
    assert table.split.tolist() == ["train"] * 4 + ["valid"] * 2 + ["test"] * 4
    assert table.sentence[0] == "We said: hello, “you” 0 0"
    assert set(table.speaker + table.label + table.sentiment) == {"Annjoypositive"}
    assert source.classes == ["neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"]
    assert source.files == [raw / f"{split}_sent_emo.csv" for split in ("train", "dev", "test")]
    assert table.start.isna().all()
    assert table.end.isna().all()


def test_without_clips_there_are_sentences_alone_and_one_line_says_so(raw):
    source = kept(read(raw))
    assert not source.missing
    assert set(source.table.video + source.table.audio) == {""}
    assert [note for note in source.notes if not note.startswith(f"{raw}/")] == [
        f"No clip dia0_utt0.mp4 or the like below {raw}: sentences alone."
    ]


def test_each_clip_goes_to_the_row_of_its_split(clips):
    source = kept(read(clips))
    found = videos(source)
    for split, turns in TURNS.items():
        for d, u in turns:
            long = (split, d) in (("test", 38), ("test", 220))
            assert found[f"{split}_{d}", u] == ("" if long else f"{FOLDERS[split]}/dia{d}_utt{u}.mp4")
    assert set(source.table.audio) == {""}
    assert "Clips: 10 for 10 utterances." in source.notes
    utterance = source.utterances("audio")[1]
    assert utterance.video == clips / FOLDERS["train"] / "dia0_utt1.mp4"
    assert (utterance.audio, utterance.start, utterance.end) == (None, None, None)


def test_known_defects_are_survived_and_listed(clips):
    (clips / FOLDERS["dev"] / "dia110_utt7.mp4").unlink()
    (clips / FOLDERS["train"] / "dia125_utt3.mp4").write_bytes(b"")
    for name in ("dia900_utt1.mp4", "._dia0_utt0.mp4", "dia0_utt1.wav", "dia0_utt.mp4"):
        (clips / FOLDERS["train"] / name).write_bytes(b"clip")
    for name in ("final_videos_testdia0_utt0.mp4", "final_videos_testdia93_utt5.mp4"):
        (clips / FOLDERS["test"] / name).write_bytes(b"another clip")
    source = kept(read(clips))
    long = "the clip lasts minutes, its sentence seconds"
    assert source.missing == [
        *[Missing("dev_110", 7, modality, "no clip") for modality in ("audio", "visual")],
        *[Missing("test_38", 4, modality, long) for modality in ("audio", "visual")],
        *[Missing("test_220", 0, modality, long) for modality in ("audio", "visual")],
    ]
    assert videos(source)["dev_110", 7] == ""
    assert videos(source)["train_125", 3].endswith("dia125_utt3.mp4")  # what is in it is found out later
    assert videos(source)["test_0", 0].endswith("/dia0_utt0.mp4")
    assert "Clips without a row in the CSV files, not used: train/dia900_utt1." in source.notes
    (copies,) = [note for note in source.notes if "copies" in note]
    assert copies.startswith("Clips that are copies of others, not used: 2, such as ")
    assert "Clips: 9 for 10 utterances." in source.notes


@pytest.mark.parametrize(
    "folders",
    [
        {"train": "Train", "dev": "my val", "test": "TEST"},
        {"train": "x/train/a/b", "dev": "x/validation/a/b", "test": "x/testing/a/b"},
        {"train": "train_dev_test/train", "dev": "train/dev/all", "test": "test/train_and_test"},
    ],
    ids=["names", "deeper", "the nearest that tells"],
)
def test_folders_tell_the_split(raw, folders):
    for folder in folders.values():
        (raw / folder).mkdir(parents=True, exist_ok=True)
        (raw / folder / "dia0_utt0.mp4").write_bytes(b"clip")
    found = videos(read(raw))
    for split, folder in folders.items():
        assert found[f"{split}_0", 0] == f"{folder}/dia0_utt0.mp4"


def test_clips_whose_split_nothing_tells(raw):
    (raw / "dia0_utt0.mp4").write_bytes(b"clip")
    with pytest.raises(InputError, match=r"/dia0_utt0.mp4: no folder tells the split of this clip; expected folders"):
        read(raw)
    (raw / "train").mkdir()
    (raw / "train" / "dia0_utt1.mp4").write_bytes(b"clip")
    source = kept(read(raw))
    assert videos(source)["train_0", 0] == ""
    assert any(note.startswith("Clips in no folder that tells their split, not used: 1, such") for note in source.notes)


def test_links_are_followed_and_circles_end(clips, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("disk") / "train_splits"
    os.rename(clips / FOLDERS["train"], elsewhere)
    (clips / FOLDERS["train"]).symlink_to(elsewhere)
    (elsewhere / "again").symlink_to(clips)
    source = kept(read(clips))
    assert videos(source)["train_0", 0] == f"{FOLDERS['train']}/dia0_utt0.mp4"
    assert not any("copies" in note for note in source.notes)


def test_csv_files_wherever_they_lie(clips):
    for split in TURNS:
        (clips / f"{split}_sent_emo.csv").rename(clips / FOLDERS[split] / f"{split}_sent_emo.csv")
    (clips / "._train_sent_emo.csv").write_bytes(b"\0\5\x16\7")
    source = kept(read(clips))
    assert [path.parent for path in source.files] == [clips / folder for folder in FOLDERS.values()]
    assert len(source.table) == 10


def test_the_same_csv_file_twice_is_taken_once_and_another_refused(raw):
    (raw / "more").mkdir()
    write_csv(raw / "more", "dev", TURNS["dev"])
    assert read(raw).files[1] == raw / "dev_sent_emo.csv"
    write_csv(raw / "more", "dev", TURNS["dev"], sentence="Another")
    with pytest.raises(InputError, match=r"more/dev_sent_emo.csv: not the same as .*/dev_sent_emo.csv; expected one"):
        read(raw)


def test_characters_of_a_mistaken_encoding(raw):
    write_csv(raw, "dev", TURNS["dev"], sentence="I\x92m")  # as in the files on GitHub
    source = kept(read(raw))
    assert source.table.sentence[source.table.split == "valid"].tolist() == ["I’m 0 0", "I’m 110 7"]
    assert "Characters of a mistaken encoding were repaired in 2 cells." in source.notes
    write_csv(raw, "dev", TURNS["dev"])
    assert not any("repaired" in note for note in read(raw).notes)


def test_what_is_not_there(raw):
    with pytest.raises(InputError, match="none: no such folder; expected that of MELD's files"):
        read(raw / "none")
    (raw / "test_sent_emo.csv").unlink()
    with pytest.raises(InputError, match=r"no test_sent_emo.csv in it or below; .*`python -m common obtain MELD --raw"):
        read(raw)


def test_a_part_of_the_rows_is_said(raw):
    assert f"{raw}/dev_sent_emo.csv: 2 rows; MELD's file has 1,109." in read(raw).notes


def test_the_published_files(shared):
    source = kept(read(shared / "raw" / "meld"))
    table = source.table
    assert table.groupby("split").size().to_dict() == {"train": 9989, "valid": 1109, "test": 2610}
    assert sum(ROWS.values()) == len(table) == 13708
    assert table.groupby("split").dialogue.nunique().to_dict() == {"train": 1038, "valid": 114, "test": 280}
    assert "train_60" not in set(table.dialogue)
    assert len(source.notes) == 1  # that there are no clips
    for _, dialogue in table.groupby("dialogue", sort=False):
        assert all(a < b for a, b in pairwise(dialogue.number))
    counts = table[table.split == "test"].label.value_counts()
    assert [counts[name] for name in source.classes] == [1256, 281, 50, 208, 402, 68, 345]
