"""Predictions as a table: rows for files, lines for the screen."""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.files import atomic
from common.prediction.predict import Prediction
from common.terminal import cut, one_line, width

FORMATS = (".csv", ".json")
BLOCK = 10_000  # rows that are written at a time
LEAST = 12  # columns that a sentence has at least


def rows_of(prediction: Prediction) -> Iterator[dict[str, Any]]:
    """A row per utterance, in file order.

    `dialogue`, `utterance` (its number), `speaker`, `sentence`, `label` ("" where it is not known), `emotion`,
    `probability`, `probabilities` (class to probability), `missing` (modality to reason).
    """
    corpus = prediction.corpus
    numbers, dialogues = corpus.utterances, np.repeat(np.arange(len(corpus.ids)), corpus.lengths)
    for row, (dialogue, emotion) in enumerate(zip(dialogues, prediction.probability.argmax(1), strict=True)):
        probability = prediction.probability[row].tolist()
        yield {
            "dialogue": corpus.ids[dialogue],
            "utterance": int(numbers[row]),
            "speaker": corpus.speakers[corpus.speaker[row]],
            "sentence": corpus.sentences[row],
            "label": corpus.classes[corpus.label[row]] if corpus.label[row] >= 0 else "",
            "emotion": corpus.classes[emotion],
            "probability": max(probability),
            "probabilities": dict(zip(corpus.classes, probability, strict=True)),
            "missing": prediction.lacks[row],
        }


def write(prediction: Prediction, path: Path) -> None:
    """Write the rows of `rows_of` as CSV or JSON, by the ending of `path`, atomically, and some at a time.

    In CSV each class has a column, probability_<class>, and what is missing is one cell. `label` stands where one is
    known.
    """
    left_out = () if (prediction.corpus.label >= 0).any() else ("label",)
    rows = ({name: row[name] for name in row if name not in left_out} for row in rows_of(prediction))
    with atomic(path) as file:
        if path.suffix.casefold() == ".json":
            for number, row in enumerate(rows):
                text = json.dumps(row, ensure_ascii=False, indent=1).replace("\n", "\n ")
                file.write(f"{',' if number else '['}\n {text}")
            file.write("\n]\n")
        else:
            flat, header = map(_flat, rows), True
            while block := list(islice(flat, BLOCK)):
                pd.DataFrame(block).to_csv(file, index=False, header=header)
                header = False


def _flat(row):
    flat = {name: value for name, value in row.items() if name not in ("probabilities", "missing")}
    flat |= {f"probability_{name}": value for name, value in row["probabilities"].items()}
    return flat | {"missing": "; ".join(f"{modality}: {reason}" for modality, reason in row["missing"].items())}


def lines_of(rows: Iterable[dict[str, Any]], columns: int | None) -> list[str]:
    """`rows` as aligned lines of speaker, sentence, emotion, probability; above each of several dialogues its id.

    `columns`: of the terminal, for which long cells are cut; None cuts nothing.
    """
    cells, dialogues = [], []
    for row in rows:
        cells.append(
            [*(one_line(row[name]) for name in ("speaker", "sentence", "emotion")), f"{row['probability']:.3f}"]
        )
        dialogues.append(row["dialogue"])
    head = ["speaker", "sentence", "emotion", "probability"]
    if columns is not None:
        cells = [[cut(speaker, 16), sentence, cut(emotion, 16), number] for speaker, sentence, emotion, number in cells]
    wide = [max(map(width, column)) for column in zip(head, *cells, strict=True)]
    if columns is not None:
        wide[1] = min(wide[1], max(LEAST, columns - sum(wide) + wide[1] - 2 * (len(wide) - 1)))
    lines, several, last = [_line(head, wide)], len(set(dialogues)) > 1, None
    for dialogue, line in zip(dialogues, cells, strict=True):
        if several and dialogue != last:
            last = dialogue
            lines += ["", cut(one_line(f"{dialogue}:"), columns) if columns else one_line(f"{dialogue}:")]
        lines.append(_line(line, wide))
    return lines


def _line(cells, wide):
    texts = [cut(cell, most) for cell, most in zip(cells, wide, strict=True)]
    *texts, number = [text + " " * (most - width(text)) for text, most in zip(texts, wide, strict=True)]
    return "  ".join([*texts, number.strip().rjust(wide[-1])])
