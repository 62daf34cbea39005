"""Files that appear whole or not at all: written beside their place, then renamed.

A process that is killed leaves the old file or the new one. So does a machine that loses its power
where the bytes were made to reach the disk before the name did, which takes some milliseconds: for
what can't be made again in seconds, such as a checkpoint. (Folders: see data/folders.py.)
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ASIDE = ".writing"
"""Suffix of a file under way, hidden beside its place; a kill may leave one."""


@contextmanager
def written_aside(path: Path, durable: bool = False) -> Iterator[Path]:
    """Gives a sibling to write, which takes `path`'s place at the end; after an error it is gone.

    Args:
        durable: waits until the bytes and the name are on the disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}{ASIDE}")
    with naming(path):
        try:
            yield beside
            if durable:
                flush(beside)
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        if durable:
            flush(path.parent)


def write_whole(path: Path, content: bytes | str, durable: bool = False) -> None:
    """Writes a small file; text as UTF-8, its line ends as they are."""
    with written_aside(path, durable) as beside:
        beside.write_bytes(content if isinstance(content, bytes) else content.encode())


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Adds the path to an error of the system that names none, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def flush(path: Path) -> None:
    """Waits until a file's bytes, or a folder's names, are on the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
