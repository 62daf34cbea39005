"""Pictures that follow each other, as a GIF or an MP4, by Pillow alone.

MP4 without a video library: PyAV, imageio-ffmpeg and OpenCV's newer wheels carry x264, which is
GPL. Pillow writes animated AVIF, which is AV1 (libaom, BSD) in the same container as MP4, and
differs in a few boxes; `mp4` changes those. Browsers and players since about 2020 show it.
"""

import io
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Frame = NDArray[np.uint8]
"""[H, W, 3] in [0, 255]."""

QUALITY = 90
"""Of AV1, out of 100: no loss that is seen at these sizes."""
CONTAINERS = frozenset({b"moov", b"trak", b"edts", b"mdia"})
"""Boxes that hold the boxes that are changed."""
BRANDS = b"isom" + bytes(4) + b"isomiso6mp41av01"
"""What the file is, in place of the AVIF's: an MP4 with AV1."""


def gif(frames: Sequence[Frame], frames_per_second: int) -> bytes:
    """Runs for ever. 256 colours, chosen for each frame."""
    # GIF counts in hundredths of a second, Pillow in thousandths.
    options = {"duration": round(100 / frames_per_second) * 10, "loop": 0, "optimize": False}
    return _saved(frames, "GIF", **options)


def mp4(frames: Sequence[Frame], frames_per_second: int) -> bytes:
    """AV1 with halved colour resolution, which every player takes; runs once.

    A side of odd length loses its last pixel.
    """
    height, width = (side - side % 2 for side in frames[0].shape[:2])
    # One thread, so that equal frames give equal bytes.
    content = bytearray(
        _saved(
            [frame[:height, :width] for frame in frames],
            "AVIF",
            duration=round(1000 / frames_per_second),
            quality=QUALITY,
            subsampling="4:2:0",
            codec="aom",
            max_threads=1,
        )
    )
    _turn_into_mp4(content)
    return bytes(content)


def _saved(frames: Sequence[Frame], kind: str, **options: object) -> bytes:
    if len(frames) < 2:
        raise ValueError(f"frames: two or more (got {len(frames)})")
    first, *others = map(Image.fromarray, frames)
    buffer = io.BytesIO()
    first.save(buffer, kind, save_all=True, append_images=others, **options)
    return buffer.getvalue()


def _turn_into_mp4(content: bytearray) -> None:
    """Changes an animated AVIF in place; no box moves, so that all offsets stay true.

    ISO/IEC 14496-12: boxes of 32 bits of length and 4 letters; version 1 of the headers, with
    times of 64 bits, is what libavif writes.
    """
    boxes = {name: start for name, start, _ in _boxes(content, 0, len(content))}
    ends = {name: end for name, _, end in _boxes(content, 0, len(content))}
    duration = bytes(content[boxes[b"mdhd"] + 24 : boxes[b"mdhd"] + 32])

    def put(name: bytes, offset: int, value: bytes) -> None:
        start = boxes[name] + offset
        content[start : start + len(value)] = value

    room = ends[b"ftyp"] - boxes[b"ftyp"]
    # What is left of the list of brands repeats the first.
    put(b"ftyp", 0, (BRANDS + b"isom" * room)[:room])
    put(b"meta", -4, b"free")  # The still picture's words.
    put(b"hdlr", 8, b"vide")
    for name, length in ((b"mvhd", 24), (b"tkhd", 28), (b"mdhd", 24)):
        put(name, 4, bytes(16))  # When it was made: equal frames give equal bytes.
        put(name, length, duration)
    put(b"elst", 3, b"\0")  # Runs once.


def _boxes(content: bytearray, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, and where the content begins and ends, of each box and of those in containers."""
    while start < end:
        size = int.from_bytes(content[start : start + 4], "big")
        name = bytes(content[start + 4 : start + 8])
        yield name, start + 8, start + size
        if name in CONTAINERS:
            yield from _boxes(content, start + 8, start + size)
        start += size
