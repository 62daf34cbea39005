"""Two adversarial losses, and translating back: each generator is taught by the other's outputs.

What one generator made of a picture in the step before is an input of the other, whose right
output is known: that picture. This is back-translation, as of sentences (Sennrich et al. 2016,
arXiv 1511.06709; both ways at once Lample et al. 2018, arXiv 1711.00043). It is also the cycle
loss of CycleGAN (Zhu et al. 2017, arXiv 1703.10593, equation 2) with its first half cut off: no
gradient goes into the network that made the input, so nothing rewards it for hiding the picture in
what it makes (Chu et al. 2017, arXiv 1712.02950), and a step costs two passes of generators instead
of four.

So that neither hides it by chance, what is translated back has noise on it, and its changed part
may be recoloured. The adversarial losses are non-saturating logistic (Goodfellow et al. 2014,
arXiv 1406.2661) over patches, which weigh the more, the more a generator changes there: the
background of a horse tells nothing of zebras. The penalty is R1 (Mescheder et al. 2018, arXiv
1801.04406), lazy as in `relativistic`.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, l1_loss, softplus

from atelier.objectives.adversarial import Loss, squared_gradient_norm
from atelier.objectives.phase import Batch, Phase, Randomness, Setting
from atelier.schema import NonNegative, Positive, Share, Strict

GENERATORS = Phase("generators", trains=("a2b", "b2a"))
DISCRIMINATORS = Phase("discriminators", trains=("discriminator_a", "discriminator_b"))

NEIGHBOURHOOD = 5
"""Side, in pixels, over which a change is averaged: it spreads a little beyond itself."""
WHOLLY_CHANGED = 0.25
"""Mean change, on [-1, 1], from which on a place counts as wholly changed."""
CONTRAST, BRIGHTNESS, TINT = 0.5, 0.6, 0.12
"""Strongest recolouring: relative; added on [-1, 1]; likewise, of each colour apart."""
FIRST_CYCLE = 0.2
"""Share of the cycle's weight at the beginning of the warm-up."""


class Config(Strict):
    name: Literal["back_translation"]
    cycle: NonNegative
    """Weight of the mean absolute error after translating back; the adversarial loss weighs 1."""
    change: NonNegative
    """Weight of the mean absolute change to a picture."""
    warm_up_share: Share
    """Of the planned images: so long `cycle` grows from a fifth of itself and `change` from
    nothing, so that a generator begins to change anything before it is held to what there is."""
    noise: NonNegative
    """Deviation, on [-1, 1], of the noise on what is translated back."""
    recolour_a: Share
    """Of the pictures made in domain A: how many are recoloured where they changed. What B does not
    tell of A, such as the colour of a horse's coat, then need not be kept in B."""
    recolour_b: Share
    patch_floor: Annotated[float, Field(gt=0)]
    """Weight of a patch where nothing changes, beside 1 more of one that changes wholly."""
    gamma: NonNegative
    """Weight of R1, times gamma / 2; 0: none."""
    penalty_every: Positive
    """Steps from one penalty to the next."""


class Translations(NamedTuple):
    """Pictures of both domains, [B, 3, S, S], and what was made of them."""

    a: Tensor
    b: Tensor
    made_a: Tensor
    """Of `b`, by b2a."""
    made_b: Tensor
    """Of `a`, by a2b."""


class Memory(nn.Module):
    """The translations of the last step, of all processes: the next one translates them back."""

    def __init__(self) -> None:
        super().__init__()
        for name in Translations._fields:
            self.register_buffer(name, torch.empty(0))

    def keep(self, last: Translations) -> None:
        for name, images in last._asdict().items():
            setattr(self, name, images.detach())

    def last(self) -> Translations:
        return Translations(*(getattr(self, name) for name in Translations._fields))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """A buffer that was empty has the shape that was saved."""
        for name in Translations._fields:
            saved, here = state_dict[f"{prefix}{name}"], getattr(self, name)
            setattr(self, name, torch.empty_like(saved, device=here.device))
        super()._load_from_state_dict(state_dict, prefix, *rest)


class Objective:
    """The generators first; the discriminators are then shown the very same pictures."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.translations = Memory()
        self.memory: nn.Module | None = self.translations
        self.penalty = Phase("penalty", DISCRIMINATORS.trains, every=config.penalty_every)

    @property
    def phases(self) -> tuple[Phase, ...]:
        both = (GENERATORS, DISCRIMINATORS)
        return (*both, self.penalty) if self.config.gamma else both

    def optimizer_ratio(self, network: str) -> float:
        if self.config.gamma and network in self.penalty.trains:
            return self.config.penalty_every / (self.config.penalty_every + 1)
        return 1.0

    def loss(self, phase: Phase, nets: nn.ModuleDict, batch: Batch, rng: Randomness) -> Loss:
        if phase == GENERATORS:
            return self._generators(nets, batch, rng)
        if phase == DISCRIMINATORS:
            return self._discriminators(nets, batch, rng)
        return self._penalty(nets, batch, rng)

    def _generators(self, nets: nn.ModuleDict, batch: Batch, rng: Randomness) -> Loss:
        a, b = _both(batch)
        before = self._last(batch)
        if not len(before.a):
            # Nothing was made yet; an untrained generator would have made the picture itself.
            before = Translations(a, b, made_a=b, made_b=a)
        config = self.config
        from_a = recoloured(before.made_a, changed(before.b, before.made_a), config.recolour_a, rng)
        from_b = recoloured(before.made_b, changed(before.a, before.made_b), config.recolour_b, rng)
        made_b, back_b = _translate(nets["a2b"], a, from_a, config.noise, rng)
        made_a, back_a = _translate(nets["b2a"], b, from_b, config.noise, rng)
        cycle = l1_loss(back_a, before.a) + l1_loss(back_b, before.b)
        change_a2b, change_b2a = l1_loss(made_b, a), l1_loss(made_a, b)
        adversarial = torch.zeros((), device=a.device)
        for domain, given, made in (("b", a, made_b), ("a", b, made_a)):
            logits, places = _judged(nets, domain, made, changed(given, made), batch, rng)
            adversarial = adversarial + self._wants(logits, places, real=True)
        warm = self._warmth(batch.progress)
        cycle_weight = config.cycle * (FIRST_CYCLE + (1 - FIRST_CYCLE) * warm)
        change = change_a2b + change_b2a
        loss = adversarial + cycle_weight * cycle + warm * config.change * change
        self.translations.keep(Translations(*map(batch.processes.whole, (a, b, made_a, made_b))))
        return loss, {
            "generator_loss": adversarial.detach(),
            "cycle_loss": cycle.detach(),
            # A direction that no longer changes anything is seen here.
            "change_a2b": change_a2b.detach(),
            "change_b2a": change_b2a.detach(),
        }

    def _last(self, batch: Batch) -> Translations:
        return Translations(*map(batch.processes.mine, self.translations.last()))

    def _discriminators(self, nets: nn.ModuleDict, batch: Batch, rng: Randomness) -> Loss:
        """Of the generators' pictures, not of fresh ones: of those it is known what changed."""
        a, b, made_a, made_b = self._last(batch)
        total, metrics = torch.zeros((), device=a.device), {}
        change_of_a, change_of_b = changed(a, made_b), changed(b, made_a)
        for domain, real, of_real, fake, of_fake in (
            ("a", a, change_of_a, made_a, change_of_b),
            ("b", b, change_of_b, made_b, change_of_a),
        ):
            shown, where = torch.cat([real, fake]), torch.cat([of_real, of_fake])
            logits, places = _judged(nets, domain, shown, where, batch, rng)
            reals, fakes = zip(*(each.chunk(2) for each in logits), strict=True)
            at_reals, at_fakes = places.chunk(2)
            total = total + self._wants(reals, at_reals, real=True)
            total = total + self._wants(fakes, at_fakes, real=False)
            for side, shown_side in (("real", reals), ("fake", fakes)):
                means = [each.detach().mean() for each in shown_side]
                metrics[f"{side}_logit_{domain}"] = torch.stack(means).mean()
        return total, {"discriminator_loss": total.detach()} | metrics

    def _penalty(self, nets: nn.ModuleDict, batch: Batch, rng: Randomness) -> Loss:
        r1 = torch.zeros((), device=batch.real.device)
        for domain, real in zip("ab", _both(batch), strict=True):
            judge = _Summed(nets[f"discriminator_{domain}"])
            r1 = r1 + squared_gradient_norm(judge, batch.augment(real, rng)).mean()
        loss = self.config.penalty_every * self.config.gamma / 2 * r1
        return loss, {"r1": r1.detach()}

    def _warmth(self, progress: float) -> float:
        """How far the warm-up has come, 0 to 1."""
        share = self.config.warm_up_share
        return min(progress / share, 1.0) if share else 1.0

    def _wants(self, logits: Sequence[Tensor], places: Tensor, *, real: bool) -> Tensor:
        """Logistic loss of logits that should say `real`: mean over sizes, images and patches.

        Args:
            places: how much changed where, [B, 1, S, S].
        """
        losses = []
        for each in logits:
            weights = self.config.patch_floor + adaptive_avg_pool2d(places, each.shape[-1])
            weights = weights / weights.mean((1, 2, 3), keepdim=True)
            losses.append((softplus(-each if real else each) * weights).mean())
        return torch.stack(losses).mean()


@torch.no_grad()
def changed(given: Tensor, made: Tensor) -> Tensor:
    """How much of a place was changed, 0 to 1: [B, 3, S, S] twice -> [B, 1, S, S]."""
    change = (made - given).abs().mean(1, keepdim=True)
    around = avg_pool2d(change, NEIGHBOURHOOD, 1, NEIGHBOURHOOD // 2)
    return (around / WHOLLY_CHANGED).clamp(max=1)


def recoloured(images: Tensor, where: Tensor, share: float, rng: Randomness) -> Tensor:
    """A share of the images in other colours at the places that `where`, [B, 1, S, S], says."""
    if not share:
        return images
    count = len(images)
    contrast = 1 + CONTRAST * (2 * rng.uniform(count, 1, 1, 1) - 1)
    added = BRIGHTNESS * (2 * rng.uniform(count, 1, 1, 1) - 1)
    added = added + TINT * (2 * rng.uniform(count, 3, 1, 1) - 1)
    # One pixel is added to the area, so that nothing is divided by zero.
    middle = (images * where).sum((2, 3), keepdim=True) / (where.sum((2, 3), keepdim=True) + 1)
    colours = ((images - middle) * contrast + middle + added).clamp(-1, 1)
    chosen = rng.uniform(count, 1, 1, 1) < share
    return torch.where(chosen, images + where * (colours - images), images)


class _Summed(nn.Module):
    """A discriminator as one number an image, as R1 takes it: [B]."""

    def __init__(self, discriminator: nn.Module) -> None:
        super().__init__()
        self.discriminator = discriminator

    def forward(self, images: Tensor) -> Tensor:
        logits: list[Tensor] = self.discriminator.forward(images)
        # Divided by the side: patches are many, and beside each other judge much the same.
        sums = [each.sum((1, 2, 3)) / each.shape[-1] for each in logits]
        return torch.stack(sums).mean(0)


def _both(batch: Batch) -> tuple[Tensor, Tensor]:
    assert batch.other is not None
    return batch.real, batch.other


def _translate(
    network: nn.Module, fresh: Tensor, given: Tensor, noise: float, rng: Randomness
) -> tuple[Tensor, Tensor]:
    """What becomes of fresh pictures, and of what the other network made, in one pass.

    The network sees noise on the latter; as it adds to its input, the noise is then taken away.
    """
    drawn = noise * rng.normal(*given.shape)
    made, back = network(torch.cat([fresh, given + drawn])).split([len(fresh), len(given)])
    return made, back - drawn


def _judged(
    nets: nn.ModuleDict, domain: str, images: Tensor, where: Tensor, batch: Batch, rng: Randomness
) -> tuple[list[Tensor], Tensor]:
    """fp32 logits of augmented images, and where they changed, moved as they were."""
    shown = batch.augment(torch.cat([images, where], dim=1), rng)
    images, where = shown.split([images.shape[1], 1], dim=1)
    return [each.float() for each in nets[f"discriminator_{domain}"](images)], where


def build(config: Config, setting: Setting) -> Objective:
    return Objective(config)
