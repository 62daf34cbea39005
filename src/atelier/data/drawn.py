"""Puts the drawn datasets where datasets lie: whole or not at all, and never over a user's own.

`draw` builds `data/celeba`, `data/horse2zebra` and `data/twins/`: the test scenes once more as the
other domain has them (the horse as zebra, black hair as blond), with masks of what differs.
"""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from atelier.data.catalog import ATTRIBUTES, MARKER, PARTITION, is_imported, remove_drawn
from atelier.data.folders import built_aside, data_lock, listing, listing_digest, sweep
from atelier.data.parallel import in_parallel
from atelier.data.tables import (
    AttributeTable,
    read_attributes,
    write_attributes,
    write_partition,
)
from atelier.drawing import RENDERER, SEED, faces
from atelier.drawing.scenes import (
    DATASETS,
    TARGETS,
    DrawingCounts,
    Face,
    SceneFile,
    draw_scenes,
    folders_of,
    scene_files,
)

SAMPLED_SCENES = 8
"""Per dataset; drawn again, they tell whether the renderer is still the one that drew the rest."""


def draw(root: Path, counts: DrawingCounts | None = None, workers: int | None = None) -> None:
    """Draws what is missing or was drawn otherwise; imported data and what is right stay untouched.

    Each dataset appears whole or not at all. The files are equal for any number of workers.

    Raises:
        UserError: when another command is changing `data/`.
    """
    counts = counts or DrawingCounts()
    data = root / "data"
    with data_lock(root):
        for folder in (data, data / "twins"):
            sweep(folder)
        for dataset in DATASETS:
            if is_imported(data / dataset):
                # Twins of a drawn set that was there before: true to none of today's test images.
                remove_drawn(data / "twins" / dataset)
        missing = [name for name in TARGETS if _wants_drawing(data, name, counts)]
        if missing:
            _draw_targets(data, missing, counts, workers)


def _wants_drawing(data: Path, target: str, counts: DrawingCounts) -> bool:
    folder = data / target
    if is_imported(folder) or is_imported(data / target.removeprefix("twins/")):
        return False
    try:
        marker = json.loads((folder / MARKER).read_text("utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return True
    return marker != _marker(folder, target, counts) or not _draws_the_same(folder, target, counts)


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


def _draws_the_same(folder: Path, target: str, counts: DrawingCounts) -> bool:
    """Draws a few of the folder's scenes once more and compares bytes and attributes."""
    with TemporaryDirectory() as scratch:
        files = list(scene_files(target, Path(scratch), counts))
        chosen = files[:: max(len(files) // SAMPLED_SCENES, 1)][:SAMPLED_SCENES]
        drawn = [face for face in _draw_all(chosen, workers=1) if face is not None]
        again = [path for path in Path(scratch).rglob("*") if path.is_file()]
        stored = [folder / path.relative_to(scratch) for path in again]
        if not all(
            there.exists() and there.read_bytes() == here.read_bytes()
            for there, here in zip(stored, again, strict=True)
        ):
            return False
    if not drawn:
        return True
    table, problems = read_attributes(folder / ATTRIBUTES)
    rows = dict(zip(table.names, table.values.tolist(), strict=True))
    return not problems and all(rows.get(face.name) == list(face.truth) for face in drawn)


def _draw_all(files: Sequence[SceneFile], workers: int | None) -> list[Face | None]:
    for folder in {parent for file in files for parent in folders_of(file)}:
        folder.mkdir(parents=True, exist_ok=True)
    return list(in_parallel(draw_scenes, files, workers, "drawing"))


def _draw_targets(
    data: Path, targets: Sequence[str], counts: DrawingCounts, workers: int | None
) -> None:
    with ExitStack() as stack:
        folders = {name: stack.enter_context(built_aside(data / name)) for name in targets}
        files = [file for name in targets for file in scene_files(name, folders[name], counts)]
        rows = _draw_all(files, workers)
        if "celeba" in folders:
            _write_tables(folders["celeba"], [row for row in rows if row is not None])
        for name, folder in folders.items():
            words = json.dumps(_marker(folder, name, counts), indent=1, sort_keys=True) + "\n"
            (folder / MARKER).write_text(words, "utf-8", newline="\n")


def _write_tables(folder: Path, drawn: Sequence[Face]) -> None:
    names = tuple(face.name for face in drawn)
    values = np.array([face.truth for face in drawn], np.uint8)
    write_attributes(
        folder / ATTRIBUTES, AttributeTable(tuple(faces.ATTRIBUTE_NAMES), names, values)
    )
    write_partition(folder / PARTITION, {face.name: face.split for face in drawn})
