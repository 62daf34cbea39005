"""The land behind the animals: sky, clouds, hills, trees, acacias, fence, grass and shadows.

Everything is linear light, as the picture takes its square root at the end. Nothing here looks at
the species: a scene and its twin share every pixel of it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from atelier.data.drawing.animals_body import Light
from atelier.data.drawing.animals_scene import SIZE, Animal, Scenery
from atelier.data.drawing.canvas import (
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
from atelier.data.drawing.texture import enlarge, noise_at, noise_grid

Triple = tuple[float, ...]


def linear(red: float, green: float, blue: float) -> Triple:
    """From display values, with the square as the curve."""
    return red * red, green * green, blue * blue


SKY_NOON = (linear(0.33, 0.55, 0.83), linear(0.73, 0.84, 0.93))  # zenith, horizon
SKY_DUSK = (linear(0.45, 0.48, 0.66), linear(0.98, 0.75, 0.50))
CLOUD_NOON, CLOUD_DUSK = linear(0.97, 0.97, 0.98), linear(0.98, 0.78, 0.66)
MEADOW = (linear(0.30, 0.43, 0.15), linear(0.52, 0.62, 0.33))  # near, far
SAVANNA = (linear(0.66, 0.51, 0.26), linear(0.83, 0.71, 0.45))
EARTH = linear(0.55, 0.42, 0.29)
TREES_GREEN, TREES_DRY = linear(0.17, 0.29, 0.13), linear(0.38, 0.38, 0.20)
HILLS_GREEN, HILLS_DRY = linear(0.38, 0.50, 0.42), linear(0.58, 0.52, 0.44)
TRUNK, WOOD = linear(0.25, 0.19, 0.14), linear(0.52, 0.43, 0.34)
SUN_NOON, SUN_DUSK = (0.98, 0.94, 0.86), (1.12, 0.74, 0.42)
AIR_NOON, AIR_DUSK = (0.30, 0.35, 0.42), (0.27, 0.25, 0.31)


class Land:
    """The background of one scene on a canvas, and the light that falls on it."""

    def __init__(self, scenery: Scenery, canvas: Canvas, random: Generator) -> None:
        self.scenery = scenery
        self.canvas = canvas
        self.random = random
        self.whole = canvas.patch()
        dusk = scenery.dusk
        self.horizon_colour = mix(SKY_NOON[1], SKY_DUSK[1], dusk)
        self.near = self._ground_colour(0)
        self.far = self._ground_colour(1)
        self.light = self._light()
        # One streaky plane serves the meadow's blades and the fringe before the hooves.
        self.streaks = enlarge(noise_grid(random, 16, 30), SIZE, SIZE)
        self.blades = enlarge(noise_grid(random, 11, 42), SIZE, SIZE)

    def _ground_colour(self, which: int) -> Triple:
        scenery = self.scenery
        colour = mix(MEADOW[which], SAVANNA[which], scenery.dryness)
        warmth = 0.10 * scenery.ground_warmth
        sun = mix((1.0, 1.0, 1.0), (0.95, 0.70, 0.50), 0.85 * scenery.dusk)
        tint = (1.0 + warmth, 1.0, 1.0 - warmth)
        return tuple(
            c * s * t * scenery.ground_tone for c, s, t in zip(colour, sun, tint, strict=True)
        )

    def _light(self) -> Light:
        scenery = self.scenery
        x = scenery.sun_side * (0.75 + 0.25 * scenery.dusk)
        y = -(0.95 - 0.60 * scenery.dusk)
        z = scenery.sun_front
        length = float(square_root(np.float32(x * x + y * y + z * z)))
        sun = mix(SUN_NOON, SUN_DUSK, scenery.dusk)
        air = mix(AIR_NOON, AIR_DUSK, scenery.dusk)
        bounce = mix(self.near, (0.10, 0.10, 0.10), 0.35)
        return Light(
            (x / length, y / length, z / length),
            (sun[0], sun[1], sun[2]),
            (air[0], air[1], air[2]),
            (0.55 * bounce[0], 0.55 * bounce[1], 0.55 * bounce[2]),
        )

    def draw(self, animals: Sequence[Animal]) -> None:
        """Paint everything that lies behind the animals."""
        self._sky()
        self._hills()
        self._trees()
        self._acacias()
        self._ground()
        if self.scenery.fence > 0.0:
            self._fence()
        for animal in animals:
            self._shadow(animal)

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
        grid = noise_grid(self.random, 16, 16)
        # Clouds flatten towards the horizon as seen from below.
        depth = 26.0 / (scenery.horizon + 14.0 - np.minimum(y, np.float32(scenery.horizon)))
        across = (x - 64.0) * (0.030 + 0.045 * depth) + scenery.cloud_shift
        down = depth * 5.0 + scenery.cloud_shift
        billows = noise_at(grid, across, down) + 0.5 * noise_at(grid, 2.1 * across, 2.1 * down)
        cover = smoothstep(0.75 - 1.5 * scenery.clouds, 1.6 - 1.5 * scenery.clouds, billows)
        cloud = mix(CLOUD_NOON, CLOUD_DUSK, scenery.dusk)
        shade = 0.82 + 0.18 * clamp(billows)
        window = self.canvas.pixels
        alpha = 0.85 * cover * smoothstep(scenery.horizon + 2.0, scenery.horizon - 14.0, y)
        self.canvas.composite(self.whole, alpha, np.stack([shade * c for c in cloud]))
        if scenery.dusk > 0.4:  # the glow around the sun
            from_sun = (x - 64.0 - 60.0 * scenery.sun_side) * (1.0 / 75.0)
            rise = (y - scenery.horizon) * (1.0 / 38.0)
            glow = bump(from_sun * from_sun + rise * rise) * (0.35 * scenery.dusk)
            for channel, warm in enumerate((1.0, 0.75, 0.4)):
                window[channel] += glow * warm * (1.0 - window[channel])

    def _ridge(self, cell_pixels: float, shift: float) -> Plane:
        """A smooth line of heights in [-1, 1], one for each column: [1, W]."""
        grid = noise_grid(self.random, 4, 16)
        place = self.whole.x * (1.0 / cell_pixels) + shift
        level = np.zeros_like(place)
        return noise_at(grid, place, level) + 0.4 * noise_at(grid, 2.3 * place, level + 2.0)

    def _hazy(self, colour: Triple, share: float) -> Triple:
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
            self.canvas.composite(self.whole, alpha, self._hazy(colour, veil + 0.3 * scenery.haze))

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
        colour = self._hazy(
            mix(TREES_GREEN, TREES_DRY, scenery.dryness), 0.05 + 0.35 * scenery.haze
        )
        above = clamp((scenery.horizon - patch.y) / (tall + 1.0))
        shade = 0.75 + 0.35 * above + 0.28 * leaves
        self.canvas.composite(patch, alpha, np.stack([shade * c for c in colour]))

    def _acacias(self) -> None:
        scenery, horizon = self.scenery, self.scenery.horizon
        leaf = self._hazy(mix(TREES_GREEN, TREES_DRY, 0.5 * scenery.dryness), 0.25 * scenery.haze)
        bark = self._hazy(TRUNK, 0.25 * scenery.haze)
        for place, size in scenery.acacias:
            tall, wide = 17.0 * size, 13.0 * size
            crown = horizon - tall
            patch = self.canvas.patch(
                place - wide - 4.0, crown - 7.0 * size, place + wide + 4.0, horizon + 2.0
            )
            if patch.empty:
                continue
            trunk = np.minimum(
                capsule(
                    patch.x,
                    patch.y,
                    (place, horizon + 1.0),
                    (place - 0.5, crown + 7.0 * size),
                    1.2 * size,
                    0.9 * size,
                ),
                np.minimum(
                    capsule(
                        patch.x,
                        patch.y,
                        (place - 0.5, crown + 8.0 * size),
                        (place - 0.5 * wide, crown),
                        0.9 * size,
                        0.5,
                    ),
                    capsule(
                        patch.x,
                        patch.y,
                        (place - 0.5, crown + 8.0 * size),
                        (place + 0.45 * wide, crown),
                        0.9 * size,
                        0.5,
                    ),
                ),
            )
            self.canvas.composite(patch, edge(trunk), bark)
            ragged = self.streaks[patch.rows, patch.columns] * 1.6
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

    def _ground(self) -> None:
        scenery = self.scenery
        patch = self.canvas.patch(top=scenery.horizon - 1.0)
        if patch.empty:
            return
        depth = clamp((patch.y - scenery.horizon) * (1.0 / (SIZE - scenery.horizon)), 0.004)
        # Distance grows as one over the height below the horizon.
        away = 1.0 / (depth + 0.06)
        grid = noise_grid(self.random, 16, 16)
        patches = noise_at(grid, (patch.x - 64.0) * away * 0.022, 4.2 * away)
        tufts = noise_at(grid, (patch.x - 64.0) * away * 0.075 + 5.0, 11.0 * away)
        tufts *= smoothstep(0.03, 0.35, depth)
        rows, columns = patch.rows, patch.columns
        blades = self.blades[rows, columns] * smoothstep(0.15, 0.9, depth)
        texture = 1.0 + 0.17 * patches * scenery.patches
        texture += scenery.tufts * (0.15 * tufts + 0.24 * blades)
        nearness = square_root(depth)
        bare = smoothstep(0.15, 0.75, patches - 0.6 + 0.7 * scenery.patches) * 0.55
        planes = []
        for channel in range(3):
            colour = self.far[channel] + nearness * (self.near[channel] - self.far[channel])
            soil = EARTH[channel] * (0.8 + 0.2 * scenery.ground_tone) * (1.0 - 0.25 * scenery.dusk)
            planes.append((colour + bare * (soil - colour)) * texture)
        veil = 0.45 * scenery.haze * smoothstep(0.25, 0.0, depth)
        ground = np.stack(
            [p + veil * (h - p) for p, h in zip(planes, self.horizon_colour, strict=True)]
        )
        self.canvas.composite(patch, edge(scenery.horizon - patch.y, 2.0), ground)

    def _fence(self) -> None:
        scenery = self.scenery
        foot = scenery.horizon + 0.55 * scenery.fence
        wood = mix(self._hazy(WOOD, 0.15 * scenery.haze), self.far, 0.15)
        thick = 0.045 * scenery.fence
        for share in (0.45, 0.88):
            level = foot - share * scenery.fence
            patch = self.canvas.patch(top=level - 4.0, bottom=level + 4.0)
            tilt = level + (patch.x - 64.0) * 0.006
            distance = np.abs(patch.y - tilt) - 0.8 * thick
            self.canvas.composite(patch, edge(distance), wood)
        gap = 1.45 * scenery.fence
        for index in range(-1, int(SIZE / gap) + 2):
            x = scenery.fence_shift + index * gap
            patch = self.canvas.patch(x - 4.0, foot - scenery.fence - 3.0, x + 4.0, foot + 3.0)
            if patch.empty:
                continue
            post = capsule(patch.x, patch.y, (x, foot), (x, foot - scenery.fence), thick, thick)
            shade = 0.8 + 0.25 * clamp(0.5 + (patch.x - x) * 0.25 * scenery.sun_side)
            self.canvas.composite(patch, edge(post), np.stack([shade * c for c in wood]))

    def _shadow(self, animal: Animal) -> None:
        """The soft shadow on the ground, thrown away from the sun, and a darker core."""
        height, lean = animal.height, self.scenery.sun_side
        strength = 0.42 + 0.18 * (1.0 - self.scenery.dusk)
        for reach, flat, shift, dark in ((0.74, 0.13, -0.30, 0.75), (0.50, 0.07, -0.06, 0.55)):
            wide, high = reach * height, flat * height
            x, y = animal.center_x + shift * lean * height, animal.ground_y - 0.02 * height
            patch = self.canvas.patch(x - wide, y - high, x + wide, y + high)
            if patch.empty:
                continue
            u, v = (patch.x - x) * (1.0 / wide), (patch.y - y) * (1.0 / high)
            self.canvas.multiply(patch, 1.0 - dark * strength * bump(u * u + v * v))

    def fringe(self, animal: Animal) -> None:
        """Grass that stands before the hooves."""
        height = animal.height
        rise = self.scenery.fringe * height
        patch = self.canvas.patch(
            animal.center_x - 1.1 * height,
            animal.ground_y - 1.5 * rise - 2.0,
            animal.center_x + 1.1 * height,
            animal.ground_y + 0.10 * height,
        )
        if patch.empty:
            return
        blades = self.blades[patch.rows, patch.columns]
        streaks = self.streaks[patch.rows, patch.columns]
        level = (animal.ground_y - patch.y) * (1.0 / rise)  # 0 at the ground, 1 at the blades' tips
        alpha = smoothstep(0.45, -0.45, level - 0.45 - 0.9 * blades)
        alpha = alpha * smoothstep(-0.10 * height, -0.03 * height, animal.ground_y - patch.y)
        beside = (patch.x - animal.center_x) * (1.0 / (1.1 * height))
        alpha = 0.85 * alpha * bump(beside * beside)
        shade = 0.92 + 0.22 * blades + 0.12 * streaks
        self.canvas.composite(patch, alpha, np.stack([shade * c for c in self.near]))
