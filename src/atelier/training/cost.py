"""What a training costs in operations, memory and disk, counted from its networks and phases before
anything is trained."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
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

INSIDE = 0.4142
"""Where a part of a training is looked at: at no round share, where a term may begin or end."""


class OperationCounter(TorchDispatchMode):
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

    def for_all(self) -> "_Draws":
        return self


class _Progress(float):
    """A share of a training that remembers what it was compared with: where terms begin or end."""

    met: set[float]

    def __new__(cls, share: float) -> "_Progress":
        made = super().__new__(cls, share)
        made.met = set()
        return made

    def _beside(self, other: float) -> float:
        self.met.add(other)
        return float(self)

    def __lt__(self, other: float) -> bool:
        return self._beside(other) < other

    def __le__(self, other: float) -> bool:
        return self._beside(other) <= other

    def __gt__(self, other: float) -> bool:
        return self._beside(other) > other

    def __ge__(self, other: float) -> bool:
        return self._beside(other) >= other


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


@dataclass(frozen=True)
class Room:
    """Bytes that a training takes at the least, its batches apart."""

    memory: int
    """Weights, gradients, Adam's two moments, averages."""
    disk: int
    """Three checkpoints, as there are while one is written; snapshots and their copy; the networks
    that another training may start from."""


def room_of(work: config.Experiment | config.Judge, shape: tuple[int, ...], labels: int) -> Room:
    """What its networks need. `shape` and `labels` as above."""
    # Networks on this device have shapes and no content. It can't be trained on, as a fake one can,
    # but takes no seconds to begin.
    with torch.device("meta"):
        nets, *_ = _outline(work, shape, labels)
    trained = _bytes(nets[name] for name in work.training.optimizers)
    averages = _bytes(nets[name] for name in MODELS[work.model.name].task.networks)
    state = _bytes([nets]) + averages
    snapshots = 1 if work.training.early_stopping else work.training.snapshots
    checkpoint = state + 2 * trained
    return Room(state + 3 * trained, 3 * checkpoint + 2 * snapshots * averages + state)


def batch_memory(
    work: config.Experiment | config.Judge, shape: tuple[int, ...], labels: int, precision: str
) -> int:
    """Bytes of memory that a batch takes at the least, on whichever processes share it: what the
    largest phase keeps of its way forward until it has come back.

    Args:
        shape: as above; so are the `labels`.
        precision: fp32 or bf16.
    """
    if work.training.compile:  # what else would be kept may be computed again
        return 0
    with FakeTensorMode():
        nets, objective, batch_at = _outline(work, shape, labels)
        kept = max(_kept(phase, nets, objective, batch_at) for phase in objective.phases)
    return kept if precision == "fp32" else kept // 2


def _bytes(networks: Iterable[nn.Module]) -> int:
    """Of weights and statistics."""
    return sum(tensor.nbytes for network in networks for tensor in network.state_dict().values())


def _kept(
    phase: Phase, nets: nn.ModuleDict, objective: Objective, batch_at: Callable[[float], Batch]
) -> int:
    """Bytes of all that the way back will ask for, weights apart."""
    weights = {tensor.untyped_storage()._cdata for tensor in nets.state_dict().values()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    train_only(nets, phase)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        objective.loss(phase, nets, batch_at(phase.begins), _Draws())
    storages = (tensor.untyped_storage() for key, tensor in kept.items() if key not in weights)
    return sum(storage.nbytes() for storage in storages)


def _outline(
    work: config.Experiment | config.Judge, shape: tuple[int, ...], labels: int
) -> tuple[nn.ModuleDict, Objective, Callable[[float], Batch]]:
    """Networks, objective and the batch at a progress, to be made without content."""
    count, latent_dim = work.training.batch_size, getattr(work.model, "latent_dim", 0)
    family = MODELS[work.model.name]
    setting = Setting(latent_dim, torch.full((labels,), 0.5), family.task.takes_attributes)
    objective = OBJECTIVES[work.objective.name].build(work.objective, setting)
    nets = family.build(work.model, shape, labels)
    images, conditions = torch.empty(count, *shape), torch.empty(count, labels)

    def batch_at(progress: float) -> Batch:
        return Batch(images, labels=conditions, other=images, progress=progress)

    return nets, objective, batch_at


def _operations(
    work: config.Experiment | config.Judge, shape: tuple[int, ...], labels: int
) -> float:
    """Of a whole step, on average over a training."""
    nets, objective, batch_at = _outline(work, shape, labels)

    def step(progress: float) -> float:
        batch = batch_at(progress)
        due = [phase for phase in objective.phases if phase.is_due(0, progress)]
        return sum(_phase(phase, nets, objective, batch) / phase.every for phase in due)

    def over(begins: float, ends: float) -> float:
        """The same of a part, times its share; a part is cut where a term begins or ends."""
        at = begins + INSIDE * (ends - begins)
        progress = _Progress(at)
        operations = step(progress)
        first = max((bound for bound in progress.met if begins < bound <= at), default=begins)
        last = min((bound for bound in progress.met if at < bound < ends), default=ends)
        rest = [(one, other) for one, other in ((begins, first), (last, ends)) if one < other]
        return operations * (last - first) + sum(over(*part) for part in rest)

    return over(0.0, 1.0)


def _phase(phase: Phase, nets: nn.ModuleDict, objective: Objective, batch: Batch) -> int:
    train_only(nets, phase)
    with OperationCounter() as counter:
        loss, _ = objective.loss(phase, nets, batch, _Draws())
        loss.backward()
    nets.zero_grad(set_to_none=True)
    return int(counter.operations)
