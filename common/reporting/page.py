"""The report as one HTML page that needs no network: tables and diagrams by a template, the explorer by a script in it.

In the folder html, `page.html` is the template, and includes the others. Styles and scripts go into it as they are, one
after the other, and the data of the explorer as JSON.
"""

import base64
import hashlib
import json
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from common.reporting.conversations import turn_name

HERE = Path(__file__).parent / "html"
STYLES = ("base.css", "sections.css", "explorer.css", "media.css")
SCRIPTS = ("draw.js", "export.js", "state.js", "list.js", "turn.js", "case.js", "start.js")
ERRORS = 20  # how many of the most confident errors are listed


def report_page(data: dict) -> str:
    """The HTML page of a report.

    `data` holds JSON types only: texts (title, about, notes), names (classes, modalities, routes), summary, ensemble,
    dialogues, and per checkpoint scores, calibration, groups, agreement, turns and attention, as
    `common.reporting.analysis` makes them, not rounded: that is done here, once. Sentences and names may hold anything;
    in the page they are text.
    """
    page = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: "–" if value is None else value,
    )
    page.filters |= {"number": _number, "words": _words}
    style, script = (
        "".join((HERE / name).read_text(encoding="utf-8") for name in names) for names in (STYLES, SCRIPTS)
    )
    policy = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'"
    html = page.get_template("page.html").render(
        data,
        policy=policy,
        style=Markup(style),
        script=Markup(script),
        labelled=sum(turn["label"] >= 0 for dialogue in data["dialogues"] for turn in dialogue["turns"]),
        errors=[_errors(data, index) for index in range(len(data["checkpoints"]))],
        explorer=Markup(_json(_explorer(data))),
    )
    return html.encode("utf-8", "replace").decode()  # text may hold halves of characters, which no file can


def _explorer(data):
    """What the script needs of `data`, in few characters."""
    checkpoints = []
    for part in data["checkpoints"]:
        attention = [{route: _shares(rows) for route, rows in dialogue.items()} for dialogue in part["attention"]]
        columns = {name: [turn[name] for turn in part["turns"]] for name in part["turns"][0]}
        columns |= {name: _short(column) for name, column in columns.items() if name != "prediction"}
        turns = [dict(zip(columns, turn, strict=True)) for turn in zip(*columns.values(), strict=True)]
        gate_mean = dict(zip(part["gate_mean"], _short([*part["gate_mean"].values()]), strict=True))
        checkpoints.append({"turns": turns, "attention": attention, "gate_mean": gate_mean})
    kept = {name: data[name] for name in ("classes", "modalities", "routes", "dialogues")}
    return kept | {"checkpoints": checkpoints, "empty_history": data["about"]["settings"]["empty_history"]}


def _errors(data, index):
    """The wrong predictions of a checkpoint with the highest probability, that one first, each with its address."""
    said = [(d["id"], k, turn) for d in data["dialogues"] for k, turn in enumerate(d["turns"], 1)]
    errors = []
    for (dialogue, number, turn), output in zip(said, data["checkpoints"][index]["turns"], strict=True):
        prediction = output["prediction"]
        if turn["label"] not in (-1, prediction):
            position = {"dialogue": dialogue, "turn": number}
            address = urlencode(position | ({"checkpoint": index + 1} if index else {}))
            error = {"address": address, "prediction": prediction, "probability": output["probability"][prediction]}
            errors.append(position | turn | error | {"name": turn_name(turn, number - 1)})
    errors.sort(key=lambda error: -error["probability"])
    return [error | {"probability": _short([error["probability"]])[0]} for error in errors[:ERRORS]]


def _short(numbers):
    """`numbers`, lists of any depth, rounded to three decimals; those that are whole are int."""
    rounded = np.round(np.array(numbers, np.float64), 3)
    short, whole = rounded.astype(object), rounded == np.rint(rounded)
    short[whole] = rounded[whole].astype(int)
    return short.tolist()


_SHARES = np.array(_short([k / 1000 for k in range(1001)]), object)


def _shares(rows):
    """Rows of weights rounded to three decimals, up or down so that each sums to 1 (largest remainders), and without
    the zeros at its end, the turns that come later. A row that is None stays.
    """
    kept = [k for k, row in enumerate(rows) if row]
    shares = [None] * len(rows)
    if kept:
        scaled = np.array([rows[k] for k in kept], np.float64)
        scaled *= 1000 / scaled.sum(1, keepdims=True)
        parts = np.floor(scaled)
        lacking = 1000 - parts.sum(1, keepdims=True)
        up = np.zeros_like(parts)
        np.put_along_axis(up, np.argsort(parts - scaled, 1, kind="stable"), np.arange(len(rows)) < lacking, 1)
        parts = (parts + up).astype(int)
        ends = len(rows) - (parts[:, ::-1] > 0).argmax(1)
        for k, row, end in zip(kept, _SHARES[parts].tolist(), ends.tolist(), strict=True):
            shares[k] = row[:end]
    return shares


def _json(value):
    """`value` as ASCII JSON that can stand in a script element, whatever its strings hold."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.translate({ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&"})


def _hash(text):
    """The name by which a content security policy lets `text` in as style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _number(value, digits=2):
    return "–" if value is None else f"{value:z,.{digits}f}".replace("-", "−")  # z: no −0.00


def _words(value):
    """A value of `about` as text: "name value" pairs of a dict, anything else as it is."""
    return ", ".join(f"{name} {part}" for name, part in value.items()) if isinstance(value, dict) else value
