"""The paper's tables from results: ours beside the paper's, with spread and a paired test against the full network."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from common.experiments.results import Results, paired
from common.experiments.significance import holm
from common.experiments.variants import FULL, TABLES
from common.reporting.paper import paper_systems, paper_variants
from common.reporting.tables import mean_and_spread
from common.reporting.text_table import TextTable

ACCURACY, WF1 = 0, 1  # columns of Results.figures


def systems_table(name: str, dataset: str, results: Mapping[str, Results]) -> tuple[TextTable, pd.DataFrame]:
    """Tables 2 and 3: F1 of each class, weighted F1 and accuracy of other systems (quoted), of the paper's ECERC, and
    of ours. Also as numbers, a row per system and measure.
    """
    ours = results[FULL]
    measures = [*(f"F1 {c}" for c in ours.classes), "weighted F1", "accuracy"]
    order = [*range(3, 3 + len(ours.classes)), WF1, ACCURACY]
    rows, values, numbers = [], [], []
    for system, printed in paper_systems(dataset).items():
        scores = [*printed["f1"], printed["wf1"], printed["accuracy"]]
        origin = "paper" if system == "ECERC" else "quoted"
        rows.append([f"{system} ({origin})", "3", *(f"{v:.2f}" for v in scores)])
        values.append(scores)
        numbers += [
            {"system": system, "measure": m, "from": "paper", "n": 3, "mean": v}
            for m, v in zip(measures, scores, strict=True)
        ]
    spread = [ours.figures[:, k] for k in order]
    rows.append(["ECERC (ours)", str(len(ours.seeds)), *map(mean_and_spread, spread)])
    values.append([round(float(np.mean(v)), 2) for v in spread])
    paper = values[-2]
    rows.append(["ours − paper", "", *(less(b, a) for a, b in zip(paper, values[-1], strict=True))])
    numbers += [
        {"system": "ECERC", "measure": m, "from": "here", "n": len(v), "mean": np.mean(v), "std": _std(v)}
        for m, v in zip(measures, spread, strict=True)
    ]
    table = TextTable(TABLES[name].title, ["system", "n", *measures], rows)
    for k in range(len(measures)):
        table.embolden(2 + k, [row[k] for row in values])
    table.notes = [
        "Percent, test split. “Quoted”: numbers of other systems as the paper prints them, not run here. Ours: mean ± "
        "sample standard deviation over n seeds. Bold: the best of a column.",
        *ours.notes,
    ]
    return table, pd.DataFrame(numbers)


def variants_table(name: str, dataset: str, results: Mapping[str, Results]) -> tuple[TextTable, pd.DataFrame]:
    """Tables 4 to 7 and the choices: the variants of a table that `results` has, beside the paper's scores,
    each tested against the full network. Also as numbers, a row per variant.
    """
    full, printed, numbers = results[FULL], paper_variants(dataset), []
    for variant, label in TABLES[name].rows.items():
        if variant not in results:
            continue
        ours, paper = results[variant], printed.get(variant, {})
        scores = {key: ours.figures[:, k] for key, k in (("wf1", WF1), ("accuracy", ACCURACY))}
        row: dict[str, Any] = {"variant": variant, "row": label, "n": len(ours.seeds)}
        for key, v in scores.items():
            row |= {key: np.mean(v), f"{key}_std": _std(v), f"paper_{key}": paper.get(key)}
        row["minus_paper"] = row["wf1"] - paper["wf1"] if paper else None
        if variant != FULL and set(ours.seeds) & set(full.seeds):
            row["seeds_compared"], difference, p = paired(full, ours, f"{dataset}/{FULL}", f"{dataset}/{variant}")
            row |= {"minus_full": difference[WF1], "p": p[WF1]}
        numbers.append(row)
    empty = {"seeds_compared": None, "minus_full": None, "p": None, "p_holm": None}  # of the full network
    table = pd.DataFrame([empty | row for row in numbers]).astype(dict.fromkeys(empty, float))
    tested = table.p.notna()
    table.loc[tested, "p_holm"] = holm(table.p[tested])
    return _as_text(name, dataset, table, results), table


def _as_text(name, dataset, table, results):
    head = ["", "n", "weighted F1", "accuracy", "− full", "p (Holm)"]
    head += ["paper: weighted F1", "paper: accuracy", "ours − paper"]
    rows = []
    for row in table.to_dict("records"):
        ours = results[row["variant"]].figures
        rows.append(
            [
                row["row"],
                str(row["n"]),
                mean_and_spread(ours[:, WF1]),
                mean_and_spread(ours[:, ACCURACY]),
                signed(row["minus_full"]),
                p_value(row["p_holm"]),
                *("–" if pd.isna(row[key]) else f"{row[key]:.2f}" for key in ("paper_wf1", "paper_accuracy")),
                less(row["wf1"], row["paper_wf1"]),
            ]
        )
    text = TextTable(f"{TABLES[name].title}, {dataset}", head, rows)
    for column, key in ((2, "wf1"), (3, "accuracy"), (6, "paper_wf1"), (7, "paper_accuracy")):
        text.embolden(column, [None if pd.isna(v) else round(v, 2) for v in table[key]])
    compared = " or ".join(str(n) for n in sorted({int(n) for n in table.seeds_compared.dropna()}))
    text.notes = [
        "Percent, test split; mean ± sample standard deviation over n seeds; bold: the best of a column. − full: "
        f"difference of weighted F1 to the full network, over the {compared or 'no'} seeds that both have, with its "
        "p-value, corrected for the rows of this table."
    ]
    return text


def _std(values):
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def signed(value: float) -> str:
    """A difference as one prints it; a dash for NaN."""
    return "–" if pd.isna(value) else f"{value:+z.2f}".replace("-", "−")  # z: no −0.00


def less(b: float, a: float) -> str:
    """b - a of two scores that stand beside it: of the numbers as they are printed, so that readers find the same."""
    return "–" if pd.isna(a) else signed(round(float(b), 2) - round(float(a), 2))


def p_value(p: float) -> str:
    """A p-value as one prints it."""
    if pd.isna(p):
        return "–"
    return "<0.001" if p < 0.001 else f"{p:.3f}"
