"""The two layouts of raw datasets under `data/`, and what a folder in one of them holds.

attributes  CelebA's: img_align_celeba/, list_attr_celeba.txt, list_eval_partition.txt
pairs       CycleGAN's: trainA/, trainB/, testA/, testB/
numbers     no folder at all: its images are computed
"""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from atelier.data.folders import BUILDING
from atelier.data.tables import AttributeTable, Partition, read_attributes, read_partition
from atelier.errors import UserError, UserErrors
from atelier.paths import DOMAIN_FOLDERS, IMAGES, SPLITS
from atelier.schema import Positive, Rate, Strict

Layout = Literal["attributes", "pairs", "numbers"]

ATTRIBUTES = "list_attr_celeba.txt"
PARTITION = "list_eval_partition.txt"
MARKER = "drawn.json"
"""Stands in folders that were drawn, and tells them from those that a user brought."""

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".avif")
)
SYSTEM_LITTER = frozenset(("thumbs.db", "desktop.ini", "__macosx"))
SHOWN_PROBLEMS = 20
VALIDATION_SHARE = 0.1
TEST_SHARE = 0.1


class DatasetConfig(Strict):
    """How a dataset is prepared. `numbers` has neither folder nor pictures: all else is null."""

    layout: Layout
    path: Annotated[str, Field(pattern=r"^\w[\w.-]*$")] | None
    """The dataset's folder under `data/`, which is also its name."""
    size_pixels: Annotated[int, Field(ge=8, le=1024)] | None
    crop_share: Rate | None
    """Side of the centred square that is kept, as a share of the shorter side."""
    limit: Positive | None
    """Images per split; null keeps all."""

    @model_validator(mode="after")
    def _fits_layout(self) -> "DatasetConfig":
        needed = {"path": self.path, "size_pixels": self.size_pixels, "crop_share": self.crop_share}
        for key, value in needed.items():
            if (value is None) != (self.layout == "numbers"):
                wanted = "null" if self.layout == "numbers" else "a value"
                raise ValueError(f"layout {self.layout} takes {wanted} for {key} (got {value!r})")
        if self.size_pixels is not None and self.size_pixels & (self.size_pixels - 1):
            raise ValueError(f"size_pixels is a power of two (got {self.size_pixels})")
        return self

    @property
    def name(self) -> str:
        return self.path or self.layout

    @property
    def holds(self) -> Literal["pictures", "numbers"]:
        """What a model of it makes."""
        return "numbers" if self.layout == "numbers" else "pictures"


class DatasetFile(Strict, extra="ignore"):
    """A dataset's YAML, without what is only for those who train on it."""

    data: DatasetConfig


@dataclass(frozen=True)
class Split:
    """Names relative to the images' folder, sorted, and their labels, uint8 {0, 1} [N, K]."""

    names: tuple[str, ...]
    labels: NDArray[np.uint8]

    def first(self, limit: int | None) -> "Split":
        """At most `limit` images, spread over the whole split so that each label stays in it."""
        count = len(self.names)
        if limit is None or limit >= count:
            return self
        kept = [index * count // limit for index in range(limit)]
        return Split(tuple(self.names[i] for i in kept), self.labels[kept])


@dataclass(frozen=True)
class Catalog:
    """What a dataset's folder holds."""

    dataset: str
    layout: Layout
    images: Path
    """The folder that the splits' names are relative to."""
    drawn: bool
    labels: tuple[str, ...]
    splits: dict[str, Split]


def read_catalog(folder: Path, layout: Layout) -> Catalog:
    """Reads names and labels, not one pixel.

    Raises:
        UserErrors: every fault in tables and names.
    """
    catalog, problems = inspect(folder, layout)
    refuse(folder, problems)
    return catalog


def inspect(folder: Path, layout: Layout) -> tuple[Catalog, list[UserError]]:
    """The catalog of what is in order, beside everything that is not."""
    if not folder.is_dir():
        remedy = "`dvc repro` draws it; `atelier data import` and `fetch` bring a real one."
        raise UserError(folder, "no such folder", remedy)
    return _inspect_attributes(folder) if layout == "attributes" else _inspect_pairs(folder)


def layout_of(folder: Path) -> Layout | None:
    """Tells the layout by what stands in the folder; None for neither."""
    if (folder / IMAGES).is_dir() or (folder / ATTRIBUTES).is_file():
        return "attributes"
    return "pairs" if any((folder / name).is_dir() for name in DOMAIN_FOLDERS) else None


def is_imported(folder: Path) -> bool:
    """Holds files that we didn't draw, and so must never be drawn over."""
    if (folder / MARKER).exists():
        return False
    return any(path.is_file() for path in folder.rglob("*"))


def remove_drawn(folder: Path) -> None:
    """Removes a folder that was drawn; it can be drawn again. Leaves any other alone."""
    if (folder / MARKER).exists():
        doomed = folder.with_name(f".{folder.name}{BUILDING}")
        shutil.rmtree(doomed, ignore_errors=True)
        folder.rename(doomed)
        shutil.rmtree(doomed)


def refuse(where: object, problems: Sequence[UserError]) -> None:
    """Raises the first 20 problems and the count of the others; no problem, no error."""
    if problems:
        left = len(problems) - SHOWN_PROBLEMS
        more = [UserError(where, f"{left} more problems, not shown")] if left > 0 else []
        raise UserErrors([*problems[:SHOWN_PROBLEMS], *more])


def image_names(folder: Path) -> tuple[list[str], list[UserError]]:
    """Sorted names of the image files in a folder, and a problem for each other thing there."""
    names, problems = [], []
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or entry.name.lower() in SYSTEM_LITTER:
            continue
        if entry.is_dir():
            problems.append(UserError(entry, "a folder among images", "Move or delete it."))
        elif entry.suffix.lower() not in IMAGE_SUFFIXES:
            what = f"not an image's name (got {entry.suffix or 'no suffix'})"
            problems.append(UserError(entry, what, f"Images end in {_suffixes()}."))
        else:
            names.append(entry.name)
    return names, problems


def seeded_partition(names: Sequence[str]) -> dict[str, str]:
    """Name -> split for data that comes without a partition: 80/10/10, by digest of the name."""
    order = digest_order(sorted(names), "partition")
    test = _share(len(order), TEST_SHARE)
    held_out = test + _share(len(order), VALIDATION_SHARE)
    parts = ["test"] * test + ["validation"] * (held_out - test)
    parts += ["training"] * (len(order) - held_out)
    return dict(zip(order, parts, strict=True))


def digest_order(names: Sequence[str], salt: str) -> list[str]:
    """A shuffle by digest: depends on each name alone, on no generator and no library's version."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{salt}/{name}".encode()).digest())


def _share(count: int, share: float) -> int:
    """A share of `count`, at least one where more than two can be divided."""
    return max(round(count * share), 1 if count > 2 else 0)


def _suffixes() -> str:
    return " ".join(sorted(IMAGE_SUFFIXES))


def _inspect_attributes(folder: Path) -> tuple[Catalog, list[UserError]]:
    images = folder / IMAGES
    if not images.is_dir():
        raise UserError(images, "no such folder", "CelebA's layout keeps its images there.")
    names, problems = image_names(images)
    table, faults = read_attributes(folder / ATTRIBUTES)
    problems += faults + _unmatched(images, names, table)
    splits: dict[str, str] = seeded_partition(names)
    if (folder / PARTITION).exists():
        partition, faults = read_partition(folder / PARTITION)
        problems += faults + _unpartitioned(folder / PARTITION, names, partition)
        splits = partition.splits
    if not names:
        problems.append(UserError(images, "holds no images"))
    rows = {name: row for row, name in enumerate(table.names)}
    found = {}
    for split in SPLITS:
        chosen = [name for name in names if splits.get(name) == split and name in rows]
        found[split] = Split(tuple(chosen), table.values[[rows[name] for name in chosen]])
        if names and not chosen:
            problems.append(UserError(folder / PARTITION, f"no image is in the {split} split"))
    drawn = (folder / MARKER).exists()
    return Catalog(folder.name, "attributes", images, drawn, table.labels, found), problems


def _unmatched(images: Path, names: list[str], table: AttributeTable) -> list[UserError]:
    present, described = set(names), table.faulty.union(table.names)
    without_row = [
        UserError(images / name, "no row in the attribute table", f"Add one to {ATTRIBUTES}.")
        for name in names
        if name not in described
    ]
    without_image = [
        UserError(images / name, "no such file, but it has a row in the attribute table")
        for name in table.names
        if name not in present
    ]
    return without_row + without_image


def _unpartitioned(path: Path, names: list[str], partition: Partition) -> list[UserError]:
    present, described = set(names), partition.faulty.union(partition.splits)
    missing = [UserError(path, f"no row for {name}") for name in names if name not in described]
    lost = [name for name in partition.splits if name not in present]
    return missing + [UserError(path, f"a row for {name}, which isn't there") for name in lost]


def _inspect_pairs(folder: Path) -> tuple[Catalog, list[UserError]]:
    problems: list[UserError] = []
    names: dict[str, list[str]] = {}
    for domain in DOMAIN_FOLDERS:
        if not (folder / domain).is_dir():
            remedy = f"A pair folder has {', '.join(DOMAIN_FOLDERS)}."
            problems.append(UserError(folder / domain, "no such folder", remedy))
            names[domain] = []
            continue
        names[domain], faults = image_names(folder / domain)
        problems += faults
        least = 2 if domain.startswith("train") else 1
        if len(names[domain]) < least:
            what = f"holds too few images (got {len(names[domain])})"
            problems.append(UserError(folder / domain, what, f"It takes {least} or more."))
    parts: dict[str, list[str]] = {split: [] for split in SPLITS}
    for domain in ("A", "B"):
        train = digest_order(names[f"train{domain}"], "validation")
        held_out = max(round(len(train) * VALIDATION_SHARE), 1)
        parts["validation"] += [f"train{domain}/{name}" for name in sorted(train[:held_out])]
        parts["training"] += [f"train{domain}/{name}" for name in sorted(train[held_out:])]
        parts["test"] += [f"test{domain}/{name}" for name in names[f"test{domain}"]]
    splits = {split: _domain_split(parts[split]) for split in SPLITS}
    drawn = (folder / MARKER).exists()
    return Catalog(folder.name, "pairs", folder, drawn, ("domain_b",), splits), problems


def _domain_split(names: list[str]) -> Split:
    in_b = [name.split("/")[0].endswith("B") for name in names]
    return Split(tuple(names), np.array(in_b, np.uint8).reshape(-1, 1))
