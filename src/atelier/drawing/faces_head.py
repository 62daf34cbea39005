"""The head of a drawn face: its pose, its form as a height field, its skin and its shading.

Everything on the face is drawn in face coordinates (u, v): pixels of a frontal head whose eyes
lie on v = 0, 19.5 either side of u = 0, mouth near v = 41, chin near v = 67. `Frame` bends the
picture's pixels into them by turning an ellipsoid, so features follow yaw and pitch.
"""

import math
from collections.abc import Sequence

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
    rotation,
    smooth_union,
    smoothstep,
    square_root,
    superellipse,
)
from atelier.drawing.faces_scene import FaceScene
from atelier.drawing.texture import blur, value_noise

_RADIUS_X, _RADIUS_Y, _CENTRE_Y = 62.0, 86.0, 4.0
# Depth (share of the ellipsoid's) that stays put when the head turns: between eyes and outline.
_PIVOT = 0.66
_SKIN = (
    (0.97, 0.82, 0.74),
    (0.93, 0.74, 0.62),
    (0.84, 0.62, 0.48),
    (0.68, 0.46, 0.34),
    (0.44, 0.29, 0.21),
)


class Frame:
    """Where the head is: head coordinates (upright, not turned) and face coordinates (on it)."""

    def __init__(self, scene: FaceScene, canvas: Canvas) -> None:
        self.zoom = 0.91 + 0.14 * scene.zoom
        self.origin = (88.5 + 3.5 * scene.shift_x, 111.0 + 3.5 * scene.shift_y)
        self.turn = rotation(0.075 * scene.roll)
        self.yaw = rotation(0.19 * scene.yaw)
        self.pitch = rotation(0.09 * scene.pitch)
        page = canvas.patch()
        cosine, sine = self.turn
        across, down = page.x - self.origin[0], page.y - self.origin[1]
        self.x: Plane = (across * cosine + down * sine) * (1.0 / self.zoom)
        self.y: Plane = (down * cosine - across * sine) * (1.0 / self.zoom)
        p = self.x * (1.0 / _RADIUS_X)
        q = (self.y - _CENTRE_Y) * (1.0 / _RADIUS_Y)
        self.depth = square_root(np.maximum(1.0 - p * p - q * q, np.float32(0.02)))
        lift = self.depth - _PIVOT
        self.u: Plane = self.x * self.yaw[0] - lift * (_RADIUS_X * self.yaw[1])
        self.v: Plane = self.y * self.pitch[0] - lift * (_RADIUS_Y * self.pitch[1])

    def to_picture(self, x: float, y: float) -> tuple[float, float]:
        """The picture's (column, row) of head coordinates."""
        cosine, sine = self.turn
        x, y = x * self.zoom, y * self.zoom
        return self.origin[0] + x * cosine - y * sine, self.origin[1] + y * cosine + x * sine

    def unbend(self, u: float, v: float) -> tuple[float, float]:
        """Head coordinates of face coordinates, by fixed-point steps."""
        x, y = u, v
        for _ in range(4):
            p, q = x / _RADIUS_X, (y - _CENTRE_Y) / _RADIUS_Y
            lift = math.sqrt(max(1.0 - p * p - q * q, 0.02)) - _PIVOT
            x = (u + lift * _RADIUS_X * self.yaw[1]) / self.yaw[0]
            y = (v + lift * _RADIUS_Y * self.pitch[1]) / self.pitch[0]
        return x, y

    def _cut(self, corners: Sequence[tuple[float, float]], x: Plane, y: Plane) -> Patch:
        places = [self.to_picture(*corner) for corner in corners]
        height, width = self.x.shape
        left = min(max(math.floor(min(place[0] for place in places)) - 2, 0), width)
        right = max(min(math.ceil(max(place[0] for place in places)) + 3, width), left)
        top = min(max(math.floor(min(place[1] for place in places)) - 2, 0), height)
        bottom = max(min(math.ceil(max(place[1] for place in places)) + 3, height), top)
        rows, columns = slice(top, bottom), slice(left, right)
        return Patch(rows, columns, x[rows, columns], y[rows, columns])

    def on_face(self, left: float, top: float, right: float, bottom: float) -> Patch:
        """A patch whose x, y are the face coordinates u, v [h, w]."""
        corners = [self.unbend(u, v) for u in (left, right) for v in (top, bottom)]
        return self._cut(corners, self.u, self.v)

    def on_head(self, left: float, top: float, right: float, bottom: float) -> Patch:
        """A patch whose x, y are head coordinates [h, w]."""
        corners = [(x, y) for x in (left, right) for y in (top, bottom)]
        return self._cut(corners, self.x, self.y)


def skin_colour(scene: FaceScene) -> tuple[float, ...]:
    place = scene.skin_tone * (len(_SKIN) - 1)
    step = min(int(place), len(_SKIN) - 2)
    colour = mix(_SKIN[step], _SKIN[step + 1], place - step)
    warm = 0.04 * (scene.skin_warmth - 0.5)
    return (colour[0] + warm, colour[1], colour[2] - 1.5 * warm)


def head_outline(scene: FaceScene, patch: Patch, yaw: float) -> Plane:
    """Distance to the head's outline in head coordinates, chin and cheeks turned with the yaw."""
    x, y = patch.x, patch.y
    width = 45.0 + 4.0 * scene.head_width + 2.5 * scene.fullness
    skull = ellipse(x + 7.0 * yaw, y + 9.0, width + 1.0, 52.0 + 5.0 * scene.head_height)
    jaw_x = 0.64 * width + 10.0 * scene.jaw_width + 7.0 * scene.fullness
    chin = 63.0 + 6.0 * scene.head_height + 2.0 * scene.fullness
    squareness = 0.1 + 0.6 * scene.jaw_squareness
    jaw = superellipse(x - 7.0 * yaw, y - (chin - 40.0), jaw_x, 40.0, squareness)
    return smooth_union(skull, jaw, 22.0)


def relief(scene: FaceScene, u: Plane, v: Plane) -> Plane:
    """Heights of the features over the ellipsoid, in pixels."""
    side = np.abs(u)
    smile = max(0.0, scene.smile)

    def hill(cu: float, cv: float, ru: float, rv: float) -> Plane:
        du, dv = (side - cu) * (1.0 / ru), (v - cv) * (1.0 / rv)
        return bump(du * du + dv * dv)

    tip = 24.0 + 3.0 * (scene.nose_length - 0.5)
    along = clamp((v + 8.0) * (1.0 / (tip + 8.0)))
    width = 8.5 + (2.0 + 4.0 * scene.nose_width) * along
    ridge = (2.6 + (5.0 + 3.0 * scene.nose_height) * along * along) * bump(
        (u / width) * (u / width)
    )
    height = ridge * smoothstep(tip + 9.0, tip - 1.0, v) * smoothstep(-20.0, -4.0, v)
    height += 2.6 * hill(6.5 + 2.5 * scene.nose_width, tip + 1.0, 6.5, 6.5)
    height -= (2.0 + 2.2 * scene.eye_depth) * hill(18.5, -2.0, 19.0, 13.0)
    height += 1.8 * hill(19.5, 0.0, 11.0, 7.0)
    height += (1.0 + 1.2 * scene.brow_thickness) * hill(17.0, -14.0, 22.0, 8.0)
    height += (2.5 + 2.5 * scene.cheekbones + 2.5 * smile) * hill(
        27.0, 21.0 - 3.0 * smile, 17.0, 17.0
    )
    height += 4.0 * hill(0.0, 41.0, 25.0, 18.0) - 1.6 * hill(0.0, 53.0, 14.0, 5.5)
    height += 3.5 * hill(0.0, 62.0, 15.0, 10.0) + 3.0 * hill(0.0, -30.0, 40.0, 26.0)
    # Folds from the nostrils past the mouth's corners: with age and with a smile.
    fold = side - (11.0 + (0.36 + 0.1 * smile) * (v - 24.0))
    depth = 0.3 + 1.2 * scene.age * scene.age + 1.3 * smile
    height -= (
        depth
        * bump(fold * fold * (1.0 / 32.0))
        * smoothstep(22.0, 30.0, v)
        * smoothstep(52.0, 40.0, v)
    )
    height += (0.3 + 1.4 * scene.bags) * hill(18.0, 10.0, 10.0, 3.6)
    if scene.age > 0.5:
        height += _wrinkles(scene, u, v, side)
    return height


def _wrinkles(scene: FaceScene, u: Plane, v: Plane, side: Plane) -> Plane:
    strength = 2.0 * (scene.age - 0.5)
    arch = v + u * u * 0.004
    total: Plane = np.zeros_like(v)
    for level in (-38.0, -31.0, -24.0):
        off = (arch - level) * (1.0 / 3.0)
        total -= (0.5 + 0.9 * strength) * bump(off * off) * smoothstep(32.0, 14.0, side)
    for slope in (-0.5, 0.1, 0.6):
        off = (v - 1.0 - slope * (side - 29.0)) * (1.0 / 2.2)
        total -= (
            (0.3 + 0.8 * strength)
            * bump(off * off)
            * smoothstep(29.0, 32.0, side)
            * smoothstep(42.0, 36.0, side)
        )
    return total


def light_direction(scene: FaceScene) -> tuple[float, float, float]:
    x, y, z = 0.85 * scene.light_x, -0.25 - 0.55 * scene.light_y, 0.75
    length = math.sqrt(x * x + y * y + z * z)
    return x / length, y / length, z / length


def shading(scene: FaceScene, frame: Frame, patch: Patch) -> tuple[Plane, Plane]:
    """(brightness, gloss) of the lit head over a patch in head coordinates, about 0.3 to 1.2."""
    u, v = frame.u[patch.rows, patch.columns], frame.v[patch.rows, patch.columns]
    height = blur(relief(scene, u, v), 0.9)
    slope_x, slope_y = np.zeros_like(height), np.zeros_like(height)
    slope_x[:, 1:-1] = 0.5 * (height[:, 2:] - height[:, :-2])
    slope_y[1:-1] = 0.5 * (height[2:] - height[:-2])
    p, q = patch.x * (1.0 / 56.0), (patch.y - 3.0) * (1.0 / 80.0)
    depth = square_root(np.maximum(1.0 - p * p - q * q, np.float32(0.06)))
    normal_x = p - 0.8 * slope_x
    normal_y = 0.75 * q - 0.8 * slope_y
    length = square_root(normal_x * normal_x + normal_y * normal_y + depth * depth)
    light = light_direction(scene)
    facing = (normal_x * light[0] + normal_y * light[1] + depth * light[2]) / length
    lit = clamp((facing + 0.25) * 0.8, 0.0, 1.0)
    ambient = 0.62 - 0.3 * scene.contrast
    brightness: Plane = ambient + (1.04 - ambient) * lit
    # Halfway between light and eye: the soft gloss on nose, cheeks and forehead.
    half_z = light[2] + 1.0
    half = math.sqrt(light[0] * light[0] + light[1] * light[1] + half_z * half_z)
    gleam = (normal_x * light[0] + normal_y * light[1] + depth * half_z) / (length * half)
    gleam = clamp((gleam - 0.9) * 10.0)
    return brightness, gleam * gleam


def lit_by(albedo: Plane, brightness: Plane, warmth: float = 0.1) -> Plane:
    """Colour planes [3, h, w] under `brightness`; the turn into shadow is warmer, as skin's is."""
    turn = brightness * clamp(1.1 - brightness)
    return np.stack(
        [
            albedo[0] * (brightness + warmth * turn),
            albedo[1] * brightness,
            albedo[2] * (brightness - 0.5 * warmth * turn),
        ]
    )


def paint_skin(scene: FaceScene, frame: Frame, skin: Canvas, random: np.random.Generator) -> None:
    """The bare albedo of the head: complexion, blotches, blush."""
    colour = skin_colour(scene)
    for channel in range(3):
        skin.pixels[channel] = colour[channel]
    blotches = value_noise(random, skin.height, skin.width, 14.0)
    skin.pixels *= 1.0 + 0.035 * blotches
    patch = frame.on_face(-50.0, -20.0, 50.0, 60.0)
    side = np.abs(patch.x)
    du, dv = (side - 28.0) * (1.0 / 16.0), (patch.y - 22.0) * (1.0 / 15.0)
    rosy = bump(du * du + dv * dv) * (0.12 + 0.5 * scene.blush)
    dx, dy = patch.x * (1.0 / 11.0), (patch.y - 25.0) * (1.0 / 11.0)
    rosy += 0.14 * bump(dx * dx + dy * dy)
    skin.composite(patch, clamp(rosy), mix(colour, (0.86, 0.3, 0.28), 0.55))


def draw_neck(scene: FaceScene, frame: Frame, canvas: Canvas) -> None:
    """The neck with the chin's shadow."""
    patch = frame.on_head(-60.0, 25.0, 60.0, 125.0)
    half = 24.0 + 8.0 * scene.jaw_width + 5.0 * scene.fullness
    flare = clamp((patch.y - 72.0) * (1.0 / 30.0))
    centre = 3.0 * scene.yaw
    distance = np.abs(patch.x - centre) - (half + 22.0 * flare * flare)
    light = light_direction(scene)
    across = (patch.x - centre) * (1.0 / (half + 8.0))
    lit = clamp(0.75 + 0.35 * light[0] * across - 0.35 * across * across, 0.2, 1.0)
    shadow = smoothstep(98.0, 66.0, patch.y - 6.0 * light[0] * across)
    brightness = lit * (1.0 - (0.2 + 0.2 * scene.contrast) * shadow)
    colour = skin_colour(scene)
    planes = np.broadcast_to(np.array(colour, np.float32)[:, None, None], (3, *brightness.shape))
    canvas.composite(patch, edge(distance * frame.zoom, 2.0), lit_by(planes, brightness))


def draw_ears(scene: FaceScene, frame: Frame, canvas: Canvas) -> None:
    """Both ears, the far one tucked behind the turned head."""
    colour = mix(skin_colour(scene), (0.75, 0.35, 0.28), 0.18)
    light = light_direction(scene)
    for side in (-1.0, 1.0):
        out = 47.0 + 4.0 * scene.head_width + 2.5 * scene.fullness - 5.0 * side * scene.yaw
        patch = frame.on_head(side * out - 12.0, -12.0, side * out + 12.0, 32.0)
        x, y = patch.x - side * out, patch.y - 8.0
        tilt = x - side * 0.18 * -y
        outer = ellipse(tilt, y, 7.5, 15.0)
        inner = smoothstep(2.0, -4.0, ellipse(tilt + side * 1.5, y, 4.0, 10.0))
        brightness = (0.82 + 0.22 * side * light[0]) * (1.0 - 0.35 * inner)
        planes = np.broadcast_to(np.array(colour, np.float32)[:, None, None], (3, *inner.shape))
        canvas.composite(patch, edge(outer, 2.0), lit_by(planes, brightness))


def draw_head(scene: FaceScene, frame: Frame, canvas: Canvas, skin: Canvas) -> None:
    """Lay the painted skin, lit, over the canvas."""
    patch = frame.on_head(-62.0, -72.0, 62.0, 80.0)
    brightness, gleam = shading(scene, frame, patch)
    planes = lit_by(skin.window(patch), brightness, 0.1 * (1.2 - scene.skin_tone))
    planes += gleam * (0.03 + 0.09 * scene.contrast)
    outline = head_outline(scene, patch, scene.yaw) * frame.zoom
    canvas.composite(patch, edge(outline, 2.0), planes)
