"""Sound is what ffmpeg says it is, and each file without any says why."""

import subprocess
from fractions import Fraction

import numpy as np
import pytest

from common.features.audio import sound
from common.features.audio.sound import LONGEST, Unheard, read_sound
from tests.features.media import numbered, program, read_wav, sine, speech, spoil, write_mp4, write_wav

av = pytest.importorskip("av")
CUTS = [(None, None), (2.1, 3.3), (4.0, None), (None, 0.7)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Speech of seven seconds: mono 16 and 22.05 kHz; stereo 44.1 kHz, also packed in several ways."""
    folder = tmp_path_factory.mktemp("sound")
    said = (
        "I have not heard from you for a week, and I wonder where you were all the time. Did you get my letter at last?"
    )
    voice, rate = read_wav(speech(folder / "mono22.wav", said))
    speech(folder / "mono16.wav", said, 16000)
    voice = np.repeat(voice[:, 0], 2)
    stereo = np.stack([voice, 0.5 * np.roll(voice, 500)], 1)
    write_wav(folder / "stereo44.wav", stereo, 2 * rate)
    write_mp4(folder / "video.mp4", numbered(50), stereo, rate=2 * rate)
    for name in ("sound.mp3", "sound.flac", "sound.ogg", "exact.mp4"):
        ffmpeg("-i", folder / "stereo44.wav", "-aac_pns", "0", folder / name)
    return folder


def ffmpeg(*words):
    command = [program("ffmpeg"), "-v", "error", "-y", *map(str, words)]
    return subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL).stdout


def by_ffmpeg(path, start, end, channels, rate=16000):
    """The same piece by ffmpeg: cut, mean of channels, resampled.

    Its `-ac 1` gives the mean of two channels for whole numbers, but 1.414 times that for floating-point ones.
    """
    cut = ":".join(f"{name}={time}" for name, time in (("start", start), ("end", end)) if time is not None)
    mean = "pan=mono|c0=" + "+".join(f"{1 / channels}*c{k}" for k in range(channels))
    filters = [*([f"atrim={cut}"] if cut else []), "aformat=sample_fmts=fltp", mean, f"aresample={rate}"]
    return np.frombuffer(ffmpeg("-i", path, "-vn", "-af", ",".join(filters), "-f", "f32le", "-"), np.float32)


@pytest.mark.parametrize(("start", "end"), CUTS)
@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("mono16.wav", 1),
        ("mono22.wav", 1),
        ("stereo44.wav", 2),
        ("exact.mp4", 2),
        ("sound.mp3", 2),
        ("sound.flac", 2),
        ("sound.ogg", 2),
    ],
)
def test_sound_is_that_of_ffmpeg(folder, name, channels, start, end):
    ours, theirs = read_sound(folder / name, start, end), by_ffmpeg(folder / name, start, end, channels)
    assert (ours.dtype, ours.ndim) == (np.float32, 1)
    same = min(len(ours), len(theirs))
    assert abs(len(ours) - len(theirs)) <= 1  # where a cut falls between two samples
    assert np.abs(ours[:same] - theirs[:same]).max() < 1e-4
    assert np.abs(ours).max() > 0.1


def test_sound_of_a_video_is_that_of_ffmpeg(folder):
    whole = read_sound(folder / "video.mp4")
    assert np.abs(whole - by_ffmpeg(folder / "video.mp4", None, None, 2)).max() < 1e-4


@pytest.mark.parametrize("name", ["stereo44.wav", "exact.mp4", "sound.mp3", "sound.flac", "sound.ogg"])
def test_cut_is_a_slice_of_the_whole(folder, name):
    whole = read_sound(folder / name, rate=44100)  # the rate of the file, so that nothing is resampled
    for start, end in ((0.3, 0.9), (1.5, 2.75), (4.0, 5.5)):
        piece = read_sound(folder / name, start, end, 44100)
        assert np.abs(piece - whole[round(start * 44100) : round(end * 44100)]).max() < 1e-6


def stands_at(piece, whole, at):
    """Whether `piece` is in `whole` at sample `at`, or up to a millisecond (of 44.1 kHz) from there."""
    return any(np.abs(piece - whole[at + k :][: len(piece)]).max() < 1e-6 for k in range(-45, 46))


def test_containers_with_coarse_times(folder):
    ffmpeg("-i", folder / "stereo44.wav", "-c:a", "flac", folder / "coarse.mkv")  # times in milliseconds
    whole = read_sound(folder / "stereo44.wav", rate=44100)
    piece = read_sound(folder / "coarse.mkv", 3.0, 4.0, 44100)
    assert len(piece) == 44100
    assert stands_at(piece, whole, 3 * 44100)


def test_container_that_begins_late(folder):
    ffmpeg("-i", folder / "stereo44.wav", "-c:a", "mp2", folder / "late.ts")  # its first time is 1.4 s
    with av.open(str(folder / "late.ts")) as container:
        assert container.start_time > 1_000_000
    ours = read_sound(folder / "late.ts", 2.0, 3.0)
    assert np.abs(ours - by_ffmpeg(folder / "late.ts", 2.0, 3.0, 2)).max() < 1e-4


def test_track_that_begins_later_than_the_picture(folder):
    voice, late = folder / "stereo44.wav", folder / "late.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=s=64x64:d=6", "-itsoffset", "3", "-i", voice, "-aac_pns", "0", late)
    piece, whole = read_sound(late, 4.5, 5.5, 44100), read_sound(folder / "exact.mp4", rate=44100)
    assert stands_at(piece, whole, round(1.5 * 44100))  # the delay is written in thousandths of a second


@pytest.mark.parametrize("kind", ["u8", "s16le", "s24le", "s32le", "f32le", "f64le"])
def test_kinds_of_samples(folder, kind):
    path = folder / f"{kind}.wav"
    ffmpeg("-i", folder / "mono16.wav", "-c:a", f"pcm_{kind}", path)
    step = 1 / 128 if kind == "u8" else 1e-6
    assert np.abs(read_sound(path) - read_wav(folder / "mono16.wav")[0][:, 0]).max() <= step


def test_mean_of_channels(tmp_path):
    left, right = sine(1, 220), sine(1, 330)
    mixed = read_sound(write_wav(tmp_path / "stereo.wav", np.stack([left, right], 1)))
    assert np.abs(mixed - (left + right) / 2).max() < 2 / 32768
    opposite = write_wav(tmp_path / "opposite.wav", np.stack([left, -left], 1))
    with pytest.raises(Unheard, match=r"^silent$"):
        read_sound(opposite)


def test_resampled_tone(tmp_path):
    for rate in (8000, 44100, 48000):
        tone = read_sound(write_wav(tmp_path / "tone.wav", sine(1, 220, rate), rate))
        assert abs(len(tone) - 16000) <= 1
        assert np.abs(tone - sine(1, 220)[: len(tone)])[100:-100].max() < 1e-3


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spoiled")
    return spoil(folder, write_mp4(folder / "good.mp4", numbered(50), sine(2, rate=44100)))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing", "^no such file$"),
        ("folder", "^a folder$"),
        ("pipe", "^no regular file$"),
        ("empty", "^an empty file$"),
        *((name, r"^broken \(") for name in ("text", "zeros", "noise", "cut", "head", "spoiled", "playlist", "concat")),
    ],
)
def test_file_without_sound(spoiled, name, reason):
    if name not in spoiled:
        pytest.skip("this system has no named pipes")
    with pytest.raises(Unheard, match=reason):
        read_sound(spoiled[name])


@pytest.mark.parametrize("name", ["list.m3u8", "list.ffconcat", "list.mpd", "list.sdp", "picture_%d.wav"])
def test_file_that_names_another_is_not_followed(tmp_path, name):
    write_wav(tmp_path / "other.wav", sine(1))
    text = {
        "m3u8": "#EXTM3U\n#EXTINF:1,\nother.wav\n#EXT-X-ENDLIST\n",
        "ffconcat": "ffconcat version 1.0\nfile other.wav\n",
    }
    (tmp_path / name).write_text(text.get(name.rpartition(".")[2], "v=0\n"))
    with pytest.raises(Unheard, match="broken"):
        read_sound(tmp_path / name)


def test_video_without_a_sound_track(tmp_path):
    with pytest.raises(Unheard, match=r"^no sound track$"):
        read_sound(write_mp4(tmp_path / "mute.mp4", numbered(5)))


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(0), "^zero length$"),
        (np.zeros(16000), "^silent$"),
        (np.full(16000, 3e-5), "^silent$"),  # a single step of 16 bits
        (sine(0.07), r"^too short \(0.070 s; at least 0.075\)$"),
        (sine(LONGEST + 1), r"^too long \(over 120 s\)$"),
    ],
    ids=["zero-length", "silent", "nearly-silent", "too-short", "too-long"],
)
def test_sound_that_says_nothing(tmp_path, samples, reason):
    with pytest.raises(Unheard, match=reason):
        read_sound(write_wav(tmp_path / "sound.wav", samples))


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        (5.0, 6.0, r"^starts at 5.00 s, and the sound ends before it$"),
        (2.0, 2.3, "sound ends before it"),
        (1.0, 4.0, r"^cut short \(ends at 2.00 of 4.00 s\)$"),
        (0.0, 121.0, r"^too long \(121.0 s; at most 120\)$"),
        (1.0, 1.05, "^too short"),
        (1.0, 1.0, r"^no time from 1 to 1 s$"),
        (1.0, 0.5, "^no time"),
        (-1.0, 0.5, "^no time"),
        (float("nan"), 1.0, "^no time"),
        (0.5, float("nan"), "^no time"),
        (float("inf"), None, "^no time"),
    ],
)
def test_times_without_sound(tmp_path, start, end, reason):
    path = write_wav(tmp_path / "sound.wav", sine(2))
    with pytest.raises(Unheard, match=reason):
        read_sound(path, start, end)


def test_end_a_little_late_is_the_end(tmp_path):
    assert len(read_sound(write_wav(tmp_path / "sound.wav", sine(2)), 1.0, 2.2)) == 16000


@pytest.mark.parametrize(("value", "reason"), [(np.nan, "not finite"), (3e4, "samples up to 30000; expected -1 to 1")])
def test_floating_point_samples_that_are_no_sound(tmp_path, value, reason):
    path = tmp_path / "sound.wav"
    raw = np.full(16000, value, "<f4")
    raw.tofile(tmp_path / "raw")
    ffmpeg("-f", "f32le", "-ar", "16000", "-ac", "1", "-i", tmp_path / "raw", "-c:a", "pcm_f32le", path)
    with pytest.raises(Unheard, match=reason):
        read_sound(path)


def test_clip_that_breaks_off(tmp_path):
    good, front = write_mp4(tmp_path / "good.mp4", samples=sine(4, rate=44100)), tmp_path / "front.mp4"
    ffmpeg("-i", good, "-c", "copy", "-movflags", "+faststart", front)  # the index first, so that it can be opened
    content = front.read_bytes()
    front.write_bytes(content[: len(content) // 2])
    with pytest.raises(Unheard, match=r"cut short|damaged packets"):
        read_sound(front)
    noise = np.random.default_rng(1).bytes(len(content) // 4)
    front.write_bytes(content[: len(content) // 2] + noise + content[len(content) // 2 + len(noise) :])
    with pytest.raises(Unheard, match="broken"):
        read_sound(front)


@pytest.fixture
def decoded(monkeypatch):
    """Lengths of the frames that have been decoded, in samples."""
    lengths, mono = [], sound._mono

    def counted(frame):
        lengths.append(frame.samples)
        return mono(frame)

    monkeypatch.setattr(sound, "_mono", counted)
    return lengths


@pytest.mark.parametrize("start", [2.0, 599.0])
def test_no_more_is_decoded_than_the_piece(tmp_path, decoded, start):
    path = write_wav(tmp_path / "long.wav", np.tile(sine(60), 10))
    piece = read_sound(path, start, start + 1)
    assert np.abs(piece - sine(1)).max() < 2 / 32768  # whole seconds of the tone are all the same
    assert 32000 <= sum(decoded) <= 32000 + 2 * max(decoded)  # a second before it, and its own


def test_jump_that_goes_too_far_is_taken_back(folder, monkeypatch, decoded):
    expected = read_sound(folder / "exact.mp4", 2.0, 3.0)
    decoded.clear()
    monkeypatch.setattr(sound, "_BEFORE", -1.0)
    assert (read_sound(folder / "exact.mp4", 2.0, 3.0) == expected).all()
    assert sum(decoded) > 3 * 44100, "from the beginning"


def test_gap_between_frames(tmp_path):
    path, rate = tmp_path / "gap.mkv", 16000
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=rate, layout="mono")
        for second, tone in ((0, sine(1, 220)), (3, sine(1, 330))):  # nothing from 1 to 3 s
            for k in range(0, rate, 1000):
                samples = (tone[k : k + 1000] * 32767).astype(np.int16)[None]
                frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = rate, second * rate + k, Fraction(1, rate)
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert np.abs(read_sound(path, 0.0, 1.0) - sine(1, 220)).max() < 2 / 32768
    for start, end in ((3.0, 4.0), (0.999, 4.0)):  # without and with the end of the first, of 16 samples
        assert np.abs(read_sound(path, start, end)[-16000:] - sine(1, 330)).max() < 2 / 32768
    assert len(read_sound(path, 0.999, 4.0)) == 16016


def test_any_bytes_lead_to_sound_or_a_reason(tmp_path):
    good = write_mp4(tmp_path / "good.mp4", numbered(10), sine(0.5, rate=44100)).read_bytes()
    other = write_wav(tmp_path / "good.wav", sine(0.2)).read_bytes()
    rng = np.random.default_rng(0)
    reasons = set()
    for k in range(150):
        content = np.frombuffer(good if k % 3 else other, np.uint8).copy()
        places = rng.integers(0, len(content) if k % 2 else 300, rng.integers(1, 20))
        content[places] = rng.integers(0, 256, len(places))
        path = tmp_path / ("spoiled.mp4" if k % 3 else "spoiled.wav")
        path.write_bytes(content.tobytes())
        try:
            assert np.isfinite(read_sound(path, 0.1 if k % 5 else None)).all()
        except Unheard as reason:
            reasons.add(str(reason))
    assert reasons
    assert all(0 < len(reason) < 120 for reason in reasons)
