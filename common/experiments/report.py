"""The report of a sweep: all its tables and confusion matrices, and what they were obtained with."""

from datetime import timedelta
from pathlib import Path

import yaml

from common.data import DATASETS
from common.errors import InputError
from common.experiments.results import Results, read_results
from common.experiments.significance import REPETITIONS
from common.experiments.tables import systems_table, variants_table
from common.experiments.variants import FULL, TABLES, VARIANTS
from common.files import atomic, read_yaml
from common.reporting.figures import confusion_figure, save_figure

REPORT, ABOUT = "report", "sweep.yaml"
TESTED = f"""\
**What is tested.** Per row, that the weighted F1 of these trained networks, averaged over the seeds, equals that of the
trained full networks, on conversations of which the test dialogues are a random sample: a paired bootstrap over
dialogues ({REPETITIONS:,} draws, two-sided), the predictions of all seeds drawn along with their dialogue, corrected
over the rows of a table after Holm. The networks are taken as given: what training with other seeds would change is
what the standard deviation over seeds says, and with few seeds it says little."""


def write_about(sweep: Path, data: dict[str, dict[str, str]]) -> None:
    """Keep in the folder of a sweep what its data are: per dataset `description` and `unlike_paper`, the reason why the
    paper's scores do not apply, or "".
    """
    known = read_yaml(sweep / ABOUT) if (sweep / ABOUT).exists() else {}
    with atomic(sweep / ABOUT) as file:
        yaml.safe_dump(known | data, file, sort_keys=True)


def write_report(sweep: str | Path) -> Path:
    """Write `report/` into the folder of a sweep, replacing an older one; returns the path of its report.md.

    Raises InputError where the full network of no dataset is finished.
    """
    sweep = Path(sweep)
    finished = {dataset: _finished(sweep / dataset) for dataset in DATASETS}
    finished = {dataset: variants for dataset, variants in finished.items() if variants}
    if not finished:
        raise InputError(f"{sweep}: no finished run here; expected the folder that `run` wrote")
    for dataset, variants in finished.items():
        if FULL not in variants:
            raise InputError(
                f"{sweep / dataset / FULL}: not finished, and all others are compared with it; run it first"
            )
    folder = sweep / REPORT
    folder.mkdir(exist_ok=True)
    about = read_yaml(sweep / ABOUT) if (sweep / ABOUT).exists() else {}
    parts = ["# The paper's tables, trained again", _provenance(finished, about), TESTED]
    for name, table in TABLES.items():
        for dataset in (d for d in table.datasets if d in finished):
            compared = set(table.rows) - {FULL} or {FULL}
            if not compared & set(finished[dataset]):
                continue
            make = systems_table if len(table.rows) == 1 else variants_table
            text, numbers = make(name, dataset, finished[dataset])
            reason = about.get(dataset, {}).get("unlike_paper")
            if reason:
                text.notes.append(f"Not the paper's data ({reason}): its numbers stand here for orientation only.")
            label = f"table_{name}_{dataset}"
            _write(folder / f"{label}.md", text.markdown())
            _write(folder / f"{label}.tex", text.latex(label))
            _write(folder / f"{label}.csv", numbers.to_csv(index=False))
            parts.append(text.markdown())
    for dataset, variants in finished.items():
        full = variants[FULL]
        title = f"{dataset}, test split, {len(full.seeds)} seed{'s' * (len(full.seeds) > 1)}"
        figure = confusion_figure(full.counts.sum(1), full.classes, title)
        means = f"means over {len(full.seeds)} seeds, " if len(full.seeds) > 1 else ""
        save_figure(figure, folder / f"confusion_{dataset}")
        parts.append(
            f"### Figure 6: confusion matrix of the full network, {dataset}\n\n![matrix](confusion_{dataset}.png)\n\n"
            f"Rows are labels; counts are {means}of {full.counts.sum():,} predictions in all; shares are of the row."
        )
    _write(folder / "report.md", "\n\n".join(part.strip() for part in parts) + "\n")
    return folder / "report.md"


def _finished(folder: Path) -> dict[str, Results]:
    return {name: read_results(folder / name) for name in VARIANTS if any(folder.glob(f"{name}/seed_*/results.csv"))}


def _provenance(finished, about):
    """What the results were obtained with, as a list."""
    lines = []
    for dataset, variants in finished.items():
        first = variants[FULL].settings[0]
        files = "; ".join(f"{name} {value}" for name, value in first["data"]["sha256"].items())
        known = about.get(dataset, {})
        reason = known.get("unlike_paper")
        lines.append(f"- **{dataset}**: {known.get('description') or 'data not described'}.")
        lines.append(f"  Data (SHA-256): {files}.{f' **Not the data of the paper: {reason}.**' if reason else ''}")
    every = [one for variants in finished.values() for one in variants.values()]
    settings = [run for one in every for run in one.settings]
    devices = sorted({run["device"] for run in settings})
    versions = {", ".join(f"{name} {version}" for name, version in run["versions"].items()) for run in settings}
    lines.append(f"- **Device**: {'; '.join(devices)}.")
    lines.append(f"- **Versions**: {'; or '.join(sorted(versions))}.")
    total = timedelta(seconds=round(sum(one.seconds for one in every)))
    lines.append(f"- **Training**: {len(settings)} runs, together {total} (h:mm:ss).")
    return "\n".join(lines)


def _write(path, text):
    with atomic(path) as file:
        file.write(text if text.endswith("\n") else text + "\n")
