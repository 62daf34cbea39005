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
        durable: waits until the bytes are on the disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}{ASIDE}")
    try:
        yield beside
        if durable:
            with beside.open("r+b") as file:
                os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: bytes | str) -> None:
    """Writes a small file; text as UTF-8, its line ends as they are."""
    with written_aside(path) as beside:
        beside.write_bytes(content if isinstance(content, bytes) else content.encode())
