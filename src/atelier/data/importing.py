"""Brings a user's own dataset into `data/`: a folder or a zip, checked whole before it is kept."""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from atelier.data.archives import unpack
from atelier.data.catalog import (
    ATTRIBUTES,
    IMAGE_SUFFIXES,
    PARTITION,
    SYSTEM_LITTER,
    Catalog,
    Layout,
    image_names,
    is_imported,
    read_catalog,
    refuse,
    remove_drawn,
    seeded_partition,
)
from atelier.data.decode import MIN_PIXELS, Fault, try_decode
from atelier.data.folders import built_aside, data_lock
from atelier.data.parallel import in_parallel
from atelier.data.tables import (
    AttributeTable,
    read_attributes,
    read_partition,
    write_attributes,
    write_partition,
)
from atelier.errors import UserError, UserErrors
from atelier.paths import DOMAIN_FOLDERS, IMAGES, SPLITS

LAYOUTS: dict[str, Layout] = {"celeba": "attributes", "horse2zebra": "pairs"}
"""The datasets that experiments name; any other name may have either layout."""


@dataclass(frozen=True)
class Imported:
    """What came in, and what the user should know about it."""

    catalog: Catalog
    notes: tuple[str, ...]


@dataclass
class _Plan:
    """Which file goes where below the dataset's folder; the tables are written anew, as TXT."""

    files: dict[str, Path]
    table: AttributeTable | None = None
    splits: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[UserError] = field(default_factory=list)


def import_dataset(
    name: str,
    source: Path,
    root: Path,
    replace: bool = False,
    subset: bool = False,
    workers: int | None = None,
) -> Imported:
    """Copies a dataset, byte for byte, into `root/data/<name>`. The source is never changed.

    Args:
        name: `celeba`, `horse2zebra`, or the name that a new dataset is to have.
        source: a folder or a zip; tables and folders may stand at any depth in it.
        replace: whether another imported dataset of that name may go. A drawn one always may.
        subset: whether rows of the tables without an image are left out instead of refused.

    Raises:
        UserErrors: every fault of the source, by file; `data/` is then as it was.
    """
    check_destination(name, root, replace)
    destination = root / "data" / name
    if destination.resolve().is_relative_to(source.resolve()):
        raise UserError(source, f"holds {destination} itself", "Give a folder beside data/.")
    with data_lock(root), _opened(source, root) as folders:
        plan = _plan(name, source, folders, subset)
        plan.problems += _image_faults(list(plan.files.values()), workers)
        refuse(source, plan.problems)
        with built_aside(destination) as building:
            _write(plan, building)
        remove_drawn(root / "data" / "twins" / name)
    catalog = read_catalog(destination, "attributes" if plan.table else "pairs")
    return Imported(catalog, tuple(plan.notes))


def check_destination(name: str, root: Path, replace: bool) -> None:
    """Raises a UserError where `data/<name>` is no name for a dataset, or is not to be replaced."""
    if not re.fullmatch(r"\w[\w.-]*", name) or name in ("twins", "numbers"):
        raise UserError(repr(name), "no name for a dataset", "Letters, digits, _ . and - make one.")
    if is_imported(root / "data" / name) and not replace:
        what = "an imported dataset is there already"
        raise UserError(root / "data" / name, what, "Add --replace to let it go.")


@contextmanager
def _opened(source: Path, root: Path) -> Iterator[list[Path]]:
    """The source as folders: itself, and whatever zips had to be unpacked for it.

    CelebA's own download is a folder of tables beside a zip of images, so zips in a folder without
    images are opened too.
    """
    if not source.exists():
        raise UserError(source, "no such file or folder")
    archives = [source] if source.is_file() else []
    if source.is_dir() and not any(_is_image(path) for path in _walk(source)):
        archives = sorted(source.glob("*.zip"))
    scratch = root / ".atelier" / "unpacked"
    shutil.rmtree(scratch, ignore_errors=True)
    folders = [source] if source.is_dir() else []
    try:
        for archive in archives:
            folder = scratch / archive.name
            folder.mkdir(parents=True)
            unpack(archive, folder)
            folders.append(folder)
        yield folders
    except UserError as error:
        parents = {scratch / archive.name: archive for archive in archives}
        raise _as_user_names(error, parents) from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _as_user_names(error: UserError, parents: dict[Path, Path]) -> UserErrors:
    """Names unpacked files as the user knows them: as members of the archive."""
    errors = error.errors if isinstance(error, UserErrors) else [error]
    lines = [str(one) for one in errors]
    for folder, archive in parents.items():
        lines = [line.replace(f"{folder}{os.sep}", f"{archive}/") for line in lines]
    return UserErrors([UserError(*line.split(": ", 1)) for line in lines])


def _walk(folder: Path) -> Iterator[Path]:
    """Every file below a folder, sorted, through links to folders, but through none twice."""
    seen = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(f for f in folders if not _is_litter(f))
        yield from (Path(parent) / name for name in sorted(files) if not _is_litter(name))


def _is_litter(name: str) -> bool:
    return name.startswith(".") or name.lower() in SYSTEM_LITTER


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def _plan(name: str, source: Path, folders: Sequence[Path], subset: bool) -> _Plan:
    files = [path for folder in folders for path in _walk(folder)]
    paired = any(path.parent.name in DOMAIN_FOLDERS for path in files)
    layout = LAYOUTS.get(name) or ("pairs" if paired else "attributes")
    return _plan_pairs(source, files) if layout == "pairs" else _plan_faces(source, files, subset)


def _plan_pairs(source: Path, files: Sequence[Path]) -> _Plan:
    plan = _Plan({})
    for domain in DOMAIN_FOLDERS:
        found = sorted({path.parent for path in files if path.parent.name == domain})
        if len(found) == 1:
            names, faults = image_names(found[0])
            plan.problems += faults
            plan.files |= {f"{domain}/{name}": found[0] / name for name in names}
            least = 2 if domain.startswith("train") else 1
            if len(names) < least:
                what = f"holds too few images (got {len(names)})"
                plan.problems.append(UserError(found[0], what, f"It takes {least} or more."))
        else:
            what = f"has {len(found) or 'no'} folder{'s' * (len(found) > 1)} {domain} with images"
            remedy = f"A pair dataset has one each of {', '.join(DOMAIN_FOLDERS)}."
            plan.problems.append(UserError(source, what, remedy))
    return plan


def _plan_faces(source: Path, files: Sequence[Path], subset: bool) -> _Plan:
    parents = sorted({path.parent for path in files if _is_image(path)})
    if len(parents) != 1:
        what = "several folders hold images" if parents else "no images found"
        got = f" ({', '.join(parent.name for parent in parents[:5])})" if parents else ""
        remedy = f"CelebA's layout is one folder {IMAGES} and {ATTRIBUTES}."
        raise UserError(source, what + got, remedy)
    names, problems = image_names(parents[0])
    plan = _Plan({f"{IMAGES}/{name}": parents[0] / name for name in names}, problems=problems)
    attributes = _table_file(source, files, "list_attr")
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
    plan: _Plan,
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


def _image_faults(paths: Sequence[Path], workers: int | None) -> list[UserError]:
    faults = [f for f in in_parallel(_look_at, paths, workers, "checking images") if f]
    return [fault.error() for fault in faults]


def _look_at(paths: Sequence[Path]) -> list[Fault | None]:
    return [_image_fault(path) for path in paths]


def _image_fault(path: Path) -> Fault | None:
    image = try_decode(path)
    if isinstance(image, Fault):
        return image
    if min(image.size) < MIN_PIXELS:
        what = f"too small (got {image.width}x{image.height})"
        return Fault(path, what, f"Each side has {MIN_PIXELS} px or more.")
    return None


def _write(plan: _Plan, building: Path) -> None:
    try:
        for folder in {(building / target).parent for target in plan.files}:
            folder.mkdir(parents=True, exist_ok=True)
        for target, path in plan.files.items():
            shutil.copyfile(path, building / target)
        if plan.table is not None:
            write_attributes(building / ATTRIBUTES, plan.table)
            write_partition(building / PARTITION, plan.splits)
    except OSError as error:
        what = f"the copy failed ({error.strerror})"
        raise UserError(error.filename or building, what, "Nothing was imported.") from None
