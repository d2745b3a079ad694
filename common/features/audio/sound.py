"""The sound of one utterance, from any file that holds sound: cut, mixed down to one channel, and resampled once."""

import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from common.features.packages import package

RATE = 16000  # Hz; what most encoders of speech, and the corpora of this field, have
LONGEST = 120.0  # seconds of one utterance
SHORTEST = 0.075  # seconds; openSMILE's functionals need a few frames of 60 ms
SILENCE = 1e-4  # a piece without any sample above it is silent: three steps of 16 bits, -80 dB
_LOUDEST = 4.0  # floating-point sound is in [-1, 1], or little beyond it; where it is not, its scale is unknown
_BEFORE = 1.0  # seconds that are decoded ahead of a cut: codecs take up to 0.3 s until they are right after a jump
_LOST = 0.1  # the part of a piece that may be missing or damaged, as one can still hear what is said
_LOST_SECONDS = 0.5  # and that much may be missing in any case, since times in tables are rounded
_GUESSED = ("mp3", "aac", "mpeg", "mpegts", "amr")  # containers that do not say how long they are
_OPTIONS = {  # nothing but media files: a playlist can name any other file, or an address
    "protocol_whitelist": "file",
    "format_whitelist": "wav,w64,wv,aiff,au,caf,flac,mp3,ogg,aac,amr,mov,matroska,avi,asf,flv,mpeg,mpegts",
}


class Unheard(Exception):
    """There is no sound to be had; the message says why, in a few words."""


def read_sound(path: str | Path, start: float | None = None, end: float | None = None, rate: int = RATE) -> np.ndarray:
    """The sound of a file between `start` and `end`, float32 (samples,) in [-1, 1], one channel, `rate` Hz.

    `path`: a wav file, or any other file of sound or video that ffmpeg's libraries decode; of several sound tracks the
    one that they prefer. `start`, `end`: seconds from where the file begins; None: its beginning and end. The piece is
    cut to the sample by the times of decoded frames; channels are mixed by their mean; then it is resampled, once, by
    libswresample. No more of the file is decoded than the piece, and a second before it.

    Raises Unheard where there is no sound: the file is missing, broken, or without a sound track; the piece is empty,
    silent (SILENCE), shorter than SHORTEST or longer than LONGEST seconds; or the sound ends well before its end.
    """
    av = package("av")
    start = 0.0 if start is None else start
    _check_times(start, end)
    _check_file(path)
    try:
        samples = _decoded(av, path, start, end, rate)
    except Unheard:
        raise
    except Exception as error:  # a foreign file can lead to nearly anything
        raise Unheard(f"broken ({_reason(error)})") from None
    return _checked(samples, rate)


def _check_times(start, end):
    if not (math.isfinite(start) and start >= 0 and (end is None or start < end)):
        raise Unheard(f"no time from {start:g} to {end if end is None else format(end, 'g')} s")
    if end is not None and end - start > LONGEST:
        raise Unheard(f"too long ({end - start:.1f} s; at most {LONGEST:g})")


def _check_file(path):
    try:
        about = os.stat(path)
    except FileNotFoundError:
        raise Unheard("no such file") from None
    except (OSError, ValueError) as error:
        raise Unheard(f"not readable ({_reason(error)})") from None
    if not stat.S_ISREG(about.st_mode):  # opening a pipe would wait for ever
        raise Unheard("a folder" if stat.S_ISDIR(about.st_mode) else "no regular file")
    if not about.st_size:
        raise Unheard("an empty file")


def _reason(error):
    return " ".join(str(getattr(error, "strerror", None) or error or type(error).__name__).split())[:80]


def _decoded(av, path, start, end, rate):
    """The piece at `rate` Hz, unchecked."""
    found = _piece(av, path, start, end, jump=True) if start > _BEFORE else None
    samples, source_rate = found or _piece(av, path, start, end, jump=False)
    return _resampled(av, samples, source_rate, rate)


def _piece(av, path, start, end, jump):
    """The mixed samples of the piece and their rate; None where a `jump` to its start does not end before it."""
    with av.open(os.path.abspath(path), options=_OPTIONS, metadata_errors="ignore") as container:
        stream = container.streams.best("audio")
        if stream is None:
            raise Unheard("no sound track")
        zero = (container.start_time or 0) / av.time_base
        if jump:
            try:
                container.seek(int((zero + start - _BEFORE) / stream.time_base), stream=stream)
            except av.error.FFmpegError:  # some containers cannot
                return None
        pieces, held, rate, reached = [], 0, 0, 0.0
        for at, samples, rate in _frames(av, container, stream, zero):
            if not reached and jump and (at is None or at > start * rate):
                return None
            at = at or 0
            reached = (at + len(samples)) / rate
            last = len(samples) if end is None else round(end * rate) - at
            pieces.append(samples[max(round(start * rate) - at, 0) : max(last, 0)])
            held += len(pieces[-1])
            if held > LONGEST * rate:
                raise Unheard(f"too long (over {LONGEST:g} s)")
            if end is not None and last <= len(samples):
                break
        if jump and not reached:
            return None
        _check_reach(container, stream, start, end, reached)
        return np.concatenate(pieces), rate


def _check_reach(container, stream, start, end, reached):
    """Whether the sound goes on until where the piece, or as it says the stream, ends."""
    if not reached:
        raise Unheard("zero length")
    if reached <= start:
        raise Unheard(f"starts at {start:.2f} s, and the sound ends before it")
    last = end
    if end is None and stream.duration and container.format.name not in _GUESSED:
        last = float(stream.duration * stream.time_base)
    if last is not None and last - reached > max(_LOST_SECONDS, _LOST * (last - start)):
        raise Unheard(f"cut short (ends at {reached:.2f} of {last:.2f} s)")


def _frames(av: Any, container: Any, stream: Any, zero: float) -> Iterator[tuple[int | None, np.ndarray, int]]:
    """Of each frame: where it begins, in samples from `zero` seconds, or None; the mean of its channels; its rate."""
    following = rate = None
    good = bad = 0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:  # as ffmpeg does, pass over it
            frames, bad = [], bad + 1
        for frame in frames:
            if rate not in (None, frame.sample_rate):
                raise Unheard("broken (its sampling rate changes)")
            rate, at, good = frame.sample_rate, following, good + 1
            if frame.pts is not None:
                said = (float(frame.pts * frame.time_base) - zero) * rate
                coarse = 1 + float(frame.time_base) * rate  # samples; times in thousandths of a second are rounded
                if following is None or abs(said - following) > coarse:
                    at = round(said)
            following = (at or 0) + frame.samples
            yield at, _mono(frame), rate
        if bad > 2 + _LOST * (good + bad):
            raise Unheard(f"broken ({bad} damaged packets)")


def _mono(frame):
    """The mean of the channels, float32 (samples,)."""
    values = frame.to_ndarray()  # (channels, samples), or (1, samples * channels)
    kind = values.dtype
    if not frame.format.is_planar:
        values = values.reshape(frame.samples, -1).T
    values = values.astype(np.float64 if kind.itemsize > 2 else np.float32)
    if kind == np.uint8:
        values = (values - 128) / 128
    elif kind.kind == "i":
        values /= 2.0 ** (8 * kind.itemsize - 1)
    return values.mean(0).astype(np.float32)


def _resampled(av, samples, source_rate, rate):
    if source_rate == rate or not len(samples):
        return samples
    frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
    frame.sample_rate = source_rate
    resampler = av.AudioResampler("flt", "mono", rate)
    parts = [part.to_ndarray()[0] for part in [*resampler.resample(frame), *resampler.resample(None)]]
    return np.concatenate(parts)


def _checked(samples, rate):
    if len(samples) < SHORTEST * rate:
        raise Unheard(f"too short ({len(samples) / rate:.3f} s; at least {SHORTEST:g})")
    if not np.isfinite(samples).all():
        raise Unheard("broken (samples that are not finite)")
    loudest = float(np.abs(samples).max())
    if loudest < SILENCE:
        raise Unheard("silent")
    if loudest > _LOUDEST:
        raise Unheard(f"broken (samples up to {loudest:g}; expected -1 to 1)")
    return np.clip(samples, -1, 1)
