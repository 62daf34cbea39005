"""The datasets of a run and of test figures, as MLflow names them: a split of prepared images.

A digest is that of the prepared manifest; of what has no images, DVC's of the prepared folder.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from atelier.paths import SPLITS, Paths
from atelier.registry.lineage import dvc_digest

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Run

TRAINING, _, TEST = SPLITS
DIGEST_CHARACTERS = 36
"""MLflow's limit."""
CONTEXT_TAG = "mlflow.data.context"
"""What a dataset was used for, on MLflow's pages."""


@dataclass(frozen=True)
class Split:
    """One split of a dataset."""

    dataset: str
    digest: str
    context: str
    """training, validation or test."""
    images: int | None = None

    def as_input(self) -> "DatasetInput":
        from mlflow.entities import Dataset, DatasetInput, InputTag

        profile = {"split": self.context}
        if self.images is not None:
            profile["num_rows"] = str(self.images)
        there = Dataset(
            name=self.dataset,
            digest=self.digest,
            source_type="local",
            source=json.dumps({"uri": f"data/{self.dataset}"}),
            profile=json.dumps(profile),
        )
        return DatasetInput(there, [InputTag(CONTEXT_TAG, self.context)])


def splits(paths: Paths, dataset: str) -> list[Split]:
    """Of a prepared dataset; none where it is not there."""
    folder = paths.prepared(dataset)
    file = folder / "manifest.json"
    if not file.exists():
        return []
    found = json.loads(file.read_bytes()).get("splits", {})
    if not found:  # drawn as it is needed: one set for all
        return [Split(dataset, _digest_of(folder), TRAINING)]
    return [
        Split(dataset, found[name]["digest"][:DIGEST_CHARACTERS], name, found[name]["count"])
        for name in SPLITS
        if name in found
    ]


def lacking(run: "Run", wanted: Sequence[Split]) -> "list[DatasetInput]":
    """What the run does not name yet, ready to log."""
    named = run.inputs.dataset_inputs if run.inputs else []
    known = {(one.dataset.name, one.dataset.digest) for one in named}
    return [one.as_input() for one in wanted if (one.dataset, one.digest) not in known]


def _digest_of(folder: Path) -> str:
    return dvc_digest(folder)[:DIGEST_CHARACTERS]
