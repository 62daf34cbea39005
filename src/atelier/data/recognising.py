"""Looks at what a user brings, and says what it takes it for and what else it could be."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from atelier.data.archives import without_suffix
from atelier.data.catalog import Layout
from atelier.data.decode import Fault, size_of
from atelier.data.names import (
    are_classes,
    by_folder,
    is_image,
    shown,
    some,
    walk,
)
from atelier.data.parallel import in_parallel
from atelier.data.recognised import Picture, Recognised
from atelier.data.sources import Source, opened
from atelier.data.table_files import TableFile, own_tables, table_files
from atelier.errors import UserError
from atelier.paths import DOMAIN_FOLDERS

SPLIT_NAMES = frozenset(
    ("train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval")
)
"""What folders of a divided dataset are called; no class is."""

TAKEN = (
    "A folder, a zip or a tar is taken: of pictures, of class folders, of trainA and trainB, "
    "or of pictures and their table of attributes."
)
UNREAD_SUFFIXES = frozenset((".heic", ".heif", ".raw", ".dng", ".cr2", ".nef", ".svg", ".psd"))
"""Pictures that nothing here decodes."""
PACKED_SUFFIXES = frozenset((".7z", ".rar", ".001"))
"""Archives that nothing here opens."""

WORTH_PROCESSES = 10_000
"""Heads of files: below this, starting processes takes longer than reading them."""


def recognise(
    path: Path | None,
    a: str | Path | None = None,
    b: str | Path | None = None,
    layout: Layout | None = None,
    root: Path = Path(),
    workers: int | None = None,
) -> Recognised:
    """Looks at a folder or archive, or at two, `a` and `b` (of `path`, if that is given).

    Args:
        layout: what it is to be taken for, instead of what it looks like.
        root: the repository's root, where a zip is unpacked meanwhile.

    Raises:
        UserError: it can't be any dataset, or not one of this layout.
    """
    with opened(path, root, a, b) as source:
        return measured(recognise_opened(source, layout), workers)


def recognise_opened(source: Source, layout: Layout | None = None) -> Recognised:
    """The same of what is open already, from its names and its tables' heads: no sizes."""
    files = source.files()
    pictures = [path for path in files if is_image(path)]
    if not pictures:
        raise UserError(shown(source.given), f"no images found{_unread(files)}", TAKEN)
    if source.domains is not None:
        return _two_folders(source, source.domains, layout)
    tables = table_files(files, pictures)
    names = _names(source)
    layout = layout or _guess(source, pictures, tables, list(names))
    others = tuple(path for path in files if not is_image(path))
    match layout:
        case "pairs":
            found = {f"{p.parent.name}/{p.name}": p for p in pictures}
            kept = {n: p for n, p in found.items() if p.parent.name in DOMAIN_FOLDERS}
            if not kept:
                remedy = "Name the two folders with --a and --b."
                raise UserError(
                    shown(source.given), "no pair: no folders trainA and trainB", remedy
                )
            elsewhere = tuple(p for p in pictures if p.parent.name not in DOMAIN_FOLDERS)
            return Recognised(source, layout, _pictures(kept), left_out=elsewhere)
        case "attributes":
            return _with_table(source, pictures, own_tables(tables))
        case "numbers":
            remedy = "One of pictures, classes, attributes, pairs."
            raise UserError("--as", "numbers are computed, they come from no folder", remedy)
        case "classes" if not by_folder(names).keys() - {""}:
            raise UserError(shown(source.given), "holds no class folders", "It takes two or more.")
        case _:
            doubt = _doubt(source, layout, names)
            return Recognised(source, layout, _pictures(names), (), others, doubt)


def _unread(files: Sequence[Path]) -> str:
    """What may be the reason that there are no pictures."""
    suffixes = {path.suffix.lower() for path in files}
    if unread := sorted(suffixes & UNREAD_SUFFIXES):
        return f" ({', '.join(unread)} can't be read: save them as JPEG or PNG)"
    if packed := sorted(suffixes & PACKED_SUFFIXES):
        return f" ({', '.join(packed)} can't be opened: unpack it first)"
    return ""


def _with_table(source: Source, pictures: Sequence[Path], tables: list[TableFile]) -> Recognised:
    """The pictures of the one folder that the table describes; masks and the like are left out."""
    if tables and tables[0].rivals:
        folders = some([shown(folder) for folder in (tables[0].folder, *tables[0].rivals)])
        what = f"describes the pictures of several folders ({folders})"
        raise UserError(shown(tables[0].path), what, "Give one of them with the table.")
    chosen = {p.name: p for p in pictures if not tables or p.parent == tables[0].folder}
    others = tuple(p for p in pictures if tables and p.parent != tables[0].folder)
    names = some([shown(table.path.name) for table in tables])
    doubt = f"{names} could be meant: where they differ, keep one of them." * (len(tables) > 1)
    return Recognised(source, "attributes", _pictures(chosen), tuple(tables), others, doubt)


def measured(found: Recognised, workers: int | None = None) -> Recognised:
    """The same with the size of each picture, read from the files' heads."""
    paths = [picture.path for picture in found.pictures]
    if workers is None and len(paths) < WORTH_PROCESSES:
        workers = 1
    sizes = list(in_parallel(_measure, paths, workers, "looking at pictures"))
    pictures = [
        replace(picture, size=None if isinstance(size, Fault) else size)
        for picture, size in zip(found.pictures, sizes, strict=True)
    ]
    faults = tuple(size for size in sizes if isinstance(size, Fault))
    return replace(found, pictures=tuple(pictures), faults=faults)


def _measure(paths: Sequence[Path]) -> list[tuple[int, int] | Fault]:
    return [size_of(path) for path in paths]


def _pictures(names: dict[str, Path]) -> tuple[Picture, ...]:
    return tuple(Picture(name, path) for name, path in sorted(names.items()))


def _names(source: Source) -> dict[str, Path]:
    """Name in the dataset -> file: without the folders that all pictures lie in."""
    found: list[tuple[tuple[str, ...], Path]] = []
    for folder in source.folders:
        top, inside = without_suffix(folder.name), filter(is_image, walk(folder))
        found += [((top, *path.relative_to(folder).parts), path) for path in inside]
    parts = [part for part, _ in found]
    while all(len(part) > 1 for part in parts) and len({part[0] for part in parts}) == 1:
        parts = [part[1:] for part in parts]
    return {"/".join(part): path for part, (_, path) in zip(parts, found, strict=True)}


def _guess(
    source: Source, pictures: Sequence[Path], tables: list[TableFile], names: list[str]
) -> Layout:
    if any(path.parent.name in DOMAIN_FOLDERS for path in pictures):
        return "pairs"
    if tables:
        return "attributes"
    folders = by_folder(names).keys()
    if len(folders) > 1 and {folder.lower() for folder in folders} <= SPLIT_NAMES:
        what = f"is divided already, into {some(sorted(folders))}, which would be lost"
        remedy = "Give the folder of one of them, or take all of it with --as pictures."
        raise UserError(shown(source.given), what, remedy)
    return "classes" if are_classes(names) else "pictures"


def _doubt(source: Source, layout: Layout, names: dict[str, Path]) -> str:
    folders = sorted(by_folder(names).keys() - {""})
    if layout == "classes":
        doubt = "it could be something else: --as pictures takes them without labels"
        if len(folders) == 2 and are_classes(list(names)):
            inside = sorted({path.parent for path in names.values()})
            a, b = (shlex.quote(shown(_within(source, folder))) for folder in inside)
            doubt += f"; --a {a} --b {b} takes the two for a pair to translate between"
        return doubt
    if len(folders) > 1 and all("/" in name for name in names):
        labels = f"--as classes takes the folders for labels ({some(folders)})"
        return f"it could be something else: {labels}"
    return ""


def _within(source: Source, folder: Path) -> Path:
    """A folder as --a and --b take it, beside the path that was given."""
    top = next(one for one in reversed(source.folders) if folder.is_relative_to(one))
    return folder.relative_to(top)


def _two_folders(source: Source, domains: tuple[Path, Path], layout: Layout | None) -> Recognised:
    if layout not in (None, "pairs"):
        what = f"two folders are a pair (got --as {layout})"
        raise UserError("--a and --b", what, "Leave out --as, or give one PATH.")
    found: dict[str, Path] = {}
    others: list[Path] = []
    for domain, folder in zip("AB", domains, strict=True):
        files = list(walk(folder))
        pictures = [path for path in files if is_image(path)]
        others += [path for path in files if not is_image(path)]
        if not pictures:
            raise UserError(shown(folder), "no images found", TAKEN)
        for path in pictures:
            # A domain is one folder, so the names of folders in it become part of a file's.
            name = f"train{domain}/{'_'.join(path.relative_to(folder).parts)}"
            if name in found:
                what = f"would have the name of {shown(found[name])}"
                raise UserError(shown(path), what, "Rename one of the two.")
            found[name] = path
    return Recognised(source, "pairs", _pictures(found), left_out=tuple(others))
