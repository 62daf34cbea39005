"""What surrounds a drawn face: backdrop, clothes, jewellery, glasses and hats."""

import numpy as np

from atelier.drawing.canvas import (
    Canvas,
    Patch,
    Plane,
    bump,
    capsule,
    clamp,
    edge,
    ellipse,
    mix,
    palette,
    smoothstep,
    superellipse,
    tinted,
)
from atelier.drawing.faces_head import Frame, light_direction
from atelier.drawing.faces_scene import FaceScene
from atelier.drawing.texture import blur, enlarge, noise_grid

_HUES = (
    (0.75, 0.3, 0.24),
    (0.8, 0.55, 0.25),
    (0.5, 0.6, 0.28),
    (0.22, 0.52, 0.45),
    (0.25, 0.42, 0.68),
    (0.45, 0.32, 0.62),
    (0.7, 0.32, 0.5),
    (0.75, 0.3, 0.24),
)
_FRAMES = (
    (0.05, 0.05, 0.06),
    (0.24, 0.1, 0.06),
    (0.5, 0.08, 0.1),
    (0.6, 0.6, 0.63),
    (0.88, 0.72, 0.4),
    (0.95, 0.93, 0.9),
    (0.97, 0.86, 0.84),
)


def draw_backdrop(scene: FaceScene, canvas: Canvas, random: np.random.Generator) -> None:
    """Drawn at an eighth of the size (bokeh: a half) and enlarged, since it is out of focus."""
    height, width = canvas.height // 8 + 1, canvas.width // 8 + 1
    brightness = 0.12 + 0.8 * scene.backdrop_brightness
    gray = (brightness, brightness, brightness)
    colours = []
    for hue in (scene.backdrop_hue, scene.backdrop_second_hue):
        tinted = tuple(channel * 1.7 * brightness for channel in palette(_HUES, hue))
        colours.append(
            np.array(
                mix(
                    gray, tinted, 0.08 + 0.6 * scene.backdrop_saturation * scene.backdrop_saturation
                ),
                np.float32,
            )
        )
    y = np.linspace(0.0, 1.0, height, dtype=np.float32)[:, None]
    x = np.linspace(0.0, 1.0, width, dtype=np.float32)[None, :]
    slant = 2.0 * scene.backdrop_second_hue - 1.0
    share = clamp(0.5 + 0.6 * (y - 0.5) + 0.7 * slant * (x - 0.5))
    noise = noise_grid(random, height, width)
    soft = blur(noise, 1.6) * 2.5
    light = 1.0 + 0.08 * soft
    if scene.backdrop == "foliage":
        share = clamp(share + 0.9 * soft)
        light = 0.85 + 0.32 * blur(noise, 0.7)
    elif scene.backdrop == "wall":
        post = 0.15 + 0.7 * scene.backdrop_hue
        share = np.where(np.abs(x - post) < 0.18, 1.0 - 0.3 * share, 0.25 * share)
        light = light - 0.25 * (np.abs(x - post) > 0.4)
    planes = np.stack([a + share * (b - a) for a, b in zip(*colours, strict=True)]) * light
    canvas.pixels = enlarge(planes.astype(np.float32), canvas.height, canvas.width)
    if scene.backdrop == "bokeh":
        _draw_bokeh(scene, canvas, random)


def _draw_bokeh(scene: FaceScene, canvas: Canvas, random: np.random.Generator) -> None:
    for _ in range(14):
        across, down, size, hue, power = (float(value) for value in random.random(5))
        cx, cy, radius = across * canvas.width, down * canvas.height, 6.0 + 12.0 * size
        patch = canvas.patch(cx - radius - 3, cy - radius - 3, cx + radius + 3, cy + radius + 3)
        disc = edge(ellipse(patch.x - cx, patch.y - cy, radius, radius), 3.5)
        colour = mix((1.0, 0.95, 0.85), palette(_HUES, hue), 0.6 * scene.backdrop_saturation)
        canvas.composite(patch, disc * (0.12 + 0.4 * power), colour)


def draw_clothes(scene: FaceScene, frame: Frame, canvas: Canvas) -> None:
    patch = frame.on_head(-130.0, 60.0, 130.0, 130.0)
    x, y = patch.x - 2.0 * scene.yaw, patch.y
    side = np.abs(x)
    shoulders = y - (82.0 + 0.0022 * x * x + 4.0 * smoothstep(20.0, 40.0, side))
    depth = 6.0 + 22.0 * scene.neckline
    cut = np.maximum(depth + 78.0 - 0.9 * side * (0.7 + depth / 30.0) - y, -300.0)
    distance = np.maximum(-shoulders, cut)
    value = 0.12 + 0.75 * scene.clothes_brightness
    colour = mix((value, value, value), palette(_HUES, scene.clothes_colour), 0.55)
    light = light_direction(scene)
    lit = clamp(0.8 + 0.3 * light[0] * x * (1.0 / 70.0) - 0.1 * side * (1.0 / 70.0), 0.3, 1.1)
    canvas.composite(patch, edge(distance, 2.5), tinted(colour, lit))
    if scene.necktie:
        collar = np.maximum(side - 30.0 + 0.35 * (y - 76.0), 74.0 - y)
        canvas.composite(patch, edge(collar, 2.5) * 0.95, tinted((0.9, 0.9, 0.92), lit))
        tie = np.maximum(side - (5.0 + 0.12 * np.abs(y - 90.0)), 80.0 - y)
        tie_colour = mix(palette(_HUES, 1.0 - scene.clothes_colour), (0.1, 0.1, 0.15), 0.45)
        canvas.composite(patch, edge(tie, 2.0), tinted(tie_colour, lit))
    if scene.necklace:
        chain = np.abs(y - (94.0 - 0.016 * x * x)) - 1.2
        alpha = edge(chain, 1.6) * smoothstep(34.0, 28.0, side)
        canvas.composite(patch, alpha, (0.9, 0.78, 0.45))


def draw_earrings(scene: FaceScene, frame: Frame, canvas: Canvas) -> None:
    if not scene.earrings:
        return
    colour = mix((0.95, 0.8, 0.42), (0.92, 0.93, 0.96), scene.clothes_colour)
    for side in (-1.0, 1.0):
        out = side * (46.0 + 4.0 * scene.head_width) - 5.0 * scene.yaw
        patch = frame.on_head(out - 8.0, 16.0, out + 8.0, 42.0)
        drop = 25.0 + 7.0 * scene.neckline
        bead = ellipse(patch.x - out, patch.y - drop, 2.8, 3.0 + 4.0 * scene.neckline)
        canvas.composite(patch, edge(bead, 1.6), colour)


def draw_glasses(scene: FaceScene, frame: Frame, canvas: Canvas) -> None:
    """Frames, lenses with tint and glare; thin light frames and rimless ones included."""
    if scene.glasses == "none":
        return
    width = 13.5 + 3.5 * scene.glasses_width
    height = 9.5 + 4.5 * scene.glasses_height
    centre, level = 19.8, 2.0
    thick = 0.85 + 1.15 * scene.glasses_thickness
    colour = palette(_FRAMES, scene.glasses_colour)
    patch = frame.on_face(-56.0, -18.0, 56.0, 24.0)
    x, y = np.abs(patch.x), patch.y - level
    lens = superellipse(x - centre, y, width, height, scene.glasses_squareness)
    inside = edge(lens, 2.0)
    # The frame's soft shadow on the cheek.
    below = np.abs(superellipse(x - centre, y - 2.5, width, height, scene.glasses_squareness))
    canvas.multiply(patch, 1.0 - 0.1 * smoothstep(4.5, 0.5, below))
    if scene.glasses == "sunglasses":
        fall = clamp((y + height) * (0.5 / height))
        alpha = inside * (0.93 - (0.1 + 0.35 * scene.glasses_tint) * fall)
        # From nearly black to mirrored.
        silver = (0.75, 0.82, 0.88)
        glass = mix((0.05, 0.045, 0.05), silver, max(0.0, 2.0 * scene.glasses_glare - 1.0))
        canvas.composite(patch, alpha, mix(glass, colour, 0.2))
    else:
        # Lenses lighten or darken what is behind them, so their mean brightness tells nothing.
        tint = palette(((0.2, 0.17, 0.14), (0.6, 0.5, 0.4), (0.9, 0.92, 0.93)), scene.glasses_tint)
        canvas.composite(patch, inside * 0.13, tint)
    streak = (patch.x - np.where(patch.x > 0, centre, -centre)) + 1.1 * y + 9.0 * scene.light_x
    glare = inside * bump(streak * streak * (1.0 / 40.0)) * clamp(0.6 - y * (0.6 / height))
    canvas.composite(patch, glare * (0.06 + 0.4 * scene.glasses_glare), (0.97, 0.96, 0.95))
    arm = capsule(
        x,
        y,
        (centre + width - 1.0, -0.35 * height),
        (45.0 + 4.0 * scene.head_width, -0.35 * height - 2.0),
        thick,
        thick,
    )
    bridge = capsule(x, y, (0.0, -3.2), (centre - width + 1.5, -1.6), thick, thick)
    pieces = np.minimum(arm, bridge)
    strength = 0.95
    if scene.glasses == "rimless":
        strength, colour = 0.8, mix(colour, (0.5, 0.48, 0.46), 0.4)
        rim = np.abs(lens) - 0.8
        top = np.maximum(np.abs(lens) - 1.2, y + 0.3 * height)
        pieces = np.minimum(pieces, top)
        canvas.composite(patch, edge(rim, 1.8) * 0.5, colour)
    else:
        pieces = np.minimum(pieces, np.abs(lens) - thick)
    canvas.composite(patch, edge(pieces, 1.6) * strength, colour)


def draw_hat(scene: FaceScene, frame: Frame, canvas: Canvas) -> None:
    if scene.hat == "none":
        return
    patch = frame.on_head(-105.0, -120.0, 105.0, 10.0)
    x, y = patch.x + 6.0 * scene.yaw, patch.y
    value = 0.1 + 0.5 * scene.clothes_brightness
    colour = mix((value, value, value), palette(_HUES, scene.hat_colour), 0.6)
    light = light_direction(scene)
    half = 53.0 + 4.0 * scene.head_width
    line = -27.0 + 0.005 * x * x + 4.0 * scene.pitch
    crown = np.maximum(ellipse(x, y + 22.0, half, 54.0), y - line)
    lit = 0.85 + 0.35 * light[0] * x * (1.0 / half) - 0.15 * x * x * (1.0 / (half * half))
    shade_under = smoothstep(12.0, 0.0, y - line) * smoothstep(half, half - 12.0, np.abs(x))
    canvas.multiply(patch, 1.0 - 0.35 * shade_under)
    if scene.hat == "beanie":
        fold = smoothstep(-14.0, -11.0, y - line)
        lit = lit * (0.88 + 0.16 * fold)
    _lay(canvas, patch, edge(crown, 2.0), lit, colour)
    if scene.hat == "cap":
        brim = ellipse(x, y - line - 1.0 + 0.0 * x, half * 0.86, 8.0)
        _lay(canvas, patch, edge(brim, 2.0), lit * 0.78, colour)
    if scene.hat == "brim":
        brim = ellipse(x, y - line + 1.0, half + 32.0, 9.0)
        _lay(
            canvas,
            patch,
            edge(brim, 2.0),
            lit * (0.95 - 0.3 * smoothstep(-4.0, 6.0, y - line)),
            colour,
        )
        band = np.maximum(np.abs(y - line + 13.0) - 5.0, ellipse(x, y + 22.0, half, 54.0))
        _lay(canvas, patch, edge(band, 2.0), lit * 0.4, colour)


def _lay(canvas: Canvas, patch: Patch, alpha: Plane, lit: Plane, colour: tuple[float, ...]) -> None:
    canvas.composite(patch, alpha, tinted(colour, lit))
