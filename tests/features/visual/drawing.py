"""Drawn faces that OpenCV's cascade finds."""

import numpy as np

GROUND = 120


def face(size: int, skin: int = 200) -> np.ndarray:
    """A face, RGB uint8 (1.3 size, 1.2 size, 3), whose features lie in a square of about `size` pixels."""
    import cv2

    scale = size / 200
    picture = np.full((round(260 * scale), round(240 * scale)), GROUND, np.uint8)

    def ellipse(x, y, wide, high, level, until=540):
        axes = (max(1, round(wide * scale)), max(1, round(high * scale)))
        cv2.ellipse(picture, (round(x * scale), round(y * scale)), axes, 0, 180, until, level, -1)

    ellipse(120, 130, 80, 105, skin)
    ellipse(120, 60, 82, 45, 50, until=360)  # hair
    for x in (88, 152):
        ellipse(x, 108, 22, 10, 90)
        ellipse(x, 92, 26, 5, 60)
        ellipse(x, 108, 8, 8, 30)
    ellipse(120, 130, 10, 35, min(255, skin + 35))  # nose
    ellipse(120, 162, 16, 5, 130)
    ellipse(120, 190, 30, 8, 90)
    return np.repeat(cv2.GaussianBlur(picture, (0, 0), 4 * scale)[:, :, None], 3, 2)


def scene(height: int, width: int, *faces: tuple[int, int, int]) -> np.ndarray:
    """A picture of one grey with `faces`: row and column of the upper left corner, and size."""
    picture = np.full((height, width, 3), GROUND, np.uint8)
    for row, column, size in faces:
        drawn = face(size)
        picture[row : row + drawn.shape[0], column : column + drawn.shape[1]] = drawn
    return picture
