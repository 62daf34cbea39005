"""Where the pipeline meets the registry: a training followed, a bundle registered, all in step."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from atelier.bundle.comparison import ComparerFactory
from atelier.config import Experiment, load_experiment
from atelier.display import say
from atelier.paths import Paths
from atelier.registry import sync as registry
from atelier.registry import tracking
from atelier.registry.follower import Follower
from atelier.registry.lineage import Lineage, read_lineage
from atelier.registry.store import Store, open_store

TRIAL = "DVC_EXP_NAME"
"""Set by `dvc exp run`: such a trial is tracked, and registered only when it is asked for."""


@contextmanager
def follow(experiment: Experiment, scale: str, folder: Path) -> Iterator[None]:
    """MLflow follows the training whose checkpoint folder this is, and never stops it."""

    def describe() -> tracking.RunDescription:
        return _tagged(registry.describe(experiment, scale, read_lineage(), key=folder.name))

    with Follower(folder / "output", describe) as follower:
        yield
        follower.finish()


def register_bundle(experiment: Experiment, scale: str) -> None:
    """Registers the bundle and lets the gate decide; a trial only completes its run."""
    store = open_store()
    if TRIAL in os.environ:
        synced = _track_only(store, experiment, scale)
    else:
        synced = _sync(store, experiment, scale, read_lineage())
    say(str(synced))
    registry.write_receipt(synced, scale)


def sync(scale: str, names: Sequence[str]) -> None:
    """Restores whatever the store lacks of these experiments' artifacts, without training."""
    store, lineage = open_store(), read_lineage()
    for name in names:
        say(str(_sync(store, load_experiment(scale, name), scale, lineage)))


def score_again(scale: str, names: Sequence[str]) -> None:
    """Scores the champions of these experiments on today's test data, without training."""
    store = open_store()
    for name in names:
        experiment = load_experiment(scale, name)
        say(registry.score_again(store, experiment, _comparer_of(experiment, scale)))


def _comparer_of(experiment: Experiment, scale: str) -> ComparerFactory:
    from atelier.pipeline.bundling import open_comparer

    return lambda: open_comparer(experiment, scale)


def _sync(store: Store, experiment: Experiment, scale: str, lineage: Lineage) -> registry.Synced:
    synced = registry.sync(store, experiment, scale, lineage, _comparer_of(experiment, scale))
    if synced.is_new and lineage.why_unknown:
        say(f"{synced.version}: its commit is unknown (git: {lineage.why_unknown})")
    if synced.run_id is not None:
        _take_networks_along(store, experiment.name, scale, synced.run_id)
    return synced


def _take_networks_along(store: Store, name: str, scale: str, run_id: str) -> None:
    """Keeps the networks of a training below its run: another training may start from them."""
    from atelier.pipeline import warm_start

    history = tracking.history_digest(Paths(scale).train(name))
    networks = warm_start.Before("train", name, scale).networks_of(history)
    kept = [file.path for file in store.client.list_artifacts(run_id, tracking.NETWORKS_FOLDER)]
    if networks and f"{tracking.NETWORKS_FOLDER}/{networks.name}" not in kept:
        store.client.log_artifact(run_id, str(networks), tracking.NETWORKS_FOLDER)


def _track_only(store: Store, experiment: Experiment, scale: str) -> registry.Synced:
    described = _tagged(registry.describe(experiment, scale, read_lineage()))
    run_id, _ = tracking.restore(store, described, Paths(scale).train(experiment.name))
    reason = "a trial of dvc exp run: atelier registry sync registers it"
    return registry.Synced(experiment.name, run_id, None, False, False, reason)


def _tagged(described: tracking.RunDescription) -> tracking.RunDescription:
    """With the name of the trial, where it is one."""
    trial = os.environ.get(TRIAL)
    return replace(described, tags={**described.tags, "dvc.trial": trial}) if trial else described
