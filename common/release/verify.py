"""Says what the feature files in a data folder hold, beside what was published of the released ones.

`python -m common verify [DIR] [--json FILE]`. It writes nothing but that FILE, and runs nothing in a feature file.
"""

from pathlib import Path
from typing import Any

from common.data import DATASETS
from common.data.corpus import SPLITS
from common.errors import InputError
from common.files import sha256
from common.release import inspection, published
from common.release.obtain import read_manifest
from common.terminal import table

RELEASED, FEATURES, CONVERSATIONS = (
    "the released files",
    "same layout, other features",
    "same layout, other conversations",
)
WRONG, ABSENT = "wrong", "absent"
JUDGED = (
    '"The released files" is judged by what is public of them: layout, widths, numbers of dialogues, utterances and '
    "classes, longest dialogue, turns without history, that no feature is blank, and that no column of a text feature "
    "is constant or a copy of another. Their checksums are not public: features of the same shape, made otherwise, "
    "would not be noticed."
)


def verify(dataset: str, data_dir: str | Path) -> dict:
    """What the files of `dataset` ('IEMOCAP' or 'MELD') in `data_dir` hold, ready for JSON.

    `verdict`: RELEASED, FEATURES, CONVERSATIONS, WRONG or ABSENT; `reasons`: why it is not RELEASED. `files`: of each
    that can be read `bytes`, `sha256`, and `fields` (see `inspection.file_fields`). Where they hold together: `facts`
    and `classes`, rows with what is here and what was `published`, and `features` (see `inspection.feature_facts`).
    """
    module = DATASETS[dataset]
    folder = Path(data_dir) / module.FOLDER
    report: dict[str, Any] = {"dataset": dataset, "folder": str(folder), "verdict": ABSENT, "reasons": [], "files": []}
    if not any((folder / name).exists() for name in module.FILES):
        return report
    wrong = []
    paths = [folder / name for name in module.FILES]
    state = _state(paths)
    for path in paths:
        try:
            fields = inspection.file_fields(path, module.FIELDS[path.name][1])
            digest, size = sha256(path), path.stat().st_size
            report["files"].append({"name": path.name, "bytes": size, "sha256": digest, "fields": fields})
        except InputError as error:
            wrong.append(str(error))
    if not wrong:
        try:
            corpus = module.read(folder)
        except InputError as error:
            wrong.append(str(error))
        else:
            report |= {"features": inspection.feature_facts(corpus)} | _beside_published(corpus)
            wrong += [f"{folder}: the same utterances stand in {pair}" for pair in inspection.repeats(corpus)]
    wrong += _changed(folder, report["files"])
    if _state(paths) != state:  # each file is read more than once
        wrong.append(f"{folder}: the files changed while they were read; wait until they are complete and run again")
    report["verdict"], report["reasons"] = (WRONG, wrong) if wrong else _judge(report)
    return report


def _beside_published(corpus):
    known, name = published.FACTS[corpus.name], corpus.name
    facts = [{"fact": k, "here": v, "published": known.get(k)} for k, v in inspection.corpus_facts(corpus).items()]
    counts = inspection.class_counts(corpus)
    classes = [
        {"class": label, **{split: counts[split][c] for split in SPLITS}, "all": counts["all"][c]}
        | {"test, published": published.TEST_COUNTS[name][c], "all, published": published.ALL_COUNTS[name][c]}
        for c, label in enumerate(corpus.classes)
    ]
    return {"utterances": len(corpus.label), "facts": facts, "classes": classes}


def _state(paths):
    return [(s.st_size, s.st_mtime_ns, s.st_ctime_ns) for s in (path.stat() for path in paths if path.exists())]


def _changed(folder, files):
    """What is wrong between `files` and the manifest of what was obtained."""
    obtained = read_manifest(folder)
    return [
        f"{folder / file['name']}: SHA-256 {file['sha256']}, but {expected} was obtained; move it away, obtain it again"
        for file in files
        if (expected := obtained.get(file["name"], {}).get("sha256", file["sha256"])) != file["sha256"]
    ]


def _judge(report):
    """The verdict on files that hold together, and the reasons why it is not RELEASED."""
    conversations = [
        f"{row['fact']}: {row['here']:g}, published {row['published']:g}"
        for row in report["facts"]
        if row["published"] not in (None, row["here"])
    ]
    for split in ("test", "all"):
        here, known = ([row[key] for row in report["classes"]] for key in (split, f"{split}, published"))
        if here != known:
            conversations.append(f"utterances per class, {split}: {here}, published {known}")
    features = []
    for row in report["features"]:
        name, width = row["feature"], published.WIDTHS[report["dataset"]][row["feature"]]
        if row["width"] != width:
            features.append(f"{name}: width {row['width']}, published {width}")
        if row["blank"] == report["utterances"]:
            features.append(f"{name}: blank, all zeros")
        elif name in ("text", "event") and (row["constant"] or row["duplicated"]):
            features.append(
                f"{name}: {row['constant']} columns are constant and {row['duplicated']} copies, which no column of a "
                "RoBERTa layer is"
            )
    verdict = CONVERSATIONS if conversations else FEATURES if features else RELEASED
    return verdict, conversations + features


def describe(report: dict, most: int | None = None) -> str:
    """A `report` of `verify` as text: tables, split where they take more than `most` columns, then the verdict."""
    if report["verdict"] == ABSENT:
        return f"{report['dataset']}: absent, there are no feature files in {report['folder']}"
    parts = [f"{report['dataset']} in {report['folder']}"]
    for file in report["files"]:
        parts.append(
            f"{file['name']}, {file['bytes']:,} bytes, SHA-256 {file['sha256']}\n{_table(file['fields'], most)}"
        )
    parts += [_table(report[key], most) for key in ("facts", "classes", "features") if key in report]
    verdict = f"Verdict on {report['dataset']}: {report['verdict']}"
    return "\n\n".join([*parts, "\n- ".join([verdict, *report["reasons"]])])


def _table(rows, most):
    """`rows`, dictionaries with the same names, as a table; "–" for None."""
    cells = [["–" if value is None else str(value) for value in row.values()] for row in rows]
    return table(list(rows[0]), cells, most)
