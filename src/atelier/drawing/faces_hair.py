"""Hair of a drawn face: outlines per style, strands that fall from the parting, light on them.

A strand is a line of constant `across`: on the crown the strands run like meridians from the
parting, below it they fall straight, so one texture serves every style.
"""

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
    smooth_union,
    smoothstep,
    square_root,
    superellipse,
    turned,
)
from atelier.drawing.faces_attributes import shows_hair
from atelier.drawing.faces_head import Frame, light_direction
from atelier.drawing.faces_scene import FaceScene
from atelier.drawing.texture import noise_at, noise_grid

_RAMPS = {
    "black": ((0.035, 0.03, 0.032), (0.1, 0.085, 0.08)),
    "brown": ((0.24, 0.14, 0.085), (0.4, 0.25, 0.15)),
    "blond": ((0.7, 0.53, 0.3), (0.9, 0.77, 0.52)),
    "gray": ((0.42, 0.43, 0.45), (0.7, 0.71, 0.73)),
}
_FALLING = ("long", "bob", "bangs")


def hair_colour(scene: FaceScene) -> tuple[float, ...]:
    dark, light = _RAMPS[scene.hair_colour]
    colour = mix(dark, light, scene.hair_tone)
    warm = (0.03 if scene.hair_colour == "gray" else 0.12) * (scene.hair_warmth - 0.5)
    return (colour[0] * (1.0 + warm), colour[1], colour[2] * (1.0 - 1.6 * warm))


def brow_colour(scene: FaceScene) -> tuple[float, ...]:
    """Brows and beards follow the hair, darker and browner."""
    return mix(hair_colour(scene), (0.12, 0.075, 0.05), 0.5)


class Hair:
    """One scene's hair: its textures are drawn once and shared by the layers."""

    def __init__(self, scene: FaceScene, frame: Frame, random: np.random.Generator) -> None:
        self.scene = scene
        self.frame = frame
        self.coarse = noise_grid(random, 8, 32)
        self.fine = noise_grid(random, 8, 64)
        self.edge_noise = noise_grid(random, 8, 16)
        self.shown = shows_hair(scene)
        self.falls = scene.hair_style in _FALLING
        self.volume = 3.0 + 9.0 * scene.hair_volume + 4.0 * scene.hair_wave
        close = 1.0 if self.falls else 0.4
        self.width = 47.5 + 4.0 * scene.head_width + 2.5 * scene.fullness + close * self.volume
        self.top = -60.0 - 5.0 * scene.head_height - 0.8 * self.volume
        if scene.hat != "none":
            self.volume *= 0.5
        lengths = {"long": 74.0 + 70.0 * scene.hair_length, "bob": 34.0 + 24.0 * scene.hair_length}
        self.length = lengths.get(scene.hair_style, 46.0 + 80.0 * scene.hair_length)
        reach = self.width + (24.0 if self.falls else 10.0)
        bottom = self.length + 10.0 if self.falls else 24.0
        self.patch = patch = frame.on_head(-reach, self.top - 10.0, reach, bottom)
        u, v = frame.u[patch.rows, patch.columns], frame.v[patch.rows, patch.columns]
        self.texture = self._strands(patch)
        self.rough = self._rough(patch)
        self.mass = self._mass(patch)
        self.opening = self._opening(u, v)

    def _strands(self, patch: Patch) -> Plane:
        """Light and dark strands, about -1 to 1."""
        scene = self.scene
        parting = 16.0 * scene.hair_parting
        rise = clamp((-10.0 - patch.y) * (1.0 / (-10.0 - self.top)), 0.0, 0.97)
        share = square_root(1.0 - rise * rise)
        offset = (patch.x - parting * rise) / np.maximum(share, np.float32(0.25))
        wave = patch.y * (1.0 / 26.0) + scene.hair_parting
        phase = wave - np.floor(wave)
        swing = 4.0 * phase * (1.0 - phase) - 0.667
        across = offset + swing * (9.0 * scene.hair_wave) * clamp((patch.y + 40.0) * 0.02)
        if not self.falls:
            across = across + (0.5 + 0.5 * scene.hair_parting) * 0.6 * patch.y
        down = patch.y * (1.0 / 60.0)
        coarse = noise_at(self.coarse, across * (1.0 / 11.0) + 64.0, down + 8.0)
        fine = noise_at(self.fine, across * (1.0 / 4.6) + 64.0, down * 1.6 + 8.0)
        return 0.6 * coarse + 0.4 * fine

    def _paint(
        self, canvas: Canvas, patch: Patch, texture: Plane, alpha: Plane, depth: Plane | float
    ) -> None:
        """Lay strands over the canvas; `depth` in [0, 1] darkens what lies inside or behind."""
        scene = self.scene
        light = light_direction(scene)
        form = patch.x * (1.0 / self.width)
        lit = 0.9 + 0.3 * light[0] * form - 0.2 * form * form
        lit = lit + 0.12 * clamp((-patch.y - 10.0) * 0.02)
        band = (patch.y + 38.0 - 8.0 * light[0] * form + 5.0 * texture) * (1.0 / 17.0)
        shine = bump(band * band) * (0.5 + 0.5 * texture) * (0.35 + 0.9 * scene.hair_shine)
        brightness = lit * (1.0 + 0.34 * texture) * (1.0 - 0.6 * depth)
        colour = hair_colour(scene)
        gloss = 0.1 * shine * (1.0 - depth)
        planes = np.stack([channel * (brightness + 1.2 * gloss) + gloss for channel in colour])
        canvas.composite(patch, alpha, planes)

    def _rough(self, patch: Patch) -> Plane:
        amount = 1.5 + 5.0 * self.scene.hair_wave
        return amount * noise_at(
            self.edge_noise, patch.x * (1.0 / 13.0) + 32.0, patch.y * (1.0 / 13.0) + 32.0
        )

    def _mass(self, patch: Patch) -> Plane:
        """Outline of the hair as a whole, the face not yet left out."""
        x = patch.x + 7.0 * self.scene.yaw
        cap = ellipse(x, patch.y + 8.0, self.width, -8.0 - self.top)
        if not self.falls:
            return cap
        flare = self.width + 0.1 * clamp(patch.y, 0.0, 80.0)
        taper = clamp((patch.y - self.length + 30.0) * (1.0 / 34.0))
        sides = np.abs(x) - flare + 14.0 * taper * taper
        body = np.maximum(np.maximum(sides, patch.y - self.length), -8.0 - patch.y)
        whole: Plane = np.minimum(cap, body)
        return whole

    def _opening(self, u: Plane, v: Plane) -> Plane:
        """Distance to the part of the face that the hair leaves free."""
        scene = self.scene
        style = scene.hair_style
        top = -29.0 - 10.0 * scene.hairline
        across = (
            41.5 - (1.0 + 5.0 * scene.hair_length if self.falls else 0.0) + 2.0 * scene.head_width
        )
        if style == "receding":
            top, across = top - 8.0, across + 2.0
        turn = 0.14 * scene.hair_parting if style in ("swept", "long", "bob", "short") else 0.0
        x, y = turned(u, v, (0.0, 22.0), turn)
        # Cropped hair leaves squarer temples free than falling hair does.
        squareness = 0.0 if self.falls else 0.62
        bow = superellipse(x, y, across, 22.0 - top, squareness)
        if style == "receding":
            for side in (-1.0, 1.0):
                bow = smooth_union(bow, ellipse(u - side * 23.0, v + 33.0, 15.0, 16.0), 10.0)
        if style == "bangs":
            fringe = -17.0 - 5.0 * scene.hairline + 0.006 * u * u
            jag = 3.0 * noise_at(self.edge_noise, u * (1.0 / 9.0) + 32.0, 0.0 * v)
            bow = np.maximum(bow, fringe + jag - v)
        below = np.abs(x) - across
        opening: Plane = np.where(y > 0.0, np.minimum(below, bow), bow)
        return opening

    def draw_back(self, canvas: Canvas) -> None:
        """What hangs behind neck and head."""
        if not self.shown:
            return
        if self.falls:
            inner = bump(self.patch.x * self.patch.x * (1.0 / 2300.0))
            depth = 0.25 + 0.6 * inner * smoothstep(10.0, 50.0, self.patch.y)
            alpha = edge((self.mass + self.rough) * self.frame.zoom, 3.0)
            self._paint(canvas, self.patch, self.texture, alpha, depth)
        elif self.scene.hair_style == "bun":
            self._draw_bun(canvas)

    def _draw_bun(self, canvas: Canvas) -> None:
        size = 15.0 + 6.0 * self.scene.hair_volume
        x, y = 10.0 * self.scene.hair_parting, self.top - 0.35 * size
        patch = self.frame.on_head(x - 30.0, y - 30.0, x + 30.0, -40.0)
        distance = ellipse(patch.x - x, patch.y - y, 1.15 * size, size)
        alpha = edge(distance + 0.5 * self._rough(patch), 2.5)
        self._paint(canvas, patch, self._strands(patch), alpha, 0.1)

    def _front_distance(self, u: Plane, v: Plane) -> Plane:
        """Distance to the hair in front of the head."""
        scene = self.scene
        distance: Plane = np.maximum(self.mass + self.rough, -(self.opening + 0.35 * self.rough))
        if self.falls:
            return distance
        end = (-4.0 if scene.hair_style == "bun" else 2.0) + 12.0 * scene.hair_length
        if scene.hair_style == "receding":
            end -= 4.0
        # Cropped round the ears.
        cropped: Plane = np.maximum(distance, (v - end) * 0.8 + 0.03 * np.abs(u))
        return cropped

    def draw_front(self, canvas: Canvas) -> None:
        """The hair over the head, and its shadow on the brow."""
        if not self.shown:
            return
        patch = self.patch
        u, v = self.frame.u[patch.rows, patch.columns], self.frame.v[patch.rows, patch.columns]
        near = smoothstep(-11.0, 1.0, self.opening)
        shadow = 0.3 * near * smoothstep(4.0, -6.0, self.mass) * smoothstep(90.0, 40.0, patch.y)
        if not self.falls:
            shadow = shadow * smoothstep(18.0, -2.0, v)
        canvas.multiply(patch, 1.0 - shadow)
        alpha = edge(self._front_distance(u, v) * self.frame.zoom, 3.0)
        inner = smoothstep(9.0, 0.0, self.opening) * smoothstep(-30.0, 30.0, patch.y)
        self._paint(canvas, patch, self.texture, alpha, 0.5 * inner + 0.1)
