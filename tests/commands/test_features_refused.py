"""`python -m common features`: what is refused at the start, rather than when hours of work are done."""

import pytest

from common.__main__ import main
from tests.features.encoders import small_bert

pytest.importorskip("transformers")
HEAD = "dialogue,utterance_id,speaker,sentence,label,split\n"
ROWS = "a,0,Ann,hi,joy,train\nb,0,Ann,no,anger,valid\nc,0,Bo,oh,joy,test\n"


@pytest.fixture
def refused(tmp_path, minilm, capsys, monkeypatch):
    """Runs the command with more options; returns the last line of its error."""
    (tmp_path / "talk.csv").write_text(HEAD + ROWS)
    model = small_bert(tmp_path / "bert", minilm)

    def refused(*options):
        words = ["csv", str(tmp_path / "talk.csv"), "--output", str(tmp_path / "new"), "--text-model", str(model)]
        monkeypatch.setattr("sys.argv", ["common", "features", *words, "--event-model", "none", *options])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 2
        assert not (tmp_path / "new").exists()
        return capsys.readouterr().err.splitlines()[-1]

    return refused


@pytest.mark.parametrize("option", ["epochs", "rate", "batch", "seed"])
def test_options_of_a_tuning_that_is_not_asked_for(refused, option):
    assert f"--tune-{option} goes with --tune" in refused(f"--tune-{option}", "1")


@pytest.mark.parametrize(
    ("options", "said", "mend"),
    [
        (("--tune-epochs", "0"), "epochs is 0", "--tune-epochs"),
        (("--tune-rate", "2"), "learning_rate is 2.0", "--tune-rate"),
        (("--tune-batch", "0"), "batch_size is 0", "--tune-batch"),
        (("--text-layer", "-4"), "layer -4: ", "--text-layer"),
        (("--folds", "7"), "7 folds: ", "--folds"),
    ],
    ids=["epochs", "rate", "batch", "layer", "folds"],
)
def test_what_is_wrong_with_a_tuning_is_said_before_it(refused, options, said, mend):
    line = refused("--tune", *options)
    assert said in line
    assert line.endswith(f"; see {mend}")


def test_an_event_model_of_another_kind_is_refused_before_the_text_is_done(refused, tmp_path):
    line = refused("--event-model", str(tmp_path / "bert"))
    assert "no modules.json" in line
    assert line.endswith("; see --event-model")
