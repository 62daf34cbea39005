"""Byte-stable drawing in numpy: a planar float canvas and shapes as distance fields.

The same scene must give the same bytes on every processor, so only operations that IEEE 754 rounds
in one way reach a pixel: + - * / sqrt, comparisons, floor, integers and PCG64 draws. No exp, sin,
pow, log and no BLAS: their last bits change with the SIMD path. An angle is therefore given as the
tangent of its half (`rotation`), and a fall-off is a polynomial, never a Gaussian.

Planes are float32 [height, width]; x grows to the right, y downwards, both in pixels, and the pixel
in row r and column c has its centre at (c, r). Shapes return signed distances in pixels, negative
inside; `edge` turns one into coverage. Colours are triples, about [0, 1]. Noise, blur, grain and
the JPEG encoder are in `texture.py`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# float32 throughout; the stubs promote some float32-with-float results on paper only.
Plane = NDArray[np.floating[Any]]
Colour = Sequence[float] | Plane
Triple = tuple[float, ...]


@dataclass(frozen=True)
class Patch:
    """A window of the canvas with the coordinates of its pixels: x [1, w] and y [h, 1]."""

    rows: slice
    columns: slice
    x: Plane
    y: Plane

    @property
    def empty(self) -> bool:
        return self.x.size == 0 or self.y.size == 0


class Canvas:
    """An RGB picture under construction: `pixels` is float32 [3, height, width]."""

    def __init__(self, height: int, width: int) -> None:
        self.height = height
        self.width = width
        self.pixels: Plane = np.zeros((3, height, width), np.float32)

    def patch(
        self,
        left: float = 0.0,
        top: float = 0.0,
        right: float = math.inf,
        bottom: float = math.inf,
    ) -> Patch:
        """The window from (left, top) to (right, bottom), clipped to the canvas; may be empty."""
        first_column, end_column = _clip_range(left, right, self.width)
        first_row, end_row = _clip_range(top, bottom, self.height)
        x = np.arange(first_column, end_column, dtype=np.float32)[None, :]
        y = np.arange(first_row, end_row, dtype=np.float32)[:, None]
        return Patch(slice(first_row, end_row), slice(first_column, end_column), x, y)

    def window(self, patch: Patch) -> Plane:
        """The pixels under `patch`, as a view [3, h, w]."""
        return self.pixels[:, patch.rows, patch.columns]

    def composite(self, patch: Patch, alpha: Plane, colour: Colour) -> None:
        """Lay `colour` (a triple, or planes [3, h, w]) over the patch; alpha [h, w] in [0, 1]."""
        window = self.window(patch)
        # In this form full coverage leaves exactly nothing of what lay below.
        rest = 1.0 - alpha
        for channel in range(3):
            layer = window[channel]
            layer *= rest
            layer += alpha * colour[channel]

    def multiply(self, patch: Patch, factor: Plane | Sequence[float] | float) -> None:
        """Darken or lighten the patch: one factor plane [h, w], a triple, or one number."""
        window = self.window(patch)
        if isinstance(factor, Sequence):
            for channel in range(3):
                window[channel] *= factor[channel]
        else:
            window *= factor


def _clip_range(low: float, high: float, size: int) -> tuple[int, int]:
    first = max(0, math.floor(low)) if low > 0 else 0
    end = size if high >= size else math.ceil(high) + 1
    end = min(size, end)
    return min(first, size), max(min(first, size), end)


# Numbers and coordinates


def rotation(half_tangent: float) -> tuple[float, float]:
    """(cosine, sine) of the angle whose half has this tangent; 0.0875 is about 10 degrees."""
    square = half_tangent * half_tangent
    return (1.0 - square) / (1.0 + square), 2.0 * half_tangent / (1.0 + square)


def turned(
    x: Plane, y: Plane, centre: tuple[float, float], half_tangent: float
) -> tuple[Plane, Plane]:
    """Coordinates in a frame at `centre`, turned clockwise (y is down) by the angle."""
    cosine, sine = rotation(half_tangent)
    across, down = x - centre[0], y - centre[1]
    return across * cosine + down * sine, down * cosine - across * sine


def clamp(value: Plane, low: float = 0.0, high: float = 1.0) -> Plane:
    limited: Plane = np.minimum(np.maximum(value, np.float32(low)), np.float32(high))
    return limited


def square_root(value: Plane) -> Plane:
    root: Plane = np.sqrt(value)
    return root


def smoothstep(low: float, high: float, value: Plane) -> Plane:
    """0 below `low`, 1 above `high` (or the reverse when low > high), with flat ends."""
    t = clamp((value - low) * (1.0 / (high - low)))
    return t * t * (3.0 - 2.0 * t)


def edge(distance: Plane, softness_pixels: float = 1.5) -> Plane:
    """Coverage in [0, 1] of a shape, its border `softness_pixels` wide and centred on it."""
    half = 0.5 * softness_pixels
    return smoothstep(half, -half, distance)


def bump(squared_radius: Plane) -> Plane:
    """A smooth hill: 1 at radius 0, 0 from radius 1 on; takes the squared radius."""
    t = clamp(1.0 - squared_radius)
    return t * t


def mix(first: Sequence[float], second: Sequence[float], share: float) -> Triple:
    """The colour `share` of the way from the first to the second."""
    return tuple(a + share * (b - a) for a, b in zip(first, second, strict=True))


def palette(colours: Sequence[Triple], place: float) -> Triple:
    """The colour at `place` in [0, 1] along a row of colours."""
    step = place * (len(colours) - 1)
    first = min(int(step), len(colours) - 2)
    return mix(colours[first], colours[first + 1], step - first)


def tinted(colour: Sequence[float], brightness: Plane) -> Plane:
    """Planes [3, h, w] of one colour under a brightness [h, w]."""
    return np.stack([channel * brightness for channel in colour])


# Signed distances


def ellipse(x: Plane, y: Plane, radius_x: float, radius_y: float) -> Plane:
    """About the distance to an ellipse at the origin (first order; exact on the border)."""
    u, v = x * (1.0 / radius_x), y * (1.0 / radius_y)
    du, dv = u * (1.0 / radius_x), v * (1.0 / radius_y)
    radius = square_root(u * u + v * v)
    slope = square_root(du * du + dv * dv)
    # The two small numbers make the centre as deep as the smaller radius, not 0 / 0.
    tiny = 1e-5
    distance: Plane = (radius + tiny) * (radius - 1.0) / (slope + tiny / min(radius_x, radius_y))
    return distance


def superellipse(x: Plane, y: Plane, radius_x: float, radius_y: float, squareness: float) -> Plane:
    """About the distance to a squircle: squareness 0 is an ellipse, towards 1 a rectangle."""
    u, v = x * (1.0 / radius_x), y * (1.0 / radius_y)
    uu, vv, ss = u * u, v * v, squareness * squareness
    radius = square_root(np.maximum(uu + vv - ss * uu * vv, np.float32(1e-6)))
    # Beyond the box the squircle's formula folds back: there the larger side decides.
    radius = np.maximum(radius, square_root(np.maximum(uu, vv)))
    slope_u, slope_v = u * (1.0 - ss * vv) / radius_x, v * (1.0 - ss * uu) / radius_y
    slope = square_root(slope_u * slope_u + slope_v * slope_v) / radius
    least = 0.5 / max(radius_x, radius_y)
    distance: Plane = (radius - 1.0) / np.maximum(slope, np.float32(least))
    return distance


def segment_coordinates(
    x: Plane, y: Plane, start: tuple[float, float], end: tuple[float, float]
) -> tuple[Plane, Plane]:
    """Along the segment (0 at start, 1 at end, clipped) and the signed distance to its left."""
    length_x, length_y = end[0] - start[0], end[1] - start[1]
    squared = max(length_x * length_x + length_y * length_y, 1e-6)
    px, py = x - start[0], y - start[1]
    along = clamp((px * length_x + py * length_y) * (1.0 / squared))
    side = (px * length_y - py * length_x) * (1.0 / math.sqrt(squared))
    return along, side


def capsule(
    x: Plane,
    y: Plane,
    start: tuple[float, float],
    end: tuple[float, float],
    start_radius: float,
    end_radius: float,
) -> Plane:
    """Distance to a segment with a radius that tapers from one end to the other."""
    along, _ = segment_coordinates(x, y, start, end)
    dx = x - start[0] - along * (end[0] - start[0])
    dy = y - start[1] - along * (end[1] - start[1])
    return square_root(dx * dx + dy * dy) - (start_radius + along * (end_radius - start_radius))


def bezier(
    start: tuple[float, float],
    control: tuple[float, float],
    end: tuple[float, float],
    pieces: int = 8,
) -> list[tuple[float, float]]:
    """Points on a quadratic Bezier curve, ends included."""
    points = []
    for k in range(pieces + 1):
        t = k / pieces
        a, b, c = (1.0 - t) * (1.0 - t), 2.0 * t * (1.0 - t), t * t
        points.append(
            (
                a * start[0] + b * control[0] + c * end[0],
                a * start[1] + b * control[1] + c * end[1],
            )
        )
    return points


def stroke(
    x: Plane, y: Plane, points: Sequence[tuple[float, float]], radii: Sequence[float]
) -> Plane:
    """Distance to a chain of tapered capsules through `points` with one radius per point."""
    distance = capsule(x, y, points[0], points[1], radii[0], radii[1])
    for k in range(1, len(points) - 1):
        piece = capsule(x, y, points[k], points[k + 1], radii[k], radii[k + 1])
        distance = np.minimum(distance, piece)
    return distance


def smooth_union(first: Plane, second: Plane, radius: float) -> Plane:
    """The union of two shapes, their joint rounded over about `radius` pixels."""
    overlap = np.maximum(np.float32(0.0), radius - np.abs(first - second))
    union: Plane = np.minimum(first, second) - overlap * overlap * (0.25 / radius)
    return union
