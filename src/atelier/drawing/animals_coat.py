"""The colours of horses and the stripes of zebras as functions of visible body coordinates.

A zebra's stripes have no random phase: whoever sees a horse's pose and size can tell where its true
twin's stripes lie. On the trunk they stand upright, over the rump and on the chest they fan out
towards the horizontal, on the neck and the legs they are rings, on the face they run lengthwise.
Colours are linear light (the picture takes their square root at the end).
"""

from dataclasses import dataclass

import numpy as np

from atelier.drawing.animals_scene import Animal, Species
from atelier.drawing.canvas import Plane, smoothstep

Triple = tuple[float, float, float]
# Pivots around which the stripes of the rump and of the chest fan out (body units).
FLANK_X, FLANK_Y = -0.10, 0.60
SHOULDER_X = 0.33
# Finer stripes than this would vanish when the picture is halved.
LEAST_PERIOD_PIXELS = 5.0


@dataclass(frozen=True)
class Surface:
    """Body coordinates of a part's pixels, planes [h, w].

    `along`: distance along the part; `across`: -1 (belly side) to 1 (back side); `forward` and
    `up`: place in the body frame, in body units.
    """

    along: Plane
    across: Plane
    forward: Plane
    up: Plane


@dataclass(frozen=True)
class Coat:
    """Linear colours of a horse: body, mane and tail, lower legs, muzzle."""

    body: Triple
    hair: Triple
    points: Triple
    muzzle: Triple


def _linear(red: float, green: float, blue: float) -> Triple:
    """From display values, with the square as the curve."""
    return red * red, green * green, blue * blue


HORSE_COATS = (
    Coat(
        _linear(0.50, 0.30, 0.18),
        _linear(0.14, 0.11, 0.10),
        _linear(0.15, 0.12, 0.11),
        _linear(0.24, 0.18, 0.15),
    ),
    Coat(
        _linear(0.62, 0.37, 0.21),
        _linear(0.68, 0.43, 0.25),
        _linear(0.55, 0.29, 0.15),
        _linear(0.50, 0.33, 0.26),
    ),
    Coat(
        _linear(0.19, 0.17, 0.17),
        _linear(0.12, 0.11, 0.11),
        _linear(0.15, 0.14, 0.14),
        _linear(0.20, 0.18, 0.18),
    ),
    Coat(
        _linear(0.62, 0.63, 0.65),
        _linear(0.76, 0.76, 0.77),
        _linear(0.42, 0.42, 0.44),
        _linear(0.34, 0.33, 0.34),
    ),
    Coat(
        _linear(0.84, 0.64, 0.36),
        _linear(0.94, 0.89, 0.77),
        _linear(0.86, 0.72, 0.50),
        _linear(0.58, 0.44, 0.35),
    ),
    Coat(
        _linear(0.91, 0.89, 0.86),
        _linear(0.94, 0.93, 0.90),
        _linear(0.87, 0.85, 0.82),
        _linear(0.60, 0.54, 0.53),
    ),
    Coat(
        _linear(0.70, 0.57, 0.40),
        _linear(0.25, 0.20, 0.16),
        _linear(0.30, 0.24, 0.19),
        _linear(0.33, 0.27, 0.22),
    ),
    Coat(
        _linear(0.34, 0.22, 0.15),
        _linear(0.13, 0.10, 0.09),
        _linear(0.18, 0.13, 0.11),
        _linear(0.30, 0.22, 0.17),
    ),
)
PALE_GREY = 3
ZEBRA_WHITE = _linear(0.93, 0.90, 0.84)
ZEBRA_CREAM = _linear(0.88, 0.80, 0.67)
ZEBRA_BLACK = _linear(0.13, 0.11, 0.11)
ZEBRA_MUZZLE = _linear(0.20, 0.16, 0.15)
SOCK = _linear(0.90, 0.88, 0.85)
HOOF = _linear(0.24, 0.20, 0.18)


def blend(first: Triple | Plane, second: Triple | Plane, share: Plane) -> Plane:
    """[3, h, w]: the first colour where share is 0, the second where it is 1."""
    return np.stack([a + share * (b - a) for a, b in zip(first, second, strict=True)])


def stripes(phase: Plane, dark_share: Plane | float = 0.5, softness: float = 0.22) -> Plane:
    """1 on the dark stripes, 0 between: a triangle wave of period 1 with smooth edges."""
    wave = np.abs(phase - np.floor(phase) - 0.5) * 2.0  # 1 at whole phases, 0 half way
    return smoothstep(-softness, softness, wave - (1.0 - dark_share))


class Painter:
    """Colours the parts of one animal."""

    def __init__(self, animal: Animal, species: Species) -> None:
        self.animal = animal
        self.zebra = species == "zebra"
        self.coat = HORSE_COATS[animal.coat]
        self.least = LEAST_PERIOD_PIXELS / animal.height

    def paint(self, part: str, surface: Surface, leg: int = -1) -> Plane:
        """Linear colours [3, h, w] of the part's pixels; `leg` is the index of a leg or hoof."""
        if part == "hoof":
            return blend(HOOF, HOOF, surface.along * 0.0)
        if self.zebra:
            return self._zebra(part, surface)
        return self._horse(part, surface, leg)

    # Horses

    def _horse(self, part: str, surface: Surface, leg: int) -> Plane:
        coat, animal = self.coat, self.animal
        tone = animal.tone
        body: Triple = (coat.body[0] * tone, coat.body[1] * tone, coat.body[2] * tone)
        if part in ("mane", "tail", "tuft"):
            return blend(coat.hair, body, 0.25 * smoothstep(0.6, 0.0, surface.along))
        if part in ("front", "hind"):
            low = smoothstep(0.46, 0.26, surface.up)
            colour = blend(body, coat.points, low)
            sock = animal.legs[leg].sock
            if sock > 0.0:
                colour = blend(colour, SOCK, smoothstep(sock + 0.05, sock, surface.up))
            return colour
        if part in ("head", "jowl", "chin"):
            return self._horse_head(part, surface, body)
        if part == "ear":
            return blend(body, coat.points, 0.5 * smoothstep(0.02, 0.12, surface.along))
        belly = smoothstep(-0.2, -1.0, surface.across)
        colour = blend(body, (body[0] * 1.25, body[1] * 1.2, body[2] * 1.15), belly)
        if animal.coat == PALE_GREY and part == "torso":
            colour *= 1.0 + 0.10 * (stripes(surface.forward * 7.0) - 0.5) * (
                stripes(surface.up * 7.0) - 0.5
            )
        return colour

    def _horse_head(self, part: str, surface: Surface, body: Triple) -> Plane:
        coat, blaze = self.coat, self.animal.blaze
        if part != "head":
            share = surface.along * 0.0 + (0.85 if part == "chin" else 0.0)
            return blend(body, coat.muzzle, share)
        place = surface.along * (1.0 / (0.42 * self.animal.head_size))
        colour = blend(body, coat.muzzle, 0.9 * smoothstep(0.62, 0.86, place))
        if blaze > 0.0:
            front = smoothstep(0.95 - blaze, 1.1 - blaze, surface.across)
            colour = blend(colour, SOCK, front * smoothstep(0.12, 0.22, place))
        return colour

    # Zebras

    def _zebra(self, part: str, surface: Surface) -> Plane:
        if part == "tuft":
            return blend(ZEBRA_BLACK, ZEBRA_BLACK, surface.along * 0.0)
        if part in ("head", "jowl", "chin"):
            return self._zebra_head(part, surface)
        white = blend(ZEBRA_CREAM, ZEBRA_WHITE, smoothstep(-0.9, 0.3, surface.across))
        if part == "ear":
            share = surface.along * (1.0 / (0.175 * self.animal.head_size))
            dark = np.maximum(smoothstep(0.62, 0.74, share), smoothstep(0.30, 0.20, share))
            return blend(white, ZEBRA_BLACK, 0.85 * dark)
        if part == "mane":
            tip = smoothstep(0.35, 1.0, surface.across)
            colour = blend(white, ZEBRA_BLACK, self.neck_stripes(surface))
            return blend(colour, ZEBRA_MUZZLE, 0.75 * tip)
        if part == "torso":
            dark = self.trunk_stripes(surface)
        elif part == "neck":
            dark = self.neck_stripes(surface)
        elif part == "tail":
            dark = stripes(surface.along / max(0.06, self.least), 0.4)
        else:
            dark = self.leg_stripes(part, surface)
        return blend(white, ZEBRA_BLACK, 0.95 * dark)

    def trunk_stripes(self, surface: Surface) -> Plane:
        """Upright bands that fan out towards the horizontal over the rump and on the chest."""
        period = max(0.088, self.least)
        x, y = surface.forward, surface.up - FLANK_Y
        # Bands lean forward a little towards the shoulder.
        lean = 0.40 * np.maximum(x - FLANK_X, np.float32(0.0)) * (y - 0.15)
        bands = np.minimum(x, np.float32(SHOULDER_X)) - FLANK_X + lean
        fan = 0.30 * self._turned_down(FLANK_X - x, y)
        chest = 0.38 * self._turned_down(x - SHOULDER_X, y)
        phase = np.where(x > FLANK_X, -bands - chest, fan) * (1.0 / period)
        # Near a pivot the fan is finer than a pixel can show: it fades.
        beyond = np.maximum(FLANK_X - x, x - SHOULDER_X)
        least_reach = 1.1 / (period * self.animal.height)
        reach = np.where(beyond > 0.0, beyond + np.abs(y), np.float32(1.0))
        shown = smoothstep(0.4 * least_reach, least_reach, reach)
        belly = smoothstep(-1.0, -0.55, surface.across)
        dark = stripes(phase + 0.25, 0.26 + 0.26 * belly)
        return dark * shown * smoothstep(-1.02, -0.8, surface.across)

    @staticmethod
    def _turned_down(beyond: Plane, above: Plane) -> Plane:
        """The diamond angle around a pivot: 0 straight up, 1 straight out, 2 straight down."""
        reach = np.abs(beyond) + np.abs(above) + 1e-3
        angle = np.where(above > 0.0, beyond / reach, 1.0 - above / reach)
        return np.where(beyond > 0.0, angle, np.float32(0.0))

    def neck_stripes(self, surface: Surface) -> Plane:
        """Rings around the neck, continued by the mane."""
        period = max(0.082, self.least)
        return stripes(surface.along / period + 0.15 * surface.across, 0.52)

    def leg_stripes(self, part: str, surface: Surface) -> Plane:
        """Rings on the lower leg; the thigh carries on the rump's fan."""
        period = max(0.062, self.least)
        rings = stripes(surface.up / period, 0.46)
        top = smoothstep(0.50, 0.60, surface.up)
        upper = self.trunk_stripes(
            Surface(surface.along, surface.across * 0.0 + 0.5, surface.forward, surface.up)
        )
        return rings + top * (upper - rings)

    def _zebra_head(self, part: str, surface: Surface) -> Plane:
        length = 0.42 * self.animal.head_size
        if part == "chin":
            return blend(ZEBRA_MUZZLE, ZEBRA_MUZZLE, surface.along * 0.0)
        white = blend(ZEBRA_CREAM, ZEBRA_WHITE, smoothstep(-0.9, 0.3, surface.across))
        period = max(0.27, self.least / length)
        offset = 0.22 if part == "jowl" else 0.0
        place = surface.along * (1.0 / length) + offset
        dark = stripes((place + 0.30 * surface.across) / period, 0.48)
        colour = blend(white, ZEBRA_BLACK, 0.95 * dark)
        return blend(colour, ZEBRA_MUZZLE, smoothstep(0.60, 0.80, place))
