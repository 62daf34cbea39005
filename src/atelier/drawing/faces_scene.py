"""What a drawn face is made of: the parameters of its scene."""

from dataclasses import dataclass
from typing import Literal

HairStyle = Literal["short", "long", "bob", "bangs", "bald", "bun", "receding", "swept"]
HairColour = Literal["black", "brown", "blond", "gray"]
Beard = Literal["none", "stubble", "moustache", "goatee", "full"]
Glasses = Literal["none", "rims", "rimless", "sunglasses"]
Hat = Literal["none", "beanie", "cap", "brim"]
Backdrop = Literal["plain", "bokeh", "wall", "foliage"]


@dataclass(frozen=True)
class FaceScene:
    """One face, its light and its camera. Numbers are in [0, 1] unless their line says more."""

    texture_seed: int
    # The person
    male: bool
    age: float  # from 0.5 on no longer young
    head_width: float
    head_height: float
    jaw_width: float
    jaw_squareness: float
    fullness: float
    cheekbones: float
    skin_tone: float  # 0 pale, 1 dark
    skin_warmth: float
    blush: float
    bags: float
    # Eyes and brows
    eye_size: float
    eye_spacing: float
    eye_open: float
    eye_depth: float
    iris: float
    gaze_x: float  # -1 to 1
    gaze_y: float  # -1 to 1
    lashes: float
    eye_shadow: float
    eye_shadow_hue: float
    brow_thickness: float
    brow_arch: float
    brow_height: float
    brow_darkness: float
    # Nose and mouth
    nose_width: float
    nose_length: float
    nose_height: float
    mouth_width: float
    mouth_height: float
    lip_fullness: float
    smile: float  # below 0 the corners hang
    mouth_open: float
    teeth: float
    lipstick: float
    lipstick_hue: float
    # Beard and hair
    beard: Beard
    beard_strength: float
    sideburns: bool
    hair_style: HairStyle
    hair_colour: HairColour
    hair_tone: float
    hair_warmth: float
    hair_volume: float
    hair_length: float
    hair_wave: float
    hair_parting: float  # -1 to 1
    hair_shine: float
    hairline: float
    # What is worn
    glasses: Glasses
    glasses_width: float
    glasses_height: float
    glasses_squareness: float
    glasses_thickness: float
    glasses_colour: float
    glasses_tint: float
    glasses_glare: float
    hat: Hat
    hat_colour: float
    earrings: bool
    necklace: bool
    necktie: bool
    clothes_colour: float
    clothes_brightness: float
    neckline: float
    # Pose, light and camera
    yaw: float  # -1 to 1, about 22 degrees each way
    pitch: float  # -1 to 1, about 10 degrees
    roll: float  # -1 to 1, about 8 degrees
    zoom: float
    shift_x: float  # -1 to 1
    shift_y: float  # -1 to 1
    light_x: float  # -1 (from the left) to 1
    light_y: float  # 0 level, 1 from above
    contrast: float
    exposure: float
    light_warmth: float
    backdrop: Backdrop
    backdrop_hue: float
    backdrop_second_hue: float
    backdrop_brightness: float
    backdrop_saturation: float
    defocus: float  # from 0.75 on the shot is blurry
    grain: float
