"""What a user hands over: a folder or archive, or two, opened to be looked at and copied."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from atelier.data.archives import is_archive, unpack
from atelier.data.folders import data_lock
from atelier.data.names import is_image, walk
from atelier.errors import UserError, UserErrors

SCRATCH = Path(".atelier", "unpacked")


@dataclass(frozen=True)
class Source:
    """Folders that can be read; what was packed is unpacked in some of them."""

    given: Path
    """As the user calls it, or the first of two."""
    folders: tuple[Path, ...]
    domains: tuple[Path, Path] | None
    """The folders of the two domains, where the user named them."""

    def files(self) -> list[Path]:
        """Every file but the litter, folder by folder, sorted."""
        return [path for folder in self.folders for path in walk(folder)]


@contextmanager
def opened(
    path: Path | None, root: Path, a: str | Path | None = None, b: str | Path | None = None
) -> Iterator[Source]:
    """Opens a folder, zip or tar, or two of them, `a` and `b`; a copy is never made.

    CelebA's own download is a folder of tables beside a zip of images, so archives in a folder
    without images are opened too, at any depth. Meanwhile no other command may change `data/`.

    Args:
        path: None where `a` and `b` say it all.
        root: the repository's root, below which an archive is unpacked for as long as it is open.
        a, b: both or neither; where `path` is given, relative to it.

    Raises:
        UserError: for what isn't there, and for an archive that can't be trusted; errors of the
            block name what was unpacked as the archive's members.
    """
    if (a is None) != (b is None) or (path is None and a is None):
        what = "a folder or an archive is missing" if a is None else "only one of --a and --b"
        raise UserError("PATH", what, "Give one PATH, or both --a and --b.")
    scratch = root / SCRATCH
    with data_lock(root):
        shutil.rmtree(scratch, ignore_errors=True)
        parents: dict[Path, Path] = {}
        try:
            yield _source(path, scratch, parents, None if a is None or b is None else (a, b))
        except UserError as error:
            raise renamed(error, parents) from None
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def renamed(error: UserError, names: dict[Path, Path]) -> UserErrors:
    """The same with other names for some folders, as the user knows them."""
    errors = error.errors if isinstance(error, UserErrors) else [error]

    def known(words: str) -> str:
        for folder, name in names.items():
            words = words.replace(f"{folder}{os.sep}", f"{name}/").replace(str(folder), str(name))
        return words

    return UserErrors(
        [UserError(known(one.where), known(one.problem), known(one.remedy)) for one in errors]
    )


def _source(
    path: Path | None,
    scratch: Path,
    parents: dict[Path, Path],
    pair: tuple[str | Path, str | Path] | None,
) -> Source:
    if path is None:
        assert pair is not None
        folders = [_folders(Path(one), scratch, parents) for one in pair]
        first, second = (
            _domain(Path(one), found) for one, found in zip(pair, folders, strict=True)
        )
        return Source(Path(pair[0]), (*folders[0], *folders[1]), _apart(first, second))
    found = _folders(path, scratch, parents)
    if pair is None:
        return Source(path, tuple(found), None)
    first, second = (_inner(path, found, one) for one in pair)
    return Source(path, tuple(found), _apart(first, second))


def _folders(path: Path, scratch: Path, parents: dict[Path, Path]) -> list[Path]:
    """The folder itself, and whatever archives had to be unpacked for it."""
    if not path.exists():
        raise UserError(path, "no such file or folder")
    archives = [path] if path.is_file() else []
    folders = [path] if path.is_dir() else []
    if folders:
        files = list(walk(path))
        if not any(is_image(file) for file in files):
            archives = [file for file in files if is_archive(file)]
    for archive in archives:
        folder = scratch / str(len(parents)) / archive.name
        folder.mkdir(parents=True)
        parents[folder] = archive
        unpack(archive, folder)
        folders.append(folder)
    return folders


def _domain(path: Path, folders: Sequence[Path]) -> Path:
    """Where the pictures of a domain lie: the folder that was given, or what was unpacked of it."""
    if len(folders) > 2:
        raise UserError(path, "holds several archives", "Give one folder or one archive.")
    return folders[-1]


def _inner(path: Path, folders: Sequence[Path], name: str | Path) -> Path:
    for folder in folders:
        if (folder / name).is_dir():
            return folder / name
    inside = sorted({p.name for folder in folders for p in folder.iterdir() if p.is_dir()})
    known = f"It has {', '.join(inside[:10])}." if inside else "It holds no folders."
    raise UserError(path, f"holds no folder {name}", known)


def _apart(first: Path, second: Path) -> tuple[Path, Path]:
    one, other = first.resolve(), second.resolve()
    if one.is_relative_to(other) or other.is_relative_to(one):
        what = f"the one holds the other ({second})" if one != other else "both are one folder"
        raise UserError(first, what, "The two domains take a folder each.")
    return first, second
