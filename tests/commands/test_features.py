"""`python -m common features`: from sentences, speech and video to a dataset, and what is refused."""

import io
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from common.__main__ import main
from common.data.own import read_own
from common.features.audio.sound import read_sound
from common.features.choices import Choices
from common.features.extract import Workers
from common.features.models import resolve
from common.features.text.encoder import FirstToken
from common.features.visual.densenet import DenseNet
from tests.features.encoders import small_bert
from tests.features.light import Letters, crew_here
from tests.features.media import sine, speech, write_mp4, write_wav
from tests.features.visual.drawing import scene
from tests.prediction.made_up import run_on
from tests.small import result_of

ROOT = Path(__file__).resolve().parents[2]
for name in ("transformers", "av", "cv2", "opensmile"):
    pytest.importorskip(name)


@pytest.fixture
def features(capsys):
    """What the command prints that ends with this status."""

    def features(*words, status=0):
        capsys.readouterr()  # what making of models printed
        printed, ended = result_of(lambda: main(["features", *map(str, words)]), capsys)
        assert ended == status, printed.err
        return printed

    return features


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """A CSV file of six utterances: speech, stereo speech of 44.1 kHz in a video, a broken, a silent, an empty file."""
    folder = tmp_path_factory.mktemp("recordings")
    speech(folder / "first.wav")
    speech(folder / "third.wav", "Yes, I will come.")
    voice = read_sound(speech(folder / "second.wav", "Nobody has told me anything.", 44100), None, None, 44100)
    pictures = [scene(240, 320, (20, 40 + 2 * k, 120)) for k in range(20)]
    write_mp4(folder / "film.mp4", pictures, np.stack([voice, voice], 1)[: 2 * 44100], fps=10)
    (folder / "broken.wav").write_bytes((folder / "first.wav").read_bytes()[:20])
    write_wav(folder / "silent.wav", 0 * sine(1))
    (folder / "empty.wav").touch()
    (folder / "rows.csv").write_text(
        "dialogue,utterance,speaker,label,split,sentence,audio,video,start,end\n"
        "a,1,Ann,calm,train,I have not heard from you.,first.wav,,,\n"
        "a,2,Bo,angry,train,Nobody has told me anything.,,film.mp4,0,1.5\n"
        "a,3,Ann,calm,train,Hm.,broken.wav,,,\n"
        "b,1,Ann,angry,valid,No.,silent.wav,,,\n"
        "b,2,Bo,calm,valid,Well.,empty.wav,,,\n"
        "c,1,Cem,calm,test,Yes.,third.wav,,0,1\n"
    )
    return folder


def test_sentences_speech_and_video_become_a_dataset(features, recordings, minilm, tmp_path):
    encoder = small_bert(tmp_path / "encoder", minilm)
    torch.save(DenseNet().state_dict(), tmp_path / "faces.pt")
    words = ["csv", recordings / "rows.csv", "--output", tmp_path / "data", "--jobs", "1", "--text-model", encoder]
    words += ["--event-model", "none", "--audio-model", "is10", "--visual-model", tmp_path / "faces.pt"]
    printed = features(*words)
    assert "openSMILE is licensed for research and education that is not commercial" in printed.out
    assert "features text 16, event 16, audio 1582, visual 342" in printed.out
    corpus = read_own(tmp_path / "data")
    assert (corpus.features["audio"].any(1)).tolist() == [True, True, False, False, False, True]
    assert (corpus.features["visual"].any(1)).tolist() == [False, True, False, False, False, False]
    assert corpus.features["text"].any(1).all()
    missing = pd.read_csv(tmp_path / "data" / "missing.csv").set_index(["dialogue", "utterance", "modality"]).reason
    assert set(missing.xs("audio", level="modality").index) == {("a", 3), ("b", 1), ("b", 2)}
    assert "silent" in missing["b", 1, "audio"]
    assert set(missing.xs("visual", level="modality").index) == {("a", 1), ("a", 3), ("b", 1), ("b", 2), ("c", 1)}
    assert re.search(
        r"Missing, as missing.csv lists with reasons: (3 audio, 5 visual|5 visual, 3 audio)\.", printed.out
    )
    assert "exists already" in features(*words, status=2).err


@pytest.fixture
def letters(monkeypatch):
    """Text features without a model, which are made in this process."""
    log = []

    def extractors(self, device):
        return {"text": Letters()}

    monkeypatch.setattr(Choices, "extractors", extractors)
    monkeypatch.setattr("common.features.extract.Workers", lambda *options: log.append(options) or Workers())
    return log


@pytest.fixture
def talk(tmp_path):
    (tmp_path / "talk.txt").write_text("Ann: Did it arrive?\nBo: No.\n")
    return tmp_path / "talk.txt"


def test_options_reach_the_workers(features, letters, talk, tmp_path):
    features("talk", talk, "--output", tmp_path / "data", "--jobs", "3")
    features(
        "talk",
        talk,
        "--output",
        tmp_path / "d2",
        "--backend",
        "dask",
        "--scheduler",
        "tcp://127.0.0.1:1",
        "--jobs",
        "2",
    )
    assert letters == [("processes", 3, 1, None), ("dask", 2, 1, "tcp://127.0.0.1:1")]


def test_the_name_is_that_of_the_folder_or_as_given(features, letters, talk, tmp_path):
    features("talk", talk, "--output", tmp_path / "data")
    features("talk", talk, "--output", tmp_path / "other", "--name", "mine")
    assert [read_own(tmp_path / folder).name for folder in ("data", "other")] == ["data", "mine"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--folds", "5"], "--folds goes with --tune"),
        (["--jobs", "0"], "--jobs: found 0"),
        (["--backend", "dask"], "--backend dask and --scheduler ADDRESS go together"),
        (["--text-model", "./nowhere"], "./nowhere: no such folder"),
        (["--text-model", "none"], "talk: nothing to make features of"),
        (["--tune", "--text-layer", "x"], "--text-layer: invalid int value"),
        (["--visual-model", "faces.onnx", "--fps", "0"], "found 0.0 pictures a second"),
        (["--like", "x.pkl"], "--like"),
    ],
    ids=lambda value: "" if isinstance(value, str) else " ".join(value),
)
def test_wrong_options_are_named_in_one_line(features, talk, tmp_path, minilm, words, expected):
    small = small_bert(tmp_path / "encoder", minilm)
    models = ["--text-model", small, "--event-model", "none"]
    printed = features("talk", talk, "--output", tmp_path / "data", *models, *words, status=2)
    assert re.fullmatch(r"features( talk)?: error: [^\n]+\n", printed.err), printed.err
    assert expected in printed.err
    assert not (tmp_path / "data").exists() or not (tmp_path / "data" / "corpus.npz").exists()


def test_tuning_needs_labels(features, talk, tmp_path, minilm):
    small = small_bert(tmp_path / "encoder", minilm)
    words = ["talk", talk, "--output", tmp_path / "data", "--text-model", small, "--event-model", "none", "--tune"]
    assert "no labelled utterance in the training split" in features(*words, status=2).err


def test_an_interrupted_command_says_that_it_resumes_and_does(features, tmp_path, minilm, monkeypatch):
    small = small_bert(tmp_path / "encoder", minilm)
    rows = [
        f"{d},{u},Ann,{'calm' if u % 2 else 'angry'},{split},so it is {d} {u}"
        for d, split in enumerate(["train", "valid", "test"])
        for u in range(40)
    ]
    (tmp_path / "rows.csv").write_text("\n".join(["dialogue,utterance,speaker,label,split,sentence", *rows]))
    words = [sys.executable, "-m", "common", "features", "csv", tmp_path / "rows.csv", "--output", tmp_path / "data"]
    words += ["--text-model", small, "--event-model", "none", "--tune", "--jobs", "1", "--tune-epochs"]
    process = subprocess.Popen([*words, "500"], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "validation F1" in line or "step" in line:
            process.send_signal(signal.SIGINT)
            break
    rest = process.stderr.read()
    assert process.wait() == 130, rest
    assert "what is made is kept; the same command resumes" in rest
    assert not (tmp_path / "data" / "corpus.npz").exists()
    monkeypatch.setattr("common.features.extract.crew", crew_here)
    features(*words[4:], "1")
    assert read_own(tmp_path / "data").widths["text"] == 16


@pytest.fixture(scope="module")
def real_meld(shared, tmp_path_factory):
    """The first dialogues of each file of MELD."""
    folder = tmp_path_factory.mktemp("meld")
    for name, most in (("train", 4), ("dev", 2), ("test", 2)):
        path = shared / "raw" / "meld" / f"{name}_sent_emo.csv"
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        table[table.Dialogue_ID.astype(int) < most].to_csv(folder / path.name, index=False)
    return folder


def test_real_sentences_a_tuned_encoder_folds_and_a_live_answer(
    features, real_meld, minilm, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("common.features.extract.crew", crew_here)
    words = ["meld", real_meld, "--output", tmp_path / "data", "--jobs", "1", "--text-model", minilm]
    words += ["--event-model", minilm, "--tune", "--folds", "2", "--tune-epochs", "1", "--tune-rate", "1e-3"]
    printed = features(*words)
    assert re.search(r"The encoder by itself, test: accuracy \d+\.\d\d, weighted F1 \d+\.\d\d", printed.out)
    for fold in ("Fold 1", "Fold 2"):
        before, after = re.search(fold + r": alignment takes .* from ([\d.-]+) to ([\d.-]+)", printed.out).groups()
        assert float(before) <= float(after) <= 1
    corpus, rows = read_own(tmp_path / "data"), {}
    for source in ("base", "tuned"):
        model = resolve(minilm if source == "base" else tmp_path / "data" / "encoder")
        rows[source] = FirstToken(model).of_sentences(corpus.sentences)
    rest = np.setdiff1d(np.arange(len(corpus.label)), corpus.rows("train"))
    np.testing.assert_allclose(corpus.features["text"][rest], rows["tuned"][rest], atol=1e-5)
    apart = np.abs(corpus.features["text"] - rows["tuned"]).max(1)[corpus.rows("train")]
    assert (apart > 1e-4).all()  # from encoders that have not seen them
    assert (np.abs(rows["base"] - rows["tuned"]).max(1) > 1e-4).all()

    run = run_on(tmp_path / "data", tmp_path / "run")
    monkeypatch.setattr(sys, "stdin", io.StringIO("Ann: Did it arrive?\n"))
    printed, status = result_of(lambda: main(["predict", "--live", "--run", str(run)]), capsys)
    assert not status, printed.err
    assert re.fullmatch(rf"({'|'.join(corpus.classes)}) [01]\.\d\d\d\n", printed.out)
