"""What is done for each task: one module and one line each.

Tables that a module writes are CSV files with the columns `name` and `value`, so that DVC draws
each as bars.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from torch import nn

from atelier.bundle.bundle_model import Bundle
from atelier.bundle.comparison import Comparer
from atelier.evaluation.estimate import Estimate
from atelier.tasks import conditional, numbers, reconstruction, translation, unconditional
from atelier.tasks.context import Context

if TYPE_CHECKING:
    from atelier.training.health import Preview
    from atelier.training.setup import Learner


class TaskModule(Protocol):
    """What a task's module has."""

    def preview(self, learner: "Learner", /) -> "Preview | None":
        """What a training shows of itself, by the averaged networks; None: no pictures."""
        ...

    def figure(self, networks: nn.ModuleDict, context: Context, /) -> Estimate:
        """On the validation split, smaller is better; the latest snapshot that is not clearly above
        the smallest is published."""
        ...

    def pack(self, networks: nn.ModuleDict, context: Context, out: Path, images: int, /) -> None:
        """Writes the bundle of the networks after that many training images, its card too."""
        ...

    def score(self, bundle: Bundle, context: Context, folder: Path, /) -> dict[str, Any]:
        """On the test split: figures for metrics.json; tables and pictures go to the folder."""
        ...

    def comparer(self, context: Context, /) -> Comparer:
        """Who compares bundles for the gate, on the test split."""
        ...


MODULES: Mapping[str, TaskModule] = {
    "numbers": numbers,
    "unconditional": unconditional,
    "conditional": conditional,
    "translation": translation,
    "reconstruction": reconstruction,
}
