"""Manes and tails: the clearest difference in outline between horses and zebras.

A horse's mane falls in locks from the crest and its tail is long hair; a zebra's mane is a short
upright brush that carries on the neck's stripes, and its thin tail ends in a tuft.
"""

import numpy as np

from atelier.drawing.animals_anatomy import Part, Skeleton, between, chain, spline
from atelier.drawing.canvas import rotation

BRUSH_RADII = (0.016, 0.036, 0.045, 0.049, 0.051, 0.051, 0.049, 0.044, 0.034)


def mane(skeleton: Skeleton) -> Part:
    """Locks that fall from the crest (horse), or an upright brush along it (zebra)."""
    cosine, sine = rotation(skeleton.animal.neck_turn)
    up = (-sine, cosine)
    return _brush(skeleton, up) if skeleton.zebra else _locks(skeleton, up)


def _brush(skeleton: Skeleton, up: tuple[float, float]) -> Part:
    places = [
        (x + up[0] * (radius + 0.014), y + up[1] * (radius + 0.014))
        for x, y, _, radius in skeleton.neck_rows[1:]
    ]
    places.append(skeleton.on_head(0.06, 0.24))
    rows = [(x, y, 0.0, radius) for (x, y), radius in zip(places, BRUSH_RADII, strict=True)]
    brush = chain("mane", rows, 0.008)
    # Distances are the neck's own, so that its rings run on into the hair.
    beside = skeleton.neck().along[1:]
    last = beside[-1, 1]
    along = np.concatenate([beside, np.asarray([[last, last + 0.06]], dtype=np.float32)])
    return Part("mane", brush.starts, brush.ends, brush.radii, along, brush.blend)


def _locks(skeleton: Skeleton, up: tuple[float, float]) -> Part:
    """A lock at each crest point leaves along the crest's normal, then hangs; a forelock."""
    animal = skeleton.animal
    rows: list[tuple[float, ...]] = []
    for index, (x, y, _, radius) in enumerate(skeleton.neck_rows[1:]):
        share = (index + 1) / 8.0
        length = animal.mane_length * (0.60 + 1.2 * share * (1.35 - share))
        length *= (1.0, 1.10, 0.96, 1.06)[index % 4]
        root = (x + up[0] * (radius - 0.020), y + up[1] * (radius - 0.020))
        knee = (root[0] - 0.030 + 0.3 * animal.mane_sweep, root[1] - 0.45 * length)
        tip = (root[0] - 0.045 + animal.mane_sweep, root[1] - length)
        rows.append((*root, *knee, 0.044, 0.046))
        rows.append((*knee, *tip, 0.046, 0.012))
    table = np.asarray(rows, dtype=np.float32)
    depth = np.full((len(rows), 1), 0.10, dtype=np.float32)
    halves = np.asarray([[0.0, 0.5], [0.5, 1.0]] * (len(rows) // 2), dtype=np.float32)
    return Part(
        "mane",
        np.concatenate([table[:, 0:2], depth], axis=1),
        np.concatenate([table[:, 2:4], depth], axis=1),
        table[:, 4:6],
        halves,
        0.012,
    )


def forelock(skeleton: Skeleton) -> list[Part]:
    """The hair between a horse's ears that falls down the forehead; zebras have none."""
    if skeleton.zebra:
        return []
    marks = ((-0.06, 0.19, 0.030), (0.10, 0.23, 0.030), (0.30, 0.185, 0.008))
    rows = [
        (*skeleton.on_head(share, out), 0.02, radius * skeleton.head_length / 0.42)
        for share, out, radius in marks
    ]
    return [chain("mane", rows, 0.01)]


def tail(skeleton: Skeleton) -> list[Part]:
    """Long hair in horses; a thin tail that ends in a tuft in zebras."""
    swing, lift, rise = skeleton.animal.tail_swing, skeleton.animal.tail_lift, skeleton.rise
    line = [
        (-0.515, 0.880 + rise),
        (-0.575 - 0.04 * lift, 0.850 + rise + 0.05 * lift),
        (-0.610 - 0.08 * lift - 0.05 * swing, 0.70 + rise + 0.05 * lift),
        (-0.605 - 0.06 * lift - 0.16 * swing, 0.52 + 0.6 * rise),
        (-0.585 - 0.03 * lift - 0.26 * swing, 0.33 + 0.3 * rise),
    ]
    if not skeleton.zebra:
        radii = (0.036, 0.042, 0.060, 0.062, 0.012)
        hair: list[tuple[float, ...]] = [
            (x, y, 0.0, r) for (x, y), r in zip(line, radii, strict=True)
        ]
        return [spline("tail", hair, 0.02, steps=2)]
    stem: list[tuple[float, ...]] = [
        (x, y, 0.0, r) for (x, y), r in zip(line[:4], (0.034, 0.026, 0.022, 0.020), strict=True)
    ]
    low, end = line[3], line[4]
    tuft = [
        (low[0], low[1] + 0.02, 0.0, 0.022),
        (*between(low, end, 0.45), 0.0, 0.042),
        (*between(low, end, 1.0), 0.0, 0.012),
    ]
    return [spline("tail", stem, 0.02, steps=2), chain("tuft", tuft, 0.01)]
