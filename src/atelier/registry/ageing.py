"""Which versions' bundles can go: not a champion's, nor what champions rest on.

The record of a version stays, with its figures and decisions; its bundle, and the networks that its
run took along for others to begin with, are what takes disk.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from atelier.registry.champions import PREVIOUS_TAG
from atelier.registry.store import Store
from atelier.registry.tracking import NETWORKS_FOLDER, run_at
from atelier.registry.versions import (
    CHAMPION,
    START_TAGS,
    Version,
    names,
    versions,
)

STARTED_FROM = f"{START_TAGS}found"
TIDIED_TAG = "tidied"


@dataclass(frozen=True)
class Aged:
    """A version that nothing rests on, and the folders that go with it."""

    version: Version
    folders: tuple[Path, ...]


def aged(store: Store, keep: int) -> list[Aged]:
    """Versions beyond the newest `keep` of their name that still hold a bundle; oldest last.

    Those stay that have an alias, that the champion can be rolled back to, or that a kept version
    began with; a bundle that a kept version shares stays, too. A server keeps its files
    itself: of it there are none.
    """
    if store.is_server:
        return []
    every = {str(one): one for name in names(store) for one in versions(store, name)}
    kept = _kept(every, keep)
    shared = {every[name].source for name in kept}
    found = []
    for name, version in every.items():
        if name in kept:
            continue
        bundle = store.root / version.source
        folders = [*([] if version.source in shared else [bundle]), *_networks(store, version)]
        if there := tuple(folder for folder in folders if folder.is_dir()):
            found.append(Aged(version, there))
    return found


def let_go(store: Store, old: Aged) -> None:
    """Removes an aged version's folders; its record says so."""
    number = old.version.number
    store.client.set_model_version_tag(old.version.name, number, TIDIED_TAG, "true")
    for folder in old.folders:
        shutil.rmtree(folder)


def _kept(every: dict[str, Version], keep: int) -> set[str]:
    newest: dict[str, int] = {}
    kept: set[str] = set()
    for name, version in every.items():  # of each name, the newest first
        newest[version.name] = newest.get(version.name, 0) + 1
        if newest[version.name] <= keep or version.aliases:
            kept.add(name)
            if CHAMPION in version.aliases and (before := version.tags.get(PREVIOUS_TAG)):
                kept.add(f"{version.name}/{before}")
    for name in tuple(kept):
        kept.update(_began_with(every, name))
    return kept & every.keys()


def _began_with(every: dict[str, Version], name: str) -> Iterator[str]:
    """Whose networks a version began with, and whose those had begun with."""
    seen = {name}
    while name in every and (name := every[name].tags.get(STARTED_FROM, "")) not in seen:
        seen.add(name)
        yield name


def _networks(store: Store, version: Version) -> Iterator[Path]:
    # Where the run is gone, its artifacts are MLflow's to collect.
    if run := run_at(store, version.training_run):
        yield store.root / run.info.artifact_uri.removeprefix("file://") / NETWORKS_FOLDER
