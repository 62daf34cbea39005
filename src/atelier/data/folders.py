"""Folders that appear whole or not at all, and the digest of what a folder holds."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from atelier.errors import UserError
from atelier.files import flush, naming

BUILDING, REPLACED = ".building", ".replaced"
"""Suffixes of the hidden siblings of a folder under way."""


@contextmanager
def built_aside(destination: Path, durable: bool = False) -> Iterator[Path]:
    """Gives a hidden sibling folder to fill, which takes `destination`'s place at the end.

    Whatever stood there before stays until then; after an error, a kill included, it stands there
    still or is put back by the next call. For one process at a time: the caller holds a lock.

    Args:
        durable: waits until all of it is on the disk; for what can't be made again in seconds.
    """
    building = destination.with_name(f".{destination.name}{BUILDING}")
    _sweep_one(destination)
    building.mkdir(parents=True)
    with naming(destination):
        try:
            yield building
            if durable:
                for inner in (*building.rglob("*"), building):
                    flush(inner)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
        put(building, destination)
        if durable:
            flush(destination.parent)


def put(folder: Path, destination: Path) -> None:
    """Renames a whole folder to `destination`; what stood there stays until then."""
    _put_back(destination)
    replaced = _replaced(destination)
    if destination.exists():
        destination.rename(replaced)
    folder.rename(destination)
    shutil.rmtree(replaced, ignore_errors=True)


def sweep(parent: Path) -> None:
    """Puts back or removes whatever kills have left aside in a folder."""
    for suffix in (BUILDING, REPLACED):
        for leftover in parent.glob(f".*{suffix}"):
            _sweep_one(parent / leftover.name[1:].removesuffix(suffix))


def _sweep_one(destination: Path) -> None:
    _put_back(destination)
    shutil.rmtree(destination.with_name(f".{destination.name}{BUILDING}"), ignore_errors=True)


def _put_back(destination: Path) -> None:
    """Undoes what a kill has left half done between two names."""
    replaced = _replaced(destination)
    if replaced.exists() and not destination.exists():
        replaced.rename(destination)
    shutil.rmtree(replaced, ignore_errors=True)


def _replaced(destination: Path) -> Path:
    return destination.with_name(f".{destination.name}{REPLACED}")


@contextmanager
def data_lock(root: Path) -> Iterator[None]:
    """One command at a time changes `data/`. The lock goes with its process, however that ends."""
    path = root / ".atelier" / "data.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError("data", "another command is changing it", "Run this after it.") from None
    try:
        yield
    finally:
        lock.release()


def listing(folder: Path, without: tuple[str, ...] = ()) -> list[tuple[str, int]]:
    """(path relative to the folder, size in bytes) of every file in it, sorted."""
    found = []
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in files:
            path = Path(parent) / name
            relative = path.relative_to(folder).as_posix()
            if relative not in without:
                found.append((relative, path.stat().st_size))
    return sorted(found)


def listing_digest(files: list[tuple[str, int]]) -> str:
    """SHA-256 of names and sizes: cheap, and enough to see that files are missing or cut short."""
    lines = "".join(f"{name}\t{size}\n" for name, size in files)
    return hashlib.sha256(lines.encode()).hexdigest()
