"""Swept capsules as distance fields with body coordinates, melted into layers and lit.

Every part is worked out inside its own bounding box alone.
"""

import math
from dataclasses import dataclass

import numpy as np

from atelier.drawing.animals_anatomy import Part
from atelier.drawing.animals_coat import Surface
from atelier.drawing.animals_scene import Animal
from atelier.drawing.canvas import (
    Canvas,
    Patch,
    Plane,
    clamp,
    edge,
    rotation,
    smoothstep,
    square_root,
)

FAR_AWAY = 1e3
EDGE_PIXELS = 1.3
# Share of a depth difference by which nearer feet stand lower in the picture.
CAMERA_TILT = 0.12
# Width of the seam between the capsules of a part, as a share of its largest radius.
JOINT_SHARE = 0.2


@dataclass(frozen=True)
class Light:
    """Linear colours, and the unit vector towards the sun (x right, y down, z to the viewer)."""

    direction: tuple[float, float, float]
    sun: tuple[float, float, float]
    sky: tuple[float, float, float]
    ground: tuple[float, float, float]


class View:
    """Projects body units to pixels."""

    def __init__(self, animal: Animal) -> None:
        self.animal = animal
        self.cosine, self.sine = rotation(animal.yaw)

    def points(self, body: Plane) -> tuple[Plane, Plane]:
        """[N, 3] body points to x and y in pixels, each [N]."""
        animal = self.animal
        across = body[:, 0] * self.cosine - body[:, 2] * self.sine
        depth = body[:, 0] * self.sine + body[:, 2] * self.cosine
        x = animal.center_x + animal.facing * animal.height * across
        y = animal.ground_y - animal.height * (body[:, 1] - CAMERA_TILT * depth)
        return x.astype(np.float32), y.astype(np.float32)

    def point(self, x: float, y: float, z: float) -> tuple[float, float]:
        """One body point in pixels."""
        px, py = self.points(np.asarray([[x, y, z]], dtype=np.float32))
        return float(px[0]), float(py[0])


@dataclass(frozen=True)
class Swept:
    """A part over its patch: distance, outward slope (x, y) in [-1, 1], body coordinates."""

    patch: Patch
    distance: Plane
    slope_x: Plane
    slope_y: Plane
    surface: Surface


def sweep(part: Part, view: View, canvas: Canvas, bounds: Patch) -> Swept | None:
    """The part's distance field and coordinates, or None when it lies outside the bounds."""
    animal = view.animal
    ax, ay = view.points(part.starts)
    bx, by = view.points(part.ends)
    radii = (part.radii * animal.height).astype(np.float32)
    margin = float(radii.max()) + part.blend * animal.height + 2.0
    patch = canvas.patch(
        max(float(min(ax.min(), bx.min())) - margin, bounds.columns.start),
        max(float(min(ay.min(), by.min())) - margin, bounds.rows.start),
        min(float(max(ax.max(), bx.max())) + margin, bounds.columns.stop - 1),
        min(float(max(ay.max(), by.max())) + margin, bounds.rows.stop - 1),
    )
    if patch.empty:
        return None
    ex, ey = bx - ax, by - ay
    squared = np.maximum(ex * ex + ey * ey, np.float32(1e-4))
    length = square_root(squared)
    px = patch.x[None] - ax[:, None, None]  # [N, 1, w]
    py = patch.y[None] - ay[:, None, None]  # [N, h, 1]
    along_x, along_y = (ex / squared)[:, None, None], (ey / squared)[:, None, None]
    share = clamp(px * along_x + py * along_y)  # [N, h, w]
    dx, dy = px - share * ex[:, None, None], py - share * ey[:, None, None]
    radius = radii[:, 0, None, None] + share * (radii[:, 1] - radii[:, 0])[:, None, None]
    distance = square_root(dx * dx + dy * dy) - radius
    # Neighbouring capsules share a pixel near their joint, so that bends show no creases.
    least = distance.min(axis=0)
    near = clamp(1.0 - (distance - least) * (1.0 / (JOINT_SHARE * float(radii.max()) + 0.3)))
    near = near * near
    total = 1.0 / near.sum(axis=0)

    def blended(planes: Plane) -> Plane:
        summed: Plane = (planes * near).sum(axis=0) * total
        return summed

    inverse = 1.0 / radius
    slope_x, slope_y = dx * inverse, dy * inverse
    turned = (ex / length)[:, None, None] * slope_y - (ey / length)[:, None, None] * slope_x
    marks = part.along[:, 0, None, None]
    along = marks + share * (part.along[:, 1, None, None] - marks)
    slope_x, slope_y = blended(slope_x), blended(slope_y)
    across = -animal.facing * blended(turned)
    surface = _surface(view, patch, blended(along), across, slope_x, slope_y, blended(inverse))
    return Swept(patch, least, slope_x, slope_y, surface)


def _surface(
    view: View,
    patch: Patch,
    along: Plane,
    across: Plane,
    slope_x: Plane,
    slope_y: Plane,
    inverse_radius: Plane,
) -> Surface:
    """Body coordinates of the visible surface; the part's roundness bends them under a yaw."""
    animal = view.animal
    bulge = square_root(clamp(1.0 - slope_x * slope_x - slope_y * slope_y)) / (
        inverse_radius * animal.height
    )
    screen = (patch.x - animal.center_x) * (animal.facing / animal.height)
    forward = (screen + bulge * (view.sine / view.cosine)) * (1.0 / view.cosine)
    up = (animal.ground_y - patch.y) * (1.0 / animal.height) + CAMERA_TILT * bulge
    return Surface(along + bulge * view.sine, across, forward, up)


class Layer:
    """Parts that melt into each other: distance, slopes and colour over a patch."""

    def __init__(self, patch: Patch) -> None:
        shape = (patch.y.size, patch.x.size)
        self.patch = patch
        self.distance: Plane = np.full(shape, FAR_AWAY, np.float32)
        self.slope: Plane = np.zeros((2, *shape), np.float32)
        self.colour: Plane = np.zeros((3, *shape), np.float32)

    def add(self, swept: Swept, colour: Plane, width: float) -> None:
        """Polynomial smooth minimum (width in pixels) that mixes slope and colour alike."""
        top = swept.patch.rows.start - self.patch.rows.start
        left = swept.patch.columns.start - self.patch.columns.start
        height, breadth = swept.distance.shape
        rows, columns = slice(top, top + height), slice(left, left + breadth)
        mine = self.distance[rows, columns]
        share = clamp(0.5 + (mine - swept.distance) * (0.5 / width))
        mine += share * (swept.distance - mine) - width * share * (1.0 - share)
        # Colours change over a narrower seam than the shape does.
        seam = smoothstep(0.2, 0.8, share)
        for planes, values in (
            (self.slope, (swept.slope_x, swept.slope_y)),
            (self.colour, colour),
        ):
            for plane, value in zip(planes, values, strict=True):
                window = plane[rows, columns]
                window += seam * (value - window)

    def coverage(self) -> Plane:
        """[h, w] in [0, 1]."""
        return edge(self.distance, EDGE_PIXELS)

    def lit(self, light: Light, dimming: float) -> Plane:
        """The shaded colours [3, h, w]: sun, sky from above, ground from below, a soft gloss."""
        x, y = self.slope[0], self.slope[1]
        squared = clamp(x * x + y * y, 0.0, 1.0)
        z = square_root(1.0 - 0.96 * squared)
        facing = x * light.direction[0] + y * light.direction[1] + z * light.direction[2]
        sunlit = clamp((facing + 0.25) * 0.8)
        above = clamp(0.5 - 0.5 * y)
        hx, hy, hz = light.direction[0], light.direction[1], light.direction[2] + 1.0
        inverse = 1.0 / math.sqrt(hx * hx + hy * hy + hz * hz)
        gloss = clamp((x * hx + y * hy + z * hz) * inverse)
        gloss = gloss * gloss
        gloss = gloss * gloss
        gloss = gloss * gloss * 0.07
        return np.stack(
            [
                (
                    self.colour[c]
                    * (
                        sunlit * light.sun[c]
                        + above * light.sky[c]
                        + (1.0 - above) * light.ground[c]
                    )
                    + gloss * light.sun[c]
                )
                * dimming
                for c in range(3)
            ]
        )
