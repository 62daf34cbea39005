"""What the adversarial objectives share: a generator phase, a discriminator phase, penalties.

The discriminator is shown the very fakes that the generator has just learnt from, beside the reals
that they were drawn for: a step makes them once. Where the generator had no turn, they are made for
the discriminator alone; its phases never carry a gradient into the generator. Real and fake images
pass the discriminator together, as one batch, where no BatchNorm would mix them.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from atelier.objectives.phase import Batch, Phase, Randomness, Setting

GENERATOR = Phase("generator", trains=("generator",))
DISCRIMINATOR = Phase("discriminator", trains=("discriminator",))

Loss = tuple[Tensor, dict[str, Tensor]]


class Adversarial(ABC):
    """A generator against a discriminator, one step each."""

    memory: nn.Module | None = None
    needs_real_in_generator_phase = False
    """Relativistic losses compare fakes with reals in both phases."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.made: tuple[Batch, Tensor] | None = None
        """In the generator's phase of this step, until the discriminator's: reals and fakes."""

    @property
    def phases(self) -> tuple[Phase, ...]:
        return (GENERATOR, DISCRIMINATOR)

    def optimizer_ratio(self, network: str) -> float:
        return 1.0

    @abstractmethod
    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """From logits [B, 1] of real and fake images."""

    @abstractmethod
    def generator_loss(self, real: Tensor | None, fake: Tensor) -> Tensor:
        """From logits [B, 1]; `real` only where `needs_real_in_generator_phase`."""

    def loss(self, phase: Phase, nets: nn.ModuleDict, batch: Batch, rng: Randomness) -> Loss:
        if phase.trains == ("generator",):
            return self._generator_phase(nets, batch, rng)
        return self._discriminator_phase(nets, batch, rng)

    def condition(self, batch: Batch) -> tuple[Tensor, ...]:
        """What both networks are given beside their input: the labels [B, K], or nothing.

        A fake is asked to have the labels of the real in its place: both are drawn alike, so the
        discriminator learns nothing from labels alone.
        """
        if not self.setting.conditional:
            return ()
        return (batch.attributes(),)

    def fakes(self, nets: nn.ModuleDict, batch: Batch, rng: Randomness) -> Tensor:
        noise = rng.normal(len(batch.real), self.setting.latent_dim)
        images: Tensor = nets["generator"](noise, *self.condition(batch))
        return images

    def fakes_to_learn_from(self, nets: nn.ModuleDict, batch: Batch, rng: Randomness) -> Tensor:
        """With a gradient; the discriminator's phase of this step is shown them, too."""
        fakes = self.fakes(nets, batch, rng)
        self.made = batch, fakes.detach()
        return fakes

    def to_tell_apart(
        self, nets: nn.ModuleDict, batch: Batch, rng: Randomness
    ) -> tuple[Batch, Tensor]:
        """Reals and fakes: those of the generator's phase, or else `batch` and fresh ones."""
        made, self.made = self.made, None
        if made is not None:
            return made
        with torch.no_grad():
            return batch, self.fakes(nets, batch, rng)

    @staticmethod
    @torch.no_grad()
    def augmented_pair(batch: Batch, fakes: Tensor, rng: Randomness) -> list[Tensor]:
        return [batch.augment(batch.real, rng), batch.augment(fakes, rng)]

    def _discriminator_phase(self, nets: nn.ModuleDict, batch: Batch, rng: Randomness) -> Loss:
        batch, fakes = self.to_tell_apart(nets, batch, rng)
        pair = self.augmented_pair(batch, fakes, rng)
        real, fake = judge_pair(nets["discriminator"], *pair, *self.condition(batch))
        loss = self.discriminator_loss(real, fake)
        return loss, {
            "discriminator_loss": loss.detach(),
            "real_logit": real.detach().mean(),
            "fake_logit": fake.detach().mean(),
        }

    def _generator_phase(self, nets: nn.ModuleDict, batch: Batch, rng: Randomness) -> Loss:
        fakes, condition = self.fakes_to_learn_from(nets, batch, rng), self.condition(batch)
        fake = nets["discriminator"](batch.augment(fakes, rng), *condition).float()
        real = None
        if self.needs_real_in_generator_phase:
            with torch.no_grad():
                real = nets["discriminator"](batch.augment(batch.real, rng), *condition).float()
        loss = self.generator_loss(real, fake)
        return loss, {"generator_loss": loss.detach()}


def judge_pair(
    discriminator: nn.Module, real: Tensor, fake: Tensor, *condition: Tensor
) -> tuple[Tensor, Tensor]:
    """fp32 logits of both, in one pass, or in two where batch statistics would tell them apart.

    `condition`: what goes with image i of either, such as its labels [B, K].
    """
    if any(isinstance(module, nn.BatchNorm2d) for module in discriminator.modules()):
        return discriminator(real, *condition).float(), discriminator(fake, *condition).float()
    twice = [torch.cat([each, each]) for each in condition]
    logits = discriminator(torch.cat([real, fake]), *twice).float()
    return logits[: len(real)], logits[len(real) :]


def cross_entropy(evidence: Tensor, labels: Tensor) -> Tensor:
    """Mean over images and attributes, in nats, of evidence [B, K] for labels [B, K] of 0 and 1.

    Of a projection discriminator: turning an attribute around changes its logit by twice that
    attribute's evidence (Odena et al. 2017, arXiv 1610.09585, of a head apart).
    """
    signs = 2 * labels - 1
    return softplus(-2 * signs * evidence.float()).mean()


def squared_gradient_norm(discriminator: nn.Module, images: Tensor, *condition: Tensor) -> Tensor:
    """Per image, the squared L2 norm of the logit's gradient with respect to it: [B].

    In fp32: under autocast the double backward loses what the penalty is made of. With respect to
    the image alone: labels are not between any two, so their gradient means nothing. Never by a
    compiled network, which can't be differentiated twice.
    """
    with torch.autocast(images.device.type, enabled=False):
        images = images.detach().float().requires_grad_(True)
        logits = discriminator.forward(images, *condition)
        (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.square().flatten(1).sum(1)
