"""IS10 is openSMILE's own, of what `read_sound` reads."""

import pickle
import sys
import warnings

import numpy as np
import pytest

from common.errors import InputError
from common.features.audio.is10 import IS10, WIDTH, _smile
from common.features.audio.sound import read_sound
from common.features.extractor import Utterance
from tests.features.media import numbered, read_wav, sine, speech, write_mp4, write_wav

opensmile = pytest.importorskip("opensmile")
pytest.importorskip("av")


def by_opensmile(samples):
    smile = opensmile.Smile(feature_set=opensmile.FeatureSet.IS10, feature_level=opensmile.FeatureLevel.Functionals)
    return smile.process_signal(samples, 16000).to_numpy()[0]


def utterance(**media):
    return Utterance("d", 0, "Hm.", **media)


@pytest.fixture(scope="module")
def voice(tmp_path_factory):
    return speech(tmp_path_factory.mktemp("voice") / "voice.wav", rate=16000)


def test_is10_is_that_of_opensmile(voice, tmp_path):
    samples, rate = read_wav(voice)
    video = write_mp4(tmp_path / "talk.mp4", numbered(25), np.repeat(samples, 2, 1), rate=rate)
    utterances = [utterance(audio=voice), utterance(video=video), utterance(audio=voice, start=0.4, end=1.1)]
    ours = IS10()(utterances)
    pieces = [samples[:, 0].astype(np.float32), read_sound(video), samples[6400:17600, 0].astype(np.float32)]
    for vector, piece in zip(ours, pieces, strict=True):
        assert (vector.shape, vector.dtype) == ((WIDTH,), np.float32)
        assert (vector == by_opensmile(piece)).all()
    assert (ours[0] != ours[2]).any()
    assert all((a == b).all() for a, b in zip(ours, reversed(IS10()(utterances[::-1])), strict=True))


def test_width_is_that_of_the_published_features():
    assert IS10().vector(sine(1)).shape == (1582,)


def test_full_scale_does_not_turn_round():
    loud = np.clip(sine(1, height=1.5), -1, 1)
    assert loud.max() == 1
    expected = by_opensmile(np.minimum(loud, 32767 / 32768).astype(np.float32))
    assert (IS10().vector(loud) == expected).all()
    assert (by_opensmile(loud) != expected).any()  # 32768 does not fit into 16 bits


def test_shortest_sound(tmp_path):
    path = write_wav(tmp_path / "short.wav", np.random.default_rng(0).normal(0, 0.1, 1200))  # 75 ms
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (vector,) = IS10()([utterance(audio=path)])
    assert vector.shape == (WIDTH,)


def test_reasons_stand_among_features(tmp_path, voice):
    silent = write_wav(tmp_path / "silent.wav", np.zeros(16000))
    found = IS10()([utterance(), utterance(audio=silent), utterance(audio=voice), utterance(audio=tmp_path / "no.wav")])
    assert [x for x in found if isinstance(x, str)] == ["no file with sound", "silent", "no such file"]
    assert isinstance(found[2], np.ndarray)


def test_sound_comes_from_audio_before_video(tmp_path, voice):
    other = write_wav(tmp_path / "other.wav", sine(1))
    (both,), (alone,) = IS10()([utterance(audio=voice, video=other)]), IS10()([utterance(audio=voice)])
    assert (both == alone).all()


def test_key_of_an_utterance(tmp_path):
    path, extractor = write_wav(tmp_path / "a.wav", sine(1)), IS10()
    keys = [
        extractor.key_of(x)
        for x in (
            utterance(audio=path),
            utterance(audio=path, start=0.1),
            utterance(audio=path, start=0.1, end=0.5),
            utterance(audio=tmp_path / "b.wav"),
            utterance(),
        )
    ]
    assert len(set(keys)) == len(keys)
    assert extractor.key_of(utterance(video=path)) == keys[0]
    assert extractor.key_of(Utterance("e", 7, "Oh.", audio=path)) == keys[0]
    write_wav(path, sine(2))
    assert extractor.key_of(utterance(audio=path)) != keys[0]


def test_identity_names_what_numbers_depend_on():
    identity = IS10().identity()
    assert identity["opensmile"] == opensmile.__version__
    assert (identity["config"], identity["rate"]) == ("IS10_paraling_compat", 16000)
    assert pickle.loads(pickle.dumps(IS10())).key() == IS10().key()


def test_missing_package_is_one_line(monkeypatch, tmp_path):
    _smile.cache_clear()
    monkeypatch.setitem(sys.modules, "opensmile", None)
    with pytest.raises(InputError, match=r"opensmile is missing; install it: .*requirements-opensmile.txt .*non-comm"):
        IS10()([utterance(audio=tmp_path / "a.wav")])
