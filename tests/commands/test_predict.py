"""`python -m common predict`: from a talk, a CSV file or a recording to emotions, on screen, in files, line by line."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from threading import Timer

import pandas as pd
import pytest

from common.__main__ import main
from common.features.choices import Choices
from common.prediction import predict as predicting
from tests.features.encoders import small_bert
from tests.features.light import Letters
from tests.prediction.made_up import CLASSES, Sounds, dataset, labelled, run_on
from tests.small import result_of

ROOT = Path(__file__).resolve().parents[2]
TALK = "Ann: Did it arrive?\n\nBo: No. I am fed up with this, and with much else.\nAnn: Oh no!\n---\nCem: Hello\n"
MODELS = Choices.extractors  # which tests put others in place of
ANSWER = r"(angry|calm|glad) [01]\.\d{3}"


@pytest.fixture(scope="module")
def lettered(tmp_path_factory):
    """A run on features that count letters, and sounds; they are made without a model."""
    folder = tmp_path_factory.mktemp("lettered")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Choices, "extractors", lambda self, device: {"text": Letters(), "audio": Sounds()})
        data = dataset(folder / "data", Choices(), labelled(audio=True))
        yield run_on(data, folder / "run")


@pytest.fixture
def talk(tmp_path):
    (tmp_path / "talk.txt").write_text(TALK)
    return tmp_path / "talk.txt"


@pytest.fixture
def predict(lettered, capsys):
    """What the command prints that ends with this status; words after the run."""

    def predict(*words, status=0, run=lettered):
        printed, ended = result_of(lambda: main(["predict", "--run", str(run), *map(str, words)]), capsys)
        assert ended == status, printed.err
        return printed

    return predict


@pytest.fixture
def refused(predict):
    """The one line that a wrong call ends in."""

    def refused(*words, **options):
        printed = predict(*words, status=2, **options)
        assert re.fullmatch(r"predict: error: [^\n]+\n", printed.err), printed.err
        assert printed.out == ""
        return printed.err.rstrip("\n")

    return refused


def test_a_talk_becomes_a_table(predict, talk, lettered):
    printed = predict(talk)
    lines = printed.out.splitlines()
    assert lines[0].split() == ["speaker", "sentence", "emotion", "probability"]
    assert [lines[k] for k in (1, 2, 6, 7)] == ["", "talk_1:", "", "talk_2:"]
    sentences = ["Did it arrive?", "No. I am fed up with this, and with much else.", "Oh no!", "Hello"]
    for line, name, sentence in zip([*lines[3:6], lines[8]], ["Ann", "Bo ", "Ann", "Cem"], sentences, strict=True):
        assert re.fullmatch(rf"{name}      {re.escape(sentence)} +(angry|calm|glad)  +0\.\d\d\d", line)
    assert len({len(line) for line in lines if "0." in line}) == 1
    assert f"Probabilities are the mean of 2 networks, those of {lettered}.\n" in printed.err
    assert "Speakers: 3 (Ann, Bo, Cem).\n" in printed.err


def test_a_terminal_gets_lines_that_fit(predict, talk, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    lines = predict(talk).out.splitlines()
    assert max(map(len, lines)) == 60
    assert "…" in lines[4]


def test_files_hold_what_the_screen_shows(predict, talk, tmp_path):
    printed = predict(talk, "--output", tmp_path / "o.csv")
    predict(talk, "--output", tmp_path / "o.json")
    table = pd.read_csv(tmp_path / "o.csv", keep_default_na=False)
    rows = json.loads((tmp_path / "o.json").read_text())
    assert table.dialogue.tolist() == ["talk_1"] * 3 + ["talk_2"]
    assert table.utterance.tolist() == [0, 1, 2, 0]
    assert [row["sentence"] for row in rows] == table.sentence.tolist()
    assert list(table) == [
        *("dialogue", "utterance", "speaker", "sentence", "emotion", "probability"),
        *(f"probability_{name}" for name in CLASSES),
        "missing",
    ]
    for (_, line), row in zip(table.iterrows(), rows, strict=True):
        assert [row["probabilities"][name] for name in CLASSES] == line[[f"probability_{c}" for c in CLASSES]].tolist()
        assert f"{line.emotion:6} " in printed.out
        assert f"{line.probability:.3f}" in printed.out
    assert set(table.missing) == {""}


def test_a_run_of_text_and_sound(predict, lettered, talk, tmp_path):
    run = run_on(lettered.parent / "data", tmp_path / "run", modalities="TA", seeds=(0,))
    printed = predict(talk, "--output", tmp_path / "o.json", run=run)
    assert "with audio features too, which are zeros here; scores suffer from that.\n" in printed.err
    assert "Missing:" not in printed.err  # as that is said of all at once
    assert [r["missing"] for r in json.loads((tmp_path / "o.json").read_text())] == [{"audio": "no sound given"}] * 4
    for name in ("a.wav", "silent.wav"):
        (tmp_path / name).touch()
    rows = "speaker,sentence,audio,label\nAnn,Hi,a.wav,glad\nBo,Ho,silent.wav,\nAnn,He,gone.wav,calm\n"
    (tmp_path / "t.csv").write_text(rows)
    printed = predict(tmp_path / "t.csv", "--output", tmp_path / "t.out.csv", run=run)
    assert "Missing: dialogue 't', utterance 1: audio (silent)\n" in printed.err
    assert "Missing: dialogue 't', utterance 2: audio (no such file: gone.wav)\n" in printed.err
    table = pd.read_csv(tmp_path / "t.out.csv", keep_default_na=False)
    assert table.missing.tolist() == ["", "audio: silent", "audio: no such file: gone.wav"]
    assert table.label.tolist() == ["glad", "", "calm"]
    right = sum(table.label == table.emotion)
    assert f"\nAccuracy {50 * right:.2f}, weighted F1 " in printed.out
    assert "(2 utterances with a label)." in printed.out


def test_a_recording_with_its_rows(predict, refused, lettered, tmp_path):
    run = run_on(lettered.parent / "data", tmp_path / "run", modalities="TA", seeds=(0,))
    (tmp_path / "talk.wav").touch()
    (tmp_path / "rows.tsv").write_text("speaker\tsentence\tstart\tend\nAnn\tHi\t0\t1.5\nBo\tHo\t1.5\t2\n")
    printed = predict(tmp_path / "talk.wav", "--csv", tmp_path / "rows.tsv", run=run)
    assert printed.out.count("0.") == 2
    assert "zeros" not in printed.err
    assert "talk.wav: sound or video alone; expected --csv FILE beside it" in refused(tmp_path / "talk.wav")
    line = refused(tmp_path / "no.MP4", "--csv", tmp_path / "rows.tsv")
    assert f"no.MP4: no such file; expected the sound or video of {tmp_path / 'rows.tsv'}" in line


def test_the_report_is_that_of_inference(predict, talk, tmp_path, refused):
    printed = predict(talk, "--report", tmp_path / "page")
    page = (tmp_path / "page" / "report.html").read_text()
    assert "ECERC on talk, test split" in page
    assert "I am fed up with this" in page
    assert "report.html" in printed.err
    assert "holds a report already; use another folder, or --overwrite" in refused(talk, "--report", tmp_path / "page")
    (tmp_path / "t.csv").write_text("speaker,sentence,label\nAnn,Hi,glad\nBo,Ho,calm\n")
    predict(tmp_path / "t.csv", "--report", tmp_path / "page", "--overwrite")
    assert "ECERC on t, test split" in (tmp_path / "page" / "report.html").read_text()


def test_wrong_calls(refused, talk, tmp_path, capsys):
    assert "give TALK, the conversation" in refused()
    assert "no such file; expected a text with lines" in refused(tmp_path / "no.txt")
    assert f"{tmp_path / 'none'}: no such run; expected" in refused(talk, run=tmp_path / "none")
    assert refused(talk, run=tmp_path / "none").endswith("; see --run")
    line = refused(talk, "--data-dir", tmp_path / "none")
    assert "none: no such folder; expected the dataset that" in line
    assert line.endswith("; see --data-dir")
    (tmp_path / "empty.txt").write_text("")
    assert "empty.txt: found an empty file; expected" in refused(tmp_path / "empty.txt")
    (tmp_path / "wrong.txt").write_text("Ann: Hi\nwhat?\n")
    assert "wrong.txt: line 2: found 'what?'; expected a name" in refused(tmp_path / "wrong.txt")
    assert "--csv goes with sound or video; " in refused(talk, "--csv", talk)
    assert "--jobs: found 0; expected" in refused(talk, "--jobs", 0)
    assert "--backend dask and --scheduler ADDRESS go together" in refused(talk, "--backend", "dask")
    assert "device: found 'gpu'" in refused(talk, "--device", "gpu")
    (tmp_path / "t.csv").write_text("speaker,sentence,label\nAnn,Hi,Glad\n")
    assert "t: has the label 'Glad'; the network knows angry, calm, glad" in refused(tmp_path / "t.csv")
    live = ("--live", "--output", tmp_path / "o.csv")
    assert "--live reads lines from standard input, and answers them there; leave out --output" in refused(*live)
    assert "leave out TALK" in refused(talk, "--live")
    printed, status = result_of(lambda: main(["predict", str(talk)]), capsys)
    assert status == 2
    assert "the following arguments are required: --run" in printed.err


def test_outputs_that_cannot_be_written(refused, talk, tmp_path):
    assert "found the ending '.xlsx'; expected .csv or .json" in refused(talk, "--output", tmp_path / "o.xlsx")
    assert "found a folder; expected the name of a file" in refused(talk, "--output", tmp_path)
    assert "there is no folder" in refused(talk, "--output", tmp_path / "no" / "o.csv")
    (tmp_path / "o.csv").write_text("mine")
    assert "exists already; choose another name, or --overwrite" in refused(talk, "--output", tmp_path / "o.csv")
    assert (tmp_path / "o.csv").read_text() == "mine"
    table = tmp_path / "t.csv"
    table.write_text("speaker,sentence\nAnn,Hi\n")
    assert "t.csv: is what is read; choose another name" in refused(table, "--output", table, "--overwrite")
    assert table.read_text() == "speaker,sentence\nAnn,Hi\n"


def test_overwrite_replaces_the_output(predict, talk, tmp_path):
    (tmp_path / "o.csv").write_text("mine")
    predict(talk, "--output", tmp_path / "o.csv", "--overwrite")
    assert len(pd.read_csv(tmp_path / "o.csv")) == 4


def test_what_could_not_be_done_is_said_last(predict, tmp_path):
    (tmp_path / "talk.txt").write_text("Ann: Hello\nBo: killed\nAnn: Bye\n")
    printed = predict(tmp_path / "talk.txt", "--jobs", 2, "--output", tmp_path / "o.json", status=2)
    rows = json.loads((tmp_path / "o.json").read_text())
    assert [row["missing"] for row in rows] == [{}, {"text": "could not be done; run the same command again"}, {}]
    assert "1 utterances could not be done and have zeros; the first: dialogue 'talk', utterance 1: the process" in (
        printed.err
    )


def test_processes_find_the_same(predict, talk, tmp_path):
    predict(talk, "--output", tmp_path / "a.json")
    predict(talk, "--output", tmp_path / "b.json", "--jobs", 2)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_an_interrupted_command_leaves_nothing(predict, talk, tmp_path, monkeypatch):
    def stopped(*given):
        raise KeyboardInterrupt

    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(predicting, "evaluate", stopped)
    printed = predict(talk, "--output", tmp_path / "o.csv", "--report", tmp_path / "page", status=130)
    assert printed.err.endswith("predict: stopped by Ctrl-C\n")
    assert not list((tmp_path / "tmp").iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["talk.txt", "tmp"]


def test_live_lines(predict, monkeypatch):
    lines = "Ann: Hi\n\nwhat?\nBo:\nann: Ho\nBo: Ho\n---\nann: Ho\nBo: \ufffd\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    printed = predict("--live")
    assert re.fullmatch(rf"({ANSWER}\n){{3}}", printed.out)
    assert [line for line in printed.err.splitlines() if line.startswith("line ")] == [
        "line 3: found 'what?'; expected a name, a colon and a sentence, such as 'Ann: Did it arrive?'",
        "line 4: found no sentence after 'Bo'; expected one, or no such line",
        "line 5: found the name 'ann'; before it was 'Ann'; expected one spelling",
        "line 9: found letters that are not UTF-8; expected UTF-8; this line is left out",
    ]
    assert "Note: trained with empty_history released, used with strict.\n" in printed.err
    assert "Probabilities are the mean of 2 networks" in printed.err


def test_live_answers_are_those_of_whole_conversations(predict, talk, lettered, tmp_path, monkeypatch):
    run = run_on(lettered.parent / "data", tmp_path / "run", empty_history="strict")
    monkeypatch.setattr(sys, "stdin", io.StringIO(TALK))
    answers = predict("--live", run=run).out.splitlines()
    predict(talk, "--output", tmp_path / "o.json", run=run)
    rows = json.loads((tmp_path / "o.json").read_text())
    assert [answer.split()[0] for answer in answers] == [row["emotion"] for row in rows]
    assert [float(a.split()[1]) for a in answers] == pytest.approx([row["probability"] for row in rows], abs=6e-4)


def test_live_with_sound_or_without_text(predict, refused, lettered, tmp_path, monkeypatch):
    run = run_on(lettered.parent / "data", tmp_path / "run", modalities="TA", seeds=(0,))
    monkeypatch.setattr(sys, "stdin", io.StringIO("Ann: Hi\nAnn: empty\n"))
    printed = predict("--live", run=run)
    assert printed.err.count("audio") == 1
    assert "line 2: text: nothing to count; zeros in its place\n" in printed.err
    assert len(printed.out.splitlines()) == 2
    run = run_on(lettered.parent / "data", tmp_path / "deaf", modalities="A", seeds=(0,))
    assert "deaf: trained without text; expected a run that uses it" in refused("--live", run=run)


@pytest.fixture(scope="module")
def real(minilm, tmp_path_factory):
    """A run on features of an encoder in a folder, which another process can make."""
    folder = tmp_path_factory.mktemp("real")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Choices, "extractors", MODELS)
        encoder = small_bert(folder / "encoder", minilm)
        data = dataset(folder / "data", Choices(str(encoder), event_model="none"))
    return run_on(data, folder / "run", seeds=(0,))


def test_each_line_is_answered_at_once_and_ctrl_c_ends_without_a_word(real):
    words = [sys.executable, "-m", "common", "predict", "--live", "--run", str(real)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(words, cwd=ROOT, text=True, env=environment, **pipes) as process:
        timer = Timer(120, process.kill)  # an answer that does not come is none
        timer.start()
        for line in ("Ann: Did it arrive?\n", "Bo: No.\n"):
            process.stdin.write(line)
            process.stdin.flush()
            assert re.fullmatch(f"{ANSWER}\n", process.stdout.readline())  # the input is still open
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        timer.cancel()
    assert (process.returncode, out) == (130, "")
    assert "Ctrl-C" not in err
    assert "Traceback" not in err
