"""What a picture of horses or zebras is made of, and how a scene is drawn at random.

All animals of a scene, its light and its place are chosen without a look at the species, except for
one documented habitat shift: zebras stand in dry savanna in 70 % of their pictures and horses in
30 % (`HABITAT_SHIFT`). No element of the background belongs to one species alone.
"""

from dataclasses import dataclass, replace
from typing import Literal

from numpy.random import Generator

SIZE = 128
COATS = 8
HABITAT_SHIFT = {"horse": 0.3, "zebra": 0.7}

Species = Literal["horse", "zebra"]


@dataclass(frozen=True)
class Leg:
    """One leg's gesture: `swing` in [-1, 1] (backward to forward), `lift` in [0, 1]."""

    swing: float
    lift: float
    sock: float  # height of the white sock in body units, 0 for none


@dataclass(frozen=True)
class Animal:
    """Build, pose and place of one animal; `coat`, `tone`, `blaze` and socks show on horses only.

    Body units are shares of the withers' height; half tangents are tan(angle / 2).
    """

    center_x: float  # pixels
    ground_y: float  # pixels
    height: float  # withers above the ground, pixels
    facing: int  # +1 right, -1 left
    yaw: float  # half tangent, towards (+) or away from (-) the viewer
    girth: float
    leg_length: float
    neck_length: float
    neck_girth: float
    head_size: float
    back_dip: float  # body units
    neck_turn: float  # half tangent of the neck's angle above the horizon
    head_turn: float  # half tangent of the head's angle below the horizon
    legs: tuple[Leg, Leg, Leg, Leg]  # near front, near hind, far front, far hind
    tail_swing: float
    tail_lift: float
    ear_turn: float  # half tangent
    mane_length: float  # body units
    mane_sweep: float  # body units
    coat: int  # 0 to 7
    tone: float  # brightness of the coat, about 1
    blaze: float  # width of the white blaze as a share of the face, 0 for none


@dataclass(frozen=True)
class Scenery:
    """Light and land. Shares lie in [0, 1]; lengths are pixels."""

    horizon: float
    dryness: float  # 0 a green meadow, 1 dry savanna
    ground_tone: float
    ground_warmth: float
    patches: float
    tufts: float
    fringe: float  # how high the grass stands before the hooves
    dusk: float  # 0 noon, 1 low golden sun
    sun_side: float  # -1 from the left, 1 from the right
    sun_front: float  # share of the light that comes from the viewer's side
    brightness: float
    contrast: float
    haze: float
    clouds: float
    cloud_shift: float
    hills: float
    hill_shift: float
    trees: float
    tree_height: float
    acacias: tuple[tuple[float, float], ...]  # place across, size
    fence: float  # height in pixels, 0 for none
    fence_shift: float
    defocus: float  # sigma in pixels
    grain: float  # sigma in the picture's range of 0 to 1


@dataclass(frozen=True)
class AnimalScene:
    """One picture: the same scene with the other species is its true twin."""

    species: Species
    animals: tuple[Animal, ...]  # far to near
    scenery: Scenery
    seed: int  # of clouds, grass and grain


@dataclass(frozen=True)
class _Place:
    center_x: float
    ground_y: float
    height: float
    facing: int
    close: bool


def sample_scene(random: Generator, species: Species) -> AnimalScene:
    """A random scene; the species decides nothing but how often the land is dry."""
    dry = bool(random.random() < HABITAT_SHIFT[species])
    scenery = _sample_scenery(random, dry)
    places = _sample_places(random, scenery.horizon)
    shared_coat, mixed = int(random.integers(COATS)), bool(random.random() < 0.2)
    animals = []
    for place in places:
        animal = _sample_animal(random, place)
        coat = int(random.integers(COATS))
        animals.append(replace(animal, coat=coat if mixed else shared_coat))
    return AnimalScene(species, tuple(animals), scenery, int(random.integers(2**32)))


def _sample_places(random: Generator, horizon: float) -> list[_Place]:
    """One animal, two, three or a close-up; more distant ones are smaller, as the ground says."""

    def uniform(low: float, high: float) -> float:
        return float(random.uniform(low, high))

    kind = float(random.random())
    facing = 1 if random.random() < 0.5 else -1
    if kind < 0.16:
        height = uniform(118.0, 185.0)
        x = 64.0 - facing * height * uniform(0.48, 0.72)
        return [_Place(x, uniform(40.0, 58.0) + 1.15 * height, height, facing, True)]
    count = 1 if kind < 0.64 else 2 if kind < 0.86 else 3
    height = uniform(*((56.0, 84.0), (48.0, 64.0), (40.0, 54.0))[count - 1])
    ground = uniform(100.0, 121.0)
    eye_level = (ground - horizon) / height
    shift = uniform(-13.0, 13.0) if random.random() < 0.8 else uniform(-40.0, 40.0)
    spread = 0.0 if count == 1 else uniform(22.0, 34.0) if count == 2 else uniform(34.0, 42.0)
    slots = ((0.0,), (-1.0, 1.0), (-1.0, 0.0, 1.0))[count - 1]
    places = []
    for index, slot in enumerate(random.permutation(slots)):
        size = height * (1.0 if index == 0 else uniform(0.66, 0.95))
        way = facing if random.random() < 0.7 else -facing
        x = 64.0 - 0.17 * way * size + slot * spread + (shift if count == 1 else 0.3 * shift)
        x += uniform(-5.0, 5.0)
        places.append(_Place(x, horizon + eye_level * size, size, way, False))
    return sorted(places, key=lambda place: place.ground_y)


def _sample_animal(random: Generator, place: _Place) -> Animal:
    def uniform(low: float, high: float) -> float:
        return float(random.uniform(low, high))

    pose = float(random.random())
    if place.close or pose < 0.45:  # head up
        neck_turn, head_turn = uniform(0.30, 0.56), uniform(0.30, 0.58)
    elif pose < 0.62:  # head level
        neck_turn, head_turn = uniform(0.06, 0.24), uniform(0.28, 0.50)
    else:  # grazing
        neck_turn, head_turn = uniform(-0.385, -0.320), uniform(0.70, 1.05)
    socks = uniform(0.08, 0.26) if random.random() < 0.4 else 0.0
    toward = uniform(-0.18, 0.22) if random.random() < 0.75 else uniform(0.22, 0.32)
    return Animal(
        center_x=place.center_x,
        ground_y=place.ground_y,
        height=place.height,
        facing=place.facing,
        yaw=toward,
        girth=uniform(0.92, 1.10),
        leg_length=uniform(0.96, 1.10),
        neck_length=uniform(0.92, 1.08),
        neck_girth=uniform(0.90, 1.10),
        head_size=uniform(0.94, 1.08),
        back_dip=uniform(0.0, 0.025),
        neck_turn=neck_turn,
        head_turn=head_turn,
        legs=_sample_legs(random, socks),
        tail_swing=uniform(-0.2, 0.5),
        tail_lift=uniform(0.0, 1.0),
        ear_turn=uniform(-0.05, 0.22),
        mane_length=uniform(0.16, 0.25),
        mane_sweep=uniform(-0.05, 0.03),
        coat=0,
        tone=uniform(0.85, 1.15),
        blaze=uniform(0.25, 0.6) if random.random() < 0.4 else 0.0,
    )


def _sample_legs(random: Generator, socks: float) -> tuple[Leg, Leg, Leg, Leg]:
    """Standing, or walking in the four-beat order near hind, near front, far hind, far front."""
    walking = bool(random.random() < 0.45)
    phase, stride = float(random.random()), float(random.uniform(0.5, 1.0))
    legs = []
    for offset, rest in ((0.75, 0.15), (0.0, -0.10), (0.25, -0.30), (0.5, 0.45)):
        sock = socks * float(random.uniform(0.7, 1.2)) if random.random() < 0.7 else 0.0
        share = (phase + offset) % 1.0
        jitter = float(random.uniform(-0.25, 0.25))
        if not walking:
            legs.append(Leg(rest + jitter, 0.0, sock))
        elif share < 0.4:  # in the air, moving forward
            lift = 6.25 * share * (0.8 - 2.0 * share)
            legs.append(Leg(stride * (5.0 * share - 1.0), max(0.0, lift) * stride, sock))
        else:
            legs.append(Leg(stride * (1.0 - (share - 0.4) / 0.3), 0.0, sock))
    return legs[0], legs[1], legs[2], legs[3]


def _sample_scenery(random: Generator, dry: bool) -> Scenery:
    def uniform(low: float, high: float) -> float:
        return float(random.uniform(low, high))

    dusk = uniform(0.0, 0.35) if random.random() < (0.62 if dry else 0.75) else uniform(0.4, 1.0)
    acacias = tuple(
        (uniform(0.0, 128.0), uniform(0.6, 1.3))
        for _ in range(
            int(random.integers(1, 4)) if random.random() < (0.5 if dry else 0.15) else 0
        )
    )
    return Scenery(
        horizon=uniform(24.0, 66.0),
        dryness=uniform(0.55, 1.0) if dry else uniform(0.0, 0.45),
        ground_tone=uniform(0.8, 1.2),
        ground_warmth=uniform(-1.0, 1.0),
        patches=uniform(0.2, 1.0),
        tufts=uniform(0.3, 1.0),
        fringe=uniform(0.04, 0.12),
        dusk=dusk,
        sun_side=uniform(-1.0, 1.0),
        sun_front=uniform(0.25, 0.9),
        brightness=uniform(0.88, 1.18),
        contrast=uniform(0.92, 1.18),
        haze=uniform(0.0, 0.6),
        clouds=uniform(0.0, 1.0),
        cloud_shift=uniform(0.0, 64.0),
        hills=uniform(0.0, 1.0),
        hill_shift=uniform(0.0, 64.0),
        trees=uniform(0.0, 1.0),
        tree_height=uniform(2.0, 13.0),
        acacias=acacias,
        fence=uniform(14.0, 26.0) if random.random() < (0.10 if dry else 0.24) else 0.0,
        fence_shift=uniform(0.0, 40.0),
        defocus=uniform(0.45, 0.8),
        grain=uniform(2.0, 4.0) / 255.0,
    )
