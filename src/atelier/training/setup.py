"""Everything that learns in one training, built from its configuration and its data."""

from dataclasses import dataclass
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from atelier import config
from atelier.data.batches import Batches, examples, open_batches
from atelier.errors import UserError
from atelier.models import MODELS
from atelier.objectives import OBJECTIVES
from atelier.objectives.phase import EXAMPLES, Alone, Objective, Phase, Processes, Setting
from atelier.training import ema, runtime
from atelier.training.augment import DiffAugment
from atelier.training.batch_norm import share_statistics
from atelier.training.randomness import StepRandomness
from atelier.training.shares import Shares

NOISE_STEP = 2**31
"""A step that no training reaches: its randomness draws what stays fixed through a training."""


@dataclass
class Learner:
    """Networks, their averages, their optimizers, and the data they learn from."""

    settings: config.Training
    fabric: Fabric
    batches: Batches
    objective: Objective
    nets: nn.ModuleDict
    averages: nn.ModuleDict
    optimizers: dict[str, Optimizer]
    latent_dim: int
    processes: Processes
    images_before: int = 0
    """Shown to the networks before this training, where it did not begin with random weights."""

    @property
    def phases(self) -> tuple[Phase, ...]:
        return self.objective.phases

    def randomness(self, step: int, phase: int) -> StepRandomness:
        return StepRandomness(
            self.settings.seed,
            step,
            phase,
            phases=len(self.phases),
            device=self.fabric.device,
            processes=self.processes,
        )

    def set_learning_rates(self, progress: float) -> None:
        """`progress` of the planned images, from 0 to 1; schedules run while a phase trains."""
        for name, optimizer in self.optimizers.items():
            adam = self.settings.optimizers[name]
            rate = adam.learning_rate * self.objective.optimizer_ratio(name)
            training = [phase for phase in self.phases if name in phase.trains]
            begins = min((phase.begins for phase in training), default=0.0)
            until = max((phase.until for phase in training), default=1.0)
            share = min(max((progress - begins) / (until - begins), 0.0), 1.0)
            for group in optimizer.param_groups:
                group["lr"] = rate * schedule(adam.schedule, share, adam.warm_up_share)

    def fixed(self, seed: int = 0) -> StepRandomness:
        """Draws that stay the same through the training."""
        return StepRandomness(self.settings.seed, NOISE_STEP, seed, device=self.fabric.device)

    @torch.inference_mode()
    def draw(self, count: int, seed: int = 0) -> Tensor:
        """What the averaged generator makes of fixed noise: [count, *shape] float32."""
        noise = self.fixed(seed).normal(count, self.latent_dim)
        with self.fabric.autocast():
            drawn: Tensor = self.averages["generator"](noise)
        return drawn.float()


def build(work: config.Experiment | config.Judge, prepared: Path, fabric: Fabric) -> Learner:
    """Builds a learner whose first weights depend on the seed alone, and on the training images
    where its model begins with what they have in common."""
    settings = work.training
    family = MODELS[work.model.name]
    if settings.batch_size % (fabric.world_size * family.group):
        groups = f"times {family.group} " if family.group > 1 else ""
        raise UserError(
            "training.batch_size",
            f"must be a multiple of the processes {groups}(got {settings.batch_size} for "
            f"{fabric.world_size})",
        )
    layout = torch.channels_last if settings.channels_last else torch.contiguous_format
    batches = open_batches(
        prepared, fabric.device, settings.flip, getattr(work, "sampling", None), layout,
        runtime.room_for_images(fabric.device),
    )  # fmt: skip
    latent_dim = getattr(work.model, "latent_dim", 0)
    setting = Setting(latent_dim, batches.label_shares(), family.task.takes_attributes)
    objective = OBJECTIVES[work.objective.name].build(work.objective, setting)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        nets = family.build(work.model, batches.shape, len(batches.label_names))
        nets.to(fabric.device)
        if family.begin is not None:
            family.begin(nets, examples(prepared, EXAMPLES).to(fabric.device))
    processes = Shares(fabric, family.group) if fabric.world_size > 1 else Alone()
    if objective.memory is not None:
        objective.memory.to(fabric.device)
    nets.to(memory_format=layout)
    averages = nn.ModuleDict({name: ema.averaged_copy(nets[name]) for name in family.task.networks})
    share_statistics(nets)
    if settings.compile:
        for network in nets.values():
            network.compile()
    return Learner(
        settings, fabric, batches, objective, nets, averages,
        _optimizers(settings, objective, nets), latent_dim, processes,
    )  # fmt: skip


def _optimizers(
    settings: config.Training, objective: Objective, nets: nn.ModuleDict
) -> dict[str, Optimizer]:
    optimizers: dict[str, Optimizer] = {}
    for name, adam in settings.optimizers.items():
        ratio = objective.optimizer_ratio(name)
        optimizers[name] = Adam(
            nets[name].parameters(),
            lr=adam.learning_rate * ratio,
            betas=(adam.betas[0] ** ratio, adam.betas[1] ** ratio),
            fused=True,
        )
    return optimizers


def augmentation(settings: config.Training) -> DiffAugment | None:
    """The augmentation of all that a discriminator sees."""
    if settings.augmentation is None:
        return None
    return DiffAugment(**settings.augmentation.model_dump())


def schedule(name: str, progress: float, warm_up: float) -> float:
    """Share of the learning rate at `progress` in [0, 1] of the planned images.

    Args:
        warm_up: share in which a rate that begins at nothing grows to its value.
    """
    if name == "cosine":
        return 0.5 * (1 + float(torch.cos(torch.tensor(progress * torch.pi))))
    if name == "flat_then_linear":
        return min(1.0, 2 * (1 - progress))
    if name == "warm_up_then_linear":
        return min(1.0, progress / warm_up, 2 * (1 - progress))
    return 1.0
