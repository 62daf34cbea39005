"""Files that a command leaves: none is replaced untold, and all of them appear, or none."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from atelier.errors import UserError
from atelier.files import written_aside

Put = Callable[[Path, bytes], None]
"""Takes the content of one of the files."""


def check_free(paths: Sequence[Path], overwrite: bool) -> None:
    """Refuses places that are taken.

    Raises:
        UserError: a file is there already and may not be replaced, or a folder cannot be made.
    """
    if taken := [path for path in paths if path.is_dir() or (path.exists() and not overwrite)]:
        more = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
        raise UserError(taken[0], f"exists already{more}", "Choose another, or --overwrite.")
    for folder in {folder for path in paths for folder in path.parents}:
        if folder.exists() and not folder.is_dir():
            raise UserError("--out", f"{folder} is a file, not a folder", "Choose another.")


@contextmanager
def writing(out: str) -> Iterator[None]:
    """A full disk, a name too long, a folder that is not ours: the user's to mend."""
    try:
        yield
    except OSError as error:
        raise UserError("--out", f"cannot be written ({error.strerror}: {out[:80]})") from None


@contextmanager
def all_or_none() -> Iterator[Put]:
    """Files put in the block get their names at its end; after an error nothing is left of them."""
    made: list[Path] = []
    try:
        with ExitStack() as waiting:

            def put(path: Path, content: bytes) -> None:
                for folder in reversed(path.parents):
                    if not folder.exists():
                        folder.mkdir()
                        made.append(folder)
                waiting.enter_context(written_aside(path)).write_bytes(content)

            yield put
    except BaseException:
        for folder in reversed(made):
            if not any(folder.iterdir()):
                folder.rmdir()
        raise
