"""Draws one animal of one species: its layers from the far legs to the near mane, then its face.

The near side is one layer whose parts blend smoothly; the far legs, the tail and the far ear lie
behind it.
"""

from collections.abc import Iterator

import numpy as np

from atelier.drawing.animals_anatomy import Part, Skeleton
from atelier.drawing.animals_coat import Painter
from atelier.drawing.animals_hair import forelock, mane, tail
from atelier.drawing.animals_scene import Animal, Species
from atelier.drawing.animals_shape import EDGE_PIXELS, Layer, Light, View, sweep
from atelier.drawing.canvas import Canvas, Plane, edge, ellipse


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

    def layers(self) -> Iterator[tuple[Layer | None, float]]:
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

    def _layer(self, parts: list[tuple[Part, int]]) -> Layer | None:
        """The parts in a patch that just holds them, or None outside the picture."""
        found = [
            (sweep(part, self.view, self.canvas, self.patch), part, leg) for part, leg in parts
        ]
        swept = [(one, part, leg) for one, part, leg in found if one is not None]
        if not swept:
            return None
        patches = [one.patch for one, _, _ in swept]
        layer = Layer(
            self.canvas.patch(
                min(patch.columns.start for patch in patches),
                min(patch.rows.start for patch in patches),
                max(patch.columns.stop for patch in patches) - 1,
                max(patch.rows.stop for patch in patches) - 1,
            )
        )
        for one, part, leg in swept:
            colour = self.painter.paint(part.name, one.surface, leg)
            layer.add(one, colour, max(0.6, part.blend * self.animal.height))
        return layer

    def draw(self, light: Light, texture: Plane) -> None:
        """Paint the animal; `texture` [H, W] about 0 varies the coat's brightness."""
        if self.patch.empty:
            return
        for layer, dimming in self.layers():
            if layer is not None:
                grain = 1.0 + texture[layer.patch.rows, layer.patch.columns]
                lit = layer.lit(light, dimming) * grain
                self.canvas.composite(layer.patch, layer.coverage(), lit)
        self._features()

    def outline(self, mask: Plane) -> None:
        """Raise mask [H, W] to the animal's coverage."""
        if self.patch.empty:
            return
        for layer, _ in self.layers():
            if layer is not None:
                window = mask[layer.patch.rows, layer.patch.columns]
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
