"""The readers of the released files: what they make of good ones, and what they say of bad ones."""

import pickle

import numpy as np
import pytest
import torch

from common.data import iemocap, meld
from common.data.load import load_corpus
from common.errors import InputError
from common.release.checkpoint import load_released
from tests.golden_networks import CLASSES, GOLDENS, PARTS, WIDTHS, filled_state, make_corpus, network
from tests.network.test_goldens import close
from tests.small import one_batch_of, same, small_corpus

MODULES = {"IEMOCAP": iemocap, "MELD": meld}


def rewrite(path, change):
    """Read the pickle `path` as a list of fields, `change` it, and write it back."""
    content = list(pickle.loads(path.read_bytes()))
    result = change(content)
    path.write_bytes(pickle.dumps(content if result is None else result, 2))


@pytest.fixture(params=MODULES)
def written(request, tmp_path):
    """A corpus and the folder it was written to."""
    corpus = small_corpus(request.param, sizes=(9, 1, 3) if request.param == "IEMOCAP" else (4, 2, 3))
    MODULES[request.param].write(corpus, tmp_path)
    return corpus, tmp_path


def test_what_was_written_comes_back(written):
    corpus, folder = written
    assert same(MODULES[corpus.name].read(folder), corpus)


def test_lists_arrays_and_tensors_are_the_same_to_the_reader(written):
    corpus, folder = written
    file, fields = (folder / iemocap.EMOTION, [2]) if corpus.name == "IEMOCAP" else (folder / meld.FILE, [3, 7, 11, 12])
    for convert in (
        lambda rows: [np.asarray(row).tolist() for row in rows],
        lambda rows: np.array(rows, np.float64),
        lambda rows: [torch.tensor(np.asarray(row)) for row in rows],
        lambda rows: torch.tensor(np.asarray(rows)),
    ):
        rewrite(file, lambda c: [c.__setitem__(f, {i: convert(r) for i, r in c[f].items()}) for f in fields] and None)  # noqa: B023
        assert same(MODULES[corpus.name].read(folder), corpus)


@pytest.mark.parametrize("dataset", MODULES)
def test_pipeline_golden(tmp_path, dataset):
    """From files to log-probabilities: field positions and column order."""
    golden = np.load(GOLDENS / f"pipeline_{dataset.lower()}_2.npz")
    rng, widths, rows = np.random.RandomState(2002), WIDTHS[dataset], []
    for n in golden["lengths"]:
        features = [
            0.5 * rng.standard_normal((n, widths[name])).astype(np.float32)
            for name in ("text", "event", "audio", "visual")
        ]
        rows.append((*features, rng.randint(0, PARTS[dataset], n), rng.randint(0, len(CLASSES[dataset]), n)))
    text, event, audio, visual, speaker, label = (np.concatenate(part) for part in zip(*rows, strict=True))
    np.testing.assert_array_equal(label, golden["label"])
    corpus = make_corpus(
        dataset, {"evidence": np.hstack([text, audio, visual]), "event": event}, speaker, label, golden["lengths"]
    )
    ids = [f"d{i}" for i in range(6)] if dataset == "IEMOCAP" else range(6)
    write_by_hand(corpus, ids, tmp_path)
    read = MODULES[dataset].read(tmp_path)
    net = network(dataset, **({"modality_order": "released"} if dataset == "MELD" else {}))
    torch.save(filled_state(net, 2), tmp_path / "filled.pkl")
    load_released(net, tmp_path / "filled.pkl")
    with torch.no_grad():
        close(net(one_batch_of(read)), golden["log_prob"])


def write_by_hand(corpus, ids, folder):
    """The released layout spelled out, apart from our own writer: the test dialogues, and as few others as can be."""

    def cut(flat):
        return {i: list(flat[a:b]) for i, a, b in zip(ids, corpus.offset[:-1], corpus.offset[1:], strict=True)}

    others = [f"other{i}" for i in range(10)] if corpus.name == "IEMOCAP" else [100, 101]

    def fill(table, entry):
        return table | {key: [entry] for key in others}

    def zeros(name):
        return [0.0] * corpus.widths[name]

    labels, sentences = fill(cut(corpus.label.tolist()), 0), fill(cut(corpus.label.tolist()), "")
    features = {name: fill(cut(corpus.features[name]), zeros(name)) for name in corpus.widths}
    if corpus.name == "IEMOCAP":
        speakers = fill(cut(["MF"[s] for s in corpus.speaker]), "M")
        base = (labels, speakers, labels, {}, features["audio"], features["visual"], sentences, others, list(ids))
        emotion = [speakers, labels, features["text"], {}, {}, {}, sentences, others, list(ids), []]
        event = [None] * 16
        event[6] = features["event"]
        for name, content in zip(iemocap.FILES, (base, emotion, event), strict=True):
            (folder / name).write_bytes(pickle.dumps(content, 2))
    else:
        content = [{}] * 17
        content[0] = fill(cut(np.eye(9)[corpus.speaker].tolist()), [1] + [0] * 8)
        content[1], content[2] = labels, fill(cut([0] * len(corpus.label)), 0)
        content[3], content[7] = features["text"], features["event"]
        content[11], content[12], content[13] = features["audio"], features["visual"], sentences
        content[14:17] = others[:1], list(ids), others[1:]
        (folder / meld.FILE).write_bytes(pickle.dumps(tuple(content), 2))


@pytest.mark.parametrize(
    ("dataset", "per_split", "test_counts", "longest"),
    [
        ("IEMOCAP", (5810, 1623), [144, 245, 384, 170, 299, 381], 110),
        ("MELD", (9989 + 1109, 2610), [1256, 281, 50, 208, 402, 68, 345], 33),
    ],
)
def test_published_counts_on_the_real_dialogues(real_data, dataset, per_split, test_counts, longest):
    corpus, _ = load_corpus(dataset, real_data)
    rows = {split: corpus.rows(split) for split in corpus.splits}
    assert (len(rows["train"]) + len(rows["valid"]), len(rows["test"])) == per_split
    assert np.bincount(corpus.label[rows["test"]]).tolist() == test_counts
    assert corpus.lengths.max() == longest
    first = {"self": 0, "cross": 0}
    for d in corpus.splits["test"]:
        said = corpus.speaker[corpus.offset[d] : corpus.offset[d + 1]].tolist()
        first["self"] += sum(s not in said[:t] for t, s in enumerate(said))
        first["cross"] += sum(not set(said[:t]) - {s} for t, s in enumerate(said))
    shares = [round(100 * count / len(rows["test"]), 1) for count in first.values()]
    assert shares == {"IEMOCAP": [3.8, 3.3], "MELD": [28.6, 15.8]}[dataset]


@pytest.mark.parametrize(
    ("entries", "names"),
    [
        ([[0, 1, 0], [1, 0, 0]], ["1", "0"]),
        ([[1], [0]], ["1", "0"]),
        ([3, 11], ["3", "11"]),
        (["Joey", "Ross"], ["Joey", "Ross"]),
        ([[1, 0], [1, 0, 0]], ["[1, 0]", "[1, 0, 0]"]),
        ([np.array([0.0, 1.0]), np.array([1.0, 0.0])], ["1", "0"]),
    ],
)
def test_meld_speakers_are_named_as_they_stand(tmp_path, entries, names):
    meld.write(small_corpus("MELD", sizes=(4, 2, 3)), tmp_path)
    rewrite(tmp_path / meld.FILE, spoil(0, lambda rows: [entries[u % 2] for u in range(len(rows))]))
    rewrite(
        tmp_path / meld.FILE,
        lambda c: c.__setitem__(0, {i: rows if i == 0 else [entries[0]] * len(rows) for i, rows in c[0].items()}),
    )
    read = meld.read(tmp_path)
    assert [read.speakers[s] for s in read.speaker[:2]] == names


def test_iemocap_speakers_have_to_be_strings_or_numbers(tmp_path):
    iemocap.write(small_corpus(), tmp_path)
    rewrite(tmp_path / iemocap.BASE, lambda c: c[1].__setitem__("Ses0000", [b"M"] * len(c[2]["Ses0000"])))
    with pytest.raises(InputError, match=r"field 1 \(speakers\), dialogue 'Ses0000': found the entry \(b'M',\)"):
        iemocap.read(tmp_path)


def test_a_speaker_that_equals_nobody_is_refused(tmp_path):
    """NaN is not even itself: each turn would have a speaker of its own."""
    meld.write(small_corpus("MELD", sizes=(4, 2, 3)), tmp_path)
    rewrite(tmp_path / meld.FILE, lambda c: c[0].__setitem__(0, [np.full(9, np.nan)] * len(c[1][0])))
    with pytest.raises(InputError, match=r"field 0 \(speakers\), dialogue 0: found the entry \(nan, nan"):
        meld.read(tmp_path)


def test_meld_sentiment_has_three_classes(tmp_path):
    corpus = small_corpus("MELD", sizes=(4, 2, 3))
    meld.write(corpus, tmp_path / "meld")
    labelled, _ = load_corpus("MELD", tmp_path, labels="sentiment")
    assert labelled.classes == ["neutral", "positive", "negative"]
    np.testing.assert_array_equal(labelled.label, corpus.sentiment)


def test_iemocap_ids_in_a_set_are_sorted_and_the_first_tenth_is_for_validation(tmp_path):
    corpus = small_corpus(sizes=(18, 2, 3))
    iemocap.write(corpus, tmp_path)
    rewrite(tmp_path / iemocap.BASE, lambda c: c.__setitem__(7, set(c[7])))
    read = iemocap.read(tmp_path)
    ids = sorted(corpus.ids[:20])
    assert [read.ids[i] for i in read.splits["valid"]] == ids[:2]
    assert [read.ids[i] for i in read.splits["train"]] == ids[2:]


@pytest.mark.parametrize(
    ("entries", "names", "numbers"),
    [
        (["F", "M"], ["M", "F"], [1, 0]),
        (["Female", "Male"], ["Male", "Female"], [1, 0]),
        (["f", "m"], ["m", "f"], [1, 0]),
        ([0, 1], ["1", "0"], [1, 0]),
        ([[1, 0], [0, 1]], ["0", "1"], [0, 1]),
        ([np.array([1.0, 0.0]), np.array([0.0, 1.0])], ["0", "1"], [0, 1]),
        (["Ann", "Bo", "Cy"], ["Cy", "Bo", "Ann"], [2, 1, 0]),
    ],
)
def test_iemocap_speakers_differ_where_their_entries_do(tmp_path, entries, names, numbers):
    iemocap.write(small_corpus(turns=(3, 6)), tmp_path)
    for file, position in ((iemocap.BASE, 1), (iemocap.EMOTION, 0), (iemocap.EVENT, 0)):
        rewrite(
            tmp_path / file,
            lambda c: c.__setitem__(
                position,  # noqa: B023
                {i: [entries[u % len(entries)] for u in range(len(row))] for i, row in c[position].items()},  # noqa: B023
            ),
        )
    read = iemocap.read(tmp_path)
    assert read.speakers == names
    assert read.speaker[: len(numbers)].tolist() == numbers


@pytest.mark.parametrize("names", [["M", "m"], ["Ann", "Ann "], [1, "1"]])
def test_speakers_that_differ_in_case_or_blanks_only(tmp_path, names):
    iemocap.write(small_corpus(), tmp_path)
    rewrite(tmp_path / iemocap.BASE, spoil(1, lambda row: names + row[2:]))
    with pytest.raises(InputError, match=r"field 1 \(speakers\): found the speakers .* expected one spelling"):
        iemocap.read(tmp_path)


def first_entry(table):
    return table[next(iter(table))]


def spoil(position, change):
    """Change the first dialogue of the dictionary in a field."""
    return lambda c: c[position].__setitem__(next(iter(c[position])), change(first_entry(c[position])))


BAD = {
    "fields": (lambda c: c[:-1], "found 16 fields; expected 17"),
    "no tuple": (lambda c: {"a": 1}, "found a dict; expected a tuple of 17 fields"),
    "no table": (lambda c: c.__setitem__(3, [1]), r"field 3 \(emotion text features\): found a list"),
    "ragged": (
        spoil(3, lambda rows: [rows[0][:-1], *rows[1:]]),
        r"field 3 \(emotion text features\), dialogue 0: found entries that are no equally long vectors",
    ),
    "narrow": (
        lambda c: c[7].__setitem__(1, [row[:-1] for row in c[7][1]]),
        r"field 7 \(event text features\), dialogue 1: found width 9; expected 10 as in dialogue 0",
    ),
    "no vector": (spoil(11, lambda rows: [1.0] * len(rows)), r"field 11 \(audio\), dialogue 0: found entries of shape"),
    "NaN": (
        spoil(12, lambda rows: [rows[0], rows[1] * np.nan, *rows[2:]]),
        r"field 12 \(visual\), dialogue 0: found NaN or infinity in utterance 1",
    ),
    "infinity": (
        spoil(3, lambda rows: [[1e39] * len(rows[0]), *rows[1:]]),
        "dialogue 0: found NaN or infinity in utterance 0",
    ),
    "words": (spoil(3, lambda rows: ["happy"] * len(rows)), r"field 3 .*dialogue 0: found entries"),
    "short": (spoil(12, lambda rows: rows[:-1]), r"field 12 \(visual\), dialogue 0: found . utterances; expected"),
    "empty": (spoil(1, lambda rows: []), r"field 1 \(emotion labels\), dialogue 0: found no utterance"),
    "missing": (lambda c: c[7].pop(2) and None, r"field 7 \(event text features\), dialogue 2: found no such dialogue"),
    "label": (
        spoil(1, lambda rows: [7] * len(rows)),
        r"field 1 .*dialogue 0: found the label 7; expected whole numbers from 0",
    ),
    "label name": (spoil(1, lambda rows: ["joy"] * len(rows)), "dialogue 0: found the label 'joy'"),
    "sentiment": (
        spoil(2, lambda rows: [3] * len(rows)),
        r"field 2 \(sentiment labels\), dialogue 0: found the label 3",
    ),
    "duplicate": (lambda c: c[14].append(c[14][0]), r"field 14 \(train ids\), dialogue 0: found twice"),
    "two splits": (
        lambda c: c[15].append(c[14][0]),
        r"field 15 \(test ids\), dialogue 0: found twice, also in field 14",
    ),
    "no ids": (lambda c: c.__setitem__(16, []), r"field 16 \(valid ids\): found no dialogue"),
    "strange id": (lambda c: c.__setitem__(16, [None]), r"field 16 \(valid ids\): found the id None"),
    "mixed ids": (lambda c: c.__setitem__(16, {"a", 1}), r"field 16 \(valid ids\): found the id"),
    "true id": (lambda c: c.__setitem__(16, [True]), r"field 16 \(valid ids\): found the id True"),
    "ids in no list": (
        lambda c: c.__setitem__(16, np.array(4)),
        r"field 16 \(valid ids\): found a numpy array of shape",
    ),
    "set of rows": (spoil(1, set), r"field 1 .*dialogue 0: found a set; expected a list with an entry per utterance"),
    "number": (spoil(1, lambda rows: np.array(3)), r"dialogue 0: found a numpy array of shape \(\)"),
    "no tensor": (
        spoil(3, lambda rows: torch.tensor(3)),
        r"dialogue 0: found a numpy array of shape \(\); expected a list",
    ),
    "list as label": (spoil(1, lambda rows: [np.array([6])] * len(rows)), r"dialogue 0: found the label \[6\]"),
    "ragged speaker": (
        spoil(0, lambda rows: [[1, [2, 3]]] * len(rows)),
        r"field 0 \(speakers\), dialogue 0: found the entry",
    ),
    "speaker in braces": (
        spoil(0, lambda rows: [{1}] * len(rows)),
        r"field 0 \(speakers\), dialogue 0: found the entry",
    ),
    "one string": (spoil(13, lambda rows: "hello"), r"field 13 \(sentences\), dialogue 0: found a str"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_hold_together_is_named_with_file_field_and_dialogue(tmp_path, name):
    change, expected = BAD[name]
    meld.write(small_corpus("MELD", sizes=(4, 2, 3)), tmp_path)
    rewrite(tmp_path / meld.FILE, lambda c: result if isinstance(result := change(c), list | dict) else None)
    with pytest.raises(InputError, match=expected) as error:
        meld.read(tmp_path)
    assert str(tmp_path / meld.FILE) in str(error.value)
    assert "\n" not in str(error.value)


def test_files_that_do_not_belong_together_are_named(tmp_path):
    iemocap.write(small_corpus(), tmp_path)
    rewrite(tmp_path / iemocap.EVENT, lambda c: c[6].pop("Ses0003") and None)
    with pytest.raises(InputError, match=r"semantic_features_roberta.pkl: field 6 .*dialogue 'Ses0003'"):
        iemocap.read(tmp_path)


def test_too_few_training_dialogues_for_a_validation_split(tmp_path):
    iemocap.write(small_corpus(), tmp_path)
    rewrite(tmp_path / iemocap.BASE, lambda c: c.__setitem__(7, c[7][:9]))
    with pytest.raises(InputError, match=r"field 7 \(train ids\): found 9 training dialogues; expected at least 10"):
        iemocap.read(tmp_path)


def test_writers_refuse_what_the_layout_cannot_hold(tmp_path):
    with pytest.raises(
        InputError, match="found 2 speakers, 5 validation dialogues; expected at most 2, and 1, a tenth"
    ):
        iemocap.write(small_corpus(sizes=(5, 5, 2)), tmp_path)
    meld.write(small_corpus("MELD"), tmp_path)
    with pytest.raises(InputError, match="exists already"):
        meld.write(small_corpus("MELD"), tmp_path)
