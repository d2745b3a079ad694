"""A CSV file of six utterances and features of them, of which tests build a Corpus."""

import numpy as np

from common.data.own import build_corpus

ROWS = """dialogue,utterance,speaker,label,split,sentence
b,2,Ann,glad,valid,two
b,1,Bo,calm,valid,"one, really"
a,1,Ann,calm,train,x
c,1,Cem,,test,
a,3,Bo,angry,train,z
a,2,Ann,calm,train,y
"""
ORDER = [2, 5, 4, 1, 0, 3]  # rows of the file as train, valid, test, each dialogue in its own order


def write_files(folder):
    """The CSV file above, and features whose first column is the row; returns the folder."""
    (folder / "u.csv").write_text(ROWS)
    for name, width in (("text", 3), ("event", 2), ("audio", 4)):
        np.save(folder / f"{name}.npy", np.arange(6)[:, None] + np.zeros(width))
    return folder


def built(files, *names, **changes):
    paths = {name: [files / f"{name}.npy"] for name in names or ("text", "event", "audio")}
    return build_corpus(changes.get("name", "mine"), files / "u.csv", paths)[0]
