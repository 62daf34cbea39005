"""The layouts of raw datasets under `data/`, and what a folder in one of them holds.

pictures    pictures at any depth, without labels
classes     a folder for each class, with its pictures at any depth
attributes  CelebA's: img_align_celeba/, list_attr_celeba.txt, list_eval_partition.txt
pairs       CycleGAN's: trainA/, trainB/, and testA/, testB/ or neither
numbers     no folder at all: its images are computed
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from atelier.data.folders import BUILDING
from atelier.data.names import IMAGE_SUFFIXES as IMAGE_SUFFIXES
from atelier.data.names import (
    LEAST,
    and_others,
    are_classes,
    hashed_partition,
    held_out_partition,
    image_names,
    is_image,
    seeded_partition,
    shown,
    too_few,
    walk,
)
from atelier.data.plain import find_classes, find_pictures
from atelier.data.tables import AttributeTable, Partition, read_attributes, read_partition
from atelier.errors import UserError, UserErrors
from atelier.paths import DOMAIN_FOLDERS, IMAGES, SPLITS
from atelier.schema import Positive, Rate, Strict

Layout = Literal["pictures", "classes", "attributes", "pairs", "numbers"]
Fit = Literal["crop", "pad"]

ATTRIBUTES = "list_attr_celeba.txt"
PARTITION = "list_eval_partition.txt"
MARKER = "drawn.json"
"""Stands in folders that were drawn, and tells them from those that a user brought."""

TWINS = "twins"
"""The one folder of `data/` that is no dataset."""

SHOWN_PROBLEMS = 20


class DatasetConfig(Strict):
    """How a dataset is prepared. `numbers` has neither folder nor pictures: all else is null."""

    layout: Layout
    path: Annotated[str, Field(pattern=r"^\w[\w.-]*$")] | None
    """The dataset's folder under `data/`, which is also its name."""
    size_pixels: Annotated[int, Field(ge=8, le=1024)] | None
    fit: Fit | None
    """How a picture becomes a square: its centre is cut out, or all of it is fitted in and its
    border mirrored."""
    crop_share: Rate | None
    """Side of the centred square that is kept, as a share of the shorter side; null with `pad`."""
    limit: Positive | None
    """Images per split; null keeps all."""

    @model_validator(mode="after")
    def _fits_layout(self) -> "DatasetConfig":
        numbers = self.layout == "numbers"
        needed = {"path": self.path, "size_pixels": self.size_pixels, "fit": self.fit}
        _check_nulls(f"layout {self.layout}", needed, wanted=not numbers)
        by = f"layout {self.layout}" if numbers else f"fit {self.fit}"
        _check_nulls(by, {"crop_share": self.crop_share}, wanted=self.fit == "crop")
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
        """At most `limit` images, evenly from the whole split so that each label stays in it."""
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
    hashed: bool = False
    """Whether each picture's name decides its split."""


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
    match layout:
        case "attributes":
            return _inspect_attributes(folder)
        case "pairs":
            return _inspect_pairs(folder)
        case _:
            return _inspect_plain(folder, layout)


def layout_of(folder: Path) -> Layout | None:
    """Tells the layout by what stands in the folder; None for none.

    Pictures that were imported without the labels that their folders would give look like classes:
    only the dataset's YAML tells them apart.
    """
    if (folder / IMAGES).is_dir() or (folder / ATTRIBUTES).is_file():
        return "attributes"
    if any((folder / name).is_dir() for name in DOMAIN_FOLDERS):
        return "pairs"
    if folder.name == TWINS or not folder.is_dir():
        return None
    names = [path.relative_to(folder).as_posix() for path in walk(folder) if is_image(path)]
    if not names:
        return None
    return "classes" if are_classes(names) else "pictures"


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
    problems = []
    if without_row := [shown(name) for name in names if name not in described]:
        what = f"no row in the attribute table{and_others(without_row)}"
        problems.append(UserError(images / without_row[0], what, f"Add one to {ATTRIBUTES}."))
    if lost := [shown(name) for name in table.names if name not in present]:
        what = f"no such file, but it has a row in the attribute table{and_others(lost)}"
        problems.append(UserError(images / lost[0], what))
    return problems


def _unpartitioned(path: Path, names: list[str], partition: Partition) -> list[UserError]:
    present, described = set(names), partition.faulty.union(partition.splits)
    faults = []
    if missing := [shown(name) for name in names if name not in described]:
        faults.append(f"no row for {missing[0]}{and_others(missing)}")
    if lost := [shown(name) for name in partition.splits if name not in present]:
        faults.append(f"a row for {lost[0]}, which isn't there{and_others(lost)}")
    return [UserError(path, fault) for fault in faults]


def _inspect_pairs(folder: Path) -> tuple[Catalog, list[UserError]]:
    problems: list[UserError] = []
    names: dict[str, list[str]] = {}
    hashed = not any((folder / f"test{domain}").is_dir() for domain in "AB")
    for domain in ("trainA", "trainB") if hashed else DOMAIN_FOLDERS:
        if not (folder / domain).is_dir():
            remedy = f"A pair folder has {', '.join(DOMAIN_FOLDERS)}."
            problems.append(UserError(folder / domain, "no such folder", remedy))
            names[domain] = []
            continue
        names[domain], faults = image_names(folder / domain)
        problems += faults
        least = LEAST["training" if domain.startswith("train") else "test"]
        if len(names[domain]) < least and not hashed:
            what = f"holds too few images (got {len(names[domain])})"
            problems.append(UserError(folder / domain, what, f"It takes {least} or more."))
    found: dict[str, str] = {}
    for domain in ("A", "B"):
        # Counterparts in the two folders have one name: they stay in one split.
        parts = hashed_partition(names[f"train{domain}"], LEAST)
        if not hashed:
            parts = held_out_partition(names[f"train{domain}"])
            found |= {f"test{domain}/{name}": "test" for name in names[f"test{domain}"]}
        elif (folder / f"train{domain}").is_dir():
            problems += too_few(folder / f"train{domain}", parts, LEAST)
        found |= {f"train{domain}/{name}": split for name, split in parts.items()}
    splits = {}
    for split in SPLITS:
        chosen = sorted(name for name, part in found.items() if part == split)
        splits[split] = _domain_split(chosen)
    drawn = (folder / MARKER).exists()
    return Catalog(folder.name, "pairs", folder, drawn, ("domain_b",), splits, hashed), problems


def _domain_split(names: list[str]) -> Split:
    in_b = [name.split("/")[0].endswith("B") for name in names]
    return Split(tuple(names), np.array(in_b, np.uint8).reshape(-1, 1))


def _inspect_plain(folder: Path, layout: Layout) -> tuple[Catalog, list[UserError]]:
    found = find_classes(folder) if layout == "classes" else find_pictures(folder)
    splits = {}
    for split in SPLITS:
        names = tuple(sorted(name for name, part in found.parts.items() if part == split))
        bits = np.zeros((len(names), len(found.labels)), np.uint8)
        if found.labels:
            bits[np.arange(len(names)), [found.columns[name] for name in names]] = 1
        splits[split] = Split(names, bits)
    drawn = (folder / MARKER).exists()
    catalog = Catalog(folder.name, layout, folder, drawn, found.labels, splits, hashed=True)
    return catalog, found.problems


def _check_nulls(by: str, values: Mapping[str, object], wanted: bool) -> None:
    for key, value in values.items():
        if (value is not None) != wanted:
            takes = "a value" if wanted else "null"
            raise ValueError(f"{by} takes {takes} for {key} (got {value!r})")
