"""IEMOCAP as its authors distribute it: small trees in its formats, with the lines that are none."""

import pickle

import pytest

from common.data import iemocap as released
from common.errors import InputError
from common.features.sources.iemocap import read
from common.features.sources.source import Missing
from tests.features.sources.contract import kept

HEAD = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
RATERS = (
    "C-E1:\tNeutral;\t()\nC-F1:\tNeutral; Anger;\t(mostly: calm)\nA-E3:\tval 3; act 2; dom  3;\t()\nA-F1:\tval ; ()\n\n"
)
TURNS = [  # utterance, start, end, label; not in the order of time
    ("F000", 6.2901, 8.2357, "neu"),
    ("M001", 12.5, 13.25, "xxx"),
    ("M000", 10.01, 11.3925, "fru"),
    ("F001", 14.8872, 18.0175, "sur"),
    ("F002", 19.2900, 20.7875, "exc"),
]


def write(root, dialogue, turns=TURNS, noise=True, end="\r\n", media=True):
    """The files of a dialogue, such as Ses01F_impro01."""
    session = root / f"Session{int(dialogue[3:5])}"
    for folder in ("EmoEvaluation/Categorical", "transcriptions", "avi/DivX"):
        (session / "dialog" / folder).mkdir(parents=True, exist_ok=True)
    lines = [
        f"[{a:.4f} - {b:.4f}]\t{dialogue}_{name}\t{label}\t[2.5000, 2.5000, 2.5000]\n{RATERS if noise else ''}"
        for name, a, b, label in turns
    ]
    text = HEAD + "".join(lines)
    (session / "dialog" / "EmoEvaluation" / f"{dialogue}.txt").write_bytes(text.replace("\n", end).encode())
    said = [f"{dialogue}_{name} [{a:08.4f}-{b:08.4f}]: {name}: said, at 12:30." for name, a, b, _ in turns]
    if noise:
        said[1:1] = ["M: [LAUGHTER]", f"{dialogue}_FXX0 [011.0000-011.5000]: Noise.", "", "F: yes [001-002]: no"]
        said.append(f"{dialogue}_MXX1 [021.0000-021.5000]: Noise.")
        (session / "dialog" / "EmoEvaluation" / f"._{dialogue}.txt").write_bytes(b"\0\5\x16\7")
        (session / "dialog" / "transcriptions" / f"._{dialogue}.txt").write_bytes(b"\0\5\x16\7")
        (session / "dialog" / "EmoEvaluation" / "Categorical" / f"{dialogue}_e1_cat.txt").write_text("x :Neutral; ()")
    (session / "dialog" / "transcriptions" / f"{dialogue}.txt").write_bytes(end.join([*said, ""]).encode())
    if media:
        (session / "dialog" / "avi" / "DivX" / f"{dialogue}.avi").touch()
        (session / "dialog" / "avi" / "DivX" / f"._{dialogue}.avi").touch()
        wav = session / "sentences" / "wav" / dialogue
        wav.mkdir(parents=True)
        for name, *_ in turns:
            (wav / f"{dialogue}_{name}.wav").touch()
    return session


@pytest.fixture
def corpus(tmp_path):
    """Twenty dialogues of four sessions, and two of the fifth."""
    root = tmp_path / "IEMOCAP_full_release"
    for session in range(1, 5):
        for dialogue in ("F_impro01", "F_script01_1", "M_impro01", "M_script03_2b", "F_impro02"):
            write(root, f"Ses0{session}{dialogue}")
    for dialogue in ("F_impro01", "M_impro01"):
        write(root, f"Ses05{dialogue}")
    return root


def test_one_dialogue(corpus):
    source = kept(read(corpus))
    table = source.table[source.table.dialogue == "Ses03M_script03_2b"]
    assert table.number.tolist() == [0, 1, 2]
    assert table.speaker.tolist() == ["F", "M", "F"]
    assert table.label.tolist() == ["neu", "fru", "exc"]
    assert table.sentence.tolist() == [f"{name}: said, at 12:30." for name in ("F000", "M000", "F002")]
    assert table.start.tolist() == [6.2901, 10.01, 19.29]
    assert table.end.tolist() == [8.2357, 11.3925, 20.7875]
    session = corpus / "Session3"
    wav = session / "sentences" / "wav" / "Ses03M_script03_2b"
    assert table.audio.tolist() == [f"{wav}/Ses03M_script03_2b_{name}.wav" for name in ("F000", "M000", "F002")]
    assert set(table.video) == {f"{session}/dialog/avi/DivX/Ses03M_script03_2b.avi"}
    assert source.classes == ["hap", "sad", "neu", "ang", "exc", "fru"]
    assert source.missing == []
    assert source.notes == ["Utterances with other labels, left out: 44 (22 xxx, 22 sur)."]
    assert len(source.files) == 44
    assert all(path.is_file() for path in source.files)


def test_times_are_those_of_the_film_and_not_of_a_sentence(corpus):
    source = kept(read(corpus))
    heard, seen = source.utterances("audio")[0], source.utterances("visual")[0]
    assert (heard.start, heard.end) == (None, None)
    assert (seen.start, seen.end) == (6.2901, 8.2357)
    assert heard.audio.name.endswith("_F000.wav")
    assert seen.video.suffix == ".avi"


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("letter", ["F", "M"])
def test_the_actor_whom_the_letter_names_stands_left(corpus, letter, swap):
    table = read(corpus, swap_actors=swap).table
    table = table[table.dialogue == f"Ses01{letter}_impro01"]
    ours, other = ("right", "left") if swap else ("left", "right")
    assert table.side.tolist() == [ours if speaker == letter else other for speaker in table.speaker]


def test_session_5_tests_and_the_first_tenth_of_the_others_validates(corpus):
    dialogues = read(corpus).table.groupby("dialogue", sort=False).split.first()
    ids = sorted(set(dialogues.index))
    assert dialogues.index.tolist() == [*ids[2:20], *ids[:2], *ids[20:]]
    assert dialogues.tolist() == ["train"] * 18 + ["valid"] * 2 + ["test"] * 2
    assert ids[:2] == ["Ses01F_impro01", "Ses01F_impro02"]


def test_few_dialogues_have_one_for_validation(tmp_path):
    for dialogue in ("Ses01F_impro01", "Ses02F_impro01", "Ses05F_impro01"):
        write(tmp_path, dialogue)
    source = kept(read(tmp_path))
    assert source.table.groupby("dialogue").split.first().tolist() == ["valid", "train", "test"]
    assert f"{tmp_path}: Session1, Session2, Session5 of Session1 to Session5." in source.notes


def test_the_release_may_lie_in_the_folder(corpus):
    assert read(corpus.parent).table.equals(read(corpus).table)


def test_bytes_of_other_encodings(tmp_path):
    session = write(tmp_path, "Ses01F_impro01", end="\n")
    path = session / "dialog" / "transcriptions" / "Ses01F_impro01.txt"
    path.write_bytes(
        path.read_bytes().replace(b"F000: said,", b"It\x92s caf\xe9").replace(b"M000: said,", "É: ’".encode())
    )
    assert read(tmp_path).table.sentence.tolist()[:2] == ["It’s café at 12:30.", "É: ’ at 12:30."]


def test_lines_that_are_none_and_sentences_that_are_two_are_said(tmp_path):
    session = write(tmp_path, "Ses01F_impro01", end="\n", noise=False)
    path = session / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt"
    with open(path, "a") as file:
        file.write(
            "[1.0 - 2.0]\tSes01F_impro02_F000\tneu\t[1, 1, 1]\n[1.0 - 2.0.1]\tSes01F_impro01_F009\tneu\t[1, 1, 1]\n"
        )
        file.write("[1.0 - 2.0]\tSes01F_impro01_FXX0\tneu\t[1, 1, 1]\n")
    with open(session / "dialog" / "transcriptions" / "Ses01F_impro01.txt", "a") as file:
        file.write("Ses01F_impro01_F000 [006.2901-008.2357]: Another.\n")
    source = kept(read(tmp_path))
    assert source.table.sentence[0] == "F000: said, at 12:30."
    name = "Ses01F_impro01.txt"
    assert (
        f"Lines of evaluations that are none, left out: 3 ({name}: line 8, {name}: line 9, {name}: line 10)."
        in source.notes
    )
    assert "Utterances with two transcriptions, of which the first is taken: Ses01F_impro01_F000." in source.notes


def test_an_utterance_that_stands_twice(tmp_path):
    write(tmp_path, "Ses01F_impro01", [*TURNS, TURNS[0]], noise=False, media=False)
    with pytest.raises(InputError, match=r"Ses01F_impro01.txt: line 8: utterance Ses01F_impro01_F000 stands twice"):
        read(tmp_path)


def test_files_that_are_not_there(corpus):
    wav, film = corpus / "Session1" / "sentences" / "wav", corpus / "Session5" / "dialog" / "avi" / "DivX"
    (wav / "Ses01F_impro01" / "Ses01F_impro01_M000.wav").unlink()
    (film / "Ses05F_impro01.avi").unlink()
    said = corpus / "Session1" / "dialog" / "transcriptions" / "Ses01F_impro01.txt"
    said.write_text(said.read_text().replace("Ses01F_impro01_F002", "Ses01F_impro01_F009"))
    source = kept(read(corpus))
    assert source.missing == [
        Missing("Ses01F_impro01", 2, "text", "no transcription"),
        *[Missing("Ses05F_impro01", number, "visual", "no film") for number in range(3)],
    ]
    assert "Utterances without a wav file, whose sound is that of the film: Ses01F_impro01_M000." in source.notes
    heard = [u for u in source.utterances("audio") if u.dialogue == "Ses01F_impro01"][1]
    assert (heard.audio, heard.video.name, heard.start) == (None, "Ses01F_impro01.avi", 10.01)


def test_sentences_alone(tmp_path):
    write(tmp_path, "Ses01F_impro01", media=False)
    source = kept(read(tmp_path))
    assert source.missing == []
    assert source.notes[-2:] == ["No sentences/wav: no sound.", "No dialog/avi/DivX: no pictures."]


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("none", "none: no such folder; expected IEMOCAP_full_release"),
        ("", "no folder Session1 in it; expected IEMOCAP_full_release"),
        ("Session1", "found no Session1/dialog/EmoEvaluation/Ses01F_impro01.txt or the like"),
    ],
)
def test_other_folders(tmp_path, folder, message):
    if folder == "Session1":
        (tmp_path / folder).mkdir()
        folder = ""
    with pytest.raises(InputError, match=message):
        read(tmp_path / folder)


@pytest.fixture
def published(corpus):
    """Write a pickle in the published layout: 11 training dialogues, in an order of their own, and one for tests."""

    def published(change=lambda fields: None):
        ids = sorted({path.stem for path in corpus.rglob("transcriptions/Ses*.txt")}, reverse=True)
        train, test = ids[2:13], ids[:1]
        names = {i: [f"{i}_{name}" for name in ("F000", "M000", "M001")] for i in train + test}
        speakers = {i: ["F", "M", "M"] for i in names}
        labels = {i: [2, 5, 0] for i in names}
        sentences = {i: ["Of the pickle."] * 3 for i in names}
        fields = [names, speakers, labels, {}, {}, {}, sentences, train, test]
        change(fields)
        path = corpus.parent / released.BASE
        path.write_bytes(pickle.dumps(tuple(fields), protocol=2))
        return path, train, test

    return published


def test_like_the_published_features(corpus, published):
    path, train, test = published()
    source = kept(read(corpus, like=path))
    dialogues = source.table.groupby("dialogue", sort=False).split.first()
    assert dialogues.index.tolist() == [*train[1:], train[0], *test]
    assert dialogues.tolist() == ["train"] * 10 + ["valid", "test"]
    table = source.table[source.table.dialogue == test[0]]
    assert table.label.tolist() == ["neu", "fru", "hap"]
    assert table.start.tolist() == [6.2901, 10.01, 12.5]
    assert table.sentence.tolist() == [f"{name}: said, at 12:30." for name in ("F000", "M000", "M001")]
    assert table.audio[table.index[2]].endswith(f"{test[0]}_M001.wav")
    assert source.missing == []
    assert source.files[-1] == path
    lost = sorted(f"{i}_F002" for i in train + test) + sorted(
        f"{i}_{name}"
        for i in {path.stem for path in corpus.rglob("transcriptions/Ses*.txt")} - {*train, *test}
        for name in ("F000", "F002", "M000")
    )
    some = ", ".join(sorted(lost)[:5])
    assert source.notes == [
        f"Utterances, labels and splits are those of {path}.",
        "Labels in it that differ from the corpus: 12 (12 hap for xxx).",
        f"Utterances with one of its labels that it leaves out: {len(lost)} ({some} and {len(lost) - 5} more).",
    ]


def test_an_utterance_of_the_published_features_that_the_corpus_lacks(corpus, published):
    def change(fields):
        fields[0][fields[8][0]][1] = f"{fields[8][0]}_M077"

    path, _, (test,) = published(change)
    source = kept(read(corpus, like=path))
    (row,) = [r for r in source.table.itertuples() if (r.dialogue, r.number) == (test, 1)]
    assert (row.speaker, row.label, row.sentence) == ("M", "fru", "Of the pickle.")
    assert source.missing == [
        Missing(test, 1, "audio", "not in the corpus"),
        Missing(test, 1, "visual", "not in the corpus"),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda f: [f[k].update(Ses05F_impro09=f[k][f[8][0]]) for k in (0, 2, 6)] and f[8].append("Ses05F_impro09"),
            r"IEMOCAP_features.pkl: dialogue 'Ses05F_impro09' is not in .*/IEMOCAP_full_release; expected all of Ses",
        ),
        (
            lambda f: f[0][f[7][0]].__setitem__(1, f[0][f[7][0]][0]),
            r"found the utterance 'Ses04M_script03_2b_F000'; expected ids of its utterances, each once",
        ),
        (lambda f: f[0][f[7][0]].__setitem__(1, "x"), r"found the utterance 'x'; expected ids of its utterances"),
        (
            lambda f: f.__setitem__(7, f[7][:9]),
            r"field 7 \(train ids\): found 9 training dialogues; expected at least 10",
        ),
        (lambda f: f.pop(), "found 8 fields; expected 9"),
    ],
    ids=["dialogue", "twice", "no id", "few", "fields"],
)
def test_published_features_that_do_not_fit(corpus, published, change, message):
    path, *_ = published(change)
    with pytest.raises(InputError, match=message):
        read(corpus, like=path)


def test_no_code_of_a_pickle_runs(corpus, tmp_path):
    path = tmp_path / released.BASE
    path.write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(InputError, match=r"refused, the pickle asks for os\.system"):
        read(corpus, like=path)
