import os
import pickle
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch

from common.errors import InputError
from common.features.extractor import Utterance
from common.features.visual import embedding
from common.features.visual.densenet import DenseNet
from common.features.visual.embedding import BATCH, FaceEmbedding
from common.features.visual.faces import Haar, square
from common.features.visual.frames import frames
from tests.features.media import spoil, write_mp4
from tests.features.visual.drawing import scene
from tests.features.visual.onnx_file import mean_model, node, value, write, yunet_like

cv2 = pytest.importorskip("cv2")
pytest.importorskip("av")
pytest.importorskip("onnxruntime")


def utterance(video, start=None, end=None, side=""):
    return Utterance("d", 1, "Hello.", video=video, start=start, end=end, side=side)


def reddish(picture, strength):
    """The picture with less green and blue."""
    return np.stack([picture[:, :, 0], picture[:, :, 1] // strength, picture[:, :, 2] // strength], 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("embedding")


@pytest.fixture(scope="module")
def video(folder):
    """Two seconds: a face that moves; it is red at first. Then a second of nothing."""
    seen = [scene(240, 320, (20, 40 + 2 * k, 120)) for k in range(20)]
    seen = [reddish(picture, 2) for picture in seen[:10]] + seen[10:]
    return write_mp4(folder / "video.mp4", seen + [scene(240, 320)] * 10, fps=10)


@pytest.fixture(scope="module")
def weights(folder):
    torch.manual_seed(0)
    network = DenseNet()
    torch.save(network.state_dict(), folder / "weights.pt")
    return folder / "weights.pt", network.eval()


@pytest.fixture(scope="module")
def onnx(folder):
    return mean_model(folder / "model.onnx", ("n", 3, 16, 16))


def test_densenet_sees_the_grey_faces(video, weights):
    """Against the parts, put together by hand, a face at a time."""
    path, network = weights
    (features,) = FaceEmbedding(str(path))([utterance(video)])
    finder, expected = Haar(), []
    for picture in frames(video, None, 2.0, 2):
        cut = square(picture, finder.largest(picture), 0.1, (64, 64))
        grey = cv2.cvtColor(cut, cv2.COLOR_RGB2GRAY)
        with torch.inference_mode():
            expected.append(network(torch.from_numpy(grey).float()[None, None])[0].numpy())
    assert len(expected) == 4
    assert features.dtype == np.float32
    assert features.shape == (342,)
    assert np.allclose(features, np.mean(expected, 0), rtol=1e-4, atol=1e-5)


def test_onnx_sees_the_colours(video, onnx):
    """The mean levels of the face: more red in the first second, grey in the next."""
    first, then = FaceEmbedding(str(onnx))([utterance(video, 0, 1), utterance(video, 1, 2)])
    assert first[0] > 1.8 * first[1]
    assert np.ptp(then) < 3
    assert 120 < then.mean() < 200
    (both,) = FaceEmbedding(str(onnx))([utterance(video, 0, 2)])
    assert np.allclose(both, (first + then) / 2, atol=1e-3)


def test_pictures_without_a_face_do_not_count(video, onnx):
    all_of_it, faces = FaceEmbedding(str(onnx))([utterance(video), utterance(video, 0, 2)])
    assert np.array_equal(all_of_it, faces)


def test_no_face_is_a_reason(video, onnx):
    assert FaceEmbedding(str(onnx))([utterance(video, 2, 3)]) == ["no face in 2 pictures"]
    assert FaceEmbedding(str(onnx), fps=5)([utterance(video, 2, 3)]) == ["no face in 5 pictures"]


def test_the_half_that_shows_the_speaker(folder, onnx):
    picture = scene(240, 480, (20, 20, 120), (20, 270, 130))
    picture[:, 240:] = reddish(picture[:, 240:], 3)
    path = write_mp4(folder / "halves.mp4", [picture] * 10, fps=10)
    left, right, whole = FaceEmbedding(str(onnx))([utterance(path, side=side) for side in ("left", "right", "")])
    assert np.ptp(left) < 3
    assert right[0] > 2 * right[1]
    assert np.allclose(whole, right, atol=6)  # it is larger


def test_what_is_wrong_with_one_utterance_is_its_reason(folder, video, onnx):
    spoilt = list(spoil(folder, video).values())
    given = [utterance(video, 0, 1), utterance(None), *map(utterance, spoilt), utterance(video, 1, 1)]
    results = FaceEmbedding(str(onnx))([*given, utterance(video, 0, 1)])
    assert np.array_equal(results[0], results[-1])
    assert results[1] == "no video"
    assert all(isinstance(result, str) and result for result in results[1:-1])
    assert results[-2].startswith("zero length")


def test_more_faces_than_the_network_takes_at_once(video, weights, monkeypatch):
    """Five at once, or two, two and one: the same mean."""
    extract, results = FaceEmbedding(str(weights[0]), fps=5), []
    for batch in (16, 2):
        monkeypatch.setattr(embedding, "BATCH", batch)
        results += extract([utterance(video, 0, 1)])
    assert np.allclose(*results, rtol=1e-4, atol=1e-5)


def test_utterances_do_not_depend_on_each_other(video, weights):
    extract = FaceEmbedding(str(weights[0]))
    together = extract([utterance(video, 0, 1), utterance(video, 1, 2)])
    alone = [extract([utterance(video, begin, begin + 1)])[0] for begin in (1, 0)]
    assert np.array_equal(together, alone[::-1])


def test_numbers_that_are_not_finite_are_a_reason(folder, video):
    path = folder / "log.onnx"
    nodes = [node("Flatten", ["x"], "f"), node("Neg", ["f"], "n"), node("Sqrt", ["n"], "y")]
    write(path, nodes, [], [value("x", ("n", 1, 16, 16))], [value("y", ("n", 256))])
    assert FaceEmbedding(str(path))([utterance(video, 0, 1)]) == ["the model gave numbers that are not finite"]


def test_yunet_can_find_the_faces(folder, onnx):
    """The one that sees a face of 32 x 32 around a white cell."""
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[24:32, 40:48] = 255
    path = write_mp4(folder / "cell.avi", [picture] * 5, fps=5, codec="rawvideo")
    yunet = yunet_like(folder / "yunet.onnx")
    (features,) = FaceEmbedding(str(onnx), str(yunet), margin=0)([utterance(path)])
    assert np.allclose(features, 255 * 64 / 1024, atol=1)


def test_of_says_which_part_of_which_video(folder, video, onnx):
    extract = FaceEmbedding(str(onnx))
    copy = folder / "copy.mp4"
    copy.write_bytes(video.read_bytes())
    given = [utterance(None), utterance(video), utterance(copy), utterance(video, 0.5), utterance(video, None, 0.5)]
    keys = [extract.key_of(u) for u in [*given, utterance(video, side="left"), utterance(folder / "nowhere.mp4")]]
    assert len(set(keys)) == 7
    assert extract.key_of(replace(utterance(video), sentence="Other.", number=7)) == keys[1]
    os.utime(copy, ns=(0, 0))
    assert extract.key_of(utterance(copy)) != keys[2]


def test_the_identity_holds_all_options_and_files(folder, onnx, weights):
    base = FaceEmbedding(str(onnx))
    other = mean_model(folder / "other.onnx", weights=2 * np.eye(3))
    yunet = yunet_like(folder / "finder.onnx")
    changed = [
        FaceEmbedding(str(other)),
        FaceEmbedding(str(weights[0])),
        *(replace(base, **change) for change in ({"fps": 3.0}, {"margin": 0.2}, {"pixels": "0-1"})),
        replace(base, detector=str(yunet)),
    ]
    assert len({e.key() for e in [base, *changed]}) == 7
    copy = folder / "copy.onnx"
    copy.write_bytes(onnx.read_bytes())
    assert FaceEmbedding(str(copy)).key() == base.key()
    assert str(folder) not in str(base.identity())
    mean_model(copy, weights=3 * np.eye(3))
    assert FaceEmbedding(str(copy)).key() != base.key()


def test_another_model_under_the_same_name_is_used(folder, video):
    path = folder / "changing.onnx"
    extract, results = FaceEmbedding(str(mean_model(path))), []
    results += extract([utterance(video, 1, 2)])
    mean_model(path, weights=2 * np.eye(3)[:, :2])
    results += extract([utterance(video, 1, 2)])
    assert np.allclose(results[1], 2 * results[0][:2])


def test_it_can_be_sent_to_other_processes(onnx):
    extract = FaceEmbedding(str(onnx), fps=3.0)
    assert pickle.loads(pickle.dumps(extract)) == extract
    assert (extract.kind, extract.chunk) == ("visual", 8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "model.h5"}, r"visual model 'model.h5': expected a file that ends in \.onnx"),
        ({"model": "a.onnx", "fps": 0}, "found 0 pictures a second"),
        ({"model": "a.onnx", "fps": float("nan")}, "found nan pictures a second"),
        ({"model": "a.onnx", "margin": -0.1}, "found a margin of -0.1"),
        ({"model": "a.onnx", "pixels": "0-2"}, "found pixels '0-2'; expected one of 0-255, 0-1"),
        ({"model": "a.pt", "pixels": "0-1"}, "expected none, as the state dict has mean and std"),
    ],
)
def test_options_that_are_none(options, message):
    with pytest.raises(InputError, match=message):
        FaceEmbedding(**options)


def test_models_that_are_none(folder, video, onnx):
    (folder / "broken.onnx").write_bytes(b"nothing of use")
    (folder / "broken.pt").write_bytes(b"\x80\2nothing of use")
    for path, message in (
        (folder / "nowhere.onnx", "no such file; expected a model of faces"),
        (folder / "broken.onnx", "expected an ONNX file"),
        (folder / "broken.pt", "expected the state dict of DenseNet-BC"),
    ):
        with pytest.raises(InputError, match=message):
            FaceEmbedding(str(path))([utterance(video)])
    with pytest.raises(InputError, match="expected the ONNX file of YuNet"):
        FaceEmbedding(str(onnx), str(folder / "broken.pt"))([utterance(video)])


def test_a_missing_package_is_said(monkeypatch, video, onnx):
    def absent(name):
        raise InputError(f"the package {name} is missing")

    monkeypatch.setattr(embedding.frames, "package", absent)
    with pytest.raises(InputError, match="the package av is missing"):
        FaceEmbedding(str(onnx))([utterance(video)])


def test_memory_does_not_grow_with_the_length(folder, onnx):
    """Twelve seconds at ten a second take what two do: BATCH faces, and a few pictures."""
    path = write_mp4(folder / "long.mp4", [scene(120, 160, (5, 20, 80))] * 60, fps=5)
    extract, peaks = FaceEmbedding(str(onnx), fps=10), []
    extract([utterance(path, 0, 1)])
    for seconds in (2, 12):
        tracemalloc.start()
        assert isinstance(extract([utterance(path, 0, seconds)])[0], np.ndarray)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert BATCH < 20
    assert peaks[1] < 1.1 * peaks[0]
