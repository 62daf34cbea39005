"""The eyes of a drawn face: lids, lashes, white, iris with its glint, make-up and bags."""

from dataclasses import dataclass

import numpy as np

from atelier.drawing.canvas import (
    Canvas,
    Patch,
    Plane,
    bump,
    clamp,
    edge,
    ellipse,
    mix,
    palette,
    smoothstep,
    tinted,
)
from atelier.drawing.faces_head import Frame, skin_colour
from atelier.drawing.faces_scene import FaceScene

_IRIS = (
    (0.2, 0.11, 0.07),
    (0.36, 0.21, 0.1),
    (0.34, 0.4, 0.22),
    (0.3, 0.45, 0.6),
    (0.4, 0.45, 0.5),
)
_SHADOW = ((0.3, 0.2, 0.2), (0.25, 0.25, 0.4), (0.42, 0.24, 0.36), (0.36, 0.28, 0.18))


@dataclass(frozen=True)
class _Eye:
    """One eye over its patch: x grows away from the nose, `t` is -1 and 1 in the corners."""

    side: float
    patch: Patch
    x: Plane
    y: Plane
    t: Plane
    upper: Plane  # the lids' edges
    lower: Plane

    def within(self, full: float, none: float) -> Plane:
        """1 up to |t| = full, 0 from |t| = none on."""
        return smoothstep(none, full, np.abs(self.t))


def paint_eyes(scene: FaceScene, frame: Frame, skin: Canvas) -> None:
    for side in (-1.0, 1.0):
        eye = _eye(scene, frame, side)
        _paint_socket(scene, eye, skin)
        _paint_eyeball(scene, eye, skin)
        _paint_lashes(scene, eye, skin)


def _eye(scene: FaceScene, frame: Frame, side: float) -> _Eye:
    centre = 18.6 + 1.8 * scene.eye_spacing
    patch = frame.on_face(side * centre - 17.0, -20.0, side * centre + 17.0, 18.0)
    x, y = side * patch.x - centre, patch.y
    glad = max(0.0, scene.smile)
    t = x * (1.0 / (8.6 + 2.2 * scene.eye_size))
    arch = clamp(1.0 - t * t)
    size = 0.85 + 0.3 * scene.eye_size
    openness = (3.0 + 3.4 * scene.eye_open) * size * (1.0 - 0.28 * glad)
    tilt = -0.06 * x
    upper = tilt - openness * arch * (1.0 + 0.12 * t)
    lower = tilt + (1.9 + 0.45 * openness) * arch * (1.0 - 0.25 * glad)
    return _Eye(side, patch, x, y, t, upper, lower)


def _paint_socket(scene: FaceScene, eye: _Eye, skin: Canvas) -> None:
    """Make-up, the socket's shade, the lid's crease and the bag below."""
    base, y = skin_colour(scene), eye.y
    if scene.eye_shadow > 0.0:
        lid = smoothstep(-15.0, -8.0, y) * smoothstep(2.0, -3.0, y)
        lid = lid * smoothstep(15.0, 8.0, np.abs(eye.x)) * (0.75 * scene.eye_shadow)
        skin.composite(eye.patch, lid, palette(_SHADOW, scene.eye_shadow_hue))
    # Deep-set eyes lie in shade, shallow ones catch light: the mean brightness here tells nothing.
    socket = smoothstep(3.0, -7.0, ellipse(eye.x, y - 1.0, 16.5, 13.0))
    if scene.eye_depth > 0.35:
        shade = socket * (0.8 * (scene.eye_depth - 0.35))
        skin.composite(eye.patch, shade, mix(base, (0.2, 0.1, 0.08), 0.75))
    else:
        skin.composite(
            eye.patch, socket * (0.35 - scene.eye_depth), mix(base, (1.0, 0.95, 0.9), 0.6)
        )
    crease = y - (eye.upper - 3.0)
    alpha = bump(crease * crease * 0.16) * eye.within(0.7, 1.2) * 0.4
    skin.composite(eye.patch, alpha, mix(base, (0.2, 0.08, 0.06), 0.7))
    bag = y - (eye.lower + 5.5)
    alpha = bump(bag * bag * 0.06) * eye.within(0.6, 1.2) * (0.08 + 0.3 * scene.bags)
    skin.composite(eye.patch, alpha, mix(base, (0.3, 0.14, 0.16), 0.6))


def _paint_eyeball(scene: FaceScene, eye: _Eye, skin: Canvas) -> None:
    patch, y = eye.patch, eye.y
    inside = edge(np.maximum(eye.upper - y, y - eye.lower), 1.6) * eye.within(0.9, 1.05)
    white = mix((0.9, 0.88, 0.86), skin_colour(scene), 0.14)
    # The upper lid throws its shadow on the ball.
    skin.composite(patch, inside, tinted(white, clamp((y - eye.upper) * 0.22 + 0.5)))
    x, y = eye.x - eye.side * 1.7 * scene.gaze_x, y - 0.7 * scene.gaze_y + 0.5
    ring = ellipse(x, y, 4.5, 4.7)
    iris = mix(palette(_IRIS, scene.iris), (0.05, 0.04, 0.04), 0.15)
    skin.composite(patch, inside * edge(ring, 1.6), iris)
    skin.composite(patch, inside * edge(ring + 2.5, 1.6), (0.03, 0.025, 0.025))
    # The glint sits on the light's side of both eyes.
    x, y = x - eye.side * (1.6 if scene.light_x > 0.0 else -1.6), y + 1.7
    skin.composite(patch, inside * bump((x * x + y * y) * 0.3) * 0.9, (1.0, 1.0, 1.0))


def _paint_lashes(scene: FaceScene, eye: _Eye, skin: Canvas) -> None:
    weight = 1.1 + 1.7 * scene.lashes
    upper = edge(np.abs(eye.y - eye.upper + 0.3 * weight) - 0.55 * weight, 1.5)
    upper = upper * eye.within(0.9, 1.22 if scene.lashes > 0.5 else 1.1)
    skin.composite(eye.patch, upper * (0.6 + 0.4 * scene.lashes), (0.07, 0.045, 0.04))
    lower = edge(np.abs(eye.y - eye.lower) - 0.5, 1.5) * eye.within(0.8, 1.05)
    colour = mix(skin_colour(scene), (0.15, 0.06, 0.05), 0.75)
    skin.composite(eye.patch, lower * (0.25 + 0.35 * scene.lashes), colour)
