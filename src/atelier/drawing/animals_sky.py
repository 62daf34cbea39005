"""What lies beyond the meadow: sky, clouds, hills, tree lines and acacias, in linear light."""

import numpy as np
from numpy.random import Generator

from atelier.drawing.animals_scene import SIZE, Scenery
from atelier.drawing.canvas import (
    Canvas,
    Plane,
    bump,
    capsule,
    clamp,
    edge,
    ellipse,
    mix,
    smoothstep,
    square_root,
)
from atelier.drawing.texture import enlarge, noise_at, noise_grid

Triple = tuple[float, ...]


def linear(red: float, green: float, blue: float) -> Triple:
    """From display values, with the square as the curve."""
    return red * red, green * green, blue * blue


SKY_NOON = (linear(0.33, 0.55, 0.83), linear(0.73, 0.84, 0.93))  # zenith, horizon
SKY_DUSK = (linear(0.45, 0.48, 0.66), linear(0.98, 0.75, 0.50))
CLOUD_NOON, CLOUD_DUSK = linear(0.97, 0.97, 0.98), linear(0.98, 0.80, 0.68)
TREES_GREEN, TREES_DRY = linear(0.17, 0.29, 0.13), linear(0.38, 0.38, 0.20)
HILLS_GREEN, HILLS_DRY = linear(0.38, 0.50, 0.42), linear(0.58, 0.52, 0.44)
TRUNK = linear(0.25, 0.19, 0.14)


class Distance:
    """Everything above the horizon of one scene."""

    def __init__(self, scenery: Scenery, canvas: Canvas, random: Generator) -> None:
        self.scenery = scenery
        self.canvas = canvas
        self.random = random
        self.whole = canvas.patch()
        self.horizon_colour = mix(SKY_NOON[1], SKY_DUSK[1], scenery.dusk)
        self.ragged = enlarge(noise_grid(random, 26, 30), SIZE, SIZE)

    def draw(self) -> None:
        """Paint from the zenith down to the horizon."""
        self._sky()
        self._clouds()
        self._hills()
        self._trees()
        self._acacias()

    def _sky(self) -> None:
        scenery, y, x = self.scenery, self.whole.y, self.whole.x
        zenith = mix(SKY_NOON[0], SKY_DUSK[0], scenery.dusk)
        height = clamp((scenery.horizon - y) * (1.0 / 90.0))
        height = height * (1.6 - 0.6 * height)
        veil = 0.35 * scenery.haze
        for channel in range(3):
            low = self.horizon_colour[channel]
            high = zenith[channel] + veil * (low - zenith[channel])
            self.canvas.pixels[channel] = low + height * (high - low)
        if scenery.dusk > 0.4:  # the glow around the sun
            from_sun = (x - 64.0 - 60.0 * scenery.sun_side) * (1.0 / 75.0)
            rise = (y - scenery.horizon) * (1.0 / 38.0)
            glow = bump(from_sun * from_sun + rise * rise) * (0.35 * scenery.dusk)
            for channel, warm in enumerate((1.0, 0.75, 0.4)):
                plane = self.canvas.pixels[channel]
                plane += glow * warm * (1.0 - plane)

    def _clouds(self) -> None:
        """Billows that grow smaller and flatter towards the horizon, lit from above."""
        scenery = self.scenery
        patch = self.canvas.patch(bottom=scenery.horizon)
        grid = noise_grid(self.random, 16, 16)
        near = square_root(np.maximum(scenery.horizon - patch.y, np.float32(0.0)) + 5.0)
        across = (patch.x - 64.0) * (0.30 / near) + scenery.cloud_shift
        down = 1.25 * near + scenery.cloud_shift

        def billows(lower: float) -> Plane:
            level = down - lower
            noise: Plane = noise_at(grid, across, level) + 0.45 * noise_at(
                grid, 2.1 * across + 3.0, 2.1 * level
            )
            return noise

        density = billows(0.0)
        cover = smoothstep(0.75 - 1.3 * scenery.clouds, 1.45 - 1.3 * scenery.clouds, density)
        # Less cloud above than here means a lit upper side.
        shade = clamp(0.88 + 0.16 * (density - billows(-0.5)), 0.7, 1.0)
        alpha = 0.9 * cover * smoothstep(scenery.horizon + 1.0, scenery.horizon - 16.0, patch.y)
        cloud = mix(CLOUD_NOON, CLOUD_DUSK, scenery.dusk)
        self.canvas.composite(patch, alpha, np.stack([shade * c for c in cloud]))

    def _ridge(self, cell_pixels: float, shift: float) -> Plane:
        """A smooth line of heights in [-1, 1], one for each column: [1, W]."""
        grid = noise_grid(self.random, 4, 16)
        place = self.whole.x * (1.0 / cell_pixels) + shift
        level = np.zeros_like(place)
        return noise_at(grid, place, level) + 0.4 * noise_at(grid, 2.3 * place, level + 2.0)

    def hazy(self, colour: Triple, share: float) -> Triple:
        sun = mix((1.0, 1.0, 1.0), (0.85, 0.62, 0.50), 0.8 * self.scenery.dusk)
        lit = tuple(c * s for c, s in zip(colour, sun, strict=True))
        return mix(lit, self.horizon_colour, share)

    def _hills(self) -> None:
        scenery = self.scenery
        if scenery.hills < 0.35:
            return
        colour = mix(HILLS_GREEN, HILLS_DRY, scenery.dryness)
        for cell, tall, veil in ((38.0, 13.0, 0.55), (25.0, 7.0, 0.3)):
            size = tall * (scenery.hills - 0.2)
            top = scenery.horizon - size * (1.0 + 0.8 * self._ridge(cell, scenery.hill_shift))
            alpha = edge(top - self.whole.y, 2.0)
            self.canvas.composite(self.whole, alpha, self.hazy(colour, veil + 0.3 * scenery.haze))

    def _trees(self) -> None:
        scenery = self.scenery
        if scenery.trees < 0.25:
            return
        patch = self.canvas.patch(top=scenery.horizon - 24.0, bottom=scenery.horizon + 4.0)
        if patch.empty:
            return
        grid = noise_grid(self.random, 8, 16)
        where = noise_at(grid, patch.x * (1.0 / 30.0), np.zeros_like(patch.x))
        crowns = noise_at(grid, patch.x * (1.0 / 6.5), np.full_like(patch.x, 3.0))
        tall = scenery.tree_height * (0.55 + 0.45 * crowns)
        tall = tall * smoothstep(0.7 - 1.5 * scenery.trees, 1.3 - 1.5 * scenery.trees, where)
        alpha = edge(scenery.horizon - tall - patch.y, 2.2) * smoothstep(0.2, 2.0, tall)
        leaves = noise_at(grid, patch.x * (1.0 / 5.0), patch.y * (1.0 / 4.0))
        colour = self.hazy(mix(TREES_GREEN, TREES_DRY, scenery.dryness), 0.05 + 0.35 * scenery.haze)
        above = clamp((scenery.horizon - patch.y) / (tall + 1.0))
        shade = 0.75 + 0.35 * above + 0.28 * leaves
        self.canvas.composite(patch, alpha, np.stack([shade * c for c in colour]))

    def _acacias(self) -> None:
        scenery, horizon = self.scenery, self.scenery.horizon
        leaf = self.hazy(mix(TREES_GREEN, TREES_DRY, 0.5 * scenery.dryness), 0.25 * scenery.haze)
        bark = self.hazy(TRUNK, 0.25 * scenery.haze)
        for place, size in scenery.acacias:
            tall, wide = 17.0 * size, 13.0 * size
            crown = horizon - tall
            patch = self.canvas.patch(
                place - wide - 4.0, crown - 7.0 * size, place + wide + 4.0, horizon + 2.0
            )
            if patch.empty:
                continue
            foot, fork = (place, horizon + 1.0), (place - 0.5, crown + 8.0 * size)
            trunk = capsule(patch.x, patch.y, foot, fork, 1.2 * size, 0.9 * size)
            for reach in (-0.5, 0.45):
                tip = (place + reach * wide, crown)
                branch = capsule(patch.x, patch.y, fork, tip, 0.9 * size, 0.5)
                trunk = np.minimum(trunk, branch)
            self.canvas.composite(patch, edge(trunk), bark)
            ragged = self.ragged[patch.rows, patch.columns] * 1.6
            leaves = np.minimum(
                ellipse(patch.x - place, patch.y - crown, wide, 3.4 * size),
                ellipse(
                    patch.x - place - 0.25 * wide,
                    patch.y - crown + 2.2 * size,
                    0.6 * wide,
                    2.8 * size,
                ),
            )
            top = 0.8 + 0.5 * clamp((crown + 2.0 * size - patch.y) * (0.2 / size))
            self.canvas.composite(
                patch, edge(leaves + ragged, 2.2), np.stack([top * c for c in leaf])
            )
