"""Colours of classes, by hand: linear light, Machado's matrices (2009, severity 1), CIELAB under D65."""

from itertools import combinations

import numpy as np
import pytest

from common.data.iemocap import CLASSES as IEMOCAP
from common.data.meld import CLASSES as MELD
from common.reporting.colors import PALETTE, emotion_colors

SEEN = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def light(color):
    values = np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(color, seen):
    xyz = XYZ @ np.clip(np.array(SEEN[seen]) @ light(color), 0, 1) / XYZ.sum(1)
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def least(colors, seen):
    return min(np.linalg.norm(lab(a, seen) - lab(b, seen)) for a, b in combinations(colors, 2))


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize(
    ("classes", "distance"),
    [(IEMOCAP, 27), (MELD, 27), (["neutral", "positive", "negative"], 27), ([f"class {k}" for k in range(12)], 17)],
    ids=["IEMOCAP", "MELD", "sentiment", "twelve"],
)
def test_told_apart(classes, distance, seen):
    assert least(emotion_colors(classes), seen) > distance


def test_lab_is_right():
    """White, and sRGB's red, as they are printed in tables."""
    np.testing.assert_allclose(lab("#ffffff", "normal"), [100, 0, 0], atol=0.01)
    np.testing.assert_allclose(lab("#ff0000", "normal"), [53.24, 80.09, 67.20], atol=0.02)


def test_an_emotion_keeps_its_colour():
    assert emotion_colors(["Joy", "other"])[0] == emotion_colors(MELD)[MELD.index("joy")]
    assert emotion_colors(["happy"]) == emotion_colors(["joy"])
    assert emotion_colors(IEMOCAP) == emotion_colors(["happy", "sad", "neutral", "angry", "excited", "frustrated"])
    grey = light(emotion_colors(["neutral"])[0])
    assert np.ptp(grey) < 0.1


@pytest.mark.parametrize(
    "classes",
    [["happy", "joy", "happiness"], ["a", "neutral", "b", "anger"], [*MELD, *"abcde"], [*"abcdefghijkl"], ["joy"]],
)
def test_each_has_its_own_up_to_twelve(classes):
    colors = emotion_colors(classes)
    assert len(set(colors)) == len(classes)
    assert set(colors) <= set(PALETTE.values())


def test_more_than_twelve_come_again():
    assert len(emotion_colors([f"class {k}" for k in range(30)])) == 30
