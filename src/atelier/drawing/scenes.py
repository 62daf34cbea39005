"""What each drawn dataset consists of, and how one scene of it becomes files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from atelier.drawing import SEED, animals, faces
from atelier.drawing.texture import encode_jpeg
from atelier.paths import DOMAIN_FOLDERS, IMAGES, SPLITS
from atelier.schema import Positive, Strict

DATASETS = ("celeba", "horse2zebra")
TARGETS = tuple(f"{parent}{dataset}" for parent in ("", "twins/") for dataset in DATASETS)
Z_RLE = 3
"""zlib's strategy without hash chains, which zlib-ng walks differently on other processors."""


class DrawingCounts(Strict):
    """How many pictures are drawn; animals per domain."""

    faces_training: Positive = 8000
    faces_validation: Positive = 1000
    faces_test: Positive = 1000
    animals_training: Positive = 1000
    animals_test: Positive = 120


@dataclass(frozen=True)
class SceneFile:
    """One scene of one dataset, drawn into a target's folder."""

    target: str
    folder: Path
    split: str
    index: int
    """Within the split; with the split and the dataset it seeds the scene."""
    number: int
    """Names the file."""


def scene_files(target: str, folder: Path, counts: DrawingCounts) -> Iterator[SceneFile]:
    if target.endswith("celeba"):
        sizes = (counts.faces_training, counts.faces_validation, counts.faces_test)
        splits = dict(zip(SPLITS, sizes, strict=True))
    else:
        sizes_ab = (counts.animals_training,) * 2 + (counts.animals_test,) * 2
        splits = dict(zip(DOMAIN_FOLDERS, sizes_ab, strict=True))
    number = 0
    for split, count in splits.items():
        # CelebA counts through its splits, a pair folder from one in each.
        number = number if target.endswith("celeba") else 0
        for index in range(count):
            number += 1
            if split.startswith("test") or not target.startswith("twins/"):
                yield SceneFile(target, folder, split, index, number)


def folders_of(file: SceneFile) -> tuple[Path, ...]:
    match file.target:
        case "celeba":
            return (file.folder / IMAGES,)
        case "horse2zebra":
            return (file.folder / file.split,)
        case "twins/celeba":
            return (file.folder / "images", file.folder / "masks")
        case _:
            return (file.folder / file.split, file.folder / "masks" / file.split)


@dataclass(frozen=True)
class Face:
    """A face's rows in the two tables."""

    name: str
    split: str
    truth: tuple[bool, ...]


def draw_scenes(files: Sequence[SceneFile]) -> list[Face | None]:
    """Draws each scene; only faces have something to tell."""
    draw_one = {
        "celeba": _draw_face,
        "horse2zebra": _draw_animals,
        "twins/celeba": _draw_face_twin,
        "twins/horse2zebra": _draw_animal_twins,
    }
    return [draw_one[file.target](file) for file in files]


def scene_seed(dataset: str, split: str, index: int) -> np.random.Generator:
    """Each scene has its own generator: neither order nor number of the others matters to it."""
    splits = SPLITS if dataset == "celeba" else DOMAIN_FOLDERS
    key = [SEED, DATASETS.index(dataset), splits.index(split), index]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def _draw_face(file: SceneFile) -> Face:
    scene = faces.sample(scene_seed("celeba", file.split, file.index))
    name = f"{file.number:06d}.jpg"
    (file.folder / IMAGES / name).write_bytes(encode_jpeg(faces.render(scene)))
    truth = faces.attributes(scene)
    return Face(name, file.split, tuple(truth[label] == 1 for label in faces.ATTRIBUTE_NAMES))


def _draw_face_twin(file: SceneFile) -> None:
    scene = faces.sample(scene_seed("celeba", file.split, file.index))
    truth = faces.attributes(scene)
    if truth["Black_Hair"] != 1 and truth["Blond_Hair"] != 1:
        return
    twin = faces.with_hair(scene, "blond" if truth["Black_Hair"] == 1 else "black")
    name = f"{file.number:06d}"
    (file.folder / "images" / f"{name}.jpg").write_bytes(encode_jpeg(faces.render(twin)))
    _write_mask(file.folder / "masks" / f"{name}.png", faces.hair_mask(scene))


def _draw_animals(file: SceneFile) -> None:
    picture = animals.render(_animals(file))
    (file.folder / file.split / f"{_animal_name(file)}.jpg").write_bytes(encode_jpeg(picture))


def _draw_animal_twins(file: SceneFile) -> None:
    scene, name = _animals(file), _animal_name(file)
    if file.split.endswith("A"):
        twins = {name: animals.as_zebra(scene)}
    else:
        twins = {f"{name}_{coat}": animals.as_horse(scene, coat) for coat in range(animals.COATS)}
    for twin_name, twin in twins.items():
        path = file.folder / file.split / f"{twin_name}.jpg"
        path.write_bytes(encode_jpeg(animals.render(twin)))
    mask = animals.body_mask(scene)
    _write_mask(file.folder / "masks" / file.split / f"{name}.png", mask)


def _animals(file: SceneFile) -> animals.AnimalScene:
    species: animals.Species = "horse" if file.split.endswith("A") else "zebra"
    return animals.sample(scene_seed("horse2zebra", file.split, file.index), species)


def _animal_name(file: SceneFile) -> str:
    return f"{'horse' if file.split.endswith('A') else 'zebra'}_{file.number:04d}"


def _write_mask(path: Path, mask: NDArray[np.uint8]) -> None:
    stream = BytesIO()
    Image.fromarray(mask).save(stream, "PNG", compress_type=Z_RLE)
    path.write_bytes(stream.getvalue())
