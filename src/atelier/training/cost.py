"""What a training costs, counted from its networks and phases before anything is trained."""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from atelier import config
from atelier.data.numbers import DEPTH
from atelier.models import MODELS
from atelier.objectives import OBJECTIVES
from atelier.objectives.phase import Batch, Objective, Phase, Setting, train_only

PARTS = 100
"""Of a training: a term that ends before the training does is counted in some of them."""


class _Counter(TorchDispatchMode):
    """Sums torch's own formulas; its FlopCounterMode follows modules, which a penalty's gradient
    of a gradient does not bear."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if formula := flop_registry.get(func.overloadpacket):
            self.operations += int(formula(*args, **(kwargs or {}), out_val=out))
        return out


class _Draws:
    """Randomness that is never looked at."""

    def normal(self, *shape: int) -> Tensor:
        return torch.empty(shape)

    def uniform(self, *shape: int) -> Tensor:
        return torch.empty(shape)

    def copy(self) -> "_Draws":
        return self


def gflop_per_image(
    work: config.Experiment | config.Judge, shape: tuple[int, ...], labels: int
) -> float:
    """Billions of floating-point operations per planned image: forward and backward passes of all
    phases of a step, each weighted by how often it runs. A multiplication and an addition are two;
    augmentation, normalisation and optimizers are not counted.

    Args:
        shape: of one image, or of one row of numbers.
        labels: how many labels a batch carries.
    """
    # Tensors have a shape and no content: what is counted is not computed.
    with FakeTensorMode():
        return _operations(work, shape, labels) / work.training.batch_size / 1e9


def cost_of(experiment: config.Experiment, dataset: config.Dataset) -> float:
    """The same of an experiment on its dataset, neither of which has to be prepared."""
    size = dataset.data.size_pixels
    shape = (DEPTH,) if size is None else (3, size, size)
    # Where nothing is asked for, a batch still carries labels; how many hardly matters.
    labels = len(getattr(experiment.sampling, "attributes", ())) or int(dataset.judge is not None)
    return gflop_per_image(experiment, shape, labels)


def _operations(
    work: config.Experiment | config.Judge, shape: tuple[int, ...], labels: int
) -> float:
    """Of a whole step, on average over a training."""
    count, latent_dim = work.training.batch_size, getattr(work.model, "latent_dim", 0)
    family = MODELS[work.model.name]
    setting = Setting(latent_dim, torch.full((labels,), 0.5), family.task.takes_attributes)
    objective = OBJECTIVES[work.objective.name].build(work.objective, setting)
    nets = family.build(work.model, shape, labels)
    images, conditions = torch.empty(count, *shape), torch.empty(count, labels)

    @cache
    def step(part: int) -> float:
        progress = (part + 0.5) / PARTS
        batch = Batch(images, labels=conditions, other=images, progress=progress)
        due = [phase for phase in phases if phase.is_due(0, progress)]
        return float(sum(_phase(phase, nets, objective, batch) / phase.every for phase in due))

    def over(first: int, last: int) -> float:
        """The sum over parts; a term begins or ends once, so what ends alike is alike between."""
        if step(first) == step(last):
            return step(first) * (last + 1 - first)
        middle = (first + last) // 2
        return over(first, middle) + over(middle + 1, last)

    phases = objective.phases
    return over(0, PARTS - 1) / PARTS


def _phase(phase: Phase, nets: nn.ModuleDict, objective: Objective, batch: Batch) -> int:
    train_only(nets, phase)
    with _Counter() as counter:
        loss, _ = objective.loss(phase, nets, batch, _Draws())
        loss.backward()
    nets.zero_grad(set_to_none=True)
    return int(counter.operations)
