import pytest

from common.errors import InputError
from common.settings import (
    NetworkSettings,
    OneLineParser,
    TrainingSettings,
    add_options,
    build,
    given_options,
    read_yaml,
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
        (["--epochs", "0"], "epochs (--epochs): found 0; expected a whole number, at least 1"),
        (
            ["--evidence-dropout", "1"],
            "evidence_dropout (--evidence-dropout): found 1.0; expected a finite number, at least 0 and less than 1",
        ),
        (["--evidence-dropout", "nan"], "(--evidence-dropout): found nan"),
        (["--epochs", "many"], "--epochs: invalid int value: 'many'"),
        (["--seeds", "1", "1"], "(--seeds): found [1, 1]"),
        (["--seeds", "-1"], "(--seeds): found [-1]"),
        (["--empty-history", "none"], "--empty-history: invalid choice: 'none'"),
        (["--epoch", "3"], "unrecognized arguments: --epoch"),
    ],
)
def test_wrong_options_are_named_in_one_line(words, expected):
    with pytest.raises(InputError) as error:
        parse(*words)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_wrong_values_at_the_top_of_the_script_are_named():
    with pytest.raises(InputError, match=r"train.py: no hyperparameter is called 'learning_rat'"):
        build(TrainingSettings, {"learning_rat": 1e-3}, "train.py")
    with pytest.raises(InputError, match=r"positions \(--positions\): found 'yes'; expected True or False"):
        NetworkSettings(positions="yes")
    with pytest.raises(InputError, match=r"\(--modality-order\): found 'mixed'; expected one of released, aligned"):
        NetworkSettings(modality_order="mixed")
    with pytest.raises(InputError, match=r"\(--learning-rate\): found inf"):
        TrainingSettings(learning_rate=float("inf"))
    with pytest.raises(InputError, match=r"learning_rate \(--learning-rate\): found '1e-5'; expected a finite number"):
        TrainingSettings(learning_rate="1e-5")


def test_whole_numbers_stand_for_floats():
    assert TrainingSettings(focal_gamma=2).focal_gamma == 2.0


@pytest.mark.parametrize("content", ["- a\n- b\n", "a: [1\n", "\xff"])
def test_a_yaml_file_that_is_no_mapping_is_named(tmp_path, content):
    (tmp_path / "settings.yaml").write_bytes(content.encode("latin1"))
    with pytest.raises(InputError, match=r"settings\.yaml"):
        read_yaml(tmp_path / "settings.yaml")
