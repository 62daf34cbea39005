"""How faces are drawn at random: which scenes are likely, and what leans on what.

Attributes lean on few parameters (sex on jaw width, brows, lips, lashes and hair style; youth on
age), so that a classifier must look at the picture and a generator has something to learn. Shares
and signs of the correlations follow CelebA (Liu et al. 2015), weakened so that no two attributes
coincide.
"""

from typing import Any, TypeVar

import numpy as np

from atelier.drawing.faces_scene import Beard, FaceScene, Glasses, HairColour, HairStyle, Hat

T = TypeVar("T")


class _Dice:
    """Readable draws from one generator."""

    def __init__(self, random: np.random.Generator) -> None:
        self.random = random

    def chance(self, probability: float) -> bool:
        return float(self.random.random()) < probability

    def between(self, low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * float(self.random.random())

    def around(self, centre: float, spread: float, low: float = 0.0, high: float = 1.0) -> float:
        return min(high, max(low, centre + spread * float(self.random.standard_normal())))

    def pick(self, weights: dict[T, float]) -> T:
        left = float(self.random.random()) * sum(weights.values())
        for choice, weight in weights.items():
            left -= weight
            if left < 0.0:
                return choice
        return choice


def sample(random: np.random.Generator) -> FaceScene:
    """Draw a scene; equal generators give equal scenes."""
    dice = _Dice(random)
    male = dice.chance(0.46)
    young = dice.chance(0.66 if male else 0.82)
    smiling = dice.chance(0.41 if male else 0.52)
    parts: dict[str, Any] = {"male": male, "texture_seed": int(random.integers(2**31))}
    parts |= _build(dice, male, young)
    parts |= _eyes(dice, male)
    parts |= _mouth(dice, male, young, smiling)
    parts |= _hair(dice, male, young)
    parts |= _glasses(dice, male, young)
    parts |= _clothes(dice, male)
    parts |= _picture(dice)
    return FaceScene(**parts)


def _build(dice: _Dice, male: bool, young: bool) -> dict[str, Any]:
    return {
        "age": dice.between(0.0, 0.4) if young else dice.between(0.6, 1.0),
        "head_width": dice.between(),
        "head_height": dice.between(),
        "jaw_width": dice.around(0.72 if male else 0.26, 0.12),
        "jaw_squareness": dice.between(),
        "fullness": dice.between() * dice.between(),
        "cheekbones": dice.between(),
        "skin_tone": dice.between() * (0.45 + 0.55 * dice.between()),
        "skin_warmth": dice.between(),
        "blush": dice.between() * dice.between(),
        "bags": dice.between(0.0, 0.8),
        "nose_width": dice.around(0.5, 0.22),
        "nose_length": dice.between(),
        "nose_height": dice.between(),
    }


def _eyes(dice: _Dice, male: bool) -> dict[str, Any]:
    painted = not male and dice.chance(0.5)
    return {
        "eye_size": dice.around(0.5, 0.18),
        "eye_spacing": dice.between(),
        "eye_open": dice.between(0.15, 1.0),
        "eye_depth": dice.between(),
        "iris": dice.between(),
        "gaze_x": dice.between(-1.0, 1.0),
        "gaze_y": dice.between(-1.0, 1.0),
        "lashes": dice.around(0.2 if male else 0.75, 0.12),
        "eye_shadow": dice.between(0.3, 1.0) if painted else 0.0,
        "eye_shadow_hue": dice.between(),
        "brow_thickness": dice.around(0.72 if male else 0.32, 0.14),
        "brow_arch": dice.between(0.0, 0.6) if male else dice.between(0.15, 1.0),
        "brow_height": dice.between(),
        "brow_darkness": dice.between(),
    }


def _mouth(dice: _Dice, male: bool, young: bool, smiling: bool) -> dict[str, Any]:
    opened = dice.chance(0.62 if smiling else 0.3)
    painted = not male and dice.chance(0.55 if young else 0.4)
    beard: Beard = "none"
    if male and dice.chance(0.44):
        beard = dice.pick({"stubble": 0.34, "moustache": 0.16, "goatee": 0.2, "full": 0.3})
    return {
        "mouth_width": dice.between(),
        "mouth_height": dice.between(),
        "lip_fullness": dice.around(0.34 if male else 0.6, 0.18),
        "smile": dice.between(0.62, 1.0) if smiling else dice.between(-0.22, 0.12),
        "mouth_open": dice.between(0.35, 1.0) if opened else 0.0,
        "teeth": dice.between(0.6, 1.0) if smiling else dice.between(0.0, 0.75),
        "lipstick": dice.between(0.5, 1.0) if painted else 0.0,
        "lipstick_hue": dice.between(),
        "beard": beard,
        "beard_strength": dice.between(0.35, 1.0),
        "sideburns": male and dice.chance(0.3),
    }


_FEMALE_STYLES: dict[HairStyle, float] = {
    "long": 0.46,
    "bob": 0.17,
    "bangs": 0.17,
    "bun": 0.11,
    "swept": 0.05,
    "short": 0.04,
}


def _male_styles(young: bool) -> dict[HairStyle, float]:
    lost = 0.03 if young else 0.2
    return {
        "short": 0.42,
        "swept": 0.3,
        "bangs": 0.1,
        "long": 0.08,
        "bob": 0.03,
        "receding": lost,
        "bald": lost,
    }


def _hair(dice: _Dice, male: bool, young: bool) -> dict[str, Any]:
    style = dice.pick(_male_styles(young) if male else _FEMALE_STYLES)
    gray = 0.02 if young else 0.42
    blond = 0.19 if male else 0.31
    black = 0.39 if male else 0.23
    weights: dict[HairColour, float] = {
        "gray": gray,
        "black": (1.0 - gray) * black,
        "blond": (1.0 - gray) * blond,
        "brown": (1.0 - gray) * (1.0 - black - blond),
    }
    colour = dice.pick(weights)
    hat: Hat = "none"
    if style not in ("bald", "bun", "receding") and dice.chance(0.08 if male else 0.05):
        hat = dice.pick({"beanie": 0.4, "cap": 0.3, "brim": 0.3})
    return {
        "hair_style": style,
        "hair_colour": colour,
        "hair_tone": dice.between(),
        "hair_warmth": dice.between(),
        "hair_volume": dice.between(),
        "hair_length": dice.between(),
        "hair_wave": dice.between() if dice.chance(0.55) else dice.between(0.0, 0.25),
        "hair_parting": dice.between(-1.0, 1.0),
        "hair_shine": dice.between(),
        "hairline": dice.between(),
        "hat": hat,
        "hat_colour": dice.between(),
    }


def _glasses(dice: _Dice, male: bool, young: bool) -> dict[str, Any]:
    share = (0.17 if male else 0.11) if young else (0.3 if male else 0.22)
    glasses: Glasses = "none"
    if dice.chance(share):
        glasses = dice.pick({"rims": 0.66, "rimless": 0.22, "sunglasses": 0.12})
    return {
        "glasses": glasses,
        "glasses_width": dice.between(),
        "glasses_height": dice.between(),
        "glasses_squareness": dice.between(0.0, 0.95),
        "glasses_thickness": dice.between(),
        "glasses_colour": dice.between(),
        "glasses_tint": dice.between(),
        "glasses_glare": dice.between(),
    }


def _clothes(dice: _Dice, male: bool) -> dict[str, Any]:
    return {
        "earrings": not male and dice.chance(0.36),
        "necklace": not male and dice.chance(0.24),
        "necktie": male and dice.chance(0.2),
        "clothes_colour": dice.between(),
        "clothes_brightness": dice.between(),
        "neckline": dice.between(),
    }


def _picture(dice: _Dice) -> dict[str, Any]:
    blurry = dice.chance(0.06)
    return {
        "yaw": dice.around(0.0, 0.5, -1.0, 1.0),
        "pitch": dice.around(0.0, 0.45, -1.0, 1.0),
        "roll": dice.around(0.0, 0.4, -1.0, 1.0),
        "zoom": dice.between(),
        "shift_x": dice.between(-1.0, 1.0),
        "shift_y": dice.between(-1.0, 1.0),
        "light_x": dice.between(-1.0, 1.0),
        "light_y": dice.between(),
        "contrast": dice.between(),
        "exposure": dice.between(),
        "light_warmth": dice.between(),
        "backdrop": dice.pick({"plain": 0.4, "bokeh": 0.2, "wall": 0.2, "foliage": 0.2}),
        "backdrop_hue": dice.between(),
        "backdrop_second_hue": dice.between(),
        "backdrop_brightness": dice.between(),
        "backdrop_saturation": dice.between(),
        "defocus": dice.between(0.8, 1.0) if blurry else dice.between(0.0, 0.6),
        "grain": dice.between(),
    }
