import numpy as np
import pytest

from common.__main__ import main
from common.data import meld, own
from common.data.corpus import SENTIMENTS, SPLITS
from common.data.own import build_meld, read_own
from common.errors import InputError
from tests.data.own_files import built, write_files
from tests.small import result_of, same


@pytest.fixture
def files(tmp_path):
    """Changed by tests."""
    return write_files(tmp_path)


@pytest.fixture
def build(files, capsys):
    """What the command prints on standard output and error, and its status; `words` are its options."""

    def build(*words, output="talks"):
        printed, status = result_of(lambda: main(["build", *map(str, words), "--output", str(files / output)]), capsys)
        return printed.out, printed.err, status

    return build


def test_the_command(files, build):
    given = ["--utterances", files / "u.csv", "--audio", files / "audio.npy"]
    out, _, status = build(*given)
    assert status == 0
    assert out.splitlines() == [
        "Without a label: 1 (1 empty).",
        "talks: 6 utterances in 3 dialogues (1 train, 1 valid, 1 test); features text 0, event 0, audio 4, visual 0; "
        "3 speakers",
        "label       train  valid  test",
        "angry           1      0     0",
        "calm            2      1     0",
        "glad            0      1     0",
        "(no label)      0      0     1",
        "Note: no utterance of train is labelled glad; no network can learn that.",
        f"Wrote {files / 'talks' / own.FILE}; give --data-dir {files / 'talks'} to the scripts.",
    ]
    assert read_own(files / "talks").name == "talks"
    _, err, status = build(*given, "--name", "IEMOCAP", output="other")
    line = "build: error: IEMOCAP: is the name of a released dataset; choose another; see --name\n"
    assert (err, status) == (line, 2)
    _, err, status = build("--audio", files / "audio.npy")
    assert ("one of the arguments --utterances --meld is required" in err, status) == (True, 2)


def test_without_labels(files, build):
    (files / "u.csv").write_text("dialogue,utterance,speaker,split\n" + "".join(f"a,{k},Ann,test\n" for k in range(6)))
    out, _, status = build("--utterances", files / "u.csv", "--audio", files / "audio.npy")
    assert status == 0
    assert "(no label)      0      0     6" in out
    assert "Note" not in out
    assert read_own(files / "talks").classes == []


MELD = {
    "train": """Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season
1,"Hi, you’re late",Ross,joy,positive,0,0,1
3,No,Monica,neutral,neutral,0,2,1
9,Go,Ross,anger,negative,1,0,1
""",
    "dev": """Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season
1,Oh,Joey,surprise,negative,0,1,1
""",
    "test": """Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season
1,Ah,Ross,fear,negative,0,0,1
2,Eh,Joey,sadness,negative,0,3,1
""",
}


@pytest.fixture
def official(files):
    """Small files in MELD's format, with lines of Windows, and text features that count rows, for each and for all."""
    for split, text in MELD.items():
        (files / f"{split}_sent_emo.csv").write_bytes(text.replace("\n", "\r\n").encode())
    parts = np.split(np.arange(6.0)[:, None] + np.zeros(3), [3, 4])
    for split, part in zip(MELD, parts, strict=True):
        np.save(files / f"{split}.npy", part)
    return files


def test_the_files_of_meld(official, build):
    out, err, status = build("--meld", official, "--text", official / "text.npy")
    assert (err, status) == ("", 0)
    assert "fear            0      0     1" in out
    assert "no utterance of train is labelled surprise, fear, sadness, disgust" in out
    corpus = read_own(official / "talks")
    assert corpus.ids == ["train_0", "train_1", "dev_0", "test_0"]
    assert corpus.splits == {"train": [0, 1], "valid": [2], "test": [3]}
    assert corpus.classes == meld.CLASSES
    assert [corpus.classes[c] for c in corpus.label] == ["joy", "neutral", "anger", "surprise", "fear", "sadness"]
    assert [SENTIMENTS[s] for s in corpus.sentiment] == ["positive", "neutral", *["negative"] * 4]
    assert corpus.utterances.tolist() == [0, 2, 0, 1, 0, 3]
    assert corpus.sentences[0] == "Hi, you’re late"
    assert corpus.features["text"][:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert set(corpus.sources) == {"text.npy", *(f"{split}_sent_emo.csv" for split in MELD)}
    words = ["--utterances", official / "dev_sent_emo.csv", "--text", official / "dev.npy"]
    _, err, status = build(*words, output="other")
    assert "no column 'split' (train, valid or test); found Sr No., " in err
    assert (err.endswith("; see --meld\n"), status) == (True, 2)
    for scratch in (None, official):
        files = {"text": [official / f"{split}.npy" for split in MELD]}
        parts, _ = build_meld("talks", official, files, scratch)
        assert same(parts, corpus)


@pytest.mark.parametrize(
    ("split", "old", "new", "message"),
    [
        (
            "dev",
            "surprise",
            "surprised",
            "dev_sent_emo.csv: line 2 .*: column label has 'surprised'; expected one of neut",
        ),
        (
            "test",
            "negative",
            "bad",
            "test_sent_emo.csv: line 2 .*: column sentiment has 'bad'; expected one of neutral",
        ),
        (
            "train",
            "Emotion",
            "Feeling",
            "train_sent_emo.csv: no column 'Emotion', found Sr No., .*; expected MELD's file",
        ),
        ("train", "0,2,1", "0,0,1", "line 3: dialogue 'train_0' has utterance 0 twice, first in line 2"),
    ],
)
def test_other_files_are_not_those_of_meld(official, split, old, new, message):
    (official / f"{split}_sent_emo.csv").write_text(MELD[split].replace(old, new))
    with pytest.raises(InputError, match=message):
        build_meld("talks", official, {"text": [official / "text.npy"]})


def test_features_of_the_wrong_split_are_named(official):
    paths = [official / f"{split}.npy" for split in ("dev", "train", "test")]
    with pytest.raises(InputError, match=r"dev.npy: found 1 rows; expected 3"):
        build_meld("talks", official, {"text": paths})
    (official / "dev_sent_emo.csv").unlink()
    with pytest.raises(InputError, match=r"dev_sent_emo.csv: no such file"):
        build_meld("talks", official, {"text": paths})


def test_meld_as_published(shared, tmp_path):
    np.save(tmp_path / "audio.npy", np.arange(13708)[:, None])
    corpus, notes = build_meld("talks", shared / "raw" / "meld", {"audio": [tmp_path / "audio.npy"]})
    assert notes == []
    assert [len(corpus.rows(split)) for split in SPLITS] == [9989, 1109, 2610]
    assert np.bincount(corpus.label[corpus.rows("test")]).tolist() == [1256, 281, 50, 208, 402, 68, 345]
    assert [len(corpus.splits[split]) for split in SPLITS] == [1038, 114, 280]
    gaps = sum(
        numbers != list(range(len(numbers))) for numbers in corpus.per_dialogue(corpus.utterances, True).values()
    )
    assert gaps == 76
    assert corpus.features["audio"][:, 0].tolist() == list(range(13708))  # the files stand in their order


def test_labels_of_another_training(files):
    corpus = built(files).with_classes(["glad", "sad", "calm", "angry"])
    assert corpus.label.tolist() == [2, 2, 3, 2, 0, -1]
    with pytest.raises(
        InputError, match="has the label 'angry', which the checkpoint does not know, but calm, glad; name"
    ):
        built(files).with_classes(["calm", "glad"])
