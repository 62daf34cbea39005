"""CelebA-like faces, drawn: sample a scene, render it, and render its true twin in another hair.

    scene = sample(numpy.random.default_rng(seed))
    image = render(scene)                        # uint8 [218, 178, 3]
    twin = render(with_hair(scene, "blond"))     # the same person, light, backdrop and grain

The picture is composed from back to front: backdrop, hair behind, neck and clothes, ears, head (its
skin painted flat, then lit as a height field), hair in front, jewellery, glasses, hat; then lens
and sensor. Bytes are the same on every processor (see `canvas.py`).
"""

import dataclasses
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from atelier.drawing.canvas import Canvas, Plane
from atelier.drawing.faces_attributes import ATTRIBUTE_NAMES, attributes
from atelier.drawing.faces_features import paint_features
from atelier.drawing.faces_hair import Hair, brow_colour
from atelier.drawing.faces_head import Frame, draw_ears, draw_head, draw_neck, paint_skin
from atelier.drawing.faces_sampling import sample
from atelier.drawing.faces_scene import FaceScene
from atelier.drawing.faces_worn import (
    draw_backdrop,
    draw_clothes,
    draw_earrings,
    draw_glasses,
    draw_hat,
)
from atelier.drawing.texture import blur, grain, to_uint8

__all__ = [
    "ATTRIBUTE_NAMES",
    "HEIGHT",
    "WIDTH",
    "FaceScene",
    "attributes",
    "hair_mask",
    "render",
    "sample",
    "with_hair",
]

HEIGHT, WIDTH = 218, 178


def render(scene: FaceScene) -> NDArray[np.uint8]:
    """The scene as a picture [218, 178, 3]; equal scenes give equal bytes."""
    sigma = (2.0 + 2.0 * scene.grain) / 255.0
    return to_uint8(grain(_stream(scene, 4), _photograph(scene), sigma))


def with_hair(scene: FaceScene, colour: Literal["black", "blond"]) -> FaceScene:
    """The true twin: everything but the hair's colour is the same, texture and grain included."""
    return dataclasses.replace(scene, hair_colour=colour)


def hair_mask(scene: FaceScene) -> NDArray[np.uint8]:
    """255 where the hair's colour can change the picture (brows and beard included), else 0."""
    black = _photograph(with_hair(scene, "black"))
    blond = _photograph(with_hair(scene, "blond"))
    return np.where((black != blond).any(axis=0), 255, 0).astype(np.uint8)


def _stream(scene: FaceScene, use: int) -> np.random.Generator:
    """One random stream per use, so that no texture depends on what was drawn before it."""
    return np.random.default_rng((scene.texture_seed, use))


def _photograph(scene: FaceScene) -> Plane:
    """The picture before the sensor: float32 [3, 218, 178]."""
    canvas = Canvas(HEIGHT, WIDTH)
    frame = Frame(scene, canvas)
    hair = Hair(scene, frame, _stream(scene, 1))
    draw_backdrop(scene, canvas, _stream(scene, 0))
    hair.draw_back(canvas)
    draw_neck(scene, frame, canvas)
    draw_clothes(scene, frame, canvas)
    draw_ears(scene, frame, canvas)
    skin = Canvas(HEIGHT, WIDTH)
    paint_skin(scene, frame, skin, _stream(scene, 2))
    paint_features(scene, frame, skin, brow_colour(scene), _stream(scene, 3))
    draw_head(scene, frame, canvas, skin)
    hair.draw_front(canvas)
    draw_earrings(scene, frame, canvas)
    draw_glasses(scene, frame, canvas)
    draw_hat(scene, frame, canvas)
    warm = 0.1 * (scene.light_warmth - 0.5)
    exposure = 0.8 + 0.35 * scene.exposure
    canvas.multiply(canvas.patch(), (exposure * (1.0 + warm), exposure, exposure * (1.0 - warm)))
    sharpness = 0.75 + 0.6 * scene.defocus
    return blur(canvas.pixels, sharpness if scene.defocus < 0.75 else 2.8 * scene.defocus)
