"""One sentence at a time, answered by all networks of a run together."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from common.errors import InputError, brief
from common.features.extractor import Extractor
from common.network.streaming import Live
from common.prediction.predict import Lacks, mean_of, sentence_features
from common.prediction.run import Run
from common.release.trained import differences


@dataclass(frozen=True, repr=False)
class Emotion:
    """What the networks find in an utterance.

    `emotion`: the most probable class, with its `probability`; `probabilities`: class to probability, all of them.
    `lacks`: modalities that the networks use and that are zeros here, and why.
    """

    emotion: str
    probability: float
    probabilities: dict[str, float]
    lacks: Lacks = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.emotion} {self.probability:.3f}"

    def __repr__(self) -> str:
        return f"Emotion({self.emotion!r}, {self.probability:.3f})"


def history_note(run: Run) -> list[str]:
    """A note where the networks were trained with another history than conversations under way can have."""
    trained = {"empty_history": run.network.settings.empty_history}
    return [f"Note: {what}" for what in differences(trained, run.live_networks[0].settings, "used")]


def emotion_of(probability: np.ndarray, classes: list[str], lacks: Lacks) -> Emotion:
    """The Emotion of an utterance, from the probabilities (C,) of its `classes`."""
    best = int(probability.argmax())
    named = dict(zip(classes, probability.tolist(), strict=True))
    return Emotion(classes[best], named[classes[best]], named, lacks)


class Conversations:
    """Conversations under way, any number of them. Each sentence is answered from itself and those before it.

    `extractors`: of the run's text and event features. What else the networks use is zeros.
    """

    def __init__(self, run: Run, extractors: dict[str, Extractor]):
        self._run, self._extractors = run, extractors
        self._lives = [Live(network) for network in run.live_networks]
        self._speakers: dict[Hashable, dict[str, str]] = {}

    @property
    def lengths(self) -> MappingProxyType[Hashable, int]:
        """The conversations under way, and the number of utterances of each."""
        return MappingProxyType(self._lives[0].lengths)

    def __call__(self, conversation: Hashable, speaker: str, sentence: str) -> Emotion:
        """The Emotion of the next utterance of `conversation`, which begins with its first one.

        Raises InputError for what is no name and no sentence, and for a name in another spelling than before; then
        nothing has changed.
        """
        speaker, sentence = check_utterance(speaker, sentence)
        known = self._speakers.get(conversation, {})
        before = known.get(_look(speaker), speaker)
        if before != speaker:
            raise InputError(f"found the name {brief(speaker)}; before it was {brief(before)}; expected one spelling")
        features, (lacks,) = sentence_features(self._run, self._extractors, [sentence])
        try:
            log_probs = [live([conversation], [speaker], **features) for live in self._lives]
        except InputError:
            if len({live.lengths.get(conversation) for live in self._lives}) > 1:  # some have taken it, some have not
                for live in self._lives:
                    if conversation in live.lengths:
                        live.end(conversation)
                self._speakers.pop(conversation, None)
            raise
        self._speakers[conversation] = known | {_look(speaker): speaker}
        return emotion_of(mean_of(log_probs)[0], self._run.network.classes, lacks)

    def end(self, conversation: Hashable) -> None:
        """Forget a conversation. Raises InputError where it is not under way."""
        for live in self._lives:
            live.end(conversation)
        self._speakers.pop(conversation, None)


def check_utterance(speaker: object, sentence: object) -> tuple[str, str]:
    """Both without blanks at their ends. Raises InputError where one is no text, or none of a name."""
    if not isinstance(speaker, str) or not isinstance(sentence, str):
        raise InputError(f"found {brief(speaker)} and {brief(sentence)}; expected a name and a sentence, both texts")
    if not speaker.strip():
        raise InputError(f"found no name before {brief(sentence)}; expected who says it")
    return speaker.strip(), sentence.strip()


def _look(name):
    return "".join(name.casefold().split())
