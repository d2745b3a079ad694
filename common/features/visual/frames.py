"""Pictures of a video, so many a second, by their time stamps: what a player shows at these moments."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import is_want_of_memory
from common.features.packages import package
from common.features.visual.reason import reason

LONGEST = 120.0  # seconds of an utterance; a longer one is a clip that was cut wrongly
MOST_PIXELS = 2**25  # of a picture: that of 8K video fits
MOST_FRAMES = 100_000  # that are decoded for an utterance, those between where the seek lands and its start among them
SIDES = ("", "left", "right")
_NEAR = 1.0  # seconds from the beginning up to which decoding costs less than seeking
_EQUAL = 1e-3  # seconds within which two times are the same: some containers round to milliseconds
# Containers of video alone: a playlist, or a list of files, could name other files and addresses.
_CONTAINERS = "mov,mp4,avi,matroska,webm,mpegts,mpeg,flv,asf,ogg,mxf,dv,wtv"


class Unseen(Exception):
    """Why an utterance has no pictures, in a few words."""


def frames(path: Path, start: float | None, end: float | None, fps: float, side: str = "") -> Iterator[np.ndarray]:
    """The pictures of the video `path` at `start`, `start` + 1/`fps`, ... before `end`, RGB, uint8 (H, W, 3).

    `start`, `end`: seconds, from where a player begins to count; None: the beginning and the end of the video. A
    picture is the last one whose time has come, as a player shows it; before the first one, the first; so one can come
    twice where the video has fewer than `fps`. An AVI file says when a picture is decoded, not when it is shown: there
    it can be off by the two or so pictures that a codec reorders. Videos of turned phones are turned upright, in steps
    of 90 degrees; pixels are taken as square. `side`: "left" or "right", that half of the upright picture, or "".

    Only what is needed is decoded, one picture after the other. Raises Unseen, maybe after some pictures, where the
    file is missing or broken, has no video, shows nothing between `start` and `end`, or where these are more than
    LONGEST seconds apart.
    """
    if side not in SIDES:
        raise ValueError(f"found side {side!r}; expected one of {SIDES}")
    if not (math.isfinite(fps) and fps > 0):
        raise ValueError(f"found {fps} frames a second; expected a positive number")
    begin = 0.0 if start is None else start
    _check(path, begin, end)
    av = package("av")
    try:
        for picture in _shown(path, begin, math.inf if end is None else end, fps):
            yield _half(_upright(picture), side)
    except Unseen:
        raise
    except Exception as error:  # a damaged file can raise nearly anything
        if is_want_of_memory(error) and not isinstance(error, av.FFmpegError):
            raise
        raise Unseen(f"broken video ({reason(getattr(error, 'strerror', None) or error, 80)})") from None


def _check(path, begin, end):
    """Raises Unseen for what can be seen without opening the file."""
    if not path.is_file():
        raise Unseen("no such video file")
    if path.stat().st_size == 0:
        raise Unseen("the video file is empty")
    if not (math.isfinite(begin) and begin >= 0 and (end is None or math.isfinite(end))):
        raise Unseen(f"no time in the video: {begin} to {end} s")
    if end is not None and end <= begin:
        raise Unseen(f"zero length: {begin:g} to {end:g} s")
    if end is not None and end - begin > LONGEST:
        raise Unseen(f"longer than {LONGEST:g} s: {end - begin:.0f} s")


def _shown(path, begin, end, fps):
    """What is shown at `begin` + k / `fps`, as frames of PyAV."""
    step, last, last_until, stream = 0, None, 0.0, None
    for stream, time, frame in _decoded(path, begin, end):
        while last is not None and (due := begin + step / fps) < end - _EQUAL and due < time - _EQUAL:
            _check_length(due - begin)
            yield last
            step += 1
        if begin + step / fps >= end - _EQUAL or (last is None and time >= end - _EQUAL):
            break
        last, last_until = frame, time + _seconds(stream, frame)
    else:
        while last is not None and (due := begin + step / fps) < min(end, last_until) - _EQUAL:
            _check_length(due - begin)
            yield last
            step += 1
    if step == 0:
        until = "its end" if end == math.inf else f"{end:g} s"
        raise Unseen(f"no picture between {begin:g} s and {until}")


def _decoded(path, begin, end):
    """The stream, time in seconds, and frame, for all from the last key frame before `begin` on."""
    for seek in (True, False) if begin > _NEAR else (False,):
        with _opened(path) as container:
            stream = _stream(container, begin, end)
            zero = (container.start_time or 0) / 1e6
            if seek and not _sought(container, stream, begin + zero):
                continue
            number = -1
            for number, frame in enumerate(container.decode(stream)):
                time = _time(stream, frame) - zero
                if seek and number == 0 and time > begin + _EQUAL:
                    break  # the file's index is wrong, or it has none: once more, from its beginning
                if number == MOST_FRAMES:
                    raise Unseen(f"more than {MOST_FRAMES} pictures until its end")
                if frame.width * frame.height > MOST_PIXELS:
                    raise Unseen(f"pictures of {frame.width} x {frame.height} are too large")
                yield stream, time, frame
            else:
                if number >= 0 or not seek:
                    return


def _opened(path):
    options = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file", "max_pixels": str(MOST_PIXELS)}
    av = package("av")
    try:
        return av.open(f"file:{path}", options=options, metadata_errors="replace")
    except av.ArgumentError:  # what FFmpeg says of other containers
        raise Unseen("no video file of a known kind, such as mp4, mkv or avi") from None


def _stream(container, begin, end):
    attached = package("av").stream.Disposition.attached_pic  # the cover of a sound file
    streams = [s for s in container.streams.video if not s.disposition & attached and s.codec_context is not None]
    if not streams:
        raise Unseen("no video in the file")
    stream = streams[0]
    if stream.width * stream.height > MOST_PIXELS:
        raise Unseen(f"pictures of {stream.width} x {stream.height} are too large")
    if end == math.inf and stream.duration and stream.time_base:
        _check_length(float(stream.duration * stream.time_base) - begin)
    stream.thread_type = "NONE"
    stream.codec_context.thread_count = 1
    return stream


def _sought(container, stream, time):
    """Whether `container` now stands at a key frame."""
    try:
        container.seek(math.floor(time / stream.time_base), stream=stream)
    except package("av").FFmpegError:  # not every file can be sought in
        return False
    return True


def _time(stream, frame):
    stamp = frame.dts if frame.pts is None else frame.pts
    if stamp is None:
        raise Unseen("pictures without a time")
    return float(stamp * stream.time_base)


def _seconds(stream, frame):
    """How long `frame` is shown, if it is the last."""
    if frame.duration:
        return float(frame.duration * stream.time_base)
    return float(1 / stream.average_rate) if stream.average_rate else 0.04


def _check_length(seconds):
    if seconds > LONGEST:
        raise Unseen(f"longer than {LONGEST:g} s")


def _upright(frame: Any) -> np.ndarray:
    return np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))  # both count counterclockwise


def _half(picture, side):
    middle = picture.shape[1] // 2
    half = {"left": picture[:, :middle], "right": picture[:, -middle:]}.get(side, picture)
    return np.ascontiguousarray(half)
