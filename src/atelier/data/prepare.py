"""Decodes and resizes a dataset once, to squares in arrays that training maps into memory."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from PIL import Image

from atelier.data.catalog import Catalog, DatasetConfig, read_catalog, refuse
from atelier.data.decode import MIN_PIXELS, Fault, try_decode
from atelier.data.folders import built_aside
from atelier.data.parallel import in_parallel
from atelier.data.twins import (
    SPLIT,
    TwinFiles,
    array_names,
    described,
    mask_to_square,
    resized_mask,
    twin_files,
)
from atelier.files import naming

MAX_ENLARGEMENT = 2
"""A picture may be enlarged to at most twice its size: beyond, networks would learn the blur."""
MAX_THINNESS = 8
"""Longer side to shorter of a picture that is fitted in whole: of a thinner one nothing is left."""
NUMBERS_SHAPE = (100,)


@dataclass(frozen=True)
class _Job:
    """One image's way from its file to its place in an array."""

    source: Path
    array: Path
    place: tuple[int, ...]
    crop_share: float | None
    mask: bool = False


def prepare(config: DatasetConfig, root: Path, out: Path, workers: int | None = None) -> None:
    """Writes `{split}.npy`, `{split}_labels.npy` and `manifest.json`: all of `out`, or nothing.

    Images are uint8 [N, 3, S, S], labels uint8 {0, 1} [N, K]; equal for any number of workers.
    Beside the test split of drawn data stand its true twins: see twins.py.

    Args:
        root: the repository's root; the dataset stands in `root/data/<config.path>`.

    Raises:
        UserErrors: all bad files, by name and reason; `out` is then as it was.
    """
    if config.layout == "numbers":
        with built_aside(out) as building:
            _write_manifest(building, _numbers_manifest(config))
        return
    folder = root / "data" / config.name
    catalog = read_catalog(folder, config.layout)
    chosen = catalog.splits[SPLIT].first(config.limit)
    twins = twin_files(root / "data" / "twins" / config.name, catalog, chosen)
    with built_aside(out) as building:
        jobs = _lay_out(building, catalog, config) + _lay_out_twins(building, twins, config)
        title = f"preparing {catalog.dataset}"
        faults = [fault for fault in in_parallel(_prepare_chunk, jobs, workers, title) if fault]
        refuse(folder, [fault.error() for fault in faults])
        _write_manifest(building, _manifest(catalog, config, building, twins))


def crop_box(width: int, height: int, share: float) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of the centred square of `share` of the shorter side."""
    side = max(round(min(width, height) * share), 1)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def kept_side(width: int, height: int, crop_share: float | None) -> int:
    """Pixels of the original that a square's side is made from; None: all of it is fitted in."""
    if crop_share is None:
        return max(width, height)
    left, _, right, _ = crop_box(width, height, crop_share)
    return right - left


def least_side(size_pixels: int) -> int:
    """How many pixels a square of this size is made from, at least."""
    return max(size_pixels // MAX_ENLARGEMENT, MIN_PIXELS)


def size_fault(
    path: Path, image: Image.Image, size_pixels: int, crop_share: float | None
) -> Fault | None:
    """Names an image that is too small for `size_pixels`, or too thin to be fitted in whole."""
    got, needed = f"got {image.width}x{image.height}", least_side(size_pixels)
    side = kept_side(image.width, image.height, crop_share)
    if side < needed:
        cropped = "" if crop_share is None else f", {side} px after the crop"
        remedy = f"{size_pixels} px are made from {needed} px or more."
        return Fault(path, f"too small ({got}{cropped})", remedy)
    if crop_share is None and side > MAX_THINNESS * min(image.size):
        remedy = f"`fit: pad` takes up to {MAX_THINNESS} to 1; `fit: crop` cuts its centre out."
        return Fault(path, f"too thin to be fitted in whole ({got})", remedy)
    return None


def to_square(image: Image.Image, size_pixels: int, crop_share: float | None) -> NDArray[np.uint8]:
    """RGB image -> uint8 [3, S, S], antialiased: a centred crop, or all of it (crop_share None).

    Bicubic: its weights need no sine, whose last bits differ between processors, so that the
    arrays are equal everywhere.
    """
    if crop_share is None:
        small = image.resize(fitted(*image.size, size_pixels), Image.Resampling.BICUBIC)
        return padded(np.asarray(small).transpose(2, 0, 1), size_pixels)
    box = crop_box(image.width, image.height, crop_share)
    square = image.resize((size_pixels, size_pixels), Image.Resampling.BICUBIC, box=box)
    return np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1))


def fitted(width: int, height: int, size_pixels: int) -> tuple[int, int]:
    """Width and height of a whole picture, scaled so that its longer side is `size_pixels`."""
    longer = max(width, height)
    return (
        max(round(width * size_pixels / longer), 1),
        max(round(height * size_pixels / longer), 1),
    )


def padded(pixels: NDArray[np.uint8], size_pixels: int) -> NDArray[np.uint8]:
    """[..., H, W] -> [..., S, S]: centred, the border mirrored; repeated where it is too thin."""
    missing = [size_pixels - side for side in pixels.shape[-2:]]
    around = [(0, 0)] * (pixels.ndim - 2) + [(gap // 2, gap - gap // 2) for gap in missing]
    too_thin = any(after > side for side, (_, after) in zip(pixels.shape, around, strict=True))
    filled = np.pad(pixels, around, mode="edge" if too_thin else "symmetric")
    return np.ascontiguousarray(filled)


def _mask_square(
    mask: Image.Image, size_pixels: int, crop_share: float | None
) -> NDArray[np.uint8]:
    """Mask of 0 and 255 -> uint8 [S, S], framed as `to_square` frames its picture."""
    if crop_share is None:
        return padded(resized_mask(mask, fitted(*mask.size, size_pixels)), size_pixels)
    return mask_to_square(mask, size_pixels, crop_box(mask.width, mask.height, crop_share))


def _lay_out(building: Path, catalog: Catalog, config: DatasetConfig) -> list[_Job]:
    """Writes the labels and the empty arrays, and says which file goes to which row."""
    assert config.size_pixels is not None
    jobs = []
    for name, split in catalog.splits.items():
        chosen = split.first(config.limit)
        array = building / f"{name}.npy"
        shape = (len(chosen.names), 3, config.size_pixels, config.size_pixels)
        _make_room(array, shape)
        np.save(building / f"{name}_labels.npy", chosen.labels)
        jobs += [
            _Job(catalog.images / file, array, (row,), config.crop_share)
            for row, file in enumerate(chosen.names)
        ]
    return jobs


def _make_room(array: Path, shape: tuple[int, ...]) -> None:
    """An array of zeros that has its place on the disk: a full one is an error here, while one that
    is met through a map of memory kills the process."""
    with naming(array):
        open_memmap(array, mode="w+", dtype=np.uint8, shape=shape).flush()
        if hasattr(os, "posix_fallocate"):  # macOS has none
            with array.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, array.stat().st_size)


def _lay_out_twins(building: Path, twins: list[TwinFiles], config: DatasetConfig) -> list[_Job]:
    jobs = []
    for files in twins:
        assert config.size_pixels is not None
        count, square = len(files.rows), (config.size_pixels, config.size_pixels)
        images, masks, rows = (building / name for name in array_names(files.direction.name))
        np.save(rows, np.array(files.rows, np.int32))
        shapes = {images: (count, files.each, 3, *square), masks: (count, *square)}
        for array, shape in shapes.items():
            _make_room(array, shape)
        for row, mask in enumerate(files.masks):
            jobs.append(_Job(mask, masks, (row,), config.crop_share, mask=True))
            jobs += [
                _Job(source, images, (row, number), config.crop_share)
                for number, source in enumerate(files.images[row])
            ]
    return jobs


def _prepare_chunk(jobs: Sequence[_Job]) -> list[Fault | None]:
    arrays = {job.array: open_memmap(job.array, mode="r+") for job in jobs}
    return [_prepare_one(job, arrays[job.array]) for job in jobs]


def _prepare_one(job: _Job, array: NDArray[np.uint8]) -> Fault | None:
    size_pixels = array.shape[-1]
    image = try_decode(job.source)
    if isinstance(image, Fault):
        return image
    if fault := size_fault(job.source, image, size_pixels, job.crop_share):
        return fault
    to_pixels = _mask_square if job.mask else to_square
    array[job.place] = to_pixels(image, size_pixels, job.crop_share)
    return None


def _manifest(
    catalog: Catalog, config: DatasetConfig, folder: Path, twins: list[TwinFiles]
) -> dict[str, Any]:
    """Holds a digest of each split's arrays: who reads the manifest knows the data by it."""
    splits = {name: split.first(config.limit).names for name, split in catalog.splits.items()}
    return {
        "dataset": catalog.dataset,
        "layout": catalog.layout,
        "size_pixels": config.size_pixels,
        "fit": config.fit,
        "crop": config.crop_share,
        "drawn": catalog.drawn,
        "labels": catalog.labels,
        "splits": {
            name: {"count": len(files), "digest": _split_digest(folder, name), "names": files}
            for name, files in splits.items()
        },
        "twins": {
            files.direction.name: described(
                files, _digest(folder, array_names(files.direction.name))
            )
            for files in twins
        },
    }


def _split_digest(folder: Path, split: str) -> str:
    return _digest(folder, (f"{split}.npy", f"{split}_labels.npy"))


def _digest(folder: Path, names: Sequence[str]) -> str:
    """SHA-256 of some arrays, as their files hold them."""
    digest = hashlib.sha256()
    for name in names:
        with (folder / name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _numbers_manifest(config: DatasetConfig) -> dict[str, Any]:
    return {"dataset": config.name, "layout": "numbers", "shape": NUMBERS_SHAPE, "splits": {}}


def _write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    text = json.dumps(manifest, indent=1) + "\n"
    (folder / "manifest.json").write_text(text, encoding="utf-8", newline="\n")
