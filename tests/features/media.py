"""Sound and pictures for the tests of features, made when a test runs (`tests/features/media.py`).

`speech` (espeak-ng), `sine` and `write_wav` make sound, stereo and at any rate; `write_mp4` makes a video with
pictures, sound, or both; `numbered` makes pictures of which the grey level says which one it is; `spoil` makes files
that are no good, each in its own way.
"""

import os
import shutil
import subprocess
import wave
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest


def program(name: str) -> str:
    """Where the program `name` is. Skips the test where it is missing; fails where CI has to have it."""
    found = shutil.which(name)
    if not found:
        if os.environ.get("CI"):
            pytest.fail(f"CI needs the program {name}, and it is not there")
        pytest.skip(f"needs the program {name}")
    return found


def sine(seconds: float, hertz: float = 220.0, rate: int = 16000, height: float = 0.5) -> np.ndarray:
    """A tone, float32 (samples,), in [-height, height]."""
    return (height * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def write_wav(path: Path, samples: np.ndarray, rate: int = 16000) -> Path:
    """A wav file of 16 bits of `samples`, (n,) or (n, channels), in [-1, 1]."""
    samples = np.asarray(samples)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes())
    return path


def read_wav(path: Path) -> tuple[np.ndarray, int]:
    """The samples of a wav file of 16 bits, float64 (n, channels), in [-1, 1), and its rate."""
    with wave.open(str(path), "rb") as file:
        numbers = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
        return numbers / 32768, file.getframerate()


def speech(path: Path, sentence: str = "I have not heard from you for a week.", rate: int | None = None) -> Path:
    """A wav file of a voice that says `sentence`, mono, 22,050 Hz, or `rate` by ffmpeg."""
    voice = path if rate is None else path.with_name(f"{path.stem}-22050.wav")
    subprocess.run([program("espeak-ng"), "-v", "en", "-w", str(voice), sentence], check=True, capture_output=True)
    if rate is not None:
        command = [program("ffmpeg"), "-v", "error", "-y", "-i", str(voice), "-ar", str(rate), str(path)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        voice.unlink()
    return path


def numbered(count: int, height: int = 64, width: int = 96, step: int = 2) -> list[np.ndarray]:
    """Pictures, RGB uint8 (height, width, 3), of which number k is plain grey of level 16 + `step` k."""
    assert 16 + step * count <= 236, "levels that a codec keeps"
    return [np.full((height, width, 3), 16 + step * k, np.uint8) for k in range(count)]


def write_mp4(
    path: Path,
    pictures: Iterable[np.ndarray] = (),
    samples: np.ndarray | None = None,
    *,
    fps: int = 25,
    rate: int = 44100,
    codec: str = "mpeg4",
    sound_codec: str = "aac",
) -> Path:
    """A video of RGB `pictures` (uint8, of one size) and of the sound `samples`, (n,) or (n, channels) in [-1, 1].

    Either may be missing. The name of `path` says the container: .mp4, .mkv, .avi, .mov and others work, too.
    """
    av = pytest.importorskip("av")
    pictures = list(pictures)
    with av.open(str(path), "w") as container:
        video = sound = None
        if pictures:
            video = container.add_stream(codec, rate=Fraction(fps))
            video.height, video.width = pictures[0].shape[:2]
            video.pix_fmt, video.bit_rate, video.gop_size = "yuv420p", 2_000_000, 12
        if samples is not None:
            samples = np.asarray(samples, np.float32).reshape(len(samples), -1)
            layout = "mono" if samples.shape[1] == 1 else "stereo"
            sound = container.add_stream(sound_codec, rate=rate, layout=layout)
        for picture in pictures:
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        if pictures:
            container.mux(video.encode(None))
        if samples is not None:
            fifo = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout=layout)
            fifo.sample_rate, fifo.pts, fifo.time_base = rate, 0, Fraction(1, rate)
            resampler = av.AudioResampler(sound.format, layout, rate, frame_size=sound.frame_size or 1024)
            for frame in [*resampler.resample(fifo), *resampler.resample(None)]:
                container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
    return path


def spoil(folder: Path, good: Path) -> dict[str, Path]:
    """Files that hold neither sound nor pictures, by what is wrong with them; some are made of the video `good`.

    A named pipe without a writer is among them where the system knows pipes: opening it waits for ever.
    """
    content = good.read_bytes()
    half = len(content) // 2
    contents = {
        "empty": b"",
        "text": b"Ann: Did it arrive?\nBob: Not yet.\n",
        "zeros": bytes(5000),
        "noise": np.random.default_rng(0).bytes(5000),
        "cut": content[:half],  # an mp4's index stands at its end
        "head": content[:40],
        "spoiled": content[:half] + bytes(len(content) - half),
        "playlist": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{good}\n#EXT-X-ENDLIST\n".encode(),
        "concat": f"ffconcat version 1.0\nfile '{good}'\n".encode(),
    }
    made = {name: folder / f"{name}{good.suffix}" for name in contents}
    for name, path in made.items():
        path.write_bytes(contents[name])
    made |= {"missing": folder / f"nowhere{good.suffix}", "folder": folder}
    if hasattr(os, "mkfifo"):
        made["pipe"] = folder / f"pipe{good.suffix}"
        os.mkfifo(made["pipe"])
    return made
