"""Rebuilds a registered version from its lineage, and says whether it came out the same.

In a git worktree of its commit, with the changes that the commit lacked, its own scale and nothing
that was made before but the data: judge, training and choice are made again. The registry only
tells what to rebuild; nothing of it, of artifacts/ or of dvc.lock is changed.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from math import hypot
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from filelock import FileLock

from atelier.bundle import pack
from atelier.commands import MODULE, CommandFailed, answer, run
from atelier.display import say
from atelier.errors import AtelierError, UserError
from atelier.evaluation.estimate import CLEARLY
from atelier.evaluation.keys import error_of
from atelier.evaluation.report import flatten
from atelier.operations.workspace import (
    bring_data,
    change_scale,
    running_source_of,
    share,
    share_cache,
)
from atelier.paths import Paths
from atelier.registry import loading
from atelier.registry.lineage import DATA_TAG, DIRTY_TAG, read_lineage
from atelier.registry.store import ADDRESS, LOCAL_URI, Store
from atelier.registry.sync import RAN_ON, TRAINED_TAGS
from atelier.registry.tracking import EVALUATION_FOLDER, PATCH
from atelier.registry.versions import START_TAGS, Version

PLACES = Path(".atelier", "reproductions")
METRICS = f"{EVALUATION_FOLDER}/metrics.json"
"""Below a run: the figures of what was published."""


@dataclass(frozen=True)
class Reproduction:
    """What a rebuilt version is beside the registered one."""

    version: str
    bit_equal: bool
    ran_elsewhere: tuple[str, ...]
    """What was other than at the first time: "threads 2, now 1"."""
    figures: int
    """How many figures with an error could be compared."""
    apart: tuple[str, ...]
    """Those that differ by more than two standard errors."""

    @property
    def holds(self) -> bool:
        """Whether the version is what its lineage makes, to the bit or within its errors."""
        return self.bit_equal or (self.figures > 0 and not self.apart)

    def lines(self) -> Iterator[str]:
        """What is said of it."""
        yield f"{self.version}: rebuilt{self._verdict()}"
        yield from (f"  {line}" for line in self.apart)
        if self.ran_elsewhere:
            yield f"  it ran otherwise: {'; '.join(self.ran_elsewhere)}"
        elif not self.bit_equal:
            yield "  nothing that is recorded of where it ran explains it"

    def _verdict(self) -> str:
        within = "two standard errors"
        if self.bit_equal:
            return ", equal in every bit"
        if not self.figures:
            return ", other bits; no figures of it are kept to compare"
        if self.holds:
            return f", other bits; all {self.figures} figures with an error agree within {within}"
        apart = f"{len(self.apart)} of {self.figures} figures"
        return f", another: {apart} are apart by more than {within}"


def reproduce(store: Store, version: Version, tell: Callable[[str], None] = say) -> Reproduction:
    """Rebuilds a version, which takes as long as its training took.

    Raises:
        UserError: its lineage does not say enough, or this repository lacks what it names.
        AtelierError: a stage failed; its own message stands above.
    """
    experiment, scale = version.tags["experiment"], version.tags["scale"]
    if starts := [key for key in version.tags if key.startswith(START_TAGS)]:
        began = version.tags.get(f"{START_TAGS}found", starts[0])
        raise UserError(version, f"its training began with the networks of {began}, not at zero")
    patch = _patch(store, version)
    recorded = _figures(store, version)
    with _worktree(version, patch) as place:
        change_scale(scale, place)
        with chdir(place), running_source_of(place):
            bring_data()
            for stage in ("bundle", "evaluate"):
                tell(f"{version}: runs {stage}@{experiment} and what it needs, in {place}")
                _repro(f"{stage}@{experiment}")
            paths = Paths(scale)
            rebuilt = json.loads(paths.metrics(experiment).read_text())
            ran = json.loads((paths.train(experiment) / "train.json").read_text())
            digest = pack.read(paths.bundle(experiment))["digest"]
            data = read_lineage().data_digest
    compared = list(_compared(recorded, rebuilt))
    return Reproduction(
        version=str(version),
        bit_equal=digest == version.digest,
        ran_elsewhere=tuple(_elsewhere(version, ran, data)),
        figures=len(compared),
        apart=tuple(words for words in compared if words),
    )


def _patch(store: Store, version: Version) -> str:
    """What its source had that its commit has not."""
    if not version.commit:
        raise UserError(version, "its commit is unknown, so nobody can rebuild it")
    if not answer("git", "cat-file", "-t", f"{version.commit}^{{commit}}"):
        problem = f"made by commit {version.commit[:12]}, which this repository has not"
        raise UserError(version, problem, "Run: git fetch --all")
    if version.tags.get(DIRTY_TAG) != "true":
        return ""
    text = _text(store, version, PATCH)
    if not text:
        raise UserError(version, "made with changes that nobody committed, and they are not kept")
    return text


def _figures(store: Store, version: Version) -> Mapping[str, float]:
    text = _text(store, version, METRICS)
    return flatten(json.loads(text)) if text else {}


def _text(store: Store, version: Version, name: str) -> str:
    """A file of the run of its training; empty where it is not there."""
    with TemporaryDirectory() as folder:
        path = loading.fetch_of_run(store, version, name, folder)
        return path.read_text(encoding="utf-8") if path else ""


@contextmanager
def _worktree(version: Version, patch: str) -> Iterator[Path]:
    """The source of a version, with this repository's environment and cache of data."""
    root = Path.cwd()
    place = root / PLACES / str(version).replace("/", "-")
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_suffix(".lock")):
        _remove(place)
        run("git", "worktree", "add", "--detach", str(place), version.commit)
        try:
            if patch:
                _apply(patch, place, version)
            (place / "dvc.lock").unlink(missing_ok=True)
            share_cache(root, place)
            share(root / ".venv", place / ".venv")
            yield place
        finally:
            _remove(place)


def _apply(patch: str, place: Path, version: Version) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder, "changes.patch")
        file.write_text(patch, encoding="utf-8")
        try:
            run("git", "apply", "--whitespace=nowarn", str(file), folder=place)
        except CommandFailed as failed:
            raise UserError(version, f"its changes cannot be applied ({failed.last})") from None


def _remove(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    run("git", "worktree", "prune")


def _repro(target: str) -> None:
    """Makes all of it anew, whatever DVC remembers; what MLflow is told stays in the worktree."""
    command = (*MODULE, "dvc", "--wait-for-lock", "repro", "--no-run-cache", target)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(command, env=os.environ | {ADDRESS: LOCAL_URI, "PATH": path}, check=False)
    if done.returncode:
        raise AtelierError(f"{target}: failed (exit code {done.returncode}); see above")


def _elsewhere(version: Version, ran: Mapping[str, Any], data: str) -> Iterator[str]:
    """What decides the last bits, where it is other than it was."""
    for key in RAN_ON:
        before, now = version.tags.get(f"{TRAINED_TAGS}{key}"), str(ran.get(key))
        if before is not None and before != now:
            yield f"{key} {before}, now {now}"
    # What needs no pictures leaves data/ unread, and unknown.
    if data and (before := version.tags.get(DATA_TAG)) and before != data:
        yield f"data {before}, now {data}"


def _compared(recorded: Mapping[str, float], rebuilt: Mapping[str, Any]) -> Iterator[str]:
    """For each figure with a standard error in both: empty, or in words how far they are apart."""
    now = flatten(rebuilt)
    for key, value in sorted(now.items()):
        error = error_of(key)
        if key in recorded and error in recorded and error in now:
            allowed = CLEARLY * hypot(recorded[error], now[error])
            if abs(value - recorded[key]) <= allowed:
                yield ""
            else:
                yield f"{key} {recorded[key]:.4g}, now {value:.4g} (+- {allowed:.2g})"
