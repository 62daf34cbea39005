"""Pictures inside the page: encoded anew, small enough that all of them stay below a bound."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from atelier.data.sheet import GAP

LARGEST_BYTES = 7_000_000
"""Of all pictures of a page together; as text they take a third more."""
LARGEST_OF_ONE = 400_000
QUALITIES = (92, 80, 65, 50)
SMALLEST_PIXELS = 64


@dataclass(frozen=True)
class Picture:
    """What stands in an `<img>`."""

    source: str
    """A data URI."""
    width: int
    height: int
    alt: str


def budget(count: int) -> int:
    """Bytes that each of so many pictures may take."""
    return min(LARGEST_OF_ONE, LARGEST_BYTES // max(1, count))


def picture(path: Path, alt: str, most_bytes: int, crop: tuple[int, int] | None = None) -> Picture:
    """A file's picture, without loss where that fits.

    Args:
        crop: of the upper left corner this width and height alone.

    Raises:
        OSError: it is no picture, or is cut short.
    """
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except (UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise OSError(str(error)) from None
    if crop:
        image = image.crop((0, 0, min(crop[0], image.width), min(crop[1], image.height)))
    content = _encoded(image, most_bytes)
    source = "data:image/webp;base64," + base64.b64encode(content).decode("ascii")
    return Picture(source, image.width, image.height, alt)


def corner(side: int, columns: int, rows: int) -> tuple[int, int]:
    """Width and height of the first so many pictures of a sheet."""
    return columns * (side + GAP) + GAP, rows * (side + GAP) + GAP


def _encoded(image: Image.Image, most_bytes: int) -> bytes:
    content = _webp(image, lossless=True)
    while len(content) > most_bytes:
        for quality in QUALITIES:
            content = _webp(image, quality=quality)
            if len(content) <= most_bytes:
                return content
        if min(image.size) // 2 < SMALLEST_PIXELS:
            return content
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    return content


def _webp(image: Image.Image, lossless: bool = False, quality: int = 80) -> bytes:
    file = io.BytesIO()
    image.save(file, format="WEBP", lossless=lossless, quality=quality, method=4)
    return file.getvalue()
