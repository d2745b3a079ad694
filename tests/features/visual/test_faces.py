import numpy as np
import pytest

from common.errors import InputError
from common.features.visual.faces import LOOK_AT, Box, Haar, YuNet, square
from tests.features.visual.drawing import face, scene
from tests.features.visual.onnx_file import mean_model, yunet_like

cv2 = pytest.importorskip("cv2")


def centre(box):
    return box.x + box.width / 2, box.y + box.height / 2


@pytest.fixture(scope="module")
def haar():
    return Haar()


@pytest.mark.parametrize("size", [60, 100, 200, 300])
def test_a_drawn_face_is_found(haar, size):
    """It is drawn around 0.6 and 0.65 of `size` from the left and from above."""
    box = haar.largest(scene(420, 600, (20, 100, size)))
    assert np.abs(np.subtract(centre(box), (100 + 0.6 * size, 20 + 0.7 * size))).max() < 0.1 * size
    assert 0.8 * size < box.width < 1.2 * size


def test_a_face_in_a_photograph_is_found(haar):
    """The portrait of Grace Hopper that comes with matplotlib: her nose is near column 275, row 235."""
    matplotlib = pytest.importorskip("matplotlib")
    photograph = cv2.imread(str(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))[:, :, ::-1]
    box = haar.largest(np.ascontiguousarray(photograph))
    assert np.abs(np.subtract(centre(box), (275, 220))).max() < 25
    assert 180 < box.width < 280


def test_the_largest_of_several(haar):
    box = haar.largest(scene(480, 720, (100, 50, 100), (200, 450, 150)))
    assert np.abs(np.subtract(centre(box), (450 + 90, 200 + 105))).max() < 15


def test_no_face(haar):
    assert haar.largest(scene(480, 720)) is None
    assert haar.largest(np.random.default_rng(0).integers(0, 256, (240, 320, 3)).astype(np.uint8)) is None
    assert haar.largest(np.zeros((1, 1, 3), np.uint8)) is None
    assert haar.largest(np.zeros((20, 3000, 3), np.uint8)) is None


def test_large_pictures_are_looked_at_smaller(haar):
    """The same picture in three times its size: the same face, three times as large."""
    small = scene(400, LOOK_AT, (50, 100, 150))
    large = cv2.resize(small, None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST)
    assert np.allclose(haar.largest(large), np.multiply(haar.largest(small), 3))


def test_the_same_picture_has_the_same_face(haar):
    picture = scene(480, 720, (100, 50, 130), (200, 450, 130))
    assert cv2.getNumThreads() == 1
    assert {haar.largest(picture) for _ in range(5)} == {Haar().largest(picture)}


@pytest.mark.parametrize(
    ("boxes", "largest"),
    [
        ([(5, 9, 10, 10), (7, 2, 10, 10), (1, 2, 9, 10)], (7, 2, 10, 10)),  # of the same area: the upper one
        ([(5, 2, 10, 10), (3, 2, 10, 10)], (3, 2, 10, 10)),  # then the left one
        ([(1, 1, 0, 90), (np.nan, 1, 90, 90), (4, 4, 3, 2), (1, 1, np.inf, 9)], (4, 4, 3, 2)),
        ([(1, 1, -8, -8)], None),
        (np.zeros((0, 4)), None),
    ],
)
def test_which_is_the_largest(haar, monkeypatch, boxes, largest):
    monkeypatch.setattr(haar, "_all", lambda picture: np.array(boxes))
    assert haar.largest(np.zeros((50, 50, 3), np.uint8)) == largest


def test_a_square_inside_the_picture():
    """Row r, column c has the levels (r, c, 0); a box of 20 x 10 with a margin of 0.1 is cut as 24 x 24."""
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[:, :, 0], picture[:, :, 1] = np.arange(100)[:, None], np.arange(100)
    cut = square(picture, Box(40, 30, 20, 10), 0.1, (24, 24))
    assert (cut[:, :, 0] == np.arange(23, 47)[:, None]).all()  # its middle is at row 35, column 50
    assert (cut[:, :, 1] == np.arange(38, 62)).all()


def test_a_square_beyond_the_picture_repeats_its_border():
    picture = np.zeros((50, 60, 3), np.uint8)
    picture[:, :, 0], picture[:, :, 1] = np.arange(50)[:, None], np.arange(60)
    cut = square(picture, Box(50, 40, 20, 20), 0, (20, 20))
    assert (cut[:, :, 0] == np.minimum(np.arange(40, 60), 49)[:, None]).all()
    assert (cut[:, :, 1] == np.minimum(np.arange(50, 70), 59)).all()
    assert (square(picture, Box(-500, -500, 10, 10), 0, (4, 4)) == picture[0, 0]).all()


@pytest.mark.parametrize("size", [(64, 64), (8, 8), (96, 40)])
def test_a_square_is_made_so_large(size):
    levels = square(np.full((300, 300, 3), 77, np.uint8), Box(10.4, 20.6, 31.5, 30), 0.1, size)
    assert levels.shape == (*size, 3)
    assert (levels == 77).all()


def test_yunet_finds_its_faces(tmp_path):
    """A network that sees a face of 32 x 32 around each white cell of 8 x 8."""
    faces = YuNet(yunet_like(tmp_path / "yunet.onnx"))
    picture = np.zeros((240, 320, 3), np.uint8)
    assert faces.largest(picture) is None
    picture[80:88, 160:168] = 255
    assert np.allclose(faces.largest(picture), (164 - 16, 84 - 16, 32, 32), atol=1e-3)
    assert np.allclose(faces.largest(picture[40:, 104:]), (60 - 16, 44 - 16, 32, 32), atol=1e-3)  # another size
    large = np.zeros((480, 1280, 3), np.uint8)  # looked at in half its size
    large[160:176, 320:336] = 255
    assert np.allclose(faces.largest(large), (328 - 32, 168 - 32, 64, 64), atol=1e-3)


def test_yunet_gets_blue_first(tmp_path, monkeypatch):
    """As OpenCV's pictures, which it has learnt from, are."""
    faces, seen = YuNet(yunet_like(tmp_path / "yunet.onnx")), []

    class Network:
        def setInputSize(self, size):
            seen.append(size)

        def detect(self, picture):
            seen.append(picture[0, 0].tolist())
            return 1, None

    monkeypatch.setattr(faces, "_network", Network())
    assert faces.largest(np.full((30, 40, 3), (1, 2, 3), np.uint8)) is None
    assert seen == [(40, 30), [3, 2, 1]]


@pytest.mark.parametrize("name", ["missing", "folder", "empty", "text", "other"])
def test_what_is_no_yunet_is_said(tmp_path, capfd, name):
    path = tmp_path / f"{name}.onnx"
    if name == "folder":
        path.mkdir()
    elif name == "other":
        mean_model(path)
    elif name != "missing":
        path.write_text("Ann: hello\n" * (name == "text"))
    with pytest.raises(InputError, match=rf"{name}.onnx: .*expected the ONNX file of YuNet") as error:
        YuNet(path)
    assert "\n" not in str(error.value)
    assert not any(capfd.readouterr())  # OpenCV would say much


def test_the_identity_says_which_detector(tmp_path, haar):
    yunet = YuNet(yunet_like(tmp_path / "a.onnx"))
    other = YuNet(yunet_like(tmp_path / "b.onnx", side=40))
    assert len({str(faces.identity()) for faces in (haar, yunet, other)}) == 3
    assert YuNet(yunet_like(tmp_path / "c.onnx")).identity() == yunet.identity()


def test_faces_are_drawn_apart_from_their_ground():
    assert face(100).shape == (130, 120, 3)
