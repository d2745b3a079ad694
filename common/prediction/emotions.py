"""Emotions of conversations, for other programs: `common.Emotions`."""

import sys
from collections.abc import Hashable, Iterable
from functools import cached_property
from pathlib import Path

import pandas as pd

from common.batching.batches import Batches
from common.data.utterances import checked
from common.environment import choose_device
from common.errors import InputError, brief
from common.evaluation.evaluate import evaluate
from common.features.dataset import corpus_of
from common.features.sources.arrange import arranged
from common.features.sources.source import Source
from common.prediction.live import Conversations, Emotion, check_utterance, emotion_of, history_note
from common.prediction.predict import mean_of, sentence_features
from common.prediction.run import Run, open_run
from common.terminal import show

HERE = "conversation"


class Emotions:
    """The emotions that the networks of a run find in sentences.

        emotions = Emotions.load("MELD/runs/mine")
        print(emotions("Ann", "Did it arrive?"))  # neutral 0.731
        print(emotions.conversation([("Ann", "Did it arrive?"), ("Bo", "No. I am fed up.")]))

    Called with one sentence after the other, each is answered from those before it, with strict history; a line on
    standard error says so where the networks were trained otherwise. Several networks of a run are averaged. Modalities
    other than text are zeros where the networks use such, and a line says so.
    """

    def __init__(self, run: Run):
        """Of a Run that `open_run` gives."""
        self._run = run
        self._extractors, notes = run.recipe.extractors(str(run.device), [k for k in run.kinds if k in TEXTUAL])
        self.notes = [*run.notes, *notes, *silent(run)]

    @classmethod
    def load(cls, run: str | Path, data_dir: str | Path | None = None, device: str = "auto") -> "Emotions":
        """Of the folder of a `run`, or of a checkpoint in it.

        `data_dir`: where the data lie that it was trained on, if they have been moved. Notes go to standard error.
        Raises InputError where there is no such run, where its data have no recipe of their features, and where a model
        that made them is missing, or another one.
        """
        place = None if data_dir is None else Path(data_dir)
        emotions = cls(open_run(Path(run), place, choose_device(device)))
        for note in emotions.notes:
            show(note, sys.stderr)
        return emotions

    @property
    def classes(self) -> list[str]:
        """The names of the emotions."""
        return list(self._run.network.classes)

    @cached_property
    def _live(self):
        for note in history_note(self._run):
            show(note, sys.stderr)
        return Conversations(self._run, self._extractors)

    def __call__(self, speaker: str, sentence: str, conversation: Hashable = HERE) -> Emotion:
        """The Emotion of what `speaker` says next in a running `conversation`; see `Conversations`."""
        return self._live(conversation, speaker, sentence)

    def end(self, conversation: Hashable = HERE) -> None:
        """Forget a running conversation. Raises InputError where it is not under way."""
        self._live.end(conversation)

    def conversation(self, utterances: Iterable[tuple[str, str]]) -> list[Emotion]:
        """The Emotions of a whole conversation, pairs of a speaker and a sentence, in their order.

        History is as in the training of the networks: "released" lets an emotion depend on later sentences. Raises
        InputError for what is no pair of texts, and for names that are spelled differently.
        """
        pairs = [_pair(number, each) for number, each in enumerate(utterances, 1)]
        if not pairs:
            return []
        table = pd.DataFrame(pairs, columns=["speaker", "sentence"])
        table.index = pd.Index([f"conversation: utterance {number}" for number in range(1, len(pairs) + 1)])
        utterance = [str(number) for number in range(len(pairs))]
        table = checked(table.assign(dialogue=HERE, utterance=utterance, label="", split="test"))[0]
        source = Source(HERE, arranged(table), [], [])
        features, lacks = sentence_features(self._run, self._extractors, source.table.sentence.tolist())
        corpus = corpus_of(HERE, source, features, {}).with_classes(self.classes)
        probability = mean_of(
            [evaluate(network, Batches(corpus, "test", 1, self._run.device)) for network in self._run.networks]
        )
        return [emotion_of(row, self.classes, lack) for row, lack in zip(probability, lacks, strict=True)]


TEXTUAL = ("text", "event")


def silent(run: Run) -> list[str]:
    """A note where the networks use modalities that sentences do not have."""
    others = [name for name in run.network.modalities if name != "text"]
    if "text" not in run.network.modalities:
        raise InputError(f"{run.path}: trained without text; expected a run that uses it, as there are sentences alone")
    return [absent_note(others)] if others else []


def absent_note(modalities: list[str]) -> str:
    """What is said where no utterance has these `modalities`."""
    what = " and ".join(modalities)
    return f"Note: the networks were trained with {what} features too, which are zeros here; scores suffer from that."


def _pair(number, pair):
    if isinstance(pair, str) or not isinstance(pair, Iterable) or len(pair := tuple(pair)) != 2:
        raise InputError(
            f"conversation: utterance {number}: found {brief(pair)}; expected a pair of a speaker and a sentence"
        )
    return check_utterance(*pair)
