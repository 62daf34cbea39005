"""One place that turns any image file into RGB, 8 bits a channel, or says why it can't."""

import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from atelier.errors import UserError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF")
"""Formats that are decoded in this process; EPS and the like would start another program."""

MAX_PIXELS = 64_000_000
"""A small file can declare a picture that fills the memory: larger ones are refused unread."""

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

    Gray, palette and CMYK are converted, 16-bit samples keep their upper 8 bits, transparency is
    laid over white. Embedded colour profiles are ignored.

    Raises:
        UserError: naming the file, when it is no image, damaged, cut short or too large.
    """
    image = try_decode(path)
    if isinstance(image, Fault):
        raise image.error()
    return image


def try_decode(path: Path) -> Image.Image | Fault:
    """The same, with what is wrong as a value."""
    try:
        with warnings.catch_warnings():
            # Pillow warns about large pictures and odd metadata; ours are the limits that count.
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    what = f"too many pixels (got {image.width}x{image.height})"
                    return Fault(path, what, f"{MAX_PIXELS:,} are allowed.")
                image.load()
                return _to_rgb(path, ImageOps.exif_transpose(image))
    except UnidentifiedImageError:
        empty = path.stat().st_size == 0
        return Fault(path, "empty" if empty else "not an image, or its head is damaged")
    except DAMAGED as error:
        if isinstance(error, OSError) and error.strerror:
            return Fault(path, f"cannot be read ({error.strerror})")
        return Fault(path, f"damaged or cut short ({_brief(error)})")


def _to_rgb(path: Path, image: Image.Image) -> Image.Image | Fault:
    if image.mode == "F":
        return Fault(path, "holds floating point samples", "Save it with 8 or 16 bits.")
    if image.mode.startswith("I"):
        samples = np.asarray(image).astype(np.int64)
        if samples.min() < 0 or samples.max() > 65535:
            what = f"samples beyond 16 bits (got {samples.min()} to {samples.max()})"
            return Fault(path, what, "Save it with 8 or 16 bits.")
        # Pillow's own conversion would clip at 255 and not scale.
        image = Image.fromarray((samples >> 8).astype(np.uint8))
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        opaque = Image.new("RGBA", image.size, "white")
        opaque.alpha_composite(image.convert("RGBA"))
        image = opaque
    return image.convert("RGB")


def _brief(error: BaseException) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text if len(text) <= 100 else text[:97] + "..."
