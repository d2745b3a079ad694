"""Two results side by side, or one and the paper's."""

from pathlib import Path

import numpy as np

from common.errors import InputError
from common.experiments.results import paired, read_results
from common.experiments.significance import holm
from common.experiments.tables import less, p_value, signed
from common.release.published import TEST_COUNTS
from common.reporting.paper import paper_systems
from common.reporting.tables import mean_and_spread
from common.reporting.text_table import TextTable

PAPER = "paper"


def compare(a: str, b: str) -> TextTable:
    """Accuracy, F1 averages and the F1 of each class of results `a` and `b`, their difference b - a, and a paired test.

    Each is a run's folder, one with `seed_*` folders in it, or "paper" (one of them at most), for which there is no
    test. Raises InputError where they do not belong together.
    """
    if a == b == PAPER:
        raise InputError(f"compare: found {a} and {b}; expected the folder of at least one result")
    folders = {name: read_results(name) for name in (a, b) if name != PAPER}
    one = next(iter(folders.values()))
    notes, tested = ["Percent, test split; mean ± sample standard deviation.", *one.notes], None
    if PAPER in (a, b) and (reason := _unlike_paper(one)):
        notes.append(f"Not the paper's data ({reason}): its numbers stand here for orientation only.")
    if PAPER not in (a, b):
        count, difference, p = paired(folders[a], folders[b], a, b)
        tested = list(zip(difference, [*p[:3], *holm(p[3:])], strict=True))
        notes.append(
            f"Difference and p: over the {count} seeds that both have; paired bootstrap over dialogues; p of the "
            "classes corrected after Holm."
        )
    else:
        notes.append("Difference: the second less the first.")
    scores = [_paper(one) if name == PAPER else folders[name].figures.T for name in (a, b)]
    rows = []
    for k, name in enumerate(["accuracy", "weighted F1", "macro F1", *(f"F1 {c}" for c in one.classes)]):
        x, y = scores[0][k], scores[1][k]
        row = [name, *("–" if np.isnan(v).all() else mean_and_spread(v) for v in (x, y))]
        rows.append([*row, signed(tested[k][0]), p_value(tested[k][1])] if tested else [*row, less(y.mean(), x.mean())])
    head = ["", _short(a), _short(b), "difference", *(["p"] if tested else [])]
    return TextTable(f"{one.dataset}: {_short(a)} and {_short(b)}", head, rows, notes=notes)


def _unlike_paper(one):
    """Why the paper's scores do not apply, as far as results show it; "" where that does not show."""
    if one.settings[0].get("synthetic"):
        return "these are synthetic conversations"
    counts = one.counts[0].sum((0, 2)).tolist()
    return "" if counts == TEST_COUNTS[one.dataset] else "the test labels are not those of the released files"


def _paper(one):
    """The paper's scores of ECERC as one seed's, (3 + C, 1); NaN where it has none."""
    printed = paper_systems(one.dataset)["ECERC"]
    if len(one.classes) != len(printed["f1"]):
        raise InputError(f"compare: the paper has no scores for {', '.join(one.classes)}")
    return np.array([[v] for v in (printed["accuracy"], printed["wf1"], np.nan, *printed["f1"])])


def _short(name):
    return name if name == PAPER else "/".join(Path(name).resolve().parts[-2:])
