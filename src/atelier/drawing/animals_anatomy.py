"""Skeletons of horses and zebras: poses become tapered capsules in a three-dimensional body frame.

Body units: 1 is the height of the withers above the ground. x points forward, y up, z towards the
viewer; the origin lies on the ground under the middle of the trunk. Rotations use the rational
parametrisation (t = tan(angle / 2)), so that no transcendental function reaches a pixel.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atelier.drawing.animals_scene import Animal, Leg, Species
from atelier.drawing.canvas import rotation

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Part:
    """Capsules with radii that change linearly, in body units.

    `starts`, `ends`: [N, 3]; `radii`: [N, 2]; `along`: [N, 2] distance along the part.
    """

    name: str
    starts: Floats
    ends: Floats
    radii: Floats
    along: Floats
    blend: float  # width over which the part melts into what was drawn before it


def chain(name: str, rows: list[tuple[float, float, float, float]], blend: float) -> Part:
    """A connected part from rows of (x, y, z, radius)."""
    table = np.asarray(rows, dtype=np.float32)
    starts, ends = table[:-1, :3], table[1:, :3]
    steps = ends - starts
    lengths = np.sqrt(steps[:, 0] ** 2 + steps[:, 1] ** 2 + steps[:, 2] ** 2)
    marks = [0.0]
    for length in lengths:
        marks.append(marks[-1] + float(length))
    along = np.asarray([marks[:-1], marks[1:]], dtype=np.float32).T
    radii = np.stack([table[:-1, 3], table[1:, 3]], axis=1)
    return Part(name, starts, ends, radii, along, blend)


def _smooth(rows: list[tuple[float, ...]], steps: int) -> list[tuple[float, ...]]:
    """Catmull-Rom spline through the rows with `steps` points to each span (a cubic polynomial)."""
    padded = [rows[0], *rows, rows[-1]]
    points: list[tuple[float, ...]] = []
    for before, start, end, after in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        for step in range(steps):
            t = step / steps
            points.append(
                tuple(
                    0.5
                    * (
                        2.0 * q
                        + (r - p) * t
                        + (2.0 * p - 5.0 * q + 4.0 * r - s) * t * t
                        + (3.0 * q - p - 3.0 * r + s) * t * t * t
                    )
                    for p, q, r, s in zip(before, start, end, after, strict=True)
                )
            )
    return [*points, rows[-1]]


def spline(name: str, rows: list[tuple[float, ...]], blend: float, steps: int = 1) -> Part:
    return chain(name, [(r[0], r[1], r[2], r[3]) for r in _smooth(rows, steps)], blend)


class Skeleton:
    """The parts of one animal of one species, in body units."""

    def __init__(self, animal: Animal, species: Species) -> None:
        self.animal = animal
        self.zebra = species == "zebra"
        self.rise = 0.57 * (animal.leg_length - 1.0)
        self._neck_and_head()

    def torso(self) -> Part:
        """From the buttocks to the chest; rounder below in zebras."""
        animal, rise = self.animal, self.rise
        girth = animal.girth * (1.03 if self.zebra else 1.0)
        dip = animal.back_dip
        rows = [
            (-0.40, 0.790, 0.150),
            (-0.30, 0.785, 0.193),
            (-0.12, 0.765 - 0.5 * dip, 0.186 * girth),
            (0.05, 0.745 - dip, 0.203 * girth),
            (0.20, 0.755, 0.222 * girth),
            (0.32, 0.775, 0.190),
            (0.40, 0.755, 0.150),
        ]
        return spline("torso", [(x, y + rise, 0.0, r) for x, y, r in rows], 0.08)

    def leg(self, index: int) -> tuple[Part, Part]:
        """The leg and its hoof; 0 near front, 1 near hind, 2 far front, 3 far hind."""
        gesture = self.animal.legs[index]
        side = 0.105 if index < 2 else -0.105
        rows = self._hind(gesture) if index % 2 else self._front(gesture)
        hoof_low = rows[-1][1] - 0.036
        hip = rows[1][1]
        # A standing hoof is brought to the ground by stretching the leg below its upper joint.
        stretch = (hip - 0.15 * gesture.lift) / (hip - hoof_low)
        placed = [
            (x, y if y >= hip else hip - (hip - y) * stretch, side * (0.75 if n == 0 else 1.0), r)
            for n, (x, y, r) in enumerate(rows)
        ]
        leg = chain("hind" if index % 2 else "front", placed[:-1], 0.05)
        hoof = chain("hoof", placed[-2:], 0.012)
        return leg, hoof

    def _front(self, gesture: Leg) -> list[tuple[float, float, float]]:
        swing, lift = gesture.swing, gesture.lift
        elbow = (0.285 + 0.035 * swing, 0.585 + self.rise)
        forearm = rotation(0.19 * swing + 0.16 * lift)
        cannon = rotation(0.17 * swing - 0.42 * lift)
        knee = _step(elbow, forearm, 0.005, -0.27)
        fetlock = _step(knee, cannon, 0.0, -0.195)
        hoof = _step(fetlock, cannon, 0.028, -0.055)
        toe = _step(hoof, cannon, 0.022, -0.036)
        return [
            (0.33, 0.80 + self.rise, 0.140),
            (*elbow, 0.098),
            (*between(elbow, knee, 0.5), 0.064),
            (*between(elbow, knee, 0.9), 0.046),
            (*knee, 0.045),
            (*between(knee, fetlock, 0.3), 0.033),
            (*between(knee, fetlock, 0.75), 0.031),
            (*fetlock, 0.037),
            (*hoof, 0.034),
            (*toe, 0.043),
        ]

    def _hind(self, gesture: Leg) -> list[tuple[float, float, float]]:
        swing, lift = gesture.swing, gesture.lift
        stifle = (-0.235 + 0.045 * swing, 0.590 + self.rise)
        gaskin = rotation(0.15 * swing + 0.14 * lift)
        cannon = rotation(0.17 * swing - 0.26 * lift)
        hock = _step(stifle, gaskin, -0.205, -0.255)
        fetlock = _step(hock, cannon, 0.022, -0.215)
        hoof = _step(fetlock, cannon, 0.028, -0.055)
        toe = _step(hoof, cannon, 0.022, -0.036)
        return [
            (-0.335, 0.785 + self.rise, 0.180),
            (*stifle, 0.112),
            (*between(stifle, hock, 0.5), 0.074),
            (*between(stifle, hock, 0.9), 0.050),
            (*hock, 0.047),
            (*between(hock, fetlock, 0.3), 0.037),
            (*between(hock, fetlock, 0.75), 0.033),
            (*fetlock, 0.038),
            (*hoof, 0.034),
            (*toe, 0.043),
        ]

    def _neck_and_head(self) -> None:
        animal = self.animal
        cosine, sine = rotation(animal.neck_turn)
        base = (0.30, 0.80 + self.rise)
        length = 0.56 * animal.neck_length
        arch = 0.035 if sine > 0.0 else 0.015
        girth = animal.neck_girth * (1.08 if self.zebra else 1.0)
        marks = ((0.0, 0.185), (0.32, 0.158), (0.62, 0.122), (0.85, 0.100), (1.0, 0.085))
        rows: list[tuple[float, ...]] = []
        for share, radius in marks:
            bow = 4.0 * arch * share * (1.0 - share)
            rows.append(
                (
                    base[0] + length * cosine * share - sine * bow,
                    base[1] + length * sine * share + cosine * bow,
                    0.0,
                    radius * (girth if share > 0.1 else 1.0),
                )
            )
        self.neck_rows = _smooth(rows, 2)
        self.poll = (rows[-1][0], rows[-1][1])
        cosine, sine = rotation(animal.head_turn)
        self.face = (cosine, -sine)  # from poll to muzzle
        self.crown = (sine, cosine)  # out of the forehead
        self.head_length = 0.42 * animal.head_size * (1.04 if self.zebra else 1.0)

    def on_head(self, share: float, out: float) -> tuple[float, float]:
        """A point `share` of the way to the muzzle, `out` head lengths above the middle line."""
        length = self.head_length
        return (
            self.poll[0] + length * (share * self.face[0] + out * self.crown[0]),
            self.poll[1] + length * (share * self.face[1] + out * self.crown[1]),
        )

    def neck(self) -> Part:
        """From the withers to the poll."""
        return chain("neck", [(r[0], r[1], r[2], r[3]) for r in self.neck_rows], 0.10)

    def head(self) -> list[Part]:
        """Skull and nose, then jowl."""
        length = self.head_length
        muzzle = 0.150 if self.zebra else 0.138
        marks = [
            (0.02, 0.02, 0.200),
            (0.25, 0.00, 0.215),
            (0.50, 0.015, 0.170),
            (0.75, 0.005, 0.135),
            (0.92, -0.020, muzzle),
        ]
        rows: list[tuple[float, ...]] = [
            (*self.on_head(share, out), 0.0, radius * length) for share, out, radius in marks
        ]
        jowl = [
            (*self.on_head(0.22, -0.10), 0.03, 0.165 * length),
            (*self.on_head(0.36, -0.09), 0.03, 0.145 * length),
        ]
        chin = [
            (*self.on_head(0.84, -0.09), 0.0, 0.075 * length),
            (*self.on_head(0.93, -0.10), 0.0, 0.068 * length),
        ]
        return [
            spline("head", rows, 0.05),
            chain("jowl", jowl, 0.05),
            chain("chin", chin, 0.03),
        ]

    def ears(self) -> tuple[Part, Part]:
        """The near and the far ear: pointed in horses; longer, wide and round in zebras."""
        cosine, sine = rotation(self.animal.ear_turn)
        length = self.head_length * (0.40 if self.zebra else 0.31)
        outline = (
            ((0.0, 0.075), (0.35, 0.108), (0.70, 0.090), (0.97, 0.040))
            if self.zebra
            else ((0.0, 0.072), (0.35, 0.082), (0.70, 0.052), (1.0, 0.012))
        )
        upright = (self.crown[0] - 0.35 * self.face[0], self.crown[1] - 0.35 * self.face[1])
        ears = []
        for side in (1.0, -1.0):
            lean = sine * side
            way = (
                upright[0] * cosine - upright[1] * lean,
                upright[1] * cosine + upright[0] * lean,
            )
            root = self.on_head(0.04 - 0.035 * side, 0.17)
            rows = [
                (
                    root[0] + way[0] * length * share,
                    root[1] + way[1] * length * share,
                    0.07 * side,
                    radius * self.head_length,
                )
                for share, radius in outline
            ]
            ears.append(chain("ear", rows, 0.015))
        return ears[0], ears[1]


def _step(
    start: tuple[float, float], turn: tuple[float, float], x: float, y: float
) -> tuple[float, float]:
    """The point at (x, y) from the start in a frame turned forward by (cosine, sine)."""
    cosine, sine = turn
    return start[0] + x * cosine - y * sine, start[1] + x * sine + y * cosine


def between(
    start: tuple[float, float], end: tuple[float, float], share: float
) -> tuple[float, float]:
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])
