"""One place that turns any image file into RGB, 8 bits a channel, or says why it can't."""

import struct
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from atelier.errors import UserError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF")
"""Formats that are decoded in this process; EPS and the like would start another program."""

MAX_PIXELS = 64_000_000
"""A small file can declare a picture that fills the memory: larger ones are refused unread."""

ORIENTATION = 0x0112
BITS_PER_SAMPLE, PHOTOMETRIC = 0x0102, 0x0106
WHITE_IS_ZERO = 0
"""A TIFF's photometric interpretation; Pillow heeds it up to 8 bits only."""
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF's orientation -> what turns such a picture upright."""

MIN_PIXELS = 16
"""A side shorter than this holds no picture to learn from."""

# What Pillow's decoders raise on damaged files, besides OSError. Not `Exception`: a fault of ours
# must not be reported as the user's broken picture.
DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


Read = TypeVar("Read")


@dataclass(frozen=True)
class Fault:
    """What is wrong with a file. Unlike an error, it travels between processes."""

    path: Path
    problem: str
    remedy: str = ""

    def error(self) -> UserError:
        return UserError(self.path, self.problem, self.remedy)


def decode(path: Path) -> Image.Image:
    """Reads the first frame, upright (EXIF rotation applied), as an RGB image.

    Gray, palette and CMYK are converted, 12- and 16-bit samples keep their upper 8 bits,
    transparency is laid over white. Embedded colour profiles are ignored.

    Raises:
        UserError: naming the file, when it is no image, damaged, cut short or too large.
    """
    image = try_decode(path)
    if isinstance(image, Fault):
        raise image.error()
    return image


def try_decode(path: Path) -> Image.Image | Fault:
    """The same, with what is wrong as a value."""
    return _opened(path, _decoded)


def size_of(path: Path) -> tuple[int, int] | Fault:
    """Width and height of the picture upright, from the file's head alone; or what is wrong."""
    return _opened(path, _size)


def _opened(path: Path, read: Callable[[Path, Image.Image], Read | Fault]) -> Read | Fault:
    try:
        with warnings.catch_warnings():
            # Pillow warns about large pictures and odd metadata; ours are the limits that count.
            warnings.simplefilter("ignore")
            # Not by its path: Pillow would map an uncompressed TIFF into memory, and one that lies
            # on its side with width for height.
            with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    what = f"too many pixels (got {image.width}x{image.height})"
                    return Fault(path, what, f"{MAX_PIXELS:,} are allowed.")
                return read(path, image)
    except UnidentifiedImageError:
        empty = path.stat().st_size == 0
        return Fault(path, "empty" if empty else "not an image, or its head is damaged")
    except AttributeError as error:
        # Pillow's reader of AVIF writes a turned picture's metadata anew, and trips over odd ones.
        what = f"has metadata that can't be read ({_brief(error)})"
        return Fault(path, what, "Save it anew without them.")
    except DAMAGED as error:
        if isinstance(error, OSError) and error.strerror:
            return Fault(path, f"cannot be read ({error.strerror})")
        return Fault(path, f"damaged or cut short ({_brief(error)})")


def _decoded(path: Path, image: Image.Image) -> Image.Image | Fault:
    image.load()
    turn = UPRIGHT.get(_orientation(image))
    return _to_rgb(path, image if turn is None else image.transpose(turn))


def _size(path: Path, image: Image.Image) -> tuple[int, int]:
    # Pillow turns the size of a TIFF itself, before it is loaded.
    on_its_side = image.format != "TIFF" and _orientation(image) in (5, 6, 7, 8)
    return (image.height, image.width) if on_its_side else (image.width, image.height)


def _orientation(image: Image.Image) -> int:
    """As the picture's EXIF says; odd metadata, which Pillow's own function trips over, say 1."""
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except DAMAGED:
        return 1
    return found if isinstance(found, int) else 1


def _to_rgb(path: Path, image: Image.Image) -> Image.Image | Fault:
    if image.mode == "F":
        return Fault(path, "holds floating point samples", "Save it with 8 or 16 bits.")
    if image.mode.startswith("I"):
        samples = np.asarray(image).astype(np.int64)
        if samples.min() < 0 or samples.max() > 65535:
            what = f"samples beyond 16 bits (got {samples.min()} to {samples.max()})"
            return Fault(path, what, "Save it with 8 or 16 bits.")
        tags = getattr(image, "tag_v2", {})  # of a TIFF
        bits = min(tags.get(BITS_PER_SAMPLE, (16,))[0], 16)
        if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
            samples = 2**bits - 1 - samples
        # Pillow's own conversion would clip at 255 and not scale.
        image = Image.fromarray((samples >> (bits - 8)).astype(np.uint8))
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        opaque = Image.new("RGBA", image.size, "white")
        opaque.alpha_composite(image.convert("RGBA"))
        image = opaque
    return image.convert("RGB")


def _brief(error: BaseException) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text if len(text) <= 100 else text[:97] + "..."
