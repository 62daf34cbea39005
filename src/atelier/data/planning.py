"""Which file of a source goes where below the dataset's folder, and what speaks against it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from atelier.data.catalog import ATTRIBUTES, Layout
from atelier.data.names import image_names, is_image, name_fault, seeded_partition, shown
from atelier.data.recognised import Recognised, some
from atelier.data.table_files import OWN_START
from atelier.data.tables import AttributeTable, read_attributes, read_partition
from atelier.errors import UserError, UserErrors
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
    source, files = found.source, found.source.files()
    if found.layout == "attributes":
        table = found.tables[0].path if found.tables else None
        return plan_faces(source.given, files, subset, table)
    if found.layout == "pairs" and source.domains is None:
        plan = plan_pairs(source.given, files)
    else:
        plan = ImportPlan(found.layout, {p.name: p.path for p in found.pictures}, hashed=True)
        plan.problems += [fault for p in found.pictures if (fault := name_fault(p.path, p.name))]
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
            least = 2 if domain.startswith("train") else 1
            if len(names) < least and not plan.hashed:
                what = f"holds too few images (got {len(names)})"
                plan.problems.append(UserError(found[0], what, f"It takes {least} or more."))
        else:
            what = f"has {len(found) or 'no'} folder{'s' * (len(found) > 1)} {domain} with images"
            remedy = f"A pair dataset has one each of {', '.join(DOMAIN_FOLDERS)}."
            plan.problems.append(UserError(source, what, remedy))
    return plan


def plan_faces(
    source: Path, files: Sequence[Path], subset: bool, table_file: Path | None = None
) -> ImportPlan:
    """One folder of images and its tables, at any depth.

    Args:
        table_file: the table of attributes, where it has not CelebA's name.

    Raises:
        UserErrors: what makes a plan impossible; lesser problems stand in the plan.
    """
    parents = sorted({path.parent for path in files if is_image(path)})
    if len(parents) != 1:
        what = "several folders hold images" if parents else "no images found"
        got = f" ({', '.join(parent.name for parent in parents[:5])})" if parents else ""
        remedy = f"CelebA's layout is one folder {IMAGES} and {ATTRIBUTES}."
        raise UserError(source, what + got, remedy)
    names, problems = image_names(parents[0])
    plan = ImportPlan(
        "attributes", {f"{IMAGES}/{name}": parents[0] / name for name in names}, problems=problems
    )
    attributes = _table_file(source, files, OWN_START) or table_file
    if attributes is None:
        remedy = f"It takes {ATTRIBUTES} or the same as .csv."
        raise UserErrors([*problems, UserError(source, "no attribute table found", remedy)])
    table, faults = read_attributes(attributes)
    plan.problems += faults
    chosen = _matched(attributes, names, table.names, table.faulty, subset, plan)
    rows = {name: row for row, name in enumerate(table.names)}
    values = table.values[[rows[name] for name in chosen]].astype(np.uint8)
    plan.table = AttributeTable(table.labels, tuple(chosen), values)
    partition = _table_file(source, files, "list_eval")
    if partition is None:
        plan.splits = seeded_partition(chosen)
        plan.notes.append("no partition file: split 80/10/10, by a digest of each name")
        return plan
    parts, faults = read_partition(partition)
    plan.problems += faults
    matched = _matched(partition, names, list(parts.splits), parts.faulty, subset, plan)
    plan.splits = {name: parts.splits[name] for name in matched}
    if not plan.problems:
        empty = [split for split in SPLITS if split not in plan.splits.values()]
        remedy = "Without a partition file, 80/10/10 are divided."
        plan.problems += [UserError(partition, f"no image is in {s}", remedy) for s in empty]
    return plan


def _table_file(source: Path, files: Sequence[Path], start: str) -> Path | None:
    found = [p for p in files if p.stem.startswith(start) and p.suffix.lower() in (".txt", ".csv")]
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise UserError(source, f"several tables of one kind (got {names})", "Keep one of them.")
    return found[0] if found else None


def _matched(
    table: Path,
    names: Sequence[str],
    described: Sequence[str],
    faulty: frozenset[str],
    subset: bool,
    plan: ImportPlan,
) -> list[str]:
    """The images that have a row; images without one, and rows without image, become problems."""
    present, rows = set(names), set(described)
    unlabelled = [name for name in names if name not in rows and name not in faulty]
    plan.problems += [UserError(table, f"no row for the image {name}") for name in unlabelled]
    lost = [name for name in described if name not in present]
    if subset and lost:
        plan.notes.append(f"{table.name}: {len(lost):,} rows without an image were left out")
    elif lost:
        remedy = "Add --subset to leave such rows out."
        plan.problems += [UserError(table, f"a row for {n}, but no image", remedy) for n in lost]
    return [name for name in names if name in rows]
