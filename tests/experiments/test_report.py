"""Reports and comparisons of a made-up sweep with known scores."""

import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score

from common.errors import InputError
from common.experiments.compare import compare
from common.experiments.report import write_report
from common.experiments.results import Results, read_results
from common.experiments.significance import holm
from common.experiments.tables import less
from common.experiments.variants import TABLES
from common.release import published
from tests.experiments.conftest import ROOT
from tests.experiments.made_up import write_sweep

NAMES = ["2_IEMOCAP", "4_IEMOCAP", "7_IEMOCAP", "3_MELD", "5_MELD"]


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The folder of the sweep, without a report."""
    return write_sweep(tmp_path_factory.mktemp("example"))


@pytest.fixture(scope="module")
def sweep(example, tmp_path_factory):
    """A copy of it with its report."""
    folder = tmp_path_factory.mktemp("report") / "sweep"
    shutil.copytree(example, folder)
    assert write_report(folder) == folder / "report" / "report.md"
    return folder


def table_of(sweep, name):
    return pd.read_csv(sweep / "report" / f"table_{name}.csv")


def test_everything_is_there(sweep):
    names = {f"table_{name}.{kind}" for name in NAMES for kind in ("md", "csv", "tex")}
    names |= {f"confusion_{dataset}.{kind}" for dataset in ("IEMOCAP", "MELD") for kind in ("png", "svg")}
    assert {path.name for path in (sweep / "report").iterdir()} == names | {"report.md"}
    text = (sweep / "report" / "report.md").read_text()
    for name in NAMES:
        assert (sweep / "report" / f"table_{name}.md").read_text().strip() in text
    assert "209 utterances in 46 dialogues" in text
    assert "Not the paper's data (the test labels are not those of the released files)" in text
    assert "34 runs, together 0:34:17" in text  # of 60.5 s each
    assert "torch 2.13.0" in text
    assert text.count("counts are means over 2 seeds, of 48 predictions in all") == 1  # 6 classes of 4, twice
    assert text.count("counts are means over 2 seeds, of 56 predictions in all") == 1


def test_scores_are_those_of_the_predictions(sweep):
    table = table_of(sweep, "4_IEMOCAP")
    assert table.variant.tolist() == list(TABLES["4"].rows)
    assert table.n.tolist() == [2] * 9
    for row in table.itertuples():
        scores = []
        for seed in (1, 2):
            folder = sweep / "IEMOCAP" / row.variant / f"seed_{seed}"
            found = pd.read_csv(folder / "predictions.csv")
            average = {"average": "weighted", "zero_division": 0}
            wf1 = f1_score(found.label, found.prediction, **average)
            scores.append((100 * wf1, 100 * accuracy_score(found.label, found.prediction)))
        wf1, accuracy = np.array(scores).T
        assert row.wf1 == pytest.approx(wf1.mean())
        assert row.wf1_std == pytest.approx(wf1.std(ddof=1))
        assert row.accuracy == pytest.approx(accuracy.mean())
    full = table.set_index("variant").loc["full"]  # 75 and 50
    assert (full.wf1, full.accuracy) == pytest.approx((62.5, 62.5))
    assert full.wf1_std == pytest.approx(np.sqrt(12.5**2 + 12.5**2))
    np.testing.assert_allclose(table.minus_full[1:], table.wf1[1:] - table.wf1[0])
    np.testing.assert_allclose(table.minus_paper, table.wf1 - table.paper_wf1)
    np.testing.assert_allclose(table.p_holm[1:], holm(table.p[1:]))
    assert table.p.isna().tolist() == [True] + [False] * 8
    assert table.paper_wf1.tolist() == [71.78, 69.39, 69.63, 68.99, 69.86, 69.63, 66.81, 67.55, 68.79]


def test_only_seeds_that_both_have_are_compared(sweep, tmp_path):
    shutil.copytree(sweep, tmp_path / "sweep")
    shutil.rmtree(tmp_path / "sweep" / "MELD" / "AV" / "seed_1")
    (tmp_path / "sweep/MELD/A/seed_1").rename(tmp_path / "sweep/MELD/A/seed_9")
    shutil.rmtree(tmp_path / "sweep" / "MELD" / "A" / "seed_2")
    predictions = tmp_path / "sweep/MELD/A/seed_9/predictions.csv"
    predictions.write_text(predictions.read_text().replace("\n1,", "\n9,"))
    write_report(tmp_path / "sweep")
    row = table_of(tmp_path / "sweep", "5_MELD").set_index("variant").loc["AV"]
    assert np.isnan(table_of(tmp_path / "sweep", "5_MELD").set_index("variant").loc["A"].p_holm)
    one = [pd.read_csv(sweep / f"MELD/{name}/seed_2/results.csv").test_wf1[0] for name in ("AV", "full")]
    assert (row.n, row.seeds_compared) == (1, 1)
    assert row.minus_full == pytest.approx(one[0] - one[1])
    assert np.isnan(row.wf1_std)
    line = next(line for line in (tmp_path / "sweep/report/report.md").read_text().splitlines() if "| AV |" in line)
    assert [cell.strip(" *") for cell in line.split("|")[2:4]] == ["1", f"{one[0]:.2f}"]


def test_other_systems_are_quoted(sweep):
    lines = (sweep / "report" / "table_3_MELD.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[4:13]]
    rows = {row[0]: row[1:] for row in cells}
    assert rows["SDT (quoted)"][-2:] == ["65.12", "66.18"]
    assert rows["ECERC (paper)"][1] == "**79.80**"
    assert rows["MMGCN (quoted)"][3] == "0.00"
    table = table_of(sweep, "3_MELD")
    assert [cell.strip("*") for cell in rows["ECERC (ours)"]] == ["2", *["62.50 ± 17.68"] * 9]  # of 75 and 50
    ours = table[table["from"] == "here"].set_index("measure")
    results = pd.concat(pd.read_csv(sweep / f"MELD/full/seed_{seed}/results.csv") for seed in (1, 2))
    assert ours.loc["F1 joy", "mean"] == pytest.approx(results.test_f1_joy.mean())
    assert ours.loc["accuracy", "std"] == pytest.approx(results.test_accuracy.std())


def test_again_the_same_with_nothing_but_the_requirements(sweep):
    """By the command, in which only packages of requirements.txt and what these need are imported."""
    before = {path.name: path.read_bytes() for path in (sweep / "report").iterdir()}
    code = (
        "import sys; from common.__main__ import main\n"
        f"main(['experiments', 'report', {str(sweep)!r}])\n"
        "print(*sorted(n for n in sys.modules if n.split('.')[0] in ('distributed', 'dask', 'pytest', 'hypothesis')))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1] == ""
    assert {path.name: path.read_bytes() for path in (sweep / "report").iterdir()} == before


def test_nothing_without_the_full_network(refused, example, tmp_path):
    shutil.copytree(example / "MELD" / "T", tmp_path / "MELD" / "T")
    assert f"{tmp_path}/MELD/full: not finished, and all others are compared with it" in refused("report", tmp_path)
    assert "no finished run here" in refused("report", tmp_path / "nowhere")


def test_two_results_side_by_side(example):
    table = compare(str(example / "MELD/full"), str(example / "MELD/T"))
    rows = {row[0]: row[1:] for row in table.rows}
    a, b = (read_results(example / "MELD" / name).figures for name in ("full", "T"))
    assert rows["accuracy"][0] == f"{a[:, 0].mean():.2f} ± {a[:, 0].std(ddof=1):.2f}"
    assert rows["F1 anger"][2].replace("−", "-") == f"{b[:, -1].mean() - a[:, -1].mean():+.2f}"
    assert table.head == ["", "MELD/full", "MELD/T", "difference", "p"]
    same = compare(str(example / "MELD/full"), str(example / "MELD/full"))
    assert {row[3] for row in same.rows} == {"+0.00"}
    assert {row[4] for row in same.rows} == {"1.000"}


def test_a_run_beside_the_paper(example, monkeypatch):
    table = compare("paper", str(example / "IEMOCAP/full/seed_1"))
    rows = {row[0]: row[1:] for row in table.rows}
    wf1 = pd.read_csv(example / "IEMOCAP/full/seed_1/results.csv").test_wf1[0]
    assert rows["weighted F1"] == ["71.78", f"{wf1:.2f}", f"{wf1 - 71.78:+.2f}".replace("-", "−")]
    assert rows["macro F1"][0] == "–"
    other = "Not the paper's data (the test labels are not those of the released files): its numbers stand here for"
    assert any(other in note for note in table.notes)
    monkeypatch.setitem(published.TEST_COUNTS, "IEMOCAP", [4] * 6)
    assert not any("Not the paper's data" in note for note in compare("paper", str(example / "IEMOCAP/full")).notes)


def test_differences_are_those_of_the_printed_numbers():
    """15.625 is printed as 15.62, and 67.32 less that is 51.70, in `compare` and in the tables."""
    assert [less(15.625, 67.32), less(67.32, 15.625), less(1.0, None), less(np.nan, 1.0)] == [
        "−51.70",
        "+51.70",
        "–",
        "–",
    ]


def test_results_that_do_not_belong_together(example, tmp_path):
    with pytest.raises(InputError, match=r"MELD/T: of MELD \(neutral, .*unlike .*IEMOCAP/full; choose like ones"):
        compare(str(example / "IEMOCAP/full"), str(example / "MELD/T"))
    with pytest.raises(InputError, match=r"seeds \[2\], but .* has \[1\]; train the same seeds"):
        compare(str(example / "MELD/T/seed_1"), str(example / "MELD/T/seed_2"))
    with pytest.raises(InputError, match="expected the folder of at least one result"):
        compare("paper", "paper")
    with pytest.raises(InputError, match="no results here"):
        compare(str(tmp_path), "paper")
    shutil.copytree(example / "MELD/T/seed_1", tmp_path / "a")
    lines = (tmp_path / "a" / "predictions.csv").read_text().splitlines(keepends=True)
    (tmp_path / "a" / "predictions.csv").write_text("".join(lines[:-1]))
    with pytest.raises(InputError, match="other test dialogues or labels"):
        compare(str(example / "MELD/full"), str(tmp_path / "a"))
    for damaged in ("seed,label\n1,joy\n", "", lines[0] + lines[1].replace("neutral", "bliss").replace("joy", "bliss")):
        (tmp_path / "a" / "predictions.csv").write_text(damaged)
        with pytest.raises(InputError, match=r"predictions.csv or history.csv is missing or damaged"):
            compare(str(tmp_path / "a"), "paper")


def test_utterances_without_labels_are_in_no_score(example, tmp_path):
    shutil.copytree(example / "MELD/T/seed_1", tmp_path / "a")
    table = pd.read_csv(tmp_path / "a" / "predictions.csv")
    table.loc[[3, 8], "label"] = ""
    table.to_csv(tmp_path / "a" / "predictions.csv", index=False)
    known = table[table.label != ""]
    expected = accuracy_score(known.label, known.prediction)
    assert read_results(tmp_path / "a").figures[0, 0] == pytest.approx(100 * expected)
    table.assign(label="").to_csv(tmp_path / "a" / "predictions.csv", index=False)
    with pytest.raises(InputError, match=r"\(no utterance has a label\)"):
        read_results(tmp_path / "a")


def test_a_class_without_labels_is_named():
    counts = np.array([[[[2, 1, 0], [0, 0, 0], [1, 0, 1]]]])
    one = Results("MELD", [1], ["joy", "fear", "anger"], [{}], ["d1"], counts, 0.0)
    assert one.notes == ["No utterance has the label fear: F1 is 0 there, and counts in macro F1."]
