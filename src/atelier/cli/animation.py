"""Pictures that follow each other, as a GIF or an animated WebP, by Pillow alone."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Frame = NDArray[np.uint8]
"""[H, W, 3] in [0, 255]."""

LARGEST_SIDE = {".gif": 65_535, ".webp": 16_383}
"""In pixels, of a frame."""


def gif(frames: Sequence[Frame], frames_per_second: int) -> bytes:
    """Runs for ever. 256 colours, chosen for each frame."""
    # GIF counts in hundredths of a second, Pillow in thousandths.
    return _saved(frames, "GIF", duration=round(100 / frames_per_second) * 10, optimize=False)


def webp(frames: Sequence[Frame], frames_per_second: int) -> bytes:
    """Runs for ever. Every pixel as it was: twice a GIF's bytes, and all colours."""
    return _saved(frames, "WEBP", duration=round(1000 / frames_per_second), lossless=True)


def _saved(frames: Sequence[Frame], kind: str, **options: object) -> bytes:
    if len(frames) < 2:
        raise ValueError(f"frames: two or more (got {len(frames)})")
    first, *others = map(Image.fromarray, frames)
    buffer = io.BytesIO()
    first.save(buffer, kind, save_all=True, append_images=others, loop=0, **options)
    return buffer.getvalue()
