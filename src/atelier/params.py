"""params.yaml: the scale, and the one mapping of datasets and experiments that dvc.yaml reads.

Without torch, so that whoever asks only what there is does not wait for it.
"""

from typing import Any, Literal

from atelier.errors import UserError
from atelier.paths import JUDGE, JUDGE_B, PARAMETERS
from atelier.schema import Strict, load

Scale = Literal["tiny", "laptop", "gpu"]
STAGES_OF_DATASET = ("prepare", JUDGE, JUDGE_B)
"""What dvc.yaml does for each dataset; experiments have it in common."""
STAGES_OF_EXPERIMENT = ("train", "bundle", "evaluate", "register", "report")
"""What it does for each experiment, in order."""


class Source(Strict):
    """Where a dataset comes from: a folder of data/, or the file whose rule makes it."""

    source: str


class Listed(Strict):
    """What dvc.yaml must know of an experiment to follow the right files."""

    task: str
    dataset: str
    model: str
    objective: str

    def as_line(self) -> str:
        """As YAML in one line, the way params.yaml has it."""
        return "{" + ", ".join(f"{key}: {word}" for key, word in self.model_dump().items()) + "}"


class Parameters(Strict):
    """params.yaml, which dvc.yaml reads."""

    scale: Scale
    drawing: dict[str, Any]
    datasets: dict[str, Source]
    experiments: dict[str, Listed]


def load_parameters() -> Parameters:
    """Reads params.yaml, which only a repository's root has.

    Raises:
        UserError: there is none, or it says what can't be.
    """
    if not PARAMETERS.exists():
        raise UserError(PARAMETERS, "no such file", "Run this in the repository's root.")
    return load(PARAMETERS, Parameters)


def listed_experiments() -> dict[str, Listed]:
    """The one `experiments:` mapping, which every stage's `foreach` reads."""
    return load_parameters().experiments


def default_scale() -> str:
    """The scale that params.yaml names."""
    return load_parameters().scale
