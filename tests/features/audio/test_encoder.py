"""Features of speech are the mean of transformers' own hidden states."""

import json
import pickle
import shutil

import numpy as np
import pytest
import torch

from common.errors import InputError
from common.features.audio.encoder import SpeechEncoder
from common.features.audio.sound import read_sound
from common.features.extractor import Utterance
from common.features.models import resolve
from tests.features.media import numbered, sine, speech, write_mp4, write_wav

transformers = pytest.importorskip("transformers")
pytest.importorskip("av")
SMALL = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, conv_dim=(16,) * 7)
SMALL |= dict(num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2)
WHISPER = dict(d_model=32, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2)
WHISPER |= dict(encoder_ffn_dim=64, decoder_ffn_dim=64, vocab_size=50)
WHISPER |= dict(pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1)
NORMALISED = dict(do_normalize=True, return_attention_mask=False)


def save(folder, config, extractor, kind="AutoModel"):
    torch.manual_seed(1)
    getattr(transformers, kind).from_config(config).save_pretrained(folder)
    if extractor:
        extractor.save_pretrained(folder)
    return resolve(folder)


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """Speech of two lengths, and in a video; utterances of them."""
    folder = tmp_path_factory.mktemp("media")
    long = speech(folder / "long.wav", "I have not heard from you for a week, and I wonder where you were.", 16000)
    short = speech(folder / "short.wav", "No.", 16000)
    video = write_mp4(folder / "talk.mp4", numbered(25), sine(1.5, rate=44100))
    return [
        Utterance("d", 0, "", audio=long),
        Utterance("d", 1, "", audio=short),
        Utterance("d", 2, "", video=video),
        Utterance("d", 3, "", audio=long, start=0.5, end=1.0),
    ]


def sound_of(utterance, rate=16000):
    return read_sound(utterance.audio or utterance.video, utterance.start, utterance.end, rate)


CONFIGS = {
    "wav2vec2": ("Wav2Vec2Config", {}),
    "wav2vec2-large": ("Wav2Vec2Config", dict(feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True)),
    "hubert": ("HubertConfig", {}),
    "wavlm": ("WavLMConfig", {}),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_mean_of_the_hidden_states_of_transformers(tmp_path, media, name):
    kind, options = CONFIGS[name]
    extractor = transformers.Wav2Vec2FeatureExtractor(**NORMALISED)
    model = save(tmp_path, getattr(transformers, kind)(**SMALL, **options), extractor)
    ours = SpeechEncoder(model)(media)
    network = transformers.AutoModel.from_pretrained(tmp_path).eval()
    for utterance, vector in zip(media, ours, strict=True):
        samples = sound_of(utterance)
        values = torch.tensor((samples - samples.mean()) / np.sqrt(samples.var() + 1e-7))[None]
        with torch.no_grad():
            states = network(values).last_hidden_state  # (1, frames, 32)
        assert states.shape[1] == (len(samples) - 400) // 320 + 1  # 25 ms windows, every 20 ms
        assert (vector.shape, vector.dtype) == ((32,), np.float32)
        assert np.abs(vector - states[0].mean(0).numpy()).max() < 1e-5
    assert np.abs(ours[0] - ours[3]).max() > 1e-3
    backwards = SpeechEncoder(model)(media[::-1])
    assert all((a == b).all() for a, b in zip(ours, reversed(backwards), strict=True))


def whisper(folder, kind="AutoModel", bands=80):
    config = transformers.WhisperConfig(**WHISPER, num_mel_bins=bands)
    return save(folder, config, transformers.WhisperFeatureExtractor(feature_size=bands), kind)


def test_mean_of_the_states_of_whisper_that_hold_sound(tmp_path, media):
    ours = SpeechEncoder(whisper(tmp_path))(media)
    network = transformers.WhisperModel.from_pretrained(tmp_path).eval().encoder
    extractor = transformers.WhisperFeatureExtractor.from_pretrained(tmp_path)
    for utterance, vector in zip(media, ours, strict=True):
        samples = sound_of(utterance)
        with torch.no_grad():
            given = extractor(samples, sampling_rate=16000, return_tensors="pt").input_features
            states = network(given).last_hidden_state[0]
        assert states.shape == (1500, 32)  # 30 s, a state every 20 ms
        heard = int(np.ceil(len(samples) / 320))
        assert np.abs(vector - states[:heard].mean(0).numpy()).max() < 1e-5
        assert np.abs(vector - states.mean(0).numpy()).max() > 1e-3


def test_more_than_whisper_takes_is_taken_in_pieces(tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, 35 * 16000)
    model, path = whisper(tmp_path / "model"), write_wav(tmp_path / "long.wav", noise)
    whole, first, second = SpeechEncoder(model)(
        [Utterance("d", 0, "", audio=path, start=a, end=b) for a, b in ((0, 35), (0, 30), (30, 35))]
    )
    assert np.abs(whole - (30 * first + 5 * second) / 35).max() < 1e-5
    assert np.abs(first - second).max() > 1e-4


def test_models_with_a_head(tmp_path, media):
    extractor = transformers.Wav2Vec2FeatureExtractor(**NORMALISED)
    config = transformers.Wav2Vec2Config(**SMALL)
    (ours,) = SpeechEncoder(save(tmp_path / "ctc", config, extractor, "AutoModelForCTC"))(media[:1])
    network = transformers.Wav2Vec2ForCTC.from_pretrained(tmp_path / "ctc").eval().wav2vec2
    samples = sound_of(media[0])
    with torch.no_grad():
        values = extractor(samples, sampling_rate=16000, return_tensors="pt").input_values
        expected = network(values).last_hidden_state[0].mean(0)
    assert np.abs(ours - expected.numpy()).max() < 1e-5
    (ours,) = SpeechEncoder(whisper(tmp_path / "asr", "AutoModelForSpeechSeq2Seq"))(media[:1])
    assert ours.shape == (32,)


def test_rate_and_normalisation_are_the_models(tmp_path, media):
    extractor = transformers.Wav2Vec2FeatureExtractor(sampling_rate=8000, do_normalize=False)
    model = save(tmp_path, transformers.Wav2Vec2Config(**SMALL), extractor)
    (ours,) = SpeechEncoder(model)(media[:1])
    network = transformers.AutoModel.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        expected = network(torch.tensor(sound_of(media[0], 8000))[None]).last_hidden_state[0].mean(0)
    assert np.abs(ours - expected.numpy()).max() < 1e-5
    assert SpeechEncoder(model).identity()["rate"] == 8000


@pytest.mark.parametrize(
    ("kind", "options", "how"),
    [
        ("Wav2Vec2Config", SMALL, "assumed: zero mean, unit variance"),
        ("WavLMConfig", SMALL, "assumed: as it is"),
        ("WavLMConfig", SMALL | dict(feat_extract_norm="layer"), "assumed: zero mean, unit variance"),
        ("WhisperConfig", WHISPER | dict(num_mel_bins=128), "assumed: spectrogram of 128 bands"),
    ],
    ids=["wav2vec2", "wavlm-base", "wavlm-large", "whisper"],
)
def test_model_that_does_not_say_how_sound_is_prepared(tmp_path, media, kind, options, how):
    model = save(tmp_path, getattr(transformers, kind)(**options), None)
    extractor = SpeechEncoder(model)
    assert extractor.identity()["preprocessing"] == how
    (silent_about_it,) = extractor(media[:1])
    said = transformers.Wav2Vec2FeatureExtractor(do_normalize="unit" in how)
    if kind == "WhisperConfig":
        said = transformers.WhisperFeatureExtractor(feature_size=128)
    (told,) = SpeechEncoder(save(tmp_path, getattr(transformers, kind)(**options), said))(media[:1])
    assert np.abs(silent_about_it - told).max() < 1e-6


def test_reasons_stand_among_features(tmp_path, media):
    model = save(tmp_path / "m", transformers.Wav2Vec2Config(**SMALL), transformers.Wav2Vec2FeatureExtractor())
    silent = write_wav(tmp_path / "silent.wav", np.zeros(16000))
    found = SpeechEncoder(model)([Utterance("d", 0, "", audio=silent), media[0], Utterance("d", 1, "")])
    assert (found[0], found[2]) == ("silent", "no file with sound")
    (alone,) = SpeechEncoder(model)(media[:1])
    assert (found[1] == alone).all()


def test_sound_that_is_too_short_for_the_model(tmp_path):
    config = transformers.Wav2Vec2Config(**SMALL | dict(conv_stride=(5, 4, 4, 4, 4, 2, 2)))  # windows of 0.1 s and more
    model = save(tmp_path / "m", config, transformers.Wav2Vec2FeatureExtractor())
    path = write_wav(tmp_path / "short.wav", sine(0.08))
    assert SpeechEncoder(model)([Utterance("d", 0, "", audio=path)]) == ["too short for the model (0.080 s)"]


def test_identity_is_what_the_model_holds(tmp_path):
    first = save(tmp_path / "a", transformers.HubertConfig(**SMALL), transformers.Wav2Vec2FeatureExtractor())
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    second = resolve(tmp_path / "b")
    assert SpeechEncoder(first).key() == SpeechEncoder(second).key()
    assert pickle.loads(pickle.dumps(SpeechEncoder(first))).key() == SpeechEncoder(first).key()
    path = tmp_path / "b" / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"do_normalize": False}))
    assert SpeechEncoder(resolve(tmp_path / "b")).key() != SpeechEncoder(first).key()
    identity = SpeechEncoder(first).identity()
    assert identity["transformers"] == transformers.__version__
    assert (identity["precision"], SpeechEncoder(first, "cuda").identity()["precision"]) == ("float32", "bfloat16")


@pytest.mark.parametrize("name", [*CONFIGS, "whisper"])
def test_half_precision_changes_little(tmp_path, media, name, monkeypatch):
    if name == "whisper":
        model = whisper(tmp_path)
    else:
        kind, options = CONFIGS[name]
        config = getattr(transformers, kind)(**SMALL, **options)
        model = save(tmp_path, config, transformers.Wav2Vec2FeatureExtractor(**NORMALISED))
    (exact,) = SpeechEncoder(model)(media[:1])
    monkeypatch.setattr("common.features.models.precision", lambda device: "bfloat16")  # as on a GPU
    (halved,) = SpeechEncoder(model)(media[:1])
    assert halved.dtype == np.float32
    assert 0 < np.abs(halved - exact).max() < 0.05 * np.abs(exact).max()


def test_models_that_do_not_hear(tmp_path, minilm):
    with pytest.raises(InputError, match=r"expected an encoder of speech such as wav2vec2, HuBERT, WavLM or Whisper"):
        SpeechEncoder(resolve(minilm))([Utterance("d", 0, "Hm.")])
    config = transformers.ViTConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    model = save(tmp_path, config, transformers.Wav2Vec2FeatureExtractor())
    with pytest.raises(InputError, match="found a ViTModel; expected an encoder of speech"):
        SpeechEncoder(model)([])
    (tmp_path / "preprocessor_config.json").write_text('{"feature_extractor_type": "Wav2Vec2FeatureExtractor"')
    with pytest.raises(InputError, match="no sound can be prepared for it"):
        SpeechEncoder(resolve(tmp_path)).identity()
    (tmp_path / "preprocessor_config.json").write_text('{"image_processor_type": "ViTImageProcessor"}')
    with pytest.raises(InputError, match="encoder of speech"):
        SpeechEncoder(resolve(tmp_path)).identity()
