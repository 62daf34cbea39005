"""Where a run at another scale than the workspace's works: a git worktree with the same caches.

A trial at `tiny` scale would otherwise overwrite `dvc.lock` and the artifacts of the maker, who
works at `laptop` scale in the repository's own folder.
"""

import shutil
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

from filelock import FileLock

from atelier.commands import CommandFailed, run
from atelier.errors import UserError
from atelier.files import write_whole
from atelier.params import default_scale
from atelier.paths import PARAMETERS, check_scale
from atelier.rewriting import rewritten

WORKTREES = Path(".atelier", "worktrees")
SHARED = ("mlruns", ".atelier/checkpoints", ".venv")
"""One registry, one set of checkpoints, one environment."""


@contextmanager
def workspace(scale: str | None) -> Iterator[str]:
    """Works in the folder for a scale, which is yielded; the working directory is set meanwhile.

    The workspace's own scale is worked on in place; another in a worktree of the last commit,
    beside it. DVC's cache is shared, so the data are linked or copied from it, not made again.

    Raises:
        UserError: unknown scale, or there is no commit to work on.
    """
    own = default_scale()
    if scale is None or check_scale(scale) == own:
        yield own
        return
    root = Path.cwd()
    place = root / WORKTREES / scale
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_suffix(".lock")):
        _bring_up_to_date(root, place, scale)
    with chdir(place):
        yield scale


def _bring_up_to_date(root: Path, place: Path, scale: str) -> None:
    """The last commit in `place`, at that scale; its dvc.lock of earlier runs is kept."""
    if not (place / ".git").exists():
        shutil.rmtree(place, ignore_errors=True)
        _git(root, "worktree", "prune")
        _git(root, "worktree", "add", "--detach", str(place), "HEAD")
        (place / "dvc.lock").unlink(missing_ok=True)
    kept = place / "dvc.lock"
    lock = kept.read_bytes() if kept.exists() else None
    head = _git(root, "rev-parse", "HEAD").strip()
    _git(place, "checkout", "--quiet", "--force", "--detach", head)
    kept.unlink(missing_ok=True)
    if lock is not None:
        kept.write_bytes(lock)
    change_scale(scale, place)
    cache = root / ".dvc" / "cache"
    (place / ".dvc" / "config.local").write_text(f"[cache]\n    dir = {cache}\n")
    for name in SHARED:
        _share(root / name, place / name)


def change_scale(scale: str, root: Path = Path()) -> None:
    """params.yaml names that scale from now on; nothing else of it changes.

    Raises:
        UserError: no such scale, or no params.yaml.
    """
    file = root / PARAMETERS
    if not file.exists():
        raise UserError(str(PARAMETERS), "no such file", "Run this in the repository's root.")
    text = file.read_text(encoding="utf-8")
    write_whole(file, rewritten(text, {("scale",): check_scale(scale)}))


def _share(ours: Path, theirs: Path) -> None:
    """`theirs` becomes a link to `ours`."""
    if theirs.is_symlink():
        return
    if not ours.exists() and ours.name == ".venv":
        return  # the environment lies elsewhere
    ours.mkdir(parents=True, exist_ok=True)
    if theirs.exists():
        shutil.rmtree(theirs)
    theirs.parent.mkdir(parents=True, exist_ok=True)
    theirs.symlink_to(ours, target_is_directory=True)


def _git(folder: Path, *arguments: str) -> str:
    try:
        return run("git", *arguments, folder=folder)
    except CommandFailed as failed:
        remedy = "Another scale needs a git repository."
        raise UserError(f"git {arguments[0]}", failed.last, remedy) from None
