"""What takes disk and nobody needs: said first, removed when asked to."""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from atelier.commands import MODULE, CommandFailed, run
from atelier.errors import AtelierError
from atelier.operations.overview import bytes_below
from atelier.operations.records import cache_folder
from atelier.operations.workspace import WORKTREES
from atelier.params import listed_experiments, load_parameters
from atelier.paths import JUDGE, JUDGE_B, SCALES, Paths
from atelier.pipeline.definition import CHECKPOINTS, FINISHED, checkpoint_folder
from atelier.pipeline.locks import is_held
from atelier.registry.ageing import Aged, aged, let_go
from atelier.registry.store import has_store, open_store
from atelier.tasks.context import KEPT_FEATURES

KEPT = ("--workspace", "--all-commits", "--all-experiments")
"""Of DVC's cache; `dvc exp remove` gives up an experiment."""
ABANDONED_AFTER_DAYS = 1.0
"""A checkpoint that was written since may be gone back to, by undoing a change of its settings."""

UNUSED_AFTER_DAYS = 7.0


@dataclass(frozen=True)
class Removal:
    """Something that can go."""

    what: str
    why: str
    disk_bytes: int
    remove: Callable[[], None]


def removals(keep: int) -> list[Removal]:
    """All but DVC's cache, which tells what it holds for nobody only by collecting it.

    Args:
        keep: how many versions of each name keep their bundles, the newest.
    """
    return [*_versions(keep), *_checkpoints(), *_trainings(), *_features()]


def collect_cache() -> int:
    """Removes from DVC's cache what no commit, experiment or workspace names; returns bytes freed.

    Runs at another scale have workspaces of their own, which count, too.

    Raises:
        AtelierError: DVC can't, because it is at work, say; its own message is in the error.
    """
    cache = cache_folder()
    before = bytes_below(cache)
    others = [str(place) for place in WORKTREES.glob("*") if (place / "dvc.yaml").exists()]
    projects = ["--projects", *others] if others else []
    try:
        run(*MODULE, "dvc", "gc", *KEPT, "--force", *projects)
    except CommandFailed as failed:
        raise AtelierError(f"dvc gc: {failed.last}") from None
    return before - bytes_below(cache)


def _versions(keep: int) -> Iterator[Removal]:
    if not has_store():
        return
    store = open_store()
    for old in aged(store, keep):
        why = f"an old version: no alias, not of the newest {keep}, and no champion rests on it"
        yield Removal(f"bundle of {old.version}", why, _size(old), partial(let_go, store, old))


def _size(old: Aged) -> int:
    return sum(map(bytes_below, old.folders))


def _checkpoints() -> Iterator[Removal]:
    """Of trainings that nothing leads back to but a change of settings or code."""
    current = set(_current())
    for folder in sorted(CHECKPOINTS.glob("*/")):
        days = (time.time() - folder.stat().st_mtime) / 86_400
        in_use = folder in current or is_held(folder.with_suffix(".lock"))
        if in_use or days < ABANDONED_AFTER_DAYS:
            continue
        why = f"a training of other settings or code, left {days:.0f} days ago"
        yield Removal(str(folder), why, bytes_below(folder), partial(shutil.rmtree, folder))


def _current() -> Iterator[Path]:
    """Where trainings of today's files and data keep their checkpoints."""
    parameters = load_parameters()
    for scale in SCALES:
        names = [(stage, name) for stage in (JUDGE, JUDGE_B) for name in parameters.datasets]
        names += [("train", name) for name in parameters.experiments]
        for stage, name in names:
            try:
                yield checkpoint_folder(stage, name, scale)
            except OSError:  # its data are not prepared, so it has none
                continue


def _features() -> Iterator[Removal]:
    """Of real images, by code, weights or pictures that nobody has used since."""
    before = time.time() - 86_400 * UNUSED_AFTER_DAYS
    unused = [file for file in KEPT_FEATURES.glob("*.npy") if file.stat().st_atime < before]
    if unused:
        what = f"{len(unused)} files of {KEPT_FEATURES}"
        why = f"features that nobody asked for in {UNUSED_AFTER_DAYS:g} days; found again if needed"
        size = sum(file.stat().st_size for file in unused)
        yield Removal(what, why, size, partial(_remove_files, unused))


def _remove_files(files: list[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)


def _trainings() -> Iterator[Removal]:
    """The last states of experiments that are no more."""
    listed = listed_experiments()
    known = {f"{scale}-{name}" for scale in SCALES for name in listed}
    written = {
        f"{scale}-{file.stem}"
        for scale in SCALES
        for file in Paths(scale).experiment_file("*").parent.glob("*.yaml")
    }
    for folder in sorted(FINISHED.glob("*/")):
        if folder.name not in known | written:
            why = "the last state of an experiment that has no file any more"
            yield Removal(str(folder), why, bytes_below(folder), partial(shutil.rmtree, folder))
