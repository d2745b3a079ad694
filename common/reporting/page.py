"""The report as one HTML page that needs no network: tables and diagrams by a template, the explorer by a script in it.

In the folder html, `page.html` is the template, and includes the others. Styles and scripts go into it as they are, one
after the other, and the data of the explorer as JSON.
"""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from common.reporting.compact import explorer_data, head_data
from common.reporting.conversations import turn_name
from common.reporting.curves import curve_panels

HERE = Path(__file__).parent / "html"
STYLES = ("base.css", "sections.css", "explorer.css", "media.css")
SCRIPTS = ("draw.js", "export.js", "state.js", "list.js", "turn.js", "details.js", "case.js", "start.js")
ERRORS = 20  # how many of the most confident errors are listed
HEADLINES = ("weighted F1", "accuracy")  # the scores of the first screen


def report_page(data: dict[str, Any]) -> str:
    """The HTML page of a report.

    `data` holds JSON types only, not rounded: that is done here, once. Its parts: texts (title, notes, dataset, split),
    classes and their colors, about, runs (one or two), comparison (of two), highlight, dialogues, groups, and per
    checkpoint its scores, calibration, gates, turns and attention, as `common.reporting.analysis` makes them. Sentences
    and names may hold anything; in the page they are text.
    """
    page = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: "–" if value is None else value,
    )
    page.filters |= {"number": _number, "signed": _signed, "words": _words, "file": _file_name}
    page.globals |= {"link": _link, "named": lambda part: f"{data['runs'][part['run']]['name']} {part['name']}".strip()}
    style, script = (
        "".join((HERE / name).read_text(encoding="utf-8") for name in names) for names in (STYLES, SCRIPTS)
    )
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    parts, most = _parts(data["runs"])
    html = page.get_template("page.html").render(
        data,
        policy=policy,
        style=Markup(style),
        script=Markup(script),
        labelled=sum(turn["label"] >= 0 for dialogue in data["dialogues"] for turn in dialogue["turns"]),
        utterances=sum(len(dialogue["turns"]) for dialogue in data["dialogues"]),
        errors=[_errors(data, index) for index in range(len(data["checkpoints"]))],
        checkpoint_names=[[data["checkpoints"][k]["name"] for k in run["checkpoints"]] for run in data["runs"]],
        first=[_first(run) for run in data["runs"]],
        predicted=_predicted(data),
        parts=parts,
        most=most,
        curves=[curve_panels(run.get("curves") or []) for run in data["runs"]],
        differing=_differing(data["runs"]),
        look=data["highlight"] and _look(data),
        explorer=Markup(_json(explorer_data(data))),
        heads_json=Markup(_json(head_data(data))),
    )
    return html.encode("utf-8", "replace").decode()  # text may hold halves of characters, which no file can


def _first(run):
    """What the first screen says of a run: headline scores, classes, the best and the worst, and what is lost."""
    classes = [row | {"name": row["name"].removeprefix("F1 ")} for row in run["summary"] if row["name"][:3] == "F1 "]
    known = [row for row in classes if row["mean"] is not None]
    return {
        "scores": [row for name in HEADLINES for row in run["summary"] if row["name"] == name],
        "classes": classes,
        "best": max(known, key=lambda row: row["mean"], default=None),
        "worst": min(known, key=lambda row: row["mean"], default=None),
        "without": {row["name"]: row for row in run["without"]},
    }


def _predicted(data):
    """The share of utterances that each class is predicted for, mean over all checkpoints."""
    predictions = [turn["prediction"] for part in data["checkpoints"] for turn in part["turns"]]
    return [predictions.count(k) / len(predictions) for k in range(len(data["classes"]))]


def _parts(runs):
    """(kind, name) of what is taken away from the networks of some of the runs, the greatest loss of a kind first, or
    what changes most predictions where there are no labels; and of each kind the largest change of a score, for the
    scale of its bars.
    """
    loss: dict[tuple[str, str], float] = {}
    for row in (row for run in runs for row in run["without"]):
        loss.setdefault((row["kind"], row["name"]), -row["changed"] if row["mean"] is None else row["mean"])
    names = sorted(loss, key=lambda part: (part[0] == "route", loss[part]))
    changes = [(row["kind"], abs(row["mean"] or 0.0)) for run in runs for row in run["without"]]
    return names, {kind: max(0.01, *(change for other, change in changes if other == kind)) for kind, _ in loss}


def _look(data):
    """The conversation worth a look: its turns with the predictions of the checkpoint, and its address."""
    at = data["highlight"]
    first = sum(len(dialogue["turns"]) for dialogue in data["dialogues"][: at["dialogue"]])
    dialogue = data["dialogues"][at["dialogue"]]
    outputs = data["checkpoints"][at["checkpoint"]]["turns"][first:]
    turns = [turn | {"output": output} for turn, output in zip(dialogue["turns"], outputs, strict=False)]
    name = turn_name(turns[at["turn"]], at["turn"])
    return {"id": dialogue["id"], "turns": turns, "chosen": turns[at["turn"]], "name": name}


def _errors(data, index):
    """The wrong predictions of a checkpoint with the highest probability, that one first."""
    said = [(d["id"], k, turn) for d in data["dialogues"] for k, turn in enumerate(d["turns"], 1)]
    errors = []
    for (dialogue, number, turn), output in zip(said, data["checkpoints"][index]["turns"], strict=True):
        prediction = output["prediction"]
        if turn["label"] not in (-1, prediction):
            error = {"dialogue": dialogue, "turn": number, "name": turn_name(turn, number - 1)}
            errors.append(turn | error | {"prediction": prediction, "probability": output["probability"][prediction]})
    errors.sort(key=lambda error: -error["probability"])
    return errors[:ERRORS]


def _differing(runs):
    """Settings and hyperparameters in which two runs differ: name, and the value of each."""
    held = [run["settings"] | ((run.get("provenance") or {}).get("hyperparameters") or {}) for run in runs]
    names = dict.fromkeys(name for settings in held for name in settings)
    rows = [(name, [settings.get(name) for settings in held]) for name in names]
    return [(name, values) for name, values in rows if any(value != values[0] for value in values)]


def _link(checkpoint, **parts):
    """The address, within the page, of what `parts` name, of the checkpoint at that position."""
    return "#" + urlencode(parts | ({"checkpoint": checkpoint + 1} if checkpoint else {}))


def _json(value):
    """`value` as ASCII JSON that can stand in a script element, whatever its strings hold."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.translate({ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&"})


def _hash(text):
    """The name by which a content security policy lets `text` in as style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _number(value, digits=2):
    return "–" if value is None else f"{value:z,.{digits}f}".replace("-", "−")  # z: no −0.00


def _signed(value, digits=2):
    text = _number(value, digits)
    return f"+{text}" if value is not None and text[0] != "−" and re.search("[1-9]", text) else text


def _words(value):
    """A value of `about` as text: "name value" pairs of a dict, the parts of a list, anything else as it is."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_words(part)}" for name, part in value.items()) or "–"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_words, value)) or "none"
    return "–" if value is None else str(value)


def _file_name(*parts):
    """`parts`, any texts, as the name of a file."""
    return re.sub(r"[^\w.-]+", "-", " ".join(map(str, parts))).strip("-.")[:80] or "table"
