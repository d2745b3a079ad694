"""Two runs on the same conversations: how far their scores differ, and which turns each gets right.

U utterances, in file order, of D dialogues; C classes. Scores are means over the checkpoints of a run, in percent.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from common.evaluation.metrics import scores
from common.reporting.analysis import or_none
from common.reporting.intervals import dialogue_confusions, draws, interval, resampled_scores
from common.reporting.tables import FIGURES
from common.terminal import table


class Predicted(NamedTuple):
    """What a run predicts: its `name`; of each checkpoint positions in the classes (U,); and `together`, (U,), those of
    the mean of their probabilities.
    """

    name: str
    checkpoints: Sequence[ArrayLike]
    together: ArrayLike


def predicted(name: str, log_probs: Sequence[ArrayLike]) -> Predicted:
    """What a run predicts, given log-probabilities (U, C) of each of its checkpoints, as they are shown."""
    tables = [np.asarray(log_prob, np.float64) for log_prob in log_probs]
    together = tables[0] if len(tables) == 1 else np.mean(np.exp(tables), axis=0)  # exponentials may make ties
    return Predicted(name, [table.argmax(1) for table in tables], together.argmax(1))


def comparison(
    first: Predicted, second: Predicted, label: ArrayLike, dialogue: ArrayLike, classes: Sequence[str]
) -> dict[str, Any]:
    """What the `second` run has more than the `first` one, and the turns that each has right.

    `label` (U,), -1 where not known; `dialogue` (U,), from 0 on. A dictionary: `names` of the two; `rows`, of accuracy,
    weighted F1, macro F1 and the F1 of each class: `name`, `difference` (percent points), and `interval`, of a paired
    bootstrap over dialogues: both runs, and all their checkpoints, are scored on the same ones. Both are None without
    labels, the interval also where one dialogue alone has some. `turns`: how many of those with a label `both_right`,
    `first_only`, `second_only`, `both_wrong`, by `together`.
    """
    label = np.asarray(label)
    drawn, count = draws(int(np.max(dialogue)) + 1), len(classes)
    a, b = (_mean([scores(label, p, list(classes)) for p in run.checkpoints]) for run in (first, second))
    again = [
        _mean([resampled_scores(dialogue_confusions(label, p, dialogue, count), drawn) for p in run.checkpoints])
        for run in (first, second)
    ]
    rows = [
        {"name": name, "difference": or_none(difference), "interval": interval(values)}
        for name, difference, values in zip(
            [*FIGURES.values(), *(f"F1 {c}" for c in classes)], b - a, (again[1] - again[0]).T, strict=True
        )
    ]
    known = label >= 0
    a, b = (np.asarray(run.together)[known] == label[known] for run in (first, second))
    cells = {"both_right": a & b, "first_only": a & ~b, "second_only": ~a & b, "both_wrong": ~a & ~b}
    turns = {name: int(inside.sum()) for name, inside in cells.items()}
    return {"names": [first.name, second.name], "rows": rows, "turns": turns}


def comparison_text(
    compared: dict[str, Any], summaries: Sequence[Sequence[dict[str, Any]]], most: int | None = None
) -> str:
    """A `comparison` as it is printed; "" without labels. `summaries`: `summary` of each run in the report.

    `most`: columns of the terminal that a table has to fit, None where there is none.
    """
    if not summaries[0]:
        return ""
    rows = []
    for row, *means in zip(compared["rows"], *summaries, strict=True):
        ends = " to ".join(f"{end:+z.2f}" for end in row["interval"]) if row["interval"] else "–"
        rows.append([row["name"], *(f"{mean['mean']:.2f}" for mean in means), f"{row['difference']:+z.2f}", ends])
    a, b = compared["names"]
    turns = {name: f"{count:,}" for name, count in compared["turns"].items()}
    return (
        f"Difference, the second less the first, of means over checkpoints, in percent\n"
        f"  first:  {a}\n  second: {b}\n"
        f"{table(['', 'first', 'second', 'difference', '95 % interval'], rows, most)}\n"
        "The intervals are of a paired bootstrap over dialogues; other seeds are not in them.\n"
        f"Turns: both right {turns['both_right']}, only the first {turns['first_only']}, "
        f"only the second {turns['second_only']}, neither {turns['both_wrong']}."
    )


def _mean(scored):
    """The mean over checkpoints of accuracy, weighted F1, macro F1 and the F1 of classes, (..., 3 + C)."""
    return np.mean(
        [np.stack([*(part[key] for key in FIGURES), *np.moveaxis(part["f1"], -1, 0)], -1) for part in scored], 0
    )
