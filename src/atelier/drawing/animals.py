"""Drawn horses and zebras: a scene is sampled, rendered, and turned into its true twin.

`sample` chooses more than thirty continuous parameters of pose, build, light and land;
`as_zebra` and `as_horse` change nothing but the animals' species (and coat), so a picture and its
twin agree in every pixel outside `body_mask`. Stripes are a function of visible body coordinates
(`animals_coat.py`). Every byte is the same on every processor (`canvas.py` has the rules).
"""

from dataclasses import replace

import numpy as np
from numpy.random import PCG64, Generator
from numpy.typing import NDArray

from atelier.drawing.animals_body import Figure
from atelier.drawing.animals_scene import COATS, SIZE, AnimalScene, Species, sample_scene
from atelier.drawing.animals_scenery import Land
from atelier.drawing.canvas import Canvas, Plane, clamp, square_root
from atelier.drawing.texture import blur, grain, to_uint8, value_noise

__all__ = [
    "COATS",
    "SIZE",
    "AnimalScene",
    "Species",
    "as_horse",
    "as_zebra",
    "body_mask",
    "render",
    "sample",
]

# How far `blur` can carry light at the largest defocus: 0.8 px of sigma is two passes of one pixel.
DEFOCUS_REACH_PIXELS = 2


def sample(rng: Generator, species: Species) -> AnimalScene:
    """A random scene of one to three animals of the species."""
    return sample_scene(rng, species)


def as_zebra(scene: AnimalScene) -> AnimalScene:
    """The true twin: the same scene with zebras."""
    return replace(scene, species="zebra")


def as_horse(scene: AnimalScene, coat: int) -> AnimalScene:
    """The true twin with horses, all of one coat in [0, COATS); ValueError for another coat."""
    if not 0 <= coat < COATS:
        raise ValueError(f"coat: no such coat (got {coat}). Allowed: 0 to {COATS - 1}.")
    animals = tuple(replace(animal, coat=coat) for animal in scene.animals)
    return replace(scene, species="horse", animals=animals)


def render(scene: AnimalScene) -> NDArray[np.uint8]:
    """The picture, uint8 [SIZE, SIZE, 3]."""
    random = Generator(PCG64(scene.seed))
    canvas = Canvas(SIZE, SIZE)
    scenery = scene.scenery
    land = Land(scenery, canvas, random)
    land.draw(scene.animals)
    texture = 0.07 * value_noise(random, SIZE, SIZE, 9.0) + 0.05 * land.streaks
    for animal in scene.animals:
        Figure(animal, scene.species, canvas).draw(land.light, texture)
        land.fringe(animal)
    display = square_root(clamp(canvas.pixels * scenery.brightness, 0.0, 4.0))
    display = (display - 0.5) * scenery.contrast + 0.5
    blurred = blur(_rolled_off(display), scenery.defocus)
    return to_uint8(grain(random, blurred, scenery.grain))


def body_mask(scene: AnimalScene) -> NDArray[np.uint8]:
    """uint8 [SIZE, SIZE], 255 wherever the scene and any of its twins may differ, else 0."""
    canvas = Canvas(SIZE, SIZE)
    covered: Plane = np.zeros((SIZE, SIZE), np.float32)
    species: tuple[Species, Species] = ("horse", "zebra")
    for animal in scene.animals:
        for one in species:
            Figure(animal, one, canvas).outline(covered)
    inside = covered > 0.0
    for _ in range(DEFOCUS_REACH_PIXELS):
        inside = _grown(_grown(inside).T).T
    return inside.astype(np.uint8) * np.uint8(255)


def _grown(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """One pixel to either side along the last axis."""
    grown = inside.copy()
    grown[:, 1:] |= inside[:, :-1]
    grown[:, :-1] |= inside[:, 1:]
    return grown


def _rolled_off(display: Plane) -> Plane:
    """Highlights above 0.8 bend softly towards 1 instead of being cut."""
    over = np.maximum(display - 0.8, np.float32(0.0))
    rolled: Plane = np.minimum(display, np.float32(0.8)) + over / (1.0 + over * 3.5)
    return rolled
