"""What each function of a task is given: an experiment, and what of its data it may see."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from atelier.bundle.pack import BundleDescription
from atelier.config import Experiment
from atelier.data.batches import read_manifest
from atelier.data.sampling import columns
from atelier.device import visible
from atelier.errors import UserError
from atelier.evaluation.feature_cache import Place
from atelier.evaluation.features import Images
from atelier.evaluation.judge import TRUSTED_LABELS, WORDS, open_judge
from atelier.evaluation.keys import JUDGE, JUDGE_B
from atelier.evaluation.reference import ReferenceSet, open_reference
from atelier.evaluation.report import settings_of
from atelier.models.judge import Judge
from atelier.paths import Paths
from atelier.tasks.comparing import Digests, digests

Labels = npt.NDArray[np.uint8]
"""[N, K] of 0 and 1."""
TRAINING = "training"
KEPT_FEATURES = Path(".atelier", "features")
"""Of real images; removing the folder is safe."""


@dataclass(frozen=True)
class Context:
    """One experiment and one split: `validation` chooses, `test` scores. Opened as it is asked."""

    experiment: Experiment
    paths: Paths
    split: str
    second_opinion: bool = False
    """Whether figures are taken in the second judge's features, too."""

    @property
    def device(self) -> torch.device:
        """Where networks run: what is published, and those that look at it."""
        return visible()

    @property
    def place(self) -> Place:
        """Where features are computed, and those of real images kept."""
        return Place(self.device, KEPT_FEATURES)

    @property
    def prepared(self) -> Path:
        return self.paths.prepared(self.experiment.dataset)

    @property
    def samples(self) -> int:
        return self.experiment.evaluation.samples

    @property
    def seed(self) -> int:
        return self.experiment.evaluation.seed

    @cached_property
    def manifest(self) -> dict[str, Any]:
        return read_manifest(self.prepared)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what goes in or comes out: (3, S, S), or (100,) for numbers."""
        if self.manifest["layout"] == "numbers":
            return tuple(self.manifest["shape"])
        return (3, self.manifest["size_pixels"], self.manifest["size_pixels"])

    @property
    def attributes(self) -> tuple[str, ...]:
        """What a conditional generator can be asked for, in its order."""
        return tuple(getattr(self.experiment.sampling, "attributes", ()))

    @property
    def label_names(self) -> tuple[str, ...]:
        """All labels of the dataset, which its judge tells in this order."""
        return tuple(self.manifest["labels"])

    @cached_property
    def judge(self) -> Judge | None:
        """None where the dataset has no labels to judge by."""
        return self._judge(JUDGE)

    @cached_property
    def judge_b(self) -> Judge | None:
        """The second judge where its opinion is asked for, and there is one."""
        if not self.second_opinion:
            return None
        return self._judge(JUDGE_B)

    def _judge(self, stage: str) -> Judge | None:
        judge = open_judge(self.paths.judge(self.experiment.dataset, stage))
        return None if judge is None else judge.to(self.device)

    @cached_property
    def judge_words(self) -> dict[str, Any]:
        path = self.paths.judge(self.experiment.dataset) / WORDS
        words: dict[str, Any] = json.loads(path.read_text())
        return words

    @property
    def trusted_labels(self) -> list[str]:
        """Labels on which a figure may rest; empty where arithmetic judges."""
        return list(self.judge_words.get(TRUSTED_LABELS, []))

    @cached_property
    def reference(self) -> ReferenceSet:
        return open_reference(
            self.prepared, self.judge, self.split, self.samples, self.judge_b, self.place
        )

    @property
    def digests(self) -> Digests:
        return digests(self.prepared, self.paths.judge(self.experiment.dataset))

    def images(self, split: str | None = None) -> Images:
        """A memory map of the split's images, or of the training images."""
        found: Images = np.load(self._array(split, ""), mmap_mode="r")
        return found

    def labels(self, split: str | None = None) -> Labels:
        found: Labels = np.load(self._array(split, "_labels"))
        return found

    def conditions(self, split: str | None = None) -> Labels:
        """The attributes that can be asked for, of each image."""
        return self.labels(split)[:, columns(self.label_names, self.attributes)]

    def _array(self, split: str | None, suffix: str) -> Path:
        split = split or self.split
        if split not in (self.split, TRAINING):
            raise ValueError(f"this context may see {self.split} and {TRAINING} (got {split})")
        path = self.prepared / f"{split}{suffix}.npy"
        if not path.exists():
            name = self.experiment.dataset
            raise UserError(path, "no such array", f"Run: dvc repro prepare@{name}")
        return path

    def settings(self, count: int) -> dict[str, Any]:
        """What figures of so many of the split's images rest on."""
        return settings_of(self.manifest, self.split, count, self.seed)

    def describe(self, selected_images: int, **words: Any) -> BundleDescription:
        """What a bundle says of itself, with what the task adds."""
        return BundleDescription(
            **{
                "experiment": self.experiment.name,
                "scale": self.paths.scale,
                "registered_name": self.experiment.registered_name,
                "task": self.experiment.task.name,
                "latent_dim": getattr(self.experiment.model, "latent_dim", None),
                "output_shape": self.shape,
                "dataset": self.experiment.dataset,
                "judge": None if self.judge is None else JUDGE,
                "selected_images": selected_images,
                "crop_share": self.manifest.get("crop", 1.0),
                **words,
            }
        )
