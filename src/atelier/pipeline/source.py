"""A stage runs the source of the folder that it works in: its lock and its lineage name that.

An environment that was moved or copied with its repository, or lent to another working tree, has
another folder's source.
"""

import os
from pathlib import Path

import atelier
from atelier.errors import UserError
from atelier.pipeline.interruption import DVC_MARK

SOURCE = Path("src", "atelier")


def refuse_another_source() -> None:
    """Where DVC runs a stage: does nothing if the files are equal, wherever they lie.

    Raises:
        UserError: naming the first file that differs.
    """
    runs = Path(atelier.__file__).parent
    if DVC_MARK not in os.environ or not SOURCE.is_dir() or SOURCE.resolve() == runs:
        return
    for name in sorted(_modules(SOURCE) | _modules(runs)):
        if _content(SOURCE / name) != _content(runs / name):
            raise UserError(
                SOURCE / name,
                f"is not what runs here (got {runs / name})",
                "Run make clean, then make setup; or export PYTHONPATH=$PWD/src.",
            )


def _modules(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*.py")}


def _content(file: Path) -> bytes | None:
    return file.read_bytes() if file.exists() else None
