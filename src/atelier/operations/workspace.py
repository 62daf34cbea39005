"""Where a run at another scale than the workspace's works: a git worktree with the same caches.

A trial at `tiny` scale would otherwise overwrite `dvc.lock` and the artifacts of the maker, who
works at `laptop` scale in the repository's own folder. Code, data and settings are those of the
last commit: so a version's lineage, which names that commit, is true.
"""

import configparser
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

from filelock import FileLock

from atelier.commands import MODULE, CommandFailed, run
from atelier.display import say
from atelier.errors import UserError
from atelier.files import write_whole
from atelier.operations.datasets import list_in_cache
from atelier.operations.records import cache_folder
from atelier.params import default_scale
from atelier.paths import PARAMETERS, check_scale
from atelier.registry.lineage import read_lineage
from atelier.rewriting import rewritten

WORKTREES = Path(".atelier", "worktrees")
SHARED = ("mlruns", ".atelier/checkpoints", ".venv")
"""One registry, one set of checkpoints, one environment."""
COMMITTED = ("src", "experiments", "dvc.yaml", "params.yaml")
"""What decides a run's result, but for the data: it counts as committed."""
DATA = Path("data")
BROUGHT = Path(".atelier", "brought")
"""In a worktree: the hash of the data that were brought last, once all were there."""
SHOWN = 5
"""Files that are named of those which are not committed."""


@contextmanager
def workspace(scale: str | None, tell: Callable[[str], None] = say) -> Iterator[str]:
    """Works in the folder for a scale, which is yielded; the working directory is set meanwhile.

    The workspace's own scale is worked on in place; another in a worktree of the last commit,
    beside it, whose commands run that commit's source. DVC's cache is shared, so the data are
    linked or copied from it, not made again.

    Args:
        tell: hears what is not committed, and so left out.

    Raises:
        UserError: unknown scale, or there is no commit to work on, or its data are not whole.
    """
    own = default_scale()
    if scale is None or check_scale(scale) == own:
        yield own
        return
    root = Path.cwd()
    place = root / WORKTREES / scale
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_suffix(".lock")):
        _bring_up_to_date(root, place, scale, tell)
    with chdir(place), running_source_of(place):
        bring_data()
        yield scale


@contextmanager
def running_source_of(place: Path) -> Iterator[None]:
    """The environment that both share has the root's source: commands started meanwhile look first
    where PYTHONPATH says."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(place / "src"), *([before] if before else [])])
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _bring_up_to_date(root: Path, place: Path, scale: str, tell: Callable[[str], None]) -> None:
    """The last commit in `place`, at that scale; its dvc.lock of earlier runs is kept."""
    if not _is_worktree_of(root, place, tell):
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
    share_cache(root, place)
    for name in SHARED:
        share(root / name, place / name)
    changed = [line[3:] for line in _git(root, "status", "--porcelain", *COMMITTED).splitlines()]
    if changed:
        more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        named = f"{', '.join(changed[:SHOWN])}{more}"
        tell(f"{scale}: the last commit runs, without what is not committed: {named}")


def _is_worktree_of(root: Path, place: Path, tell: Callable[[str], None]) -> bool:
    """Whether there is one that git knows. The two name each other by absolute paths, which are
    renewed where the repository was moved or copied."""
    names = place / ".git"
    if not names.exists():
        return False
    common = _git(root, "rev-parse", "--path-format=absolute", "--git-common-dir").strip()
    known = Path(common, "worktrees", Path(names.read_text().strip()).name)
    if not known.is_dir():
        return False
    if names.read_text() != (now := f"gitdir: {known}\n"):
        tell(f"{place}: the repository is at another place than before; its links are renewed")
        names.write_text(now)
        (known / "gitdir").write_text(f"{names}\n")
    return True


def share_cache(root: Path, place: Path) -> None:
    """One cache of DVC's, with the settings of the repository's own folder."""
    settings = configparser.RawConfigParser()
    settings.read(root / ".dvc" / "config.local")
    cache = dict(settings["cache"]) if settings.has_section("cache") else {}
    cache["dir"] = str((root / cache_folder()).resolve())
    lines = "".join(f"    {key} = {value}\n" for key, value in cache.items())
    (place / ".dvc" / "config.local").write_text(f"[cache]\n{lines}")


def bring_data() -> None:
    """The data that the commit names, where DVC's cache has them; else the pipeline draws them, or
    says what to pull.

    Once for each hash: a renderer that was changed since has drawn them anew.
    """
    digest = read_lineage().data_digest
    brought = BROUGHT.read_text() if BROUGHT.exists() and DATA.is_dir() else ""
    if digest == brought or list_in_cache(digest) is None:
        return
    try:
        run(*MODULE, "dvc", "--wait-for-lock", "checkout", "--force", "data.dvc")
    except CommandFailed as failed:
        remedy = "Run dvc pull data.dvc in the repository's own folder."
        raise UserError("data.dvc", f"not whole in DVC's cache ({failed.last})", remedy) from None
    write_whole(BROUGHT, digest)


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


def share(ours: Path, theirs: Path) -> None:
    """`theirs` becomes a link to `ours`, wherever an earlier one leads."""
    if theirs.is_symlink():
        if theirs.readlink() == ours:
            return
        theirs.unlink()
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
