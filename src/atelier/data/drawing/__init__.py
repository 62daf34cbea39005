"""The procedural datasets: faces, horses and zebras, byte-identical on every processor.

`draw` builds `data/celeba`, `data/horse2zebra` and `data/twins/`: the test scenes once more as the
other domain has them (the horse as zebra, black hair as blond), with masks of what differs.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from atelier.data.catalog import (
    ATTRIBUTES,
    DOMAIN_FOLDERS,
    IMAGES,
    MARKER,
    PARTITION,
    SPLITS,
    is_imported,
    remove_drawn,
)
from atelier.data.drawing import animals, faces
from atelier.data.drawing.texture import encode_jpeg
from atelier.data.folders import built_aside, data_lock, listing, listing_digest
from atelier.data.parallel import in_parallel
from atelier.data.tables import AttributeTable, write_attributes, write_partition
from atelier.schema import Positive, Strict

RENDERER = 1
"""Goes up with every change that moves a pixel: what an older one drew is then drawn again."""

SEED = 0
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
class Job:
    """One scene of one dataset, drawn into a target's folder."""

    target: str
    folder: Path
    split: str
    index: int
    """Within the split; with the split and the dataset it seeds the scene."""
    number: int
    """Names the file."""


def draw(
    root: Path,
    counts: DrawingCounts | None = None,
    workers: int | None = None,
    manifest: Path | None = None,
) -> dict[str, Any]:
    """Draws what is missing or was drawn otherwise; imported data and what is right stay untouched.

    Each dataset appears whole or not at all. The files are equal for any number of workers.

    Returns:
        What stands in `data/`: drawn or imported, number of files, digest of names and sizes; also
        written to `manifest`, where that is given.

    Raises:
        UserError: when another command is changing `data/`.
    """
    counts = counts or DrawingCounts()
    data = root / "data"
    with data_lock(root):
        for dataset in DATASETS:
            if is_imported(data / dataset):
                # Twins of a drawn set that was there before: true to none of today's test images.
                remove_drawn(data / "twins" / dataset)
        missing = [name for name in TARGETS if _wants_drawing(data, name, counts)]
        if missing:
            _draw_targets(data, missing, counts, workers)
        summary = summarize(data)
    if manifest is not None:
        manifest.parent.mkdir(parents=True, exist_ok=True)
        _write_json(manifest, summary)
    return summary


def summarize(data: Path) -> dict[str, Any]:
    """What stands in `data/`, without a clock: equal data, equal summary."""
    found: dict[str, Any] = {}
    for folder in sorted([*_folders(data), *_folders(data / "twins")]):
        files = listing(folder)
        found[folder.relative_to(data).as_posix()] = {
            "origin": "drawn" if (folder / MARKER).exists() else "imported",
            "files": len(files),
            "digest": listing_digest(files),
        }
    return {"renderer": RENDERER, "seed": SEED, "datasets": found}


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    shown = [p for p in parent.iterdir() if p.is_dir() and not p.name.startswith(".")]
    return [folder for folder in shown if folder.name != "twins"]


def _wants_drawing(data: Path, target: str, counts: DrawingCounts) -> bool:
    folder = data / target
    if is_imported(folder) or is_imported(data / target.removeprefix("twins/")):
        return False
    try:
        marker = json.loads((folder / MARKER).read_text("utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return True
    return bool(marker != _marker(folder, target, counts))


def _marker(folder: Path, target: str, counts: DrawingCounts) -> dict[str, Any]:
    """Who drew a folder and what must be in it; the check of names and sizes takes milliseconds."""
    files = listing(folder, without=(MARKER,))
    kind = "faces" if target.endswith("celeba") else "animals"
    drawn = {key: value for key, value in counts.model_dump().items() if key.startswith(kind)}
    return {
        "drawn_by": "atelier",
        "renderer": RENDERER,
        "seed": SEED,
        "counts": drawn,
        "files": len(files),
        "digest": listing_digest(files),
    }


def _draw_targets(
    data: Path, targets: Sequence[str], counts: DrawingCounts, workers: int | None
) -> None:
    with ExitStack() as stack:
        folders = {name: stack.enter_context(built_aside(data / name)) for name in targets}
        jobs = [job for name in targets for job in _jobs(name, folders[name], counts)]
        for folder in {parent for job in jobs for parent in _parents(job)}:
            folder.mkdir(parents=True, exist_ok=True)
        rows = list(in_parallel(_draw_chunk, jobs, workers, "drawing"))
        if "celeba" in folders:
            _write_tables(folders["celeba"], [row for row in rows if row is not None])
        for name, folder in folders.items():
            _write_json(folder / MARKER, _marker(folder, name, counts))


def _jobs(target: str, folder: Path, counts: DrawingCounts) -> Iterator[Job]:
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
                yield Job(target, folder, split, index, number)


def _parents(job: Job) -> tuple[Path, ...]:
    match job.target:
        case "celeba":
            return (job.folder / IMAGES,)
        case "horse2zebra":
            return (job.folder / job.split,)
        case "twins/celeba":
            return (job.folder / "images", job.folder / "masks")
        case _:
            return (job.folder / job.split, job.folder / "masks" / job.split)


@dataclass(frozen=True)
class _Face:
    """A face's rows in the two tables."""

    name: str
    split: str
    truth: tuple[bool, ...]


def _draw_chunk(jobs: Sequence[Job]) -> list[_Face | None]:
    """Draws each job; only faces have something to tell."""
    draw_one = {
        "celeba": _draw_face,
        "horse2zebra": _draw_animals,
        "twins/celeba": _draw_face_twin,
        "twins/horse2zebra": _draw_animal_twins,
    }
    return [draw_one[job.target](job) for job in jobs]


def scene_seed(dataset: str, split: str, index: int) -> np.random.Generator:
    """Each scene has its own generator: neither order nor number of the others matters to it."""
    splits = SPLITS if dataset == "celeba" else DOMAIN_FOLDERS
    key = [SEED, DATASETS.index(dataset), splits.index(split), index]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def _draw_face(job: Job) -> _Face:
    scene = faces.sample(scene_seed("celeba", job.split, job.index))
    name = f"{job.number:06d}.jpg"
    (job.folder / IMAGES / name).write_bytes(encode_jpeg(faces.render(scene)))
    truth = faces.attributes(scene)
    return _Face(name, job.split, tuple(truth[label] == 1 for label in faces.ATTRIBUTE_NAMES))


def _draw_face_twin(job: Job) -> None:
    scene = faces.sample(scene_seed("celeba", job.split, job.index))
    truth = faces.attributes(scene)
    if truth["Black_Hair"] != 1 and truth["Blond_Hair"] != 1:
        return
    twin = faces.with_hair(scene, "blond" if truth["Black_Hair"] == 1 else "black")
    name = f"{job.number:06d}"
    (job.folder / "images" / f"{name}.jpg").write_bytes(encode_jpeg(faces.render(twin)))
    _write_mask(job.folder / "masks" / f"{name}.png", faces.hair_mask(scene))


def _draw_animals(job: Job) -> None:
    picture = animals.render(_animals(job))
    (job.folder / job.split / f"{_animal_name(job)}.jpg").write_bytes(encode_jpeg(picture))


def _draw_animal_twins(job: Job) -> None:
    scene, name = _animals(job), _animal_name(job)
    if job.split.endswith("A"):
        twins = {name: animals.as_zebra(scene)}
    else:
        twins = {f"{name}_{coat}": animals.as_horse(scene, coat) for coat in range(animals.COATS)}
    for twin_name, twin in twins.items():
        path = job.folder / job.split / f"{twin_name}.jpg"
        path.write_bytes(encode_jpeg(animals.render(twin)))
    mask = animals.body_mask(scene)
    _write_mask(job.folder / "masks" / job.split / f"{name}.png", mask)


def _animals(job: Job) -> animals.AnimalScene:
    species: animals.Species = "horse" if job.split.endswith("A") else "zebra"
    return animals.sample(scene_seed("horse2zebra", job.split, job.index), species)


def _animal_name(job: Job) -> str:
    return f"{'horse' if job.split.endswith('A') else 'zebra'}_{job.number:04d}"


def _write_mask(path: Path, mask: NDArray[np.uint8]) -> None:
    stream = BytesIO()
    Image.fromarray(mask).save(stream, "PNG", compress_type=Z_RLE)
    path.write_bytes(stream.getvalue())


def _write_tables(folder: Path, drawn: Sequence[_Face]) -> None:
    names = tuple(face.name for face in drawn)
    values = np.array([face.truth for face in drawn], np.uint8)
    write_attributes(
        folder / ATTRIBUTES, AttributeTable(tuple(faces.ATTRIBUTE_NAMES), names, values)
    )
    write_partition(folder / PARTITION, {face.name: face.split for face in drawn})


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", "utf-8", newline="\n")
