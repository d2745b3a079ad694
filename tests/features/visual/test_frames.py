import shutil
import subprocess
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

from common.features.visual import frames as module
from common.features.visual.frames import LONGEST, Unseen, frames
from tests.features import media
from tests.features.media import program, sine, spoil, write_mp4, write_wav

av = pytest.importorskip("av")

RATE, STEP = 10, 5
IDENTITY = np.array([1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30], ">i4").tobytes()  # of an mp4's track


def numbered(count):
    return media.numbered(count, step=STEP)


def numbers(pictures):
    """Which of the `numbered` pictures these are."""
    return [round((picture.mean() - 16) / STEP) for picture in pictures]


def write_timed(path, times, codec="libx264"):
    """A video of numbered pictures that are shown at `times`, in milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=1000)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for time, picture in zip(times, numbered(len(times)), strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def video(folder):
    """Four seconds, of which only some begin with a key frame, and are not coded in order."""
    return write_mp4(folder / "video.mp4", numbered(40), sine(4.0), fps=RATE, codec="libx264")


@pytest.mark.parametrize("kind", ["mp4", "mkv", "mov", "ts", "flv"])
@pytest.mark.parametrize(
    ("start", "end", "fps"),
    [(None, None, 2), (0, 1, 2), (1.5, 3, 2), (2.1, 2.3, 10), (3.5, 9, 2), (1.11, 2.05, 7), (0.0, 1.0, 10)],
)
def test_pictures_are_those_that_are_shown_at_their_times(folder, kind, start, end, fps):
    """Worked out by hand: picture k is shown from k/10 s on. A transport stream's own times begin at 1.4 s."""
    path = folder / f"times.{kind}"
    if not path.exists():
        write_mp4(path, numbered(40), fps=RATE, codec="libx264")
    begin, until = Fraction(str(start or 0)), min(Fraction(str(4 if end is None else end)), Fraction(4))
    times = [begin + Fraction(k, fps) for k in range(200)]
    assert numbers(frames(path, start, end, fps)) == [int(t * RATE) for t in times if t < until]


def test_pictures_equal_those_of_ffmpeg(video):
    command = [program("ffmpeg"), "-v", "error", "-i", str(video), "-vf", "select=not(mod(n\\,2))", "-fps_mode", "vfr"]
    raw = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], check=True, capture_output=True).stdout
    theirs = np.frombuffer(raw, np.uint8).reshape(-1, 64, 96, 3)
    ours = np.stack(list(frames(video, None, None, 5)))
    assert ours.shape == theirs.shape
    assert np.abs(ours.astype(int) - theirs).max() <= 2  # two versions of the conversion to RGB


def test_pictures_of_changing_length(folder):
    path = write_timed(folder / "timed.mkv", [0, 100, 700, 710, 720, 1900, 2000])
    assert numbers(frames(path, 0, 2, 2)) == [0, 1, 4, 4]  # at 0, 0.5, 1 and 1.5 s
    assert numbers(frames(path, 0.705, 2, 2)) == [2, 4, 4]


def test_before_the_first_picture_the_first_is_shown(folder):
    path = write_timed(folder / "late.mkv", [300, 700, 1000])
    shown = write_mp4(folder / "sound_first.mkv", numbered(20), sine(2.0), fps=RATE, codec="libx264")
    assert numbers(frames(path, 0, 0.9, 4)) == [0, 0, 0, 1]
    assert numbers(frames(shown, 0, 0.03, 2)) == [0]


def test_a_video_of_few_pictures_gives_them_again(folder):
    path = write_mp4(folder / "slow.mp4", numbered(3), fps=1)
    assert numbers(frames(path, None, None, 4)) == [0] * 4 + [1] * 4 + [2] * 4


def test_only_what_is_needed_is_decoded(video, monkeypatch):
    times, time = [], module._time
    monkeypatch.setattr(module, "_time", lambda *of: times.append(time(*of)) or times[-1])
    assert numbers(frames(video, 3.0, 3.1, 2)) == [30]
    assert min(times) > 2.0  # a group of pictures has 12
    assert max(times) < 3.3


def test_a_seek_that_lands_too_late_is_made_good(video, monkeypatch):
    def late(container, stream, time):
        container.seek(int(3.9 / stream.time_base), stream=stream)
        return True

    monkeypatch.setattr(module, "_sought", late)
    assert numbers(frames(video, 2.0, 3.0, 2)) == [20, 25]


def test_a_video_in_which_nobody_can_seek(video, monkeypatch):
    monkeypatch.setattr(module, "_sought", lambda *of: False)
    assert numbers(frames(video, 2.0, 3.0, 2)) == [20, 25]


@pytest.mark.parametrize("width", [96, 98])
def test_halves(folder, width):
    picture = np.full((64, width, 3), 40, np.uint8)
    picture[:, width // 2 :] = 200
    path = write_mp4(folder / f"halves{width}.mp4", [picture] * 5)
    left, right = (next(frames(path, None, None, 2, side)) for side in ("left", "right"))
    assert left.shape == right.shape == (64, width // 2, 3)
    assert left.flags["C_CONTIGUOUS"]
    assert (abs(left[:, :-4].mean() - 40) < 3, abs(right[:, 4:].mean() - 200) < 3) == (True, True)
    with pytest.raises(ValueError, match="side 'middle'"):
        next(frames(path, None, None, 2, "middle"))


TURNS = {  # rows of the matrix (a, b; c, d): a point (x, y) of the file is shown at (a x + c y, b x + d y), y downwards
    "clockwise": ((0, 1, -1, 0), 3),
    "counterclockwise": ((0, -1, 1, 0), 1),
    "half": ((-1, 0, 0, -1), 2),
}


@pytest.mark.parametrize("turn", TURNS)
def test_videos_of_turned_phones_are_upright(folder, turn):
    """Against rows and columns turned by hand, and against ffmpeg, which turns them, too."""
    picture = np.full((64, 96, 3), 40, np.uint8)
    picture[:32, :48], picture[:32, 48:] = (200, 30, 30), (30, 200, 30)  # red left above, green right above
    flat = write_mp4(folder / "flat.mp4", [picture] * 5)
    (a, b, c, d), quarters = TURNS[turn]
    matrix = np.array([a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30], ">i4").tobytes()
    content = flat.read_bytes()
    at = content.index(IDENTITY, content.index(b"tkhd"))
    path = folder / f"{turn}.mp4"
    path.write_bytes(content[:at] + matrix + content[at + len(matrix) :])
    shown = next(frames(path, None, None, 2))
    upright = next(frames(flat, None, None, 2))
    assert (shown == np.rot90(upright, quarters)).all()
    corner = {"clockwise": (4, -4), "counterclockwise": (-4, 4), "half": (-4, -4)}[turn]  # where red has gone
    assert shown[corner][0] > 150 > shown[corner][1]
    command = [program("ffmpeg"), "-v", "error", "-i", str(path), "-frames:v", "1", "-f", "rawvideo", "-pix_fmt"]
    raw = subprocess.run([*command, "rgb24", "-"], check=True, capture_output=True).stdout
    assert np.abs(np.frombuffer(raw, np.uint8).reshape(shown.shape).astype(int) - shown).max() <= 4


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        (1.0, 1.0, "zero length: 1 to 1 s"),
        (2.0, 1.0, "zero length"),
        (0.0, 121.0, "longer than 120 s: 121 s"),
        (None, 500.0, "longer than 120 s: 500 s"),
        (float("nan"), 1.0, "no time in the video: nan to 1.0 s"),
        (-1.0, 1.0, "no time in the video"),
        (0.0, float("inf"), "no time in the video"),
        (50.0, 51.0, "no picture between 50 s and 51 s"),
        (4.0, None, "no picture between 4 s and its end"),
    ],
)
def test_times_that_show_nothing_are_reasons(video, start, end, reason):
    with pytest.raises(Unseen, match=reason):
        list(frames(video, start, end, 2))


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_longer_than_an_utterance_can_be(folder, kind):
    """Also where the file does not say how long it is, as a Matroska stream."""
    path = write_mp4(folder / f"long.{kind}", numbered(2) * 65, fps=1)
    with pytest.raises(Unseen, match=f"longer than {LONGEST:g} s"):
        list(frames(path, None, None, 1))
    assert len(list(frames(path, 5, 124, 1))) == 119
    assert len(list(frames(path, 10.5, None, 1))) == 120  # 119.5 s


def test_spoilt_files_are_reasons(folder, video):
    for name, path in spoil(folder, video).items():
        with pytest.raises(Unseen) as why:
            list(frames(path, None, None, 2))
        assert len(str(why.value)) < 120, name
        assert "\n" not in str(why.value), name


def test_files_without_video_are_reasons(folder):
    cv2 = pytest.importorskip("cv2")
    write_wav(folder / "sound.wav", sine(1.0))
    write_mp4(folder / "sound.mp4", samples=sine(1.0))
    cv2.imwrite(str(folder / "picture.png"), numbered(1)[0])
    shutil.copy(folder / "picture.png", folder / "picture.mp4")
    for name in ("sound.wav", "sound.mp4", "picture.png", "picture.mp4"):
        with pytest.raises(Unseen, match="no video"):
            list(frames(folder / name, None, None, 2))


def test_the_cover_of_a_sound_file_is_no_video(folder):
    cv2 = pytest.importorskip("cv2")
    write_mp4(folder / "song.mp4", samples=sine(1.0))
    cv2.imwrite(str(folder / "cover.png"), numbered(1)[0])
    command = [program("ffmpeg"), "-v", "error", "-i", folder / "song.mp4", "-i", folder / "cover.png", "-map", "0"]
    command += ["-map", "1", "-c", "copy", "-disposition:v", "attached_pic", folder / "covered.mp4"]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    with av.open(str(folder / "covered.mp4")) as container:
        assert len(container.streams.video) == 1
    with pytest.raises(Unseen, match="no video in the file"):
        list(frames(folder / "covered.mp4", None, None, 2))


def test_lists_of_files_are_not_followed(folder, video):
    """They could name files and addresses that are none of ours. FFmpeg itself would follow this one."""
    path = folder / "list.mp4"
    path.write_text(f"ffconcat version 1.0\nfile {video.name}\n")
    with av.open(str(path)) as container:
        assert next(container.decode(video=0))
    with pytest.raises(Unseen, match="no video file of a known kind"):
        list(frames(path, None, None, 2))


def test_damaged_bytes_are_pictures_or_reasons(folder, video):
    """Nothing else comes, and nothing hangs, whichever bytes are wrong."""
    rng, content, seen = np.random.default_rng(0), video.read_bytes(), 0
    path = folder / "damaged.mp4"
    for number in range(200):
        damaged = bytearray(content)
        first = 0 if number % 2 else len(content) - 3000  # the index stands at the end
        for at in rng.integers(first, len(content), size=rng.integers(1, 30)):
            damaged[at] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            seen += bool(list(frames(path, 0.5, None, 2)))
        except Unseen:
            continue
    assert 20 < seen < 180


def test_huge_pictures_are_a_reason(video, monkeypatch):
    monkeypatch.setattr(module, "MOST_PIXELS", 96 * 64 - 1)
    with pytest.raises(Unseen, match="96 x 64 are too large"):
        list(frames(video, None, None, 2))


def test_pictures_without_end_are_a_reason(video, monkeypatch):
    monkeypatch.setattr(module, "MOST_FRAMES", 13)
    assert len(list(frames(video, 0, 1, 2))) == 2
    with pytest.raises(Unseen, match="more than 13 pictures"):
        list(frames(video, 0, 3, 2))


def test_memory_does_not_grow_with_the_length(folder):
    """One picture at a time: at its peak, a few of them, and not the 100 that go by."""
    path = write_mp4(folder / "large.mp4", [np.full((480, 720, 3), 16 + k, np.uint8) for k in range(100)])
    next(frames(path, None, None, 25))  # modules and tables of the first use
    tracemalloc.start()
    try:
        count = sum(1 for _ in frames(path, None, None, 25))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 100
    assert peak < 5 * 480 * 720 * 3


@pytest.mark.parametrize("fps", [0, -1, float("nan")])
def test_a_rate_that_is_none(video, fps):
    with pytest.raises(ValueError, match="frames a second"):
        next(frames(video, None, None, fps))
