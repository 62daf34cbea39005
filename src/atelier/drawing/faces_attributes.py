"""The forty CelebA attributes of a drawn face, read off its scene: true to what is visible."""

from atelier.drawing.faces_scene import FaceScene

ATTRIBUTE_NAMES: tuple[str, ...] = (
    "5_o_Clock_Shadow",
    "Arched_Eyebrows",
    "Attractive",
    "Bags_Under_Eyes",
    "Bald",
    "Bangs",
    "Big_Lips",
    "Big_Nose",
    "Black_Hair",
    "Blond_Hair",
    "Blurry",
    "Brown_Hair",
    "Bushy_Eyebrows",
    "Chubby",
    "Double_Chin",
    "Eyeglasses",
    "Goatee",
    "Gray_Hair",
    "Heavy_Makeup",
    "High_Cheekbones",
    "Male",
    "Mouth_Slightly_Open",
    "Mustache",
    "Narrow_Eyes",
    "No_Beard",
    "Oval_Face",
    "Pale_Skin",
    "Pointy_Nose",
    "Receding_Hairline",
    "Rosy_Cheeks",
    "Sideburns",
    "Smiling",
    "Straight_Hair",
    "Wavy_Hair",
    "Wearing_Earrings",
    "Wearing_Hat",
    "Wearing_Lipstick",
    "Wearing_Necklace",
    "Wearing_Necktie",
    "Young",
)


def shows_hair(scene: FaceScene) -> bool:
    """Whether enough hair is visible to have a colour: not bald, and not hidden under a hat."""
    if scene.hat != "none":
        return scene.hair_style in ("long", "bob")
    return scene.hair_style != "bald"


def attributes(scene: FaceScene) -> dict[str, bool]:
    """All forty, in the order of CelebA's list."""
    values = _hair(scene) | _face(scene) | _worn(scene)
    return {name: values[name] for name in ATTRIBUTE_NAMES}


def _hair(scene: FaceScene) -> dict[str, bool]:
    hair = shows_hair(scene)
    bare = scene.hat == "none"
    return {
        "Bald": scene.hair_style == "bald",
        "Bangs": scene.hair_style == "bangs" and bare,
        "Receding_Hairline": scene.hair_style == "receding",
        "Black_Hair": hair and scene.hair_colour == "black",
        "Blond_Hair": hair and scene.hair_colour == "blond",
        "Brown_Hair": hair and scene.hair_colour == "brown",
        "Gray_Hair": hair and scene.hair_colour == "gray",
        "Straight_Hair": hair and scene.hair_wave < 0.2,
        "Wavy_Hair": hair and scene.hair_wave > 0.45,
        "5_o_Clock_Shadow": scene.beard == "stubble",
        "Goatee": scene.beard in ("goatee", "full"),
        "Mustache": scene.beard in ("moustache", "goatee", "full"),
        "No_Beard": scene.beard == "none",
        "Sideburns": scene.sideburns,
    }


def _face(scene: FaceScene) -> dict[str, bool]:
    young = scene.age < 0.5
    return {
        "Male": scene.male,
        "Young": young,
        "Smiling": scene.smile > 0.5,
        "Mouth_Slightly_Open": scene.mouth_open > 0.0,
        "Attractive": young and scene.fullness < 0.5 and scene.bags < 0.5,
        "Arched_Eyebrows": scene.brow_arch > 0.6,
        "Bushy_Eyebrows": scene.brow_thickness > 0.75,
        "Bags_Under_Eyes": scene.bags > 0.6,
        "Narrow_Eyes": scene.eye_open < 0.3,
        "Big_Lips": scene.lip_fullness > 0.65,
        "Big_Nose": scene.nose_width > 0.68,
        "Pointy_Nose": scene.nose_width < 0.36,
        "Chubby": scene.fullness > 0.65,
        "Double_Chin": scene.fullness > 0.75,
        "High_Cheekbones": scene.cheekbones > 0.6,
        "Oval_Face": scene.head_height > 0.5 and scene.jaw_width < 0.45,
        "Pale_Skin": scene.skin_tone < 0.05,
        "Rosy_Cheeks": scene.blush > 0.55,
    }


def _worn(scene: FaceScene) -> dict[str, bool]:
    return {
        "Eyeglasses": scene.glasses != "none",
        "Wearing_Hat": scene.hat != "none",
        "Wearing_Lipstick": scene.lipstick > 0.0,
        "Heavy_Makeup": scene.lipstick > 0.0 and scene.eye_shadow > 0.0,
        "Wearing_Earrings": scene.earrings,
        "Wearing_Necklace": scene.necklace,
        "Wearing_Necktie": scene.necktie,
        "Blurry": scene.defocus > 0.75,
    }
