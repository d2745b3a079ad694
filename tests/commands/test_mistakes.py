"""What a user can get wrong, and what the one line says that it ends in."""

import pickle
import shutil

import numpy as np
import yaml

from common.__main__ import main
from common.data import iemocap, meld
from tests.commands.conftest import SMALL, call
from tests.small import result_of, small_corpus, without_record


def test_without_data_the_missing_files_are_listed(project, refused, tmp_path):
    line = refused(project / "IEMOCAP", "train.py", "--data-dir", tmp_path)
    for name in iemocap.FILES:
        assert name in line
    assert str(tmp_path / "iemocap") in line
    assert "drive.google.com" in line
    assert "--synthetic" in line
    assert (
        refused(project / "IEMOCAP", "inference.py", "--data-dir", tmp_path).split(": ", 1)[1] == line.split(": ", 1)[1]
    )
    assert not (project / "IEMOCAP" / "runs").exists()


def test_what_a_user_can_get_wrong(project, run, refused, tmp_path):
    meld_folder = project / "MELD"
    assert "epochs: found 0; expected a whole number, at least 1; see --epochs" in refused(
        meld_folder, "train.py", "--epochs", "0"
    )
    assert "--modality-order" in refused(project / "IEMOCAP", "train.py", "--modality-order", "aligned")
    assert "unrecognized arguments: --learning-rte" in refused(meld_folder, "train.py", "--learning-rte", "1")
    assert "device: found 'gpu'; expected auto, cpu, cuda, cuda:N or mps; see --device\n" in refused(
        meld_folder, "train.py", "--device", "gpu"
    )
    assert "holds a run already" in refused(meld_folder, "train.py", "--output", run)
    assert (
        "nothing.pkl: no such checkpoint; expected ECERC_MODEL*.pkl, or a run's folder; see --checkpoints\n"
        in refused(meld_folder, "inference.py", "--checkpoints", "nothing.pkl")
    )
    assert "no such checkpoint" in refused(meld_folder, "train.py", "--initial-weights", "nothing.pkl", *SMALL)
    line = refused(meld_folder, "train.py", "--resume", run, "--epochs", 3, "--output", tmp_path)
    assert "takes the settings of the run; drop --epochs, --output, or train without --resume" in line
    assert "no run that could be resumed" in refused(meld_folder, "train.py", "--resume", tmp_path)
    checkpoint = run / "ECERC_MODEL.pkl"
    assert "trained on MELD" in refused(project / "IEMOCAP", "inference.py", "--checkpoints", checkpoint)
    without_record(checkpoint, tmp_path / "alone.pkl")
    assert "has shape" in refused(meld_folder, "inference.py", "--checkpoints", tmp_path / "alone.pkl")
    assert "expected ECERC_MODEL*.pkl, or a run's folder" in refused(
        meld_folder, "inference.py", "--checkpoints", tmp_path
    )
    assert f"error: {tmp_path}: no checkpoint in this folder" in refused(  # also after one that is there
        meld_folder, "inference.py", "--checkpoints", checkpoint, tmp_path
    )
    assert "found a folder" in refused(meld_folder, "inference.py", "--predictions", tmp_path)
    assert "give the folder above" in refused(meld_folder, "train.py", "--data-dir", project / "data" / "meld")
    assert "stands twice" in refused(meld_folder, "inference.py", "--checkpoints", checkpoint, checkpoint)
    twice = [checkpoint, meld_folder / "runs" / ".." / "runs" / run.name / checkpoint.name]
    assert "stands twice" in refused(meld_folder, "inference.py", "--checkpoints", *twice)
    (tmp_path / "taken.csv").write_text("mine")
    line = refused(meld_folder, "inference.py", "--checkpoints", checkpoint, "--predictions", tmp_path / "taken.csv")
    assert "exists already" in line
    assert (tmp_path / "taken.csv").read_text() == "mine"
    line = refused(meld_folder, "inference.py", "--checkpoints", checkpoint, "--predictions", tmp_path / "no" / "p.csv")
    assert "there is no folder" in line
    assert "no checkpoints here" in refused(project / "IEMOCAP", "inference.py")
    assert "no finished run on synthetic data" in refused(meld_folder, "inference.py", "--synthetic")
    line = refused(meld_folder, "inference.py", "--checkpoints", project / "data" / "meld" / meld.FILE)
    assert f"{meld.FILE}: not a complete checkpoint of weights only" in line
    (tmp_path / "settings.yaml").write_text("[1, 2")
    assert "settings.yaml: not readable as YAML" in refused(
        meld_folder, "inference.py", "--checkpoints", tmp_path / "alone.pkl"
    )


def test_a_run_goes_on_with_its_own_dataset_only(project, run, refused, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "results.csv").unlink()
    line = refused(project / "IEMOCAP", "train.py", "--resume", tmp_path / "run")
    assert "a run on MELD, not on IEMOCAP; use its script and --data-dir" in line


def test_wrong_calls_end_in_status_2_for_the_shell_too(project):
    done = call(project / "MELD", "train.py", "--epochs", "0", status=2)
    assert done.stderr == "train.py: error: epochs: found 0; expected a whole number, at least 1; see --epochs\n"


def test_a_foreign_settings_file_beside_a_checkpoint(project, run, ran, tmp_path):
    """Its classes are not needed on MELD; a value of another kind in their place is passed over."""
    shutil.copytree(run, tmp_path / "run")
    path = tmp_path / "run" / "settings.yaml"
    content = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(content | {"data": ["no", "mapping"]}))
    assert "weighted F1" in ran(project / "MELD", "inference.py", "--checkpoints", tmp_path / "run")


def test_a_wrong_value_at_the_top_of_a_script(project, refused):
    shutil.copytree(project / "MELD", project / "EDITED", ignore=shutil.ignore_patterns("runs"))
    script = project / "EDITED" / "train.py"
    script.write_text(script.read_text().replace("patience=20", "patiense=20"))
    assert "no hyperparameter is called 'patiense'" in refused(project / "EDITED", "train.py")
    shutil.rmtree(project / "EDITED")


def test_a_new_user_who_gets_every_step_wrong_once(project, run, refused, tmp_path, capsys):
    """Each time the line says what is wrong, where, and what to do."""

    def says(line, *words):
        for word in words:
            assert word in line, line

    scripts = project / "IEMOCAP"
    # no data
    line = refused(scripts, "train.py", "--data-dir", tmp_path / "none")
    says(line, f"error: {tmp_path / 'none'}: no such folder; expected", *iemocap.FILES, "python -m common obtain")
    says(line, f" in {tmp_path / 'none' / 'iemocap'};", "see --data-dir, --synthetic")
    # half the data
    half = tmp_path / "half" / "iemocap"
    shutil.copytree(project / "data" / "iemocap", half)
    (half / iemocap.EVENT).unlink()
    line = refused(scripts, "train.py", "--data-dir", half.parent)
    says(line, f"{half}: missing {iemocap.EVENT};", "put them into that folder")
    # packed data
    (half / f"{iemocap.EVENT}.gz").write_bytes(b"")
    line = refused(scripts, "train.py", "--data-dir", half.parent)
    says(line, f"error: {half / iemocap.EVENT}.gz: packed; unpack it there, with `gunzip`; see --data-dir")
    # the wrong folder
    line = refused(scripts, "train.py", "--data-dir", project / "data" / "iemocap")
    says(line, "give the folder above, with iemocap/")
    # a wrong checkpoint
    (tmp_path / "page.pkl").write_text("<!DOCTYPE html><title>Sign in</title>")
    line = refused(scripts, "inference.py", "--checkpoints", tmp_path / "page.pkl")
    says(line, f"{tmp_path / 'page.pkl'}: not a complete checkpoint", "a web page ('Sign in')", "expected")
    # a checkpoint of MELD for IEMOCAP: of a run, and by itself
    line = refused(scripts, "inference.py", "--checkpoints", run / "ECERC_MODEL.pkl")
    says(line, "trained on MELD; this script evaluates on IEMOCAP")
    without_record(run / "ECERC_MODEL.pkl", tmp_path / "ECERC_MODEL.pkl")
    line = refused(scripts, "inference.py", "--checkpoints", tmp_path / "ECERC_MODEL.pkl", *SMALL[:6])
    says(line, f"{tmp_path / 'ECERC_MODEL.pkl'}: ", "use")
    # names of labels instead of numbers in the released layout
    corpus = small_corpus("MELD", sizes=(12, 3, 5))
    meld.write(corpus, tmp_path / "names" / "meld")
    path = tmp_path / "names" / "meld" / meld.FILE
    content = list(pickle.loads(path.read_bytes()))
    content[1] = {i: [corpus.classes[c] for c in labels] for i, labels in content[1].items()}
    path.write_bytes(pickle.dumps(tuple(content), protocol=2))
    line = refused(project / "MELD", "train.py", "--data-dir", tmp_path / "names")
    says(
        line,
        f"{path}: field 1 (emotion labels), dialogue 0: found the label",
        "expected whole numbers from 0 (neutral)",
    )
    # a feature array of one row less than there are utterances
    (tmp_path / "u.csv").write_text("dialogue,utterance,speaker,label,split\na,1,Ann,calm,train\na,2,Bo,calm,train\n")
    np.save(tmp_path / "audio.npy", np.zeros((1, 3)))
    words = ["--utterances", tmp_path / "u.csv", "--audio", tmp_path / "audio.npy", "--output", tmp_path / "own"]
    printed, status = result_of(lambda: main(["build", *map(str, words)]), capsys)
    assert status == 2
    says(
        printed.err,
        f"{tmp_path / 'audio.npy'}: found 1 rows; expected 2, one for each row of u.csv",
    )
    assert not (tmp_path / "own").exists()
