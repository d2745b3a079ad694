import pytest

from common.reporting.text_table import TextTable


@pytest.fixture
def table():
    table = TextTable("Rows & 100 %", ["", "a_b", "− full"], [["x", "1.00 ± 0.10", "–"], ["y", "2.00", "−1.00"]])
    table.embolden(1, [1.0, 2.0])
    table.embolden(2, [None, -1.0])
    table.notes.append("p <0.001 is #1")
    return table


def test_markdown(table):
    assert table.markdown().splitlines() == [
        "### Rows & 100 %",
        "",
        "|  | a_b | − full |",
        "| --- | ---: | ---: |",
        "| x | 1.00 ± 0.10 | – |",
        "| y | **2.00** | **−1.00** |",
        "",
        "p <0.001 is #1",
    ]


def test_equal_values_are_both_best():
    table = TextTable("t", ["", "v"], [["x", "2"], ["y", "2"], ["z", "1"]])
    table.embolden(1, [2.0, 2.0, 1.0])
    assert table.bold == {(0, 1), (1, 1)}


def test_latex(table):
    lines = table.latex("it").splitlines()
    assert lines[3:9] == [
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r" & a\_b & $-$ full \\",
        r"\midrule",
        r"x & 1.00 $\pm$ 0.10 & -- \\",
        r"y & \textbf{2.00} & \textbf{$-$1.00} \\",
    ]
    assert r"\caption{Rows \& 100 \%. p $<$0.001 is \#1}" in lines
    assert lines[-2:] == [r"\label{tab:it}", r"\end{table}"]


def test_text_for_a_terminal(table):
    assert table.text(80).splitlines() == [
        "Rows & 100 %",
        "",
        "           a_b  − full",
        "x  1.00 ± 0.10       –",
        "y        2.00*  −1.00*",
        "",
        "p <0.001 is #1",
    ]
    assert max(map(len, table.text(20).splitlines())) <= 20
