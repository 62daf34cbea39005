"""Brows, nose, mouth and beard of a drawn face, painted on the skin before it is lit.

Each works in face coordinates (see `faces_head.Frame`), so it follows the pose by itself.
"""

from dataclasses import dataclass

import numpy as np

from atelier.drawing.canvas import (
    Canvas,
    Patch,
    Plane,
    Triple,
    bezier,
    bump,
    clamp,
    edge,
    ellipse,
    mix,
    palette,
    smoothstep,
    stroke,
    tinted,
)
from atelier.drawing.faces_eyes import paint_eyes
from atelier.drawing.faces_head import Frame, skin_colour
from atelier.drawing.faces_scene import FaceScene
from atelier.drawing.texture import noise_at, noise_grid

_LIPSTICK = ((0.72, 0.08, 0.14), (0.82, 0.25, 0.34), (0.55, 0.08, 0.2), (0.8, 0.34, 0.28))


def paint_brows(scene: FaceScene, frame: Frame, skin: Canvas, colour: Triple) -> None:
    lift = 1.5 * scene.brow_height + 0.8 * max(0.0, scene.smile)
    for side in (-1.0, 1.0):
        patch = frame.on_face(side * 20.0 - 20.0, -34.0, side * 20.0 + 20.0, -2.0)
        top = -12.5 - lift - 7.0 * scene.brow_arch
        points = bezier((7.5, -11.0 - lift), (21.0, top), (33.5, -9.5 - lift))
        thick = 1.3 + 1.9 * scene.brow_thickness
        radii = [
            thick * (0.85 + 0.5 * k / 3.0 if k < 3 else 1.35 - 0.2 * (k - 3)) for k in range(9)
        ]
        distance = stroke(side * patch.x, patch.y, points, radii)
        alpha = smoothstep(1.4, -1.2, distance) * (0.5 + 0.35 * scene.brow_darkness)
        skin.composite(patch, alpha, colour)


@dataclass(frozen=True)
class _Mouth:
    """One mouth's curves over its patch; `t` runs from -1 to 1 between the corners."""

    patch: Patch
    t: Plane
    half: float
    gap: float
    fullness: float
    corner: tuple[float, float]
    line: Plane
    top_edge: Plane  # of the opening
    low_edge: Plane
    upper: Plane  # of the lips
    lower: Plane
    ends: Plane  # fades the corners


def _mouth(scene: FaceScene, frame: Frame) -> _Mouth:
    glad, sad = max(0.0, scene.smile), max(0.0, -scene.smile)
    half = 14.5 + 3.0 * scene.mouth_width + 3.8 * glad
    middle = 40.0 + 2.5 * scene.mouth_height + 0.8 * glad
    patch = frame.on_face(-32.0, 24.0, 32.0, 66.0)
    t = patch.x * (1.0 / half)
    arch = clamp(1.0 - t * t)
    gap = scene.mouth_open * (5.5 + 2.5 * glad)
    rise = -6.2 * glad + 3.5 * sad
    line = middle + rise * t * t * (1.0 - 0.15 * t * t)
    top_edge = line - 0.35 * gap * arch
    low_edge = line + 0.75 * gap * arch + 0.2
    full = 2.0 + 3.2 * scene.lip_fullness - 0.9 * glad
    # Cupid's bow: a dip in the middle of the upper lip.
    upper = top_edge - full * arch * (1.0 - 0.28 * bump(t * t * 18.0)) - 0.6 * arch
    lower = low_edge + (full * 1.25 + 0.5) * arch * (0.6 + 0.4 * arch)
    ends = smoothstep(1.04, 0.93, np.abs(t))
    corner = (half + 0.5, middle + 0.85 * rise)
    return _Mouth(patch, t, half, gap, full, corner, line, top_edge, low_edge, upper, lower, ends)


def paint_mouth(scene: FaceScene, frame: Frame, skin: Canvas) -> None:
    """Lips, gap, teeth and the shade in the corners; a smile widens and lifts the corners."""
    mouth = _mouth(scene, frame)
    patch, t = mouth.patch, mouth.t
    base = skin_colour(scene)
    lips = edge(np.maximum(mouth.upper - patch.y, patch.y - mouth.lower), 2.2) * mouth.ends
    natural = mix(base, (0.62, 0.2, 0.2), 0.27 if scene.male else 0.42)
    colour = mix(natural, palette(_LIPSTICK, scene.lipstick_hue), 0.85 * scene.lipstick)
    light = 0.84 + 0.2 * clamp((patch.y - mouth.line) * 0.25)
    off = patch.y - mouth.lower + 0.5 * mouth.fullness
    light = light + bump(off * off * 0.25 + t * t * 3.0) * (0.08 + 0.22 * scene.lipstick)
    skin.composite(patch, lips * 0.95, tinted(colour, light))
    _paint_opening(scene, mouth, skin, colour)
    shade = mix(base, (0.25, 0.09, 0.08), 0.7)
    for side in (-1.0, 1.0):
        du, dv = side * patch.x - mouth.corner[0], patch.y - mouth.corner[1]
        pit = bump((du * du + dv * dv) * 0.06)
        skin.composite(patch, pit * (0.3 + 0.25 * max(0.0, scene.smile)), shade)
    below = patch.y - (mouth.lower + 3.0)
    alpha = bump(below * below * 0.06) * smoothstep(0.8, 0.1, np.abs(t)) * 0.3
    skin.composite(patch, alpha, mix(base, (0.3, 0.14, 0.1), 0.6))


def _paint_opening(scene: FaceScene, mouth: _Mouth, skin: Canvas, lips: Triple) -> None:
    """The seam of a closed mouth, or the dark of an open one with its upper teeth."""
    patch, t = mouth.patch, mouth.t
    dark = (0.2, 0.06, 0.06)
    if mouth.gap <= 0.0:
        seam = patch.y - mouth.line
        skin.composite(patch, bump(seam * seam * 0.3) * mouth.ends * 0.85, mix(lips, dark, 0.7))
        return
    opening = edge(np.maximum(mouth.top_edge - patch.y, patch.y - mouth.low_edge), 1.5) * mouth.ends
    skin.composite(patch, opening, dark)
    if scene.teeth <= 0.15:
        return
    reach = mouth.top_edge + mouth.gap * clamp(1.0 - t * t) * (0.35 + 0.7 * scene.teeth)
    teeth = opening * smoothstep(0.8, -0.8, patch.y - reach) * smoothstep(1.0, 0.7, np.abs(t))
    skin.composite(patch, teeth, tinted((0.93, 0.91, 0.86), 0.93 - 0.3 * t * t))


def paint_nose(scene: FaceScene, frame: Frame, skin: Canvas) -> None:
    """Nostrils, and the soft shadow that the nose throws away from the light."""
    patch = frame.on_face(-26.0, 4.0, 26.0, 42.0)
    base = skin_colour(scene)
    shade = mix(base, (0.2, 0.08, 0.06), 0.65)
    tip = 24.0 + 3.0 * (scene.nose_length - 0.5)
    wide = 3.6 + 2.6 * scene.nose_width
    for side in (-1.0, 1.0):
        hole = ellipse(patch.x - side * wide, patch.y - tip - 4.0, 3.0, 1.7)
        skin.composite(patch, smoothstep(1.4, -1.2, hole) * 0.75, shade)
    cast = ellipse(
        patch.x + 5.0 * scene.light_x, patch.y - tip - 6.0, 9.0 + 3.0 * scene.nose_width, 4.0
    )
    skin.composite(
        patch, smoothstep(3.0, -3.0, cast) * (0.14 + 0.24 * scene.contrast * scene.light_y), shade
    )
    flank = ellipse(patch.x + 8.0 * scene.light_x, patch.y - 15.0, 6.0, 14.0)
    strength = 0.2 * abs(scene.light_x) * (0.4 + 0.6 * scene.contrast)
    skin.composite(patch, smoothstep(6.0, -6.0, flank) * strength, shade)


def paint_chins(scene: FaceScene, frame: Frame, skin: Canvas) -> None:
    """The fold of a double chin."""
    if scene.fullness <= 0.75:
        return
    patch = frame.on_face(-34.0, 44.0, 34.0, 82.0)
    fold = patch.y - 64.0 + patch.x * patch.x * 0.014
    alpha = bump(fold * fold * 0.07) * smoothstep(30.0, 14.0, np.abs(patch.x)) * 0.5
    skin.composite(patch, alpha, mix(skin_colour(scene), (0.3, 0.14, 0.1), 0.6))


def paint_beard(
    scene: FaceScene, frame: Frame, skin: Canvas, colour: Triple, random: np.random.Generator
) -> None:
    grid = noise_grid(random, 16, 16)
    if scene.beard == "none" and not scene.sideburns:
        return
    patch = frame.on_face(-60.0, -12.0, 60.0, 84.0)
    x, y = patch.x, patch.y
    side = np.abs(x)
    strands = noise_at(grid, x * (1.0 / 4.5), y * (1.0 / 7.0) + side * 0.05)
    alpha = 0.0 * y
    if scene.sideburns:
        alpha = smoothstep(36.0, 41.0, side) * smoothstep(-8.0, 0.0, y) * smoothstep(30.0, 14.0, y)
    mouth = 41.5 + 2.5 * (scene.mouth_height - 0.3)
    if scene.beard in ("moustache", "goatee", "full", "stubble"):
        # Between nose and upper lip, drooping at its ends.
        middle = mouth - 7.3 + 0.012 * x * x - 2.0 * max(0.0, scene.smile)
        moustache = smoothstep(4.6, 2.2, np.abs(y - middle)) * smoothstep(23.0, 16.0, side)
        alpha = np.maximum(alpha, moustache)
    if scene.beard == "goatee":
        chin = ellipse(x, y - 62.0, 14.0, 12.0)
        alpha = np.maximum(alpha, smoothstep(3.0, -3.0, chin))
        ring = np.abs(ellipse(x, y - 48.0, 20.0, 16.0)) - 2.2
        alpha = np.maximum(alpha, smoothstep(1.5, -1.5, ring) * smoothstep(34.0, 38.0, y))
    if scene.beard in ("full", "stubble"):
        cheek = ellipse(x, y - 22.0, 36.0, 27.0)
        jaw = smoothstep(-6.0, 5.0, cheek) * smoothstep(-8.0, 16.0, y)
        hollow = ellipse(x, y - mouth - 3.0, 21.0, 11.0)
        alpha = np.maximum(alpha, jaw * smoothstep(-2.0, 2.0, hollow))
    amount = 0.24 + 0.16 * scene.beard_strength
    if scene.beard != "stubble":
        amount = 0.72 + 0.23 * scene.beard_strength
    alpha = alpha * clamp(amount * (1.0 + 0.25 * strands), 0.0, 1.0)
    light = 1.0 + 0.3 * strands
    skin.composite(patch, alpha, tinted(colour, light))


def paint_features(
    scene: FaceScene, frame: Frame, skin: Canvas, brow: Triple, random: np.random.Generator
) -> None:
    """Everything on the skin, in the order in which one lies over the other."""
    paint_nose(scene, frame, skin)
    paint_chins(scene, frame, skin)
    paint_beard(scene, frame, skin, brow, random)
    paint_mouth(scene, frame, skin)
    paint_eyes(scene, frame, skin)
    paint_brows(scene, frame, skin, brow)
