"""What a version and its run must have in MLflow, brought up to date: each thing once.

A version that is registered today gets it all at once; one that was registered by an Atelier of
before, or whose registration was cut short, gets here what it lacks. The caller holds the store's
lock.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from atelier.evaluation import report
from atelier.registry import packaging, pages, scored, versions
from atelier.registry.datasets import Split
from atelier.registry.headline import gate_figure
from atelier.registry.scored import PREFIX
from atelier.registry.store import Store
from atelier.registry.tags import FIGURE_TAG, PACKED_TAG, unpacked
from atelier.registry.tracking import run_at
from atelier.registry.versions import Version


def complete(
    store: Store,
    version: Version,
    run_id: str | None,
    words: Mapping[str, Any],
    splits: Sequence[Split],
) -> None:
    """A version whose bundle and figures are in artifacts/.

    Args:
        run_id: of its training, if there was one.
        words: as metrics.json has them.
        splits: of its dataset.
    """
    version = _with_model(store, version)
    scored.log_figures(store, version, words, splits)
    if run_id:
        scored.complete_run(store, run_id, version, words, splits)
    _tell_figure(store, version, report.flatten(words))


def complete_others(store: Store, name: str) -> None:
    """The versions of a name that have no page yet: from what the store itself knows of them."""
    for version in versions.versions(store, name):
        if version.description and scored.model_of(store, version.tags.get(scored.MODEL_TAG, "")):
            continue
        version = _with_model(store, version)
        if figures := _figures_in_run(store, version):
            scored.log_figures(store, version, figures, ())
            _tell_figure(store, version, figures)
        versions.describe(store, version)


def _with_model(store: Store, version: Version) -> Version:
    """The version, with a LoggedModel and what `registry list` tells of it."""
    bundle = store.root / packaging.place_of(*version.digests) / packaging.INSIDE
    there = bundle if bundle.is_dir() else None
    if there and pages.MAKES not in version.tags:
        _pack(store, version, pages.facts_of(there))
    model = scored.model_of(store, version.tags.get(scored.MODEL_TAG, ""))
    if model is None:
        manifest = {**version.tags, "registered_name": version.name}
        run = run_at(store, version.training_run)
        run_id = str(run.info.run_id) if run else None
        model = scored.make_model(store, manifest, version.digests, run_id)
    scored.tie(store, version, model, there)
    return versions.version(store, version.name, version.number)


def _pack(store: Store, version: Version, facts: Mapping[str, str]) -> None:
    tags = store.client.get_model_version(version.name, version.number).tags
    before = json.loads(tags.get(PACKED_TAG, "{}"))
    lacking = {key: text for key, text in facts.items() if key not in unpacked(tags)}
    words = json.dumps({**before, **lacking}, sort_keys=True)
    store.client.set_model_version_tag(version.name, version.number, PACKED_TAG, words)


def _tell_figure(store: Store, version: Version, figures: Mapping[str, float]) -> None:
    words = gate_figure(figures)
    if words and version.tags.get(FIGURE_TAG) != words:
        store.client.set_model_version_tag(version.name, version.number, FIGURE_TAG, words)


def _figures_in_run(store: Store, version: Version) -> dict[str, float]:
    """Test figures that stand in the training's run, where an Atelier of before left them.

    Of several versions of one training they are those of the snapshot that they name as their step.
    """
    run = run_at(store, version.training_run)
    if run is None:
        return {}
    found = scored.on_test(run.data.metrics)
    key = next(iter(found), None)
    if key is None:
        return {}
    steps = {one.step for one in store.client.get_metric_history(run.info.run_id, PREFIX + key)}
    return found if int(version.tags.get("selected_images", -1)) in steps else {}


def figure_of(words: Mapping[str, Any]) -> dict[str, str]:
    """The tag of a new version that tells its figure; none where none is known."""
    figure = gate_figure(report.flatten(words))
    return {FIGURE_TAG: figure} if figure else {}
