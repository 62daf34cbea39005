"""The land on which the animals stand: light, grass, fence, shadows and the fringe of grass.

Everything is linear light, as the picture takes its square root at the end. Nothing here looks at
the species: a scene and its twin share every pixel of it.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from atelier.drawing.animals_scene import SIZE, Animal, Scenery
from atelier.drawing.animals_shape import Light
from atelier.drawing.animals_sky import Distance, Triple, linear
from atelier.drawing.canvas import Canvas, bump, capsule, clamp, edge, mix, smoothstep, square_root
from atelier.drawing.texture import enlarge, noise_at, noise_grid

MEADOW = (linear(0.31, 0.45, 0.15), linear(0.55, 0.66, 0.33))  # near, far
SAVANNA = (linear(0.70, 0.54, 0.27), linear(0.86, 0.74, 0.47))
EARTH = linear(0.58, 0.44, 0.30)
WOOD = linear(0.52, 0.43, 0.34)
SUN_NOON, SUN_DUSK = (1.06, 1.00, 0.90), (1.16, 0.78, 0.45)
AIR_NOON, AIR_DUSK = (0.28, 0.33, 0.40), (0.26, 0.24, 0.30)


class Land:
    """The background of one scene on a canvas, and the light that falls on it."""

    def __init__(self, scenery: Scenery, canvas: Canvas, random: Generator) -> None:
        self.scenery = scenery
        self.canvas = canvas
        self.random = random
        self.distance = Distance(scenery, canvas, random)
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
        length = math.sqrt(x * x + y * y + z * z)
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
        self.distance.draw()
        self._ground()
        if self.scenery.fence > 0.0:
            self._fence()
        for animal in animals:
            self._shadow(animal)

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
        texture += scenery.tufts * (0.17 * tufts + 0.30 * blades)
        nearness = square_root(depth)
        bare = smoothstep(0.15, 0.75, patches - 0.6 + 0.7 * scenery.patches) * 0.55
        planes = []
        for channel in range(3):
            colour = self.far[channel] + nearness * (self.near[channel] - self.far[channel])
            soil = EARTH[channel] * (0.8 + 0.2 * scenery.ground_tone) * (1.0 - 0.25 * scenery.dusk)
            planes.append((colour + bare * (soil - colour)) * texture)
        veil = 0.45 * scenery.haze * smoothstep(0.25, 0.0, depth)
        ground = np.stack(
            [p + veil * (h - p) for p, h in zip(planes, self.distance.horizon_colour, strict=True)]
        )
        self.canvas.composite(patch, edge(scenery.horizon - patch.y, 2.0), ground)

    def _fence(self) -> None:
        scenery = self.scenery
        foot = scenery.horizon + 0.55 * scenery.fence
        wood = mix(self.distance.hazy(WOOD, 0.15 * scenery.haze), self.far, 0.15)
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
        strength = 0.85 - 0.25 * self.scenery.dusk
        for reach, flat, shift, dark in ((0.80, 0.17, -0.25, 0.70), (0.62, 0.10, -0.04, 0.60)):
            wide, high = reach * height, flat * height
            x, y = animal.center_x + shift * lean * height, animal.ground_y - 0.01 * height
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
        shade = 0.72 + 0.26 * blades + 0.14 * streaks
        self.canvas.composite(patch, alpha, np.stack([shade * c for c in self.near]))
