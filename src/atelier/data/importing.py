"""Brings a user's own dataset into `data/`: checked whole before anything of it is kept."""

import dataclasses
import hashlib
import re
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from atelier.data.catalog import (
    ATTRIBUTES,
    PARTITION,
    TWINS,
    Catalog,
    Layout,
    is_imported,
    read_catalog,
    refuse,
    remove_drawn,
)
from atelier.data.decode import MIN_PIXELS, Fault, try_decode
from atelier.data.folders import built_aside
from atelier.data.names import LEAST, shown, some
from atelier.data.parallel import in_parallel
from atelier.data.planning import ImportPlan, plan_pairs, plan_recognised
from atelier.data.recognised import Recognised
from atelier.data.recognising import recognise_opened
from atelier.data.sources import Source, opened, renamed
from atelier.data.tables import write_attributes, write_partition
from atelier.errors import UserError
from atelier.paths import IMAGES

LAYOUTS: dict[str, Layout] = {"celeba": "attributes", "horse2zebra": "pairs"}
"""The datasets that experiments name; any other name may have any layout."""


@dataclass(frozen=True)
class Imported:
    """What came in, and what the user should know about it."""

    catalog: Catalog
    notes: tuple[str, ...]


def import_dataset(
    name: str,
    source: Path | None,
    root: Path,
    replace: bool = False,
    subset: bool = False,
    workers: int | None = None,
    *,
    layout: Layout | None = None,
    a: str | Path | None = None,
    b: str | Path | None = None,
) -> Imported:
    """Copies a dataset, byte for byte, into `root/data/<name>`. The source is never changed.

    Args:
        name: `celeba`, `horse2zebra`, or the name that a new dataset is to have.
        source: a folder, zip or tar; tables and folders may stand at any depth in it.
        replace: whether another imported dataset of that name may go. A drawn one always may.
        subset: whether rows of the tables without an image are left out instead of refused.
        layout: what it is taken for; None looks, or knows it by the name.
        a, b: two of them that make a pair; relative to `source`, if that is given.

    Raises:
        UserErrors: every fault of the source, by file; `data/` is then as it was.
    """
    check_destination(name, root, replace)
    with opened(source, root, a, b) as found:
        _check_apart(name, found, root)
        if layout is None and a is None:
            layout = LAYOUTS.get(name)
        if layout == "pairs" and a is None:
            _check_layout(name, layout)
            plan = plan_pairs(found.given, found.files())
        else:
            recognised = recognise_opened(found, layout)
            _check_layout(name, recognised.layout)
            plan = plan_recognised(recognised, subset)
        return _bring(name, found, plan, root, workers)


def import_recognised(
    name: str,
    found: Recognised,
    root: Path,
    replace: bool = False,
    subset: bool = False,
    workers: int | None = None,
    without: Collection[str] = (),
) -> Imported:
    """The same for what was recognised while its source is still open: see `sources.opened`.

    Args:
        without: names of recognised pictures that stay where they are, too small or too thin for
            the size that was chosen.
    """
    check_destination(name, root, replace)
    _check_apart(name, found.source, root)
    _check_layout(name, found.layout)
    plan = plan_recognised(found, subset)
    if without:
        inside = f"{IMAGES}/" if plan.layout == "attributes" else ""
        plan.drop({f"{inside}{one}" for one in without})
        names = some([shown(one) for one in without])
        plan.notes.append(f"{len(without):,} left out as too small or too thin: {names}")
    return _bring(name, found.source, plan, root, workers)


def check_destination(name: str, root: Path, replace: bool) -> None:
    """Raises a UserError where `data/<name>` is no name for a dataset, or is not to be replaced."""
    if not re.fullmatch(r"\w[\w.-]*", name) or name in (TWINS, "numbers"):
        raise UserError(repr(name), "no name for a dataset", "Letters, digits, _ . and - make one.")
    if is_imported(root / "data" / name) and not replace:
        what = "an imported dataset is there already"
        raise UserError(root / "data" / name, what, "Add --replace to let it go.")


def _check_apart(name: str, source: Source, root: Path) -> None:
    destination = root / "data" / name
    for folder in source.folders:
        if destination.resolve().is_relative_to(folder.resolve()):
            raise UserError(folder, f"holds {destination} itself", "Give a folder beside data/.")


def _check_layout(name: str, got: Layout) -> None:
    layout = LAYOUTS.get(name, got)
    if layout != got:
        what = f"has layout {layout}, which the shipped experiments rest on (got {got})"
        raise UserError(name, what, "Give your dataset a name of its own.")


def _bring(
    name: str, source: Source, plan: ImportPlan, root: Path, workers: int | None
) -> Imported:
    """Looks at every picture, copies them all aside, reads what came of it, and only then swaps."""
    destination = root / "data" / name
    looks = in_parallel(_look_at, list(plan.files.values()), workers, "checking images")
    _judge(plan, list(looks))
    refuse(source.given, plan.problems)
    with built_aside(destination) as building:
        _write(plan, building)
        try:
            catalog = read_catalog(building, plan.layout)
            _check_splits(source.given, catalog)
        except UserError as error:
            raise renamed(error, _as_given(source, building)) from None
    remove_drawn(root / "data" / TWINS / name)
    images = destination / catalog.images.relative_to(building)
    kept = dataclasses.replace(catalog, dataset=name, images=images)
    return Imported(kept, tuple(plan.notes))


def _check_splits(given: Path, catalog: Catalog) -> None:
    """Figures compare pairs of pictures, in a pair of folders pairs of each domain.

    Raises:
        UserError: a split has fewer than two; after a training it would be too late to say so.
    """
    pairs = catalog.layout == "pairs"
    for split, found in catalog.splits.items():
        in_b = int(found.labels[:, 0].sum()) if pairs else 0
        counts = {"domain A": len(found.names) - in_b, "domain B": in_b} if pairs else {}
        for of, count in (counts or {"all": len(found.names)}).items():
            if count < LEAST[split]:
                what = f"holds too few images for the {split} split (got {count} of {of})"
                raise UserError(given, what, f"It takes {LEAST[split]} or more.")


def _as_given(source: Source, building: Path) -> dict[Path, Path]:
    """What the user calls the folders of a dataset that is not in its place yet."""
    if source.domains is None:
        return {building: source.given}
    return {building / f"train{d}": f for d, f in zip("AB", source.domains, strict=True)}


def _judge(plan: ImportPlan, looks: Sequence["Fault | bytes"]) -> None:
    """Adds the pictures' faults; where names decide the split, lets exact copies go.

    A copy whose name is in another split would be a leak, and one in another class or domain has
    two labels, of which one is wrong.
    """
    first: dict[bytes, str] = {}
    copies: dict[str, str] = {}
    for (target, path), look in zip(plan.files.items(), looks, strict=True):
        if isinstance(look, Fault):
            plan.problems.append(look.error())
        elif plan.hashed and (earlier := first.setdefault(look, target)) != target:
            if plan.layout == "pictures" or _folder(earlier) == _folder(target):
                copies[target] = earlier
                continue
            what = f"is the same picture as {shown(plan.files[earlier])}, in another folder"
            plan.problems.append(UserError(shown(path), what, "Delete one of the two."))
    if copies:
        plan.drop(copies.keys())
        pairs = [f"{shown(copy)} (as {shown(earlier)})" for copy, earlier in copies.items()]
        plan.notes.append(f"{len(copies):,} left out, being exact copies: {some(pairs)}")


def _folder(target: str) -> str:
    return target.partition("/")[0]


def _look_at(paths: Sequence[Path]) -> list[Fault | bytes]:
    return [_look_at_one(path) for path in paths]


def _look_at_one(path: Path) -> Fault | bytes:
    """A digest of the file, where it holds a picture."""
    image = try_decode(path)
    if isinstance(image, Fault):
        return image
    if min(image.size) < MIN_PIXELS:
        what = f"too small (got {image.width}x{image.height})"
        return Fault(path, what, f"Each side has {MIN_PIXELS} px or more.")
    return hashlib.blake2b(path.read_bytes(), digest_size=16).digest()


def _write(plan: ImportPlan, building: Path) -> None:
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
