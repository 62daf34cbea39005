"""What each task is: one frozen row of facts, known to every room above. No torch, nothing to run.

What is done for a task stands in its module of `atelier.tasks`; how its bundles are used by anyone,
in its class of `bundle/bundle_model.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Input = Literal["latent", "attributes", "image"]
"""latent [B, L]; attributes [B, K] in [0, 1]; image [B, 3, S, S] in [-1, 1]."""


@dataclass(frozen=True)
class Task:
    """What a model of this task takes and makes, and how its training images are drawn."""

    name: str
    networks: Mapping[str, tuple[Input, ...]]
    """The networks that are averaged and published, and what each is given."""
    makes: Literal["pictures", "numbers", "logits"]
    """pictures [B, 3, S, S] in [-1, 1]; numbers: scores [B, 100]; logits [B, K]."""
    sampling: Literal["uniform", "balanced", "domains"] = "uniform"
    """The one kind of `sampling` that an experiment of this task has: see data/sampling.py."""
    needs_labels: bool = False
    """Whether a dataset without labels can't serve it."""

    @property
    def takes_attributes(self) -> bool:
        """Whether something can be asked for."""
        return any("attributes" in inputs for inputs in self.networks.values())

    @property
    def hub_task(self) -> str:
        """Hugging Face's name of it (`pipeline_tag`), or of the nearest: there, attributes, which
        are neither words nor a picture, count as no condition."""
        if self.makes == "logits":
            return "image-classification"
        if self.makes == "numbers":
            return "other"
        takes_images = any("image" in inputs for inputs in self.networks.values())
        return "image-to-image" if takes_images else "unconditional-image-generation"


NUMBERS = Task("numbers", {"generator": ("latent",)}, "numbers")
"""Integers that follow a pattern, from noise."""
UNCONDITIONAL = Task("unconditional", {"generator": ("latent",)}, "pictures")
"""Pictures from noise."""
CONDITIONAL = Task(
    "conditional",
    {"generator": ("latent", "attributes")},
    "pictures",
    sampling="balanced",
    needs_labels=True,
)
"""Pictures from noise, with the attributes that are asked for."""
TRANSLATION = Task(
    "translation",
    {"a2b": ("image",), "b2a": ("image",)},
    "pictures",
    sampling="domains",
    needs_labels=True,
)
"""Pictures of one domain from pictures of another, in both directions."""
RECONSTRUCTION = Task("reconstruction", {"encoder": ("image",), "decoder": ("latent",)}, "pictures")
"""Codes [B, L] from pictures (a variational encoder: means and log-variances, [B, 2 L]), and
pictures from codes."""
CLASSIFICATION = Task("classification", {"classifier": ("image",)}, "logits")
"""Labels of pictures: a judge's. Never published, so it is not in TASKS."""

TASKS: Mapping[str, Task] = {
    task.name: task for task in (NUMBERS, UNCONDITIONAL, CONDITIONAL, TRANSLATION, RECONSTRUCTION)
}
"""The tasks that an experiment can have."""
