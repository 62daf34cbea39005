"""Byte-stable textures and lens: band-limited noise, enlargement, blur, grain and encoding.

The rules of `canvas.py` hold here too: + - * / sqrt, floor, integers and PCG64 draws only.
"""

import math
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from atelier.drawing.canvas import Plane, clamp


def noise_grid(random: np.random.Generator, rows: int, columns: int) -> Plane:
    """Independent knots [rows, columns], uniform in [-1, 1], for `noise_at`."""
    return random.random((rows, columns), np.float32) * 2.0 - 1.0


def noise_at(grid: Plane, across: Plane, down: Plane) -> Plane:
    """Smooth value noise in [-1, 1] at any coordinates, in units of knots; the grid repeats."""
    rows, columns = grid.shape
    left, top = np.floor(across), np.floor(down)
    u, v = across - left, down - top
    u, v = u * u * (3.0 - 2.0 * u), v * v * (3.0 - 2.0 * v)
    # One gather per corner from the flat grid, in integers: an index per axis costs twice as much.
    column, row = left.astype(np.int32) % columns, top.astype(np.int32) % rows
    next_column, next_row = (column + 1) % columns, (row + 1) % rows
    flat, row, next_row = grid.ravel(), row * columns, next_row * columns
    upper = flat.take(row + column)
    upper = upper + u * (flat.take(row + next_column) - upper)
    lower = flat.take(next_row + column)
    lower = lower + u * (flat.take(next_row + next_column) - lower)
    noise: Plane = upper + v * (lower - upper)
    return noise


def enlarge(planes: Plane, height: int, width: int) -> Plane:
    """[..., h, w] to [..., height, width] by quadratic B-splines: no creases, no ringing."""
    last, middle, (before, at, after) = _spline(planes.shape[-1], width)
    wide: Plane = (
        planes.take(np.maximum(middle - 1, 0), axis=-1) * before
        + planes.take(np.minimum(middle, last), axis=-1) * at
        + planes.take(np.minimum(middle + 1, last), axis=-1) * after
    )
    # Whole rows are taken here, which is why the width comes first.
    last, middle, (before, at, after) = _spline(planes.shape[-2], height)
    tall: Plane = (
        wide.take(np.maximum(middle - 1, 0), axis=-2) * before[:, None]
        + wide.take(np.minimum(middle, last), axis=-2) * at[:, None]
        + wide.take(np.minimum(middle + 1, last), axis=-2) * after[:, None]
    )
    return tall


def _spline(count: int, size: int) -> tuple[int, NDArray[np.int32], tuple[Plane, Plane, Plane]]:
    """Last knot, nearest knot and the weights of it and its neighbours, per enlarged pixel."""
    place = (np.arange(size, dtype=np.float32) + 0.5) * np.float32(count / size) - 0.5
    nearest = np.floor(place + 0.5)
    offset = place - nearest
    before, after = 0.5 - offset, 0.5 + offset
    weights = (0.5 * before * before, 0.75 - offset * offset, 0.5 * after * after)
    return count - 1, nearest.astype(np.int32), weights


def value_noise(random: np.random.Generator, height: int, width: int, cell_pixels: float) -> Plane:
    """Band-limited noise [height, width] in [-1, 1], its features about `cell_pixels` wide."""
    rows, columns = max(2, round(height / cell_pixels)), max(2, round(width / cell_pixels))
    return enlarge(noise_grid(random, rows, columns), height, width)


def blur(planes: Plane, sigma_pixels: float) -> Plane:
    """[..., h, w] smoothed by repeated three-tap kernels whose variance adds up to sigma**2."""
    variance = sigma_pixels * sigma_pixels
    if variance < 1e-4:
        return planes
    passes = math.ceil(variance / 0.5)
    side = variance / (2.0 * passes)
    for _ in range(passes):
        planes = _three_taps(planes, side)
        planes = _three_taps(planes.swapaxes(-1, -2), side).swapaxes(-1, -2)
    return planes


def _three_taps(planes: Plane, side: float) -> Plane:
    """One pass along the last axis; borders repeat their pixel."""
    result = planes * (1.0 - 2.0 * side)
    result[..., 1:] += planes[..., :-1] * side
    result[..., :-1] += planes[..., 1:] * side
    result[..., :1] += planes[..., :1] * side
    result[..., -1:] += planes[..., -1:] * side
    return result


def grain(random: np.random.Generator, planes: Plane, sigma: float) -> Plane:
    """Sensor noise of this standard deviation (picture range 0 to 1), mostly in brightness."""
    channels, height, width = planes.shape
    brightness = random.standard_normal((height, width), np.float32)
    tint = random.standard_normal((channels, (height + 1) // 2, (width + 1) // 2), np.float32)
    tint = tint.repeat(2, axis=1).repeat(2, axis=2)[:, :height, :width]
    return planes + sigma * (0.86 * brightness + 0.5 * tint)


def to_uint8(planes: Plane) -> NDArray[np.uint8]:
    """[3, h, w] in [0, 1] to [h, w, 3] in 0 to 255, clipped and rounded half up."""
    rounded = np.floor(clamp(planes) * 255.0 + 0.5).astype(np.uint8)
    return np.ascontiguousarray(rounded.transpose(1, 2, 0))


def encode_jpeg(image: NDArray[np.uint8]) -> bytes:
    """[h, w, 3] as JPEG: quality 92, 4:2:0, no metadata; equal pictures give equal bytes."""
    stream = BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=92, subsampling="4:2:0", optimize=False)
    return stream.getvalue()
