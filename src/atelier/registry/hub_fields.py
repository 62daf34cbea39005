"""The fields of a model card that a hub reads, and all that is known to make a card of.

As huggingface.co/docs/hub/model-cards has them, with the specification of `model-index` in its
hub-docs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from atelier.registry.headline import Headline, headlines
from atelier.registry.lineage import UNKNOWN
from atelier.registry.pages import CardParts
from atelier.registry.versions import START_TAGS, Version
from atelier.task import TASKS, Task

LIBRARY = "mlflow"
OPEN_LICENCE, OTHER_LICENCE = "apache-2.0", "other"
LICENCE_NAME = "terms-of-its-training-data"
"""Beside `other`, which wants a name of its own."""
DRAWN, COMPUTED, IMPORTED = "drawn", "computed", "imported"
"""Where training data came from; UNKNOWN where nothing says so."""
NAMED_APART = ("dataset", "split")
"""Of the settings: they have fields of their own."""


@dataclass(frozen=True)
class Known:
    """All that a card is made of."""

    version: Version
    manifest: Mapping[str, Any]
    """Of the bundle: bundle.json."""
    card: CardParts
    figures: Mapping[str, float]
    """Of the test split, by their keys in metrics.json."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What the figures rest on: `split`, `samples`, `seed`, `drawn` and others, where known."""
    data: Sequence[tuple[str, str, int | None]] = ()
    """What it was given: a split's name, its digest, and how many pictures it has."""
    method: Mapping[str, str] = field(default_factory=dict)
    """`model` and `objective` of its training, where known."""

    @property
    def task(self) -> Task:
        return TASKS[self.manifest["task"]]

    @property
    def origin(self) -> str:
        """Of the training data: DRAWN, COMPUTED, IMPORTED or UNKNOWN."""
        if self.task.makes == "numbers":
            return COMPUTED
        drawn = self.settings.get("drawn")
        return UNKNOWN if drawn is None else DRAWN if drawn else IMPORTED

    @property
    def dataset(self) -> str:
        """`celeba-drawn`. A hub takes a name alone for that of a dataset that is there."""
        return f"{self.manifest['dataset']}-{self.origin}"

    @property
    def began_elsewhere(self) -> bool:
        """Whether its training began with the networks of another, and so with what those saw."""
        return any(key.startswith(START_TAGS) for key in self.version.tags)

    @property
    def is_ours(self) -> bool:
        """Whether nothing but the project's own data is in the weights, for all that is known."""
        return self.origin in (DRAWN, COMPUTED) and not self.began_elsewhere


def front_matter(known: Known) -> dict[str, Any]:
    """The fields, as YAML can have them."""
    found = headlines(known.figures)
    fields: dict[str, Any] = {"license": OPEN_LICENCE if known.is_ours else OTHER_LICENCE}
    if not known.is_ours:
        fields["license_name"] = LICENCE_NAME
    fields |= {
        "library_name": LIBRARY,
        "pipeline_tag": known.task.hub_task,
        "tags": ["atelier", LIBRARY, "pytorch", known.task.name, f"{known.origin}-data"],
        "datasets": [known.dataset],
    }
    if found:
        results = {
            "task": {"type": known.task.hub_task, "name": known.task.name},
            "dataset": _dataset_field(known),
            "metrics": [_metric_field(one) for one in found],
        }
        fields["metrics"] = [one.key for one in found]
        fields["model-index"] = [{"name": known.version.name, "results": [results]}]
    return fields


def _dataset_field(known: Known) -> dict[str, Any]:
    """Of `model-index`: what the figures were measured on."""
    split = known.settings.get("split", "")
    digests = {name: digest for name, digest, _ in known.data}
    words = {
        "type": known.dataset,
        "name": f"{known.manifest['dataset']} ({known.origin})",
        "split": split,
        "revision": digests.get(split, ""),
        "args": {key: one for key, one in known.settings.items() if key not in NAMED_APART},
    }
    return {key: one for key, one in words.items() if one}


def _metric_field(one: Headline) -> dict[str, Any]:
    """Of `model-index`; `verified` would say that the hub itself has measured it."""
    return {"type": one.key, "name": one.title, "value": one.value, "verified": False}
