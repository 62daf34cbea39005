"""Draws one animal: capsules are swept, melted into each other, coloured and lit.

The near side is one layer whose parts blend smoothly; the far legs, the tail and the far ear lie
behind it. Every part is worked out inside its own bounding box alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from atelier.data.drawing.animals_anatomy import Part, Skeleton
from atelier.data.drawing.animals_coat import Painter, Surface
from atelier.data.drawing.animals_hair import forelock, mane, tail
from atelier.data.drawing.animals_scene import Animal, Species
from atelier.data.drawing.canvas import (
    Canvas,
    Patch,
    Plane,
    clamp,
    edge,
    ellipse,
    rotation,
    smoothstep,
    square_root,
)

FAR_AWAY = 1e3
EDGE_PIXELS = 1.3
# Share of a depth difference by which nearer feet stand lower in the picture.
CAMERA_TILT = 0.12
# Width of the seam between the capsules of a part, as a share of its largest radius.
JOINT_SHARE = 0.35


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
    near = clamp(1.0 - (distance - least) * (1.0 / (JOINT_SHARE * float(radii.max()) + 0.5)))
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
    return Swept(patch, blended(distance), slope_x, slope_y, surface)


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
        inverse = 1.0 / float(square_root(np.float32(hx * hx + hy * hy + hz * hz)))
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


class Figure:
    """One animal of one species, ready to be drawn or outlined."""

    def __init__(self, animal: Animal, species: Species, canvas: Canvas) -> None:
        self.canvas = canvas
        self.animal = animal
        self.view = View(animal)
        self.skeleton = Skeleton(animal, species)
        self.painter = Painter(animal, species)
        reach = 1.55 * animal.height
        self.patch = canvas.patch(
            animal.center_x - reach,
            animal.ground_y - 1.75 * animal.height,
            animal.center_x + reach,
            animal.ground_y + 0.15 * animal.height,
        )

    def layers(self) -> Iterator[tuple[Layer, float]]:
        """Back to front: each layer and how much light reaches it."""
        skeleton = self.skeleton
        ears = skeleton.ears()
        near_ear, far_ear = ears
        yield self._layer([(far_ear, -1)]), 0.75
        for index in (2, 3):
            yield self._layer([(part, index) for part in skeleton.leg(index)]), 0.62
        hair = [(part, -1) for part in tail(skeleton)]
        if self.animal.yaw > 0.0:
            yield self._layer(hair), 0.9
        body = [(skeleton.torso(), -1)]
        for index in (1, 0):
            body += [(part, index) for part in skeleton.leg(index)]
        body += [
            (part, -1)
            for part in (skeleton.neck(), *skeleton.head(), near_ear, *forelock(skeleton))
        ]
        if self.painter.zebra:
            yield self._layer([(mane(skeleton), -1)]), 0.95
        yield self._layer(body), 1.0
        if self.animal.yaw <= 0.0:
            yield self._layer(hair), 1.0
        if not self.painter.zebra:
            yield self._layer([(mane(skeleton), -1)]), 1.0

    def _layer(self, parts: list[tuple[Part, int]]) -> Layer:
        layer = Layer(self.patch)
        for part, leg in parts:
            swept = sweep(part, self.view, self.canvas, self.patch)
            if swept is not None:
                colour = self.painter.paint(part.name, swept.surface, leg)
                layer.add(swept, colour, max(0.6, part.blend * self.animal.height))
        return layer

    def draw(self, light: Light, texture: Plane) -> None:
        """Paint the animal; `texture` [H, W] about 0 varies the coat's brightness."""
        if self.patch.empty:
            return
        grain = 1.0 + texture[self.patch.rows, self.patch.columns]
        for layer, dimming in self.layers():
            self.canvas.composite(self.patch, layer.coverage(), layer.lit(light, dimming) * grain)
        self._features()

    def outline(self, mask: Plane) -> None:
        """Raise mask [H, W] to the animal's coverage."""
        if self.patch.empty:
            return
        window = mask[self.patch.rows, self.patch.columns]
        for layer, _ in self.layers():
            np.maximum(window, layer.coverage(), out=window)

    def _features(self) -> None:
        """Eye with its glint, nostril and mouth."""
        skeleton, height = self.skeleton, self.animal.height
        size = skeleton.head_length * height
        self._spot(skeleton.on_head(0.33, 0.075), 0.058 * size, 0.046 * size, (0.012, 0.009, 0.008))
        if size > 30.0:
            glint = skeleton.on_head(0.32, 0.098)
            self._spot(glint, 0.016 * size, 0.014 * size, (0.7, 0.75, 0.8))
        self._spot(skeleton.on_head(0.93, 0.02), 0.030 * size, 0.040 * size, (0.012, 0.01, 0.01))

    def _spot(
        self,
        place: tuple[float, float],
        wide: float,
        high: float,
        colour: tuple[float, float, float],
    ) -> None:
        x, y = self.view.point(*place, 0.08)
        patch = self.canvas.patch(x - wide - 2, y - high - 2, x + wide + 2, y + high + 2)
        if not patch.empty:
            distance = ellipse(patch.x - x, patch.y - y, max(wide, 0.6), max(high, 0.6))
            self.canvas.composite(patch, 0.9 * edge(distance, EDGE_PIXELS), colour)
