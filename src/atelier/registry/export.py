"""A version as a folder that can be handed on: what was published, and its model card.

The card is made here and not where the version was registered: what is published stays what was
packed and signed, byte by byte, and the card says what the registry knows today.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from atelier.bundle.bundle_model import MANIFEST
from atelier.data.folders import built_aside
from atelier.errors import UserError
from atelier.registry import loading, packaging, pages, scored, signing
from atelier.registry.datasets import CONTEXT_TAG
from atelier.registry.hub_fields import Known
from atelier.registry.model_card import model_card
from atelier.registry.store import Store
from atelier.registry.tracking import run_at
from atelier.registry.versions import Version

if TYPE_CHECKING:
    from mlflow.entities import Run

CARD = "README.md"
"""Where a hub looks for a model card."""
METHOD_TAGS = {"model": "atelier.model", "objective": "atelier.objective"}
"""Of a training's run."""


def export(store: Store, version: Version, out: Path, keys: Sequence[Path] = ()) -> None:
    """Copies a version's model folder to `out`, with its model card; whole or not at all.

    Args:
        keys: public keys, of which one has to have signed it.

    Raises:
        UserError: the version is not what was packed (see signing.verify), or `out` exists.
    """
    if out.exists():
        raise UserError("--out", f"{out} exists already", "Choose another.")
    signing.verify(store, version, keys)
    bundle = loading.fetch(store, version)
    with built_aside(out) as folder:
        packaging.copy_model(bundle, folder)
        text = model_card(known_of(store, version, bundle))
        (folder / CARD).write_text(text, encoding="utf-8")


def known_of(store: Store, version: Version, bundle: Path) -> Known:
    """What the registry and the bundle know of a version."""
    run = run_at(store, version.training_run)
    tags = run.data.tags if run else {}
    return Known(
        version=version,
        manifest=json.loads((bundle / MANIFEST).read_bytes()),
        card=pages.card_of(store, version),
        figures=scored.figures_of(store, version),
        settings=_settings(store, version),
        data=_data(run) if run else (),
        method={word: tags[tag] for word, tag in METHOD_TAGS.items() if tag in tags},
    )


def _settings(store: Store, version: Version) -> dict[str, Any]:
    """Of the run through which its figures were logged, where MLflow keeps them as text."""
    model = scored.model_of(store, version.tags.get(scored.MODEL_TAG, ""))
    if model is None:
        return {}
    query = f"tags.`{scored.MODEL_TAG}` = '{model.model_id}'"
    found = store.client.search_runs([str(model.experiment_id)], query, max_results=1)
    texts = found[0].data.params if found else {}
    return {key: yaml.safe_load(text) for key, text in texts.items() if text != str(None)}


def _data(run: "Run") -> list[tuple[str, str, int | None]]:
    """The splits that a training's run names."""
    splits = []
    for given in run.inputs.dataset_inputs if run.inputs else []:
        contexts = [tag.value for tag in given.tags if tag.key == CONTEXT_TAG]
        rows = json.loads(given.dataset.profile or "{}").get("num_rows")
        splits += [(one, given.dataset.digest, int(rows) if rows else None) for one in contexts]
    return splits
