"""What a YAML file under experiments/ may say, and where everything of a scale lies.

A file is complete: no key has a default, so it alone says what was done, and DVC, which watches
the whole file, sees every change.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from atelier.data.catalog import DatasetConfig
from atelier.errors import UserError
from atelier.models import MODELS
from atelier.objectives import OBJECTIVES
from atelier.schema import Count, Positive, Rate, Share, Strict, load, read_yaml

SCALES = ("tiny", "laptop", "gpu")
Scale = Literal["tiny", "laptop", "gpu"]

if TYPE_CHECKING:
    ModelConfig = Any
    ObjectiveConfig = Any
else:
    ModelConfig = Annotated[
        reduce(or_, [module.Config for module in MODELS.values()]), Field(discriminator="name")
    ]
    ObjectiveConfig = Annotated[
        reduce(or_, [module.Config for module in OBJECTIVES.values()]), Field(discriminator="name")
    ]


class Augmentation(Strict):
    """DiffAugment (Zhao et al. 2020, arXiv 2006.10738) on all that a discriminator sees."""

    brightness: Share
    """Largest shift, as a share of the range [-1, 1]."""
    contrast: Share
    """Largest relative change."""
    saturation: Share
    translation: Share
    """Largest shift, as a share of the image's side."""
    cutout: Share
    """Side of the square that is blanked, as a share of the image's side."""


class Adam(Strict):
    learning_rate: Rate
    betas: tuple[Share, Share] = Field(strict=False)
    schedule: Literal["constant", "cosine", "flat_then_linear"]
    """Of the learning rate over the planned images; the last two end at 0."""


class EarlyStopping(Strict):
    """Stop when a score of fresh draws has not improved for so many steps."""

    watch: Literal["distance", "stopping_score"]
    draws: Positive
    patience_steps: Positive
    keep: Literal["best", "last"]
    """Which weights are published; the seed keeps the last."""


class Training(Strict):
    seed: Count
    images: Positive
    """Planned length: images of the reals that are shown to the generator's opponent, in steps of
    `batch_size`. Numbers count rows."""
    batch_size: Positive
    """For all processes together."""
    optimizers: dict[str, Adam]
    """One for each network that the objective trains."""
    ema_share: Share
    """Half-life of the published average of weights, as a share of the images seen; 0: none."""
    flip: bool
    augmentation: Augmentation | None
    precision: Literal["fp32", "bf16", "auto"]
    """`auto`: bf16 where the processor has instructions for it; what was chosen is recorded."""
    channels_last: bool
    compile: bool
    snapshots: Positive
    """How many averaged generators are kept, spread over the second half of the training."""
    log_every_images: Positive
    sample_every_images: Positive
    early_stopping: EarlyStopping | None

    @model_validator(mode="after")
    def _a_step_fits(self) -> Self:
        if self.batch_size > self.images:
            raise ValueError(
                f"batch_size must not exceed images (got {self.batch_size} > {self.images})"
            )
        return self


class Evaluation(Strict):
    samples: Positive
    seed: Count


class Judge(Strict):
    """The classifier of a dataset: trained by the same loop, on real images only."""

    model: ModelConfig
    objective: ObjectiveConfig
    training: Training
    used_labels: tuple[str, ...] = Field(strict=False)
    """Labels on which figures rest; each must reach the floor on the test split."""


class Dataset(Strict):
    name: str
    data: DatasetConfig
    judge: Judge | None
    """None where arithmetic judges (numbers)."""


class Experiment(Strict):
    name: str
    registered_name: str
    dataset: str
    model: ModelConfig
    objective: ObjectiveConfig
    training: Training
    evaluation: Evaluation

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        norm = getattr(self.model, "discriminator_norm", "none")
        if norm == "batch" and self.objective.name in ("wgan_gp", "relativistic"):
            raise ValueError(
                f"discriminator_norm 'batch' under the gradient penalty of {self.objective.name}: "
                "BatchNorm mixes the images whose gradients are penalised one by one; "
                "use 'none' or 'layer'"
            )
        if (self.model.name == "seed") != (self.objective.name == "seed"):
            raise ValueError(
                f"model {self.model.name} with objective {self.objective.name}: "
                "the seed's sigmoid and its BCELoss go together"
            )
        if self.model.name == "judge" or self.objective.name == "classification":
            raise ValueError("a judge belongs to a dataset's file, not to an experiment")
        return self


@dataclass(frozen=True)
class Paths:
    """Where a scale's files lie, seen from the repository's root."""

    scale: str

    def experiment_file(self, experiment: str) -> Path:
        return Path("experiments", self.scale, f"{experiment}.yaml")

    def dataset_file(self, dataset: str) -> Path:
        return Path("experiments", self.scale, "datasets", f"{dataset}.yaml")

    def _artifact(self, name: str, stage: str) -> Path:
        return Path("artifacts", self.scale, name, stage)

    def prepared(self, dataset: str) -> Path:
        return self._artifact(dataset, "prepared")

    def judge(self, dataset: str) -> Path:
        return self._artifact(dataset, "judge")

    def train(self, experiment: str) -> Path:
        return self._artifact(experiment, "train")

    def bundle(self, experiment: str) -> Path:
        return self._artifact(experiment, "bundle")

    def evaluation(self, experiment: str) -> Path:
        return self._artifact(experiment, "evaluation")

    def metrics(self, experiment: str) -> Path:
        """Figures of the bundle on the test split; in git."""
        return self._artifact(experiment, "metrics.json")

    def judge_metrics(self, dataset: str) -> Path:
        """Figures of the judge itself on the test split; in git."""
        return self._artifact(dataset, "judge-metrics.json")


def load_dataset(scale: str, name: str) -> Dataset:
    """Reads experiments/<scale>/datasets/<name>.yaml."""
    path = Paths(check_scale(scale)).dataset_file(name)
    dataset = load(path, Dataset)
    _check_name(path, dataset.name)
    return dataset


def load_experiment(scale: str, name: str) -> Experiment:
    """Reads experiments/<scale>/<name>.yaml and checks that the dataset's file agrees with it."""
    path = Paths(check_scale(scale)).experiment_file(name)
    experiment = load(path, Experiment)
    _check_name(path, experiment.name)
    listed = listed_experiments().get(name)
    said = {
        "dataset": experiment.dataset,
        "model": experiment.model.name,
        "objective": experiment.objective.name,
    }
    if listed != said:
        raise UserError(
            "params.yaml",
            f"experiments.{name} does not agree with {path} (got {listed})",
            f"Write {name}: {said}, so that DVC follows the right files.".replace("'", ""),
        )
    return experiment


def listed_experiments() -> dict[str, dict[str, str]]:
    """The one `experiments:` mapping of params.yaml, which every stage's `foreach` reads."""
    listed: dict[str, dict[str, str]] = read_yaml(Path("params.yaml"))["experiments"]
    return listed


def default_scale() -> str:
    """The scale that params.yaml names."""
    return check_scale(read_yaml(Path("params.yaml"))["scale"])


def check_scale(scale: str) -> str:
    if scale not in SCALES:
        near = get_close_matches(str(scale), SCALES, 1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise UserError("scale", f"unknown (got {scale!r})", f"{hint}One of {', '.join(SCALES)}.")
    return scale


def _check_name(path: Path, name: str) -> None:
    if name != path.stem:
        raise UserError(f"{path}: name", f"must be the file's own (got {name!r})", f"{path.stem}.")
