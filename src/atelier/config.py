"""What a YAML file under experiments/ may say, and reading it.

A file is complete: no key has a default, so it alone says what was done, and DVC, which watches
the blocks that decide a stage's result, sees every change of one.
"""

from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import torch
from pydantic import Field, model_validator

from atelier.data.catalog import DatasetConfig
from atelier.data.sampling import Balanced, Domains, Uniform
from atelier.errors import UserError
from atelier.models import MODELS
from atelier.objectives import OBJECTIVES
from atelier.objectives.phase import Setting
from atelier.params import Listed, load_parameters
from atelier.paths import PARAMETERS, Paths, check_scale
from atelier.schema import NonNegative, Positive, Seed, Share, Strict, load
from atelier.task import CLASSIFICATION, Task

NAME_PATTERN = r"^[a-z0-9][a-z0-9-]*$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Momentum = Annotated[float, Field(ge=0, lt=1)]
HIGHEST_RATE = 0.1
"""Weights are smaller than that: with a higher one, a step of Adam leaves nothing of them."""
Sign = Literal["collapse", "duplicates", "saturation", "standstill", "exploding"]
"""Of illness; training/health.py says what each is."""
if TYPE_CHECKING:
    ModelConfig = Any
    ObjectiveConfig = Any
else:
    ModelConfig = Annotated[
        reduce(or_, [model.config for model in MODELS.values()]), Field(discriminator="name")
    ]
    ObjectiveConfig = Annotated[
        reduce(or_, [loss.config for loss in OBJECTIVES.values()]), Field(discriminator="name")
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


WARM_UP_SHARE = 0.025
"""Where an optimizer says none: files that do not say it stay as they are when written anew."""


class Adam(Strict):
    learning_rate: Annotated[float, Field(gt=0, le=HIGHEST_RATE)]
    """Each step moves a weight by about as much."""
    betas: tuple[Momentum, Momentum] = Field(strict=False)
    schedule: Literal["constant", "cosine", "flat_then_linear", "warm_up_then_linear"]
    """Of the learning rate over the phases that train the network; all but the first end at 0. The
    last one also begins there, grows, and then is flat until the middle."""
    warm_up_share: float = Field(WARM_UP_SHARE, gt=0, le=0.5, exclude_if=WARM_UP_SHARE.__eq__)
    """Of those phases, in which it grows. May be left out; only `warm_up_then_linear` has one."""

    @model_validator(mode="after")
    def _grows_where_it_warms_up(self) -> Self:
        if "warm_up_share" in self.model_fields_set and self.schedule != "warm_up_then_linear":
            raise ValueError(
                f"warm_up_share: only schedule warm_up_then_linear has one (got {self.schedule})"
            )
        return self


class EarlyStopping(Strict):
    """Stop when a score of fresh draws has not improved for so many steps."""

    watch: Literal["distance", "stopping_score"]
    draws: Positive
    patience_steps: Positive
    keep: Literal["best", "last"]
    """Which weights are published; the book keeps the last."""


class Training(Strict):
    seed: Seed
    images: Positive
    """Planned length: a step takes `batch_size` of them. Numbers count rows."""
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
    start_from: str | None = None
    """Networks to begin with: NAME@ALIAS or NAME/VERSION of the registry, a folder of
    .atelier/finished/, or a file like the one in it. May be left out: most begin with random
    weights."""
    stop_when: tuple[Sign, ...] = Field((), strict=False)
    """Signs that end the training. May be left out: then they are only told."""

    @model_validator(mode="after")
    def _a_step_fits(self) -> Self:
        if self.batch_size > self.images:
            raise ValueError(
                f"batch_size must not exceed images (got {self.batch_size} > {self.images})"
            )
        return self


class Evaluation(Strict):
    samples: Annotated[int, Field(ge=2, le=10_000)]
    """A figure compares pairs; a bundle makes at most 10,000."""
    seed: Seed


class Plan(Strict):
    """What the training is expected to cost, to fit a scale into the time that there is."""

    gflop_per_image: NonNegative
    """Billions of floating-point operations of all phases, per planned image; a test counts."""
    seconds: Positive
    """On the scale's machine: two CPU cores, or one data-centre GPU."""


class Judge(Strict):
    """The classifier of a dataset: trained by the same loop, on real images only."""

    model: ModelConfig
    objective: ObjectiveConfig
    training: Training
    used_labels: tuple[str, ...] = Field(strict=False)
    """Labels on which figures rest; each must reach the floor on the test split."""

    @model_validator(mode="after")
    def _is_a_judge(self) -> Self:
        model, objective = self.model.name, self.objective.name
        for_tasks = (MODELS[model].task, *OBJECTIVES[objective].tasks)
        if any(task != CLASSIFICATION for task in for_tasks):
            raise ValueError(
                "a judge is model judge or judge_b with objective classification "
                f"(got {model} with {objective})"
            )
        if self.training.early_stopping is not None:
            raise ValueError("training.early_stopping: pictures follow no rule to stop by; null")
        if self.training.start_from is not None:
            raise ValueError("training.start_from: a judge begins at random weights; leave it out")
        _check_optimizers(self.training, self.objective)
        return self


class Dataset(Strict):
    name: str
    data: DatasetConfig
    judge: Judge | None
    """None where arithmetic judges (numbers), and where nothing is labelled (pictures)."""
    judge_b: Judge | None
    """A second opinion on the same labels, by another architecture and seed; None as `judge`."""

    @model_validator(mode="after")
    def _is_judged(self) -> Self:
        because = {"numbers": "arithmetic judges", "pictures": "nothing is labelled"}
        without = because.get(self.data.layout)
        if (self.judge is None) != (without is not None):
            wanted = f"null, because {without}" if without else "a classifier"
            raise ValueError(f"judge: layout {self.data.layout} takes {wanted}")
        return self

    @model_validator(mode="after")
    def _has_a_second_opinion(self) -> Self:
        first, second = self.judge, self.judge_b
        if first is None or second is None:
            if first is not second:
                raise ValueError("judge_b: null where judge is null, and only there")
            return self
        if first.model.name == second.model.name:
            raise ValueError(f"judge_b.model.name: another than judge's (got {first.model.name})")
        if first.training.seed == second.training.seed:
            seed = first.training.seed
            raise ValueError(f"judge_b.training.seed: another than judge's (got {seed})")
        return self


class Experiment(Strict):
    name: Name
    registered_name: Name
    dataset: str
    sampling: Annotated[Uniform | Balanced | Domains, Field(discriminator="name")]
    model: ModelConfig
    objective: ObjectiveConfig
    training: Training
    plan: Plan
    evaluation: Evaluation

    @property
    def task(self) -> Task:
        """What the model is for."""
        return MODELS[self.model.name].task

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        name, objective = self.model.name, self.objective.name
        model, loss = MODELS[name], OBJECTIVES[objective]
        if model.task == CLASSIFICATION or CLASSIFICATION in loss.tasks:
            raise ValueError("a judge belongs to a dataset's file, not to an experiment")
        for other, row in MODELS.items():
            if row.objective and (name == other) != (objective == row.objective):
                raise ValueError(f"model {name} with objective {objective}: {row.why}")
        if not loss.trains(name, model.task):
            fitting = [key for key, row in OBJECTIVES.items() if row.trains(name, model.task)]
            raise ValueError(
                f"objective.name: {objective} does not train model {name} "
                f"(one of {', '.join(fitting)})"
            )
        if self.sampling.name != model.task.sampling:
            raise ValueError(
                f"sampling.name: model {name} takes {model.task.sampling} "
                f"(got {self.sampling.name})"
            )
        if self.training.batch_size % model.group:
            raise ValueError(
                f"training.batch_size: model {name} compares {model.group} images, so a multiple "
                f"of them (got {self.training.batch_size})"
            )
        norm = getattr(self.model, "discriminator_norm", "none")
        if norm == "batch" and loss.penalises_gradients:
            raise ValueError(
                f"model.discriminator_norm: 'batch' under the gradient penalty of {objective}: "
                "BatchNorm mixes the images whose gradients are penalised one by one; "
                "use 'none' or 'layer'"
            )
        _check_optimizers(self.training, self.objective)
        return self


def trained_networks(objective: ObjectiveConfig) -> set[str]:
    """The names of all networks that an objective trains, from images with labels at least."""
    built = OBJECTIVES[objective.name].build(objective, Setting(1, torch.full((1,), 0.5)))
    return {network for phase in built.phases for network in phase.trains}


def _check_optimizers(training: Training, objective: ObjectiveConfig) -> None:
    trained = trained_networks(objective)
    if training.optimizers.keys() != trained:
        raise ValueError(
            f"training.optimizers: objective {objective.name} trains "
            f"{', '.join(sorted(trained))} (got {', '.join(training.optimizers) or 'none'})"
        )


def load_dataset(scale: str, name: str) -> Dataset:
    """Reads experiments/<scale>/datasets/<name>.yaml."""
    parameters, path = load_parameters(), Paths(check_scale(scale)).dataset_file(name)
    dataset = load(path, Dataset)
    _check_name(path, dataset.name)
    if name not in parameters.datasets:
        raise UserError(
            f"{PARAMETERS}: datasets",
            f"does not list {name}, which {path} describes",
            f"Add the line {name}: {{source: data/{name}}}",
        )
    return dataset


def load_experiment(scale: str, name: str) -> Experiment:
    """Reads experiments/<scale>/<name>.yaml and checks that the other files agree with it."""
    parameters, path = load_parameters(), Paths(check_scale(scale)).experiment_file(name)
    experiment = load(path, Experiment)
    _check_name(path, experiment.name)
    said = listing(experiment)
    if (listed := parameters.experiments.get(name)) != said:
        line = f"{name}: {said.as_line()}"
        problem = f"missing beside {path}"
        if listed:
            problem = f"does not agree with {path} (got {listed.as_line()})"
        remedy = f"Write {line}, so that DVC follows the right files."
        raise UserError(f"{PARAMETERS}: experiments.{name}", problem, remedy)
    check_fit(path, experiment, load_dataset(scale, experiment.dataset))
    return experiment


def listing(experiment: Experiment) -> Listed:
    """What the mapping of params.yaml must say of an experiment."""
    return Listed(
        task=experiment.task.name,
        dataset=experiment.dataset,
        model=experiment.model.name,
        objective=experiment.objective.name,
    )


def check_fit(path: Path, experiment: Experiment, dataset: Dataset) -> None:
    """Refuses what could only fail once the training has begun."""
    training, makes = experiment.training, dataset.data.holds
    if makes != experiment.task.makes:
        fitting = [name for name, model in MODELS.items() if model.task.makes == makes]
        raise UserError(
            f"{path}: model.name",
            f"{experiment.model.name} makes no {makes}, which dataset {dataset.name} holds",
            f"One of {', '.join(fitting)}.",
        )
    if experiment.task.needs_labels and dataset.judge is None:
        raise UserError(
            f"{path}: dataset",
            f"model {experiment.model.name} needs labels, and {dataset.name} has none",
            "Take a dataset of class folders, of a pair of folders, or with attributes.",
        )
    if makes == "pictures" and training.early_stopping is not None:
        where = f"{path}: training.early_stopping"
        raise UserError(where, "pictures follow no rule to stop by", "Write null.")
    if makes == "numbers" and training.augmentation is not None:
        where = f"{path}: training.augmentation"
        raise UserError(where, "only pictures can be augmented", "Write null.")
    if makes == "numbers" and training.flip:
        raise UserError(f"{path}: training.flip", "only pictures can be mirrored", "Write false.")


def _check_name(path: Path, name: str) -> None:
    if name != path.stem:
        raise UserError(f"{path}: name", f"must be the file's own (got {name!r})", f"{path.stem}.")
