import pytest

from common.commands.options import add_options, given_options
from common.commands.parser import OneLineParser, run_command
from common.errors import InputError
from common.settings import (
    NetworkSettings,
    TrainingSettings,
    build,
)

TOP = {"seeds": [0, 1], "epochs": 40, "shuffle": True, "evidence_dropout": 0.5, "empty_history": "released"}


def parse(*words):
    parser = OneLineParser(allow_abbrev=False)
    add_options(parser, TrainingSettings, TOP)
    return build(TrainingSettings, TOP | given_options(parser.parse_args(words), TrainingSettings), "here")


def test_options_override_the_top_of_the_script():
    settings = parse(
        "--evidence-dropout", "0.25", "--no-shuffle", "--seeds", "7", "8", "9", "--empty-history", "strict"
    )
    assert (settings.evidence_dropout, settings.shuffle, settings.seeds) == (0.25, False, (7, 8, 9))
    assert (settings.empty_history, settings.epochs) == ("strict", 40)
    assert parse("--shuffle").shuffle is True
    assert parse() == build(TrainingSettings, TOP, "here")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--epochs 0", "x: error: epochs: found 0; expected a whole number, at least 1; see --epochs"),
        (
            "--evidence-dropout 1",
            "x: error: evidence_dropout: found 1.0; expected a finite number, at least 0 and less than 1; see "
            "--evidence-dropout",
        ),
        ("--evidence-dropout nan", "found nan; expected a finite number, at least 0 and less than 1; see --evidence-d"),
        ("--epochs many", "x: error: argument --epochs: invalid int value: 'many'; see --help"),
        (
            "--seeds 1 1",
            "seeds: found [1, 1]; expected one or more different whole numbers from 0, e.g. 0 1 2; see --s",
        ),
        ("--seeds -1", "seeds: found [-1]"),
        ("--empty-history none", "--empty-history: invalid choice: 'none'"),
        ("--epoch 3", "x: error: unrecognized arguments: --epoch 3; did you mean --epochs? See --help"),
    ],
)
def test_wrong_options_are_named_in_one_line(words, expected, capsys):
    parser = OneLineParser(allow_abbrev=False)
    add_options(parser, TrainingSettings, TOP)
    with pytest.raises(SystemExit, match="2"):
        run_command(parser, lambda given: build(TrainingSettings, TOP | vars(given), "here"), "x", words.split())
    line = capsys.readouterr().err
    assert expected in line
    assert line.count("\n") == 1


def test_wrong_values_at_the_top_of_the_script_are_named():
    with pytest.raises(
        InputError, match=r"train.py: no hyperparameter is called 'learning_rat'; did you mean learning_rate\?$"
    ):
        build(TrainingSettings, {"learning_rat": 1e-3}, "train.py")
    for name in ("cats", 3, None):  # as in a settings.yaml
        with pytest.raises(
            InputError, match=f"no hyperparameter is called {name!r}; `python train.py --help` lists them$"
        ):
            build(TrainingSettings, {name: 3, "epochs": 1}, "train.py")
    for name, value, message in (
        ("positions", "yes", "found 'yes'; expected True or False"),
        ("modality_order", "mixed", "found 'mixed'; expected one of released, aligned"),
        ("learning_rate", float("inf"), "found inf"),
        ("learning_rate", 10**4000, "found a huge number"),
        ("epochs", 10**4000, "found a huge number"),
        ("learning_rate", "1e-5", "found '1e-5'; expected a finite number"),
        ("seeds", [1, 1], r"found \[1, 1\]; expected one or more different whole numbers"),
    ):
        with pytest.raises(InputError, match=f"^{name}: {message}") as error:
            TrainingSettings(**{name: value})
        assert error.value.change == [name]


def test_variants_that_contradict_each_other_are_named():
    for values, message, change in (
        (
            {"without": ["evidence-gating"], "evidence_gate_inputs": "own"},
            "without evidence-gating: contradicts evidence_gate_inputs own; give one of the two",
            ["without", "evidence_gate_inputs"],
        ),
        ({"without": ["event-encoding"], "modalities": "AV"}, "modalities AV have no events anyway", ["without"]),
        (
            {"without": [f"{s}-{e}-attention" for s in ("self", "cross") for e in ("event", "emotion")]},
            "keep one",
            ["without"],
        ),
    ):
        with pytest.raises(InputError, match=message) as error:
            NetworkSettings(**values)
        assert error.value.change == change


def test_whole_numbers_stand_for_floats():
    assert TrainingSettings(focal_gamma=2).focal_gamma == 2.0
