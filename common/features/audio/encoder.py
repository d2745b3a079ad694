"""Audio features by a pretrained encoder of speech: the mean of its last hidden states over time."""

from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from typing import Any, NamedTuple

import numpy as np
import torch

from common.errors import InputError, is_want_of_memory
from common.features.audio.heard import SoundExtractor, sound_identity
from common.features.audio.sound import RATE, Unheard
from common.features.extractor import Plain
from common.features.models import Model, autocast, brief_reason, file_of, load, precision, quiet
from common.features.packages import package

EXPECTED = "expected an encoder of speech such as wav2vec2, HuBERT, WavLM or Whisper"


class Front(NamedTuple):
    """What comes before the network: `extractor` of transformers, and `how` it was chosen, for the recipe."""

    extractor: Any
    how: str


@dataclass(frozen=True)
class SpeechEncoder(SoundExtractor):
    """The mean over time of the last hidden states of `model`, on `device`.

    One utterance at a time, so that nothing is padded. Whisper's encoder takes 30 seconds at a time, filled up with
    silence: of its states those count that stand for sound, and longer utterances are taken in pieces. Sampling rate
    and normalisation are those of the model's preprocessor_config.json; `front` says what is done where there is none.
    """

    model: Model
    device: str = "cpu"

    def identity(self) -> dict[str, Plain]:
        """See Extractor."""
        before = front(self.model)
        return {
            "extractor": "mean of last hidden states",
            **self.model.identity(),
            "preprocessing": before.how,
            "precision": precision(self.device),
            "transformers": metadata.version("transformers"),
            **sound_identity(before.extractor.sampling_rate),
        }

    def prepare(self) -> int:
        """See SoundExtractor."""
        _loaded(self.model, self.device)
        return front(self.model).extractor.sampling_rate

    def vector(self, samples: np.ndarray) -> np.ndarray:
        """The features, float32 (width,), of `samples` (n,) at the model's rate."""
        network, extractor = _loaded(self.model, self.device), front(self.model).extractor
        window = extractor.n_samples if _takes_windows(extractor) else len(samples)
        total, frames = torch.zeros(()), 0
        for begin in range(0, len(samples), window):
            states = self._states(network, extractor, samples[begin : begin + window])  # (frames, width)
            total, frames = total + states.sum(0), frames + len(states)
        return (total / frames).numpy()

    def _states(self, network, extractor, samples):
        """The states that stand for sound, float32 (frames, width), on the CPU."""
        values = extractor(
            samples, sampling_rate=extractor.sampling_rate, return_tensors="pt", return_attention_mask=True
        )
        given = values[network.main_input_name].to(self.device)
        if not _takes_windows(extractor) and network._get_feat_extract_output_lengths(given.shape[-1]) < 1:
            raise Unheard(f"too short for the model ({len(samples) / extractor.sampling_rate:.3f} s)")
        with torch.inference_mode(), autocast(self.device):
            states = network(given).last_hidden_state[0].float().cpu()
        if _takes_windows(extractor):
            heard = int(values["attention_mask"].sum())  # of the spectrogram's frames, of which a state takes a few
            states = states[: -(-heard * len(states) // given.shape[-1])]
        return states


@lru_cache(maxsize=1)
def front(model: Model) -> Front:
    """What makes the input of `model` from sound: as its folder says, by preprocessor_config.json.

    Where it does not say: Whisper's spectrogram with the model's number of bands; for others 16,000 Hz, with zero mean
    and unit variance in each utterance, as most are published. WavLM's base models, which normalise by groups, are
    published without that, and get none. Raises InputError where it cannot be read, or is not one of sound.
    """
    transformers = package("transformers")
    said = any(file_of(model, name) for name in ("preprocessor_config.json", "processor_config.json"))
    kind = "AutoFeatureExtractor" if said else "AutoConfig"
    try:
        with quiet():
            found = getattr(transformers, kind).from_pretrained(
                model.source, revision=model.revision or "main", trust_remote_code=False
            )
    except Exception as error:  # whatever a foreign file leads to
        if is_want_of_memory(error):
            raise
        raise InputError(f"{model.name}: no sound can be prepared for it ({brief_reason(error)}); {EXPECTED}") from None
    chosen = Front(found, "the model's") if said else _assumed(transformers, found)
    rate = getattr(chosen.extractor, "sampling_rate", None)
    if not isinstance(rate, int) or not 1000 <= rate <= 192000:
        raise InputError(f"{model.name}: found no sampling rate in its preprocessor_config.json; {EXPECTED}")
    return chosen


def _assumed(transformers, config):
    if config.model_type == "whisper":
        extractor = transformers.WhisperFeatureExtractor(feature_size=config.num_mel_bins)
        return Front(extractor, f"assumed: spectrogram of {config.num_mel_bins} bands")
    plain = config.model_type == "wavlm" and config.feat_extract_norm == "group"
    extractor = transformers.Wav2Vec2FeatureExtractor(sampling_rate=RATE, do_normalize=not plain)
    return Front(extractor, "assumed: as it is" if plain else "assumed: zero mean, unit variance")


def _takes_windows(extractor):
    return hasattr(extractor, "nb_max_frames")


@lru_cache(maxsize=1)
def _loaded(model: Model, device: str) -> Any:
    """The encoder of `model`, which the process keeps until it asks for another."""
    network = load(model, device=device, may_lack=("decoder.",))
    if network.config.is_encoder_decoder:
        network = network.get_encoder()
    whisper = _takes_windows(front(model).extractor) and network.main_input_name == "input_features"
    if not whisper and not (
        network.main_input_name == "input_values" and hasattr(network, "_get_feat_extract_output_lengths")
    ):
        raise InputError(f"{model.name}: found a {type(network).__name__}; {EXPECTED}")
    return network
