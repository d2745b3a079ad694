"""Says what the feature files in a data folder hold, beside what was published of the released ones.

It writes nothing but the file given to --json, and runs nothing in a feature file.
"""

import argparse
import json
from pathlib import Path

from common.errors import InputError
from common.files import atomic
from common.settings import DATASET_NAMES, DEFAULT_DATA
from common.terminal import columns, show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the files lie, and where to write."""
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        default=DEFAULT_DATA,
        help="folder that holds iemocap/ or meld/ with the feature files (default: data/ of the repository)",
        metavar="DIR",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all of it to this file; -: print that instead")


def run(arguments: argparse.Namespace) -> None:
    """Verify as the command line says."""
    from common.release.verify import ABSENT, JUDGED, WRONG, describe, verify

    to_print, target = arguments.json == Path("-"), arguments.json
    if target and not to_print and target.exists():
        raise InputError(f"--json {target}: exists already and is not overwritten; remove it or choose another name")
    reports = []
    for dataset in DATASET_NAMES:
        reports.append(verify(dataset, arguments.folder))
        if not to_print:
            show(f"{describe(reports[-1], columns())}\n")
    if to_print:
        print(json.dumps(reports, indent=1))
    else:
        show(JUDGED)
        if target:
            with atomic(target) as file:
                json.dump(reports, file, indent=1)
    if all(report["verdict"] == ABSENT for report in reports):
        raise InputError(
            f"{arguments.folder}: no feature files in iemocap/ or meld/ there; give the folder above these, or get the "
            f"files with `python -m common obtain {' '.join(DATASET_NAMES)}`"
        )
    wrong = [reason for report in reports if report["verdict"] == WRONG for reason in report["reasons"]]
    if wrong:
        raise InputError("; ".join(wrong))
