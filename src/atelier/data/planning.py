"""Which file of a source goes where below the dataset's folder, and what speaks against it."""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from atelier.data.catalog import ATTRIBUTES, Layout, refuse
from atelier.data.names import (
    LEAST,
    folded,
    folded_stem,
    image_names,
    name_faults,
    seeded_partition,
    shown,
    some,
)
from atelier.data.recognised import Recognised
from atelier.data.table_files import TABLE_SUFFIXES
from atelier.data.table_rows import any_rows
from atelier.data.tables import AttributeTable, Partition, Split, read_attributes, read_partition
from atelier.errors import UserError
from atelier.paths import DOMAIN_FOLDERS, IMAGES, SPLITS

BY_NAME = "each name decides its split, about 80/10/10"


@dataclass
class ImportPlan:
    """Which file goes where below the dataset's folder; the tables are written anew, as TXT."""

    layout: Layout
    files: dict[str, Path]
    table: AttributeTable | None = None
    splits: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[UserError] = field(default_factory=list)
    hashed: bool = False
    """Whether each picture's name decides its split."""

    def drop(self, targets: Collection[str]) -> None:
        """Leaves some of the files out, and their rows."""
        self.files = {target: path for target, path in self.files.items() if target not in targets}
        if self.table is not None:
            rows = [r for r, n in enumerate(self.table.names) if f"{IMAGES}/{n}" in self.files]
            names = tuple(self.table.names[row] for row in rows)
            self.table = AttributeTable(self.table.labels, names, self.table.values[rows])
            self.splits = {name: self.splits[name] for name in names if name in self.splits}


def plan_recognised(found: Recognised, subset: bool) -> ImportPlan:
    """What was recognised, in the layout that it was taken for."""
    source = found.source
    if found.layout == "attributes":
        plan = plan_faces(found, subset)
    elif found.layout == "pairs" and source.domains is None:
        plan = plan_pairs(source.given, source.files())
    else:
        plan = ImportPlan(found.layout, {p.name: p.path for p in found.pictures}, hashed=True)
        plan.problems += name_faults(plan.files)
        plan.notes.append(BY_NAME)
    if found.left_out:
        plan.notes.append(f"left out: {some([shown(path.name) for path in found.left_out])}")
    return plan


def plan_pairs(source: Path, files: Sequence[Path]) -> ImportPlan:
    """trainA, trainB, testA and testB, at any depth; without both test folders, names divide."""
    folders: dict[str, list[Path]] = {
        domain: sorted({path.parent for path in files if path.parent.name == domain})
        for domain in DOMAIN_FOLDERS
    }
    trained, tested = (any(folders[f"{part}{d}"] for d in "AB") for part in ("train", "test"))
    plan = ImportPlan("pairs", {}, hashed=trained and not tested)
    if plan.hashed:
        plan.notes.append(f"no testA and testB: {BY_NAME}")
    for domain in ("trainA", "trainB") if plan.hashed else DOMAIN_FOLDERS:
        found = folders[domain]
        if len(found) == 1:
            names, faults = image_names(found[0])
            plan.problems += faults
            plan.files |= {f"{domain}/{name}": found[0] / name for name in names}
            least = LEAST["training" if domain.startswith("train") else "test"]
            if len(names) < least and not plan.hashed:
                what = f"holds too few images (got {len(names)})"
                plan.problems.append(UserError(found[0], what, f"It takes {least} or more."))
        else:
            what = f"has {len(found) or 'no'} folder{'s' * (len(found) > 1)} {domain} with images"
            remedy = f"A pair dataset has one each of {', '.join(DOMAIN_FOLDERS)}."
            plan.problems.append(UserError(source, what, remedy))
    return plan


def plan_faces(found: Recognised, subset: bool) -> ImportPlan:
    """One folder of images and its tables, at any depth.

    Raises:
        UserErrors: what makes a plan impossible; lesser problems stand in the plan.
    """
    source = found.source.given
    if not found.tables:
        remedy = f"It takes {ATTRIBUTES} or the same as .csv."
        raise UserError(source, "no attribute table found", remedy)
    folder = found.pictures[0].path.parent
    names, problems = image_names(folder)
    refuse(source, problems)
    plan = ImportPlan("attributes", {f"{IMAGES}/{name}": folder / name for name in names})
    split = partial(any_rows, folder=folder.name)
    path = found.tables[0].path
    table = _agreed(source, [table.path for table in found.tables], read_attributes, split, plan)
    chosen = _matched(path, names, table, table.names, subset, plan)
    rows = {name: row for row, name in enumerate(table.names)}
    values = table.values[[rows[name] for name in chosen.values()]].astype(np.uint8)
    plan.table = AttributeTable(table.labels, tuple(chosen), values)
    partitions = [path for path in found.source.files() if _is_partition(path)]
    if not partitions:
        plan.splits = seeded_partition(list(chosen))
        plan.notes.append("no partition file: split 80/10/10, by a digest of each name")
        return plan
    parts = _agreed(source, partitions, read_partition, split, plan)
    matched = _matched(partitions[0], names, parts, list(parts.splits), subset, plan)
    plan.splits = {name: parts.splits[row] for name, row in matched.items()}
    if not plan.problems:
        empty = [split for split in SPLITS if split not in plan.splits.values()]
        remedy = "Without a partition file, 80/10/10 are divided."
        plan.problems += [UserError(partitions[0], f"no image is in {s}", remedy) for s in empty]
    return plan


def _is_partition(path: Path) -> bool:
    return path.stem.startswith("list_eval") and path.suffix.lower() in TABLE_SUFFIXES


Table = TypeVar("Table", AttributeTable, Partition)


def _agreed(
    source: Path,
    paths: Sequence[Path],
    read: Callable[[Path, Split], tuple[Table, list[UserError]]],
    split: Split,
    plan: ImportPlan,
) -> Table:
    """What one table says, or each of several."""
    if len(paths) > 1:
        names = ", ".join(shown(path.name) for path in paths)
        try:
            first, *others = (read(path, split)[0].says() for path in paths)
            differ = any(other != first for other in others)
        except UserError:
            differ = True
        if differ:
            what = f"several tables of one kind, which differ (got {names})"
            raise UserError(source, what, "Keep one of them.")
        plan.notes.append(f"{names}: say the same")
    table, faults = read(paths[0], split)
    plan.problems += faults
    return table


def _matched(
    path: Path,
    names: Sequence[str],
    table: AttributeTable | Partition,
    described: Sequence[str],
    subset: bool,
    plan: ImportPlan,
) -> dict[str, str]:
    """Image -> its row; images without one, and rows without image, become problems."""
    rows = rows_of(names, [*described, *table.faulty])
    without = [shown(name) for name in names if name not in rows]
    taken = set(rows.values())
    lost = [shown(row) for row in described if row not in taken]
    if isinstance(table, AttributeTable) and table.promised:
        what = f"says {table.promised:,} rows, but {len(described) + len(table.faulty):,} follow"
        if without:
            plan.problems.append(UserError(f"{path}:1", what))
        else:
            plan.notes.append(f"{path.name}: {what}; each image has its row")
    if without:
        of = f"the image {without[0]}" if len(without) == 1 else f"{len(without):,} images: "
        more = some(without) if len(without) > 1 else ""
        plan.problems.append(UserError(path, f"no row for {of}{more}"))
    if lost and subset:
        plan.notes.append(f"{path.name}: {len(lost):,} rows without an image were left out")
    elif lost:
        of = f"a row for {lost[0]}, but no image"
        if len(lost) > 1:
            of = f"{len(lost):,} rows without an image: {some(lost)}"
        plan.problems.append(UserError(path, of, "Add --subset to leave such rows out."))
    faulty = table.faulty
    return {name: rows[name] for name in names if name in rows and rows[name] not in faulty}


def rows_of(names: Sequence[str], rows: Collection[str]) -> dict[str, str]:
    """Image -> the row of a table that means it.

    That has its name; else the name in other letters' case, accents or spaces; else that with
    another ending. Where one could mean two, it means none.
    """
    known = set(rows)
    found = {name: name for name in names if name in known}
    for key in (folded, folded_stem):
        free = [name for name in names if name not in found]
        left = known.difference(found.values())
        meant = _by(key, left)
        for alike, images in _by(key, free).items():
            if len(images) == len(meant[alike]) == 1:
                found[images[0]] = meant[alike][0]
    return found


def _by(key: Callable[[str], str], names: Collection[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[key(name)].append(name)
    return groups
