"""Two adversarial losses and the cycle that ties them: there and back again changes nothing.

Zhu et al. 2017, arXiv 1703.10593, equations 1 to 3 and section 4 (least squares, the pool of
Shrivastava et al. 2016, arXiv 1612.07828); identity as in section 5.2. We deviate: the adversarial
loss is chosen, and the identity term may end before the training does.
Losses with a gradient penalty are left out: InstanceNorm ties an image's patches together, and one
penalty per domain would cost more than both generators' second pass.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss, relu, softplus

from atelier.objectives.phase import Batch, Phase, Processes, Randomness, Setting
from atelier.schema import Count, NonNegative, Share, Strict

GENERATORS = Phase("generators", trains=("a2b", "b2a"))
DISCRIMINATORS = Phase("discriminators", trains=("discriminator_a", "discriminator_b"))

Loss = tuple[Tensor, dict[str, Tensor]]


class Config(Strict):
    name: Literal["cyclegan"]
    adversarial: Literal["lsgan", "bce", "hinge"]
    cycle: NonNegative
    """Weight of the mean absolute error after there and back; the adversarial loss weighs 1."""
    identity: NonNegative
    """Weight of the change to images that already are in the target domain, times `cycle`."""
    identity_until: Share
    """Of the planned images: then the identity term, a third of the generators' cost, ends."""
    pool: Count
    """Earlier fakes that each discriminator is shown beside new ones; 0: none."""


REAL_LOSS: dict[str, Callable[[Tensor], Tensor]] = {
    "lsgan": lambda logits: (logits - 1).square().mean(),
    "bce": lambda logits: softplus(-logits).mean(),
    "hinge": lambda logits: relu(1 - logits).mean(),
}
"""Of logits that should say real."""
FAKE_LOSS: dict[str, Callable[[Tensor], Tensor]] = {
    "lsgan": lambda logits: logits.square().mean(),
    "bce": lambda logits: softplus(logits).mean(),
    "hinge": lambda logits: relu(1 + logits).mean(),
}
"""Of logits that should say made."""


class Pool(nn.Module):
    """The last fakes of one generator: a discriminator that sees them too forgets less."""

    images: Tensor
    """[n, C, S, S] float32, n growing to `size`."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("images", torch.empty(0))

    @torch.no_grad()
    def exchange(self, fakes: Tensor, rng: Randomness) -> Tensor:
        """While the pool fills: takes and returns `fakes`. Then each is swapped, by a fair coin,
        for one of the pool, whose place it takes. [B, C, S, S] float32 -> the same shape."""
        coins, places = rng.uniform(len(fakes)), rng.uniform(len(fakes))
        given = []
        # One by one: two fakes of a batch may draw the same place.
        for fake, coin, place in zip(fakes.split(1), coins, places, strict=True):
            if len(self.images) < self.size:
                self.images = torch.cat([self.images, fake]) if len(self.images) else fake.clone()
                given.append(fake)
            elif self.size:
                index = (place * self.size).long().clamp(max=self.size - 1).reshape(1)
                kept = self.images[index]
                given.append(torch.where(coin < 0.5, kept, fake))
                self.images[index] = torch.where(coin < 0.5, fake, kept)
            else:
                given.append(fake)
        return torch.cat(given)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """A buffer that grows has the length that was saved."""
        self.images = torch.empty_like(state_dict[f"{prefix}images"], device=self.images.device)
        super()._load_from_state_dict(state_dict, prefix, *rest)


class Objective:
    """The generators first, whose fakes of the same step the discriminators are then shown."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.pools = nn.ModuleDict({"a": Pool(config.pool), "b": Pool(config.pool)})
        self.memory: nn.Module | None = self.pools
        self.fakes: dict[str, Tensor] = {}

    @property
    def phases(self) -> tuple[Phase, ...]:
        return (GENERATORS, DISCRIMINATORS)

    def optimizer_ratio(self, network: str) -> float:
        return 1.0

    def loss(self, phase: Phase, nets: nn.ModuleDict, batch: Batch, rng: Randomness) -> Loss:
        if phase == GENERATORS:
            return self._generators(nets, batch, rng)
        return self._discriminators(nets, batch, rng)

    def _generators(self, nets: nn.ModuleDict, batch: Batch, rng: Randomness) -> Loss:
        a, b = _both(batch)
        with_identity = self.config.identity > 0 and batch.progress < self.config.identity_until
        fake_b, same_b = _translate(nets["a2b"], a, b if with_identity else None)
        fake_a, same_a = _translate(nets["b2a"], b, a if with_identity else None)
        cycle = _distance(nets["b2a"](fake_b), a) + _distance(nets["a2b"](fake_a), b)  # Eq. 2
        adversarial = self._wants_real(nets["discriminator_b"](batch.augment(fake_b, rng)))
        adversarial += self._wants_real(nets["discriminator_a"](batch.augment(fake_a, rng)))
        loss = adversarial + self.config.cycle * cycle  # Eq. 3
        metrics = {"generator_loss": adversarial.detach(), "cycle_loss": cycle.detach()}
        if same_a is not None and same_b is not None:
            identity = _distance(same_a, a) + _distance(same_b, b)
            loss = loss + self.config.cycle * self.config.identity * identity
            metrics["identity_loss"] = identity.detach()
        self.fakes = {"a": fake_a.detach(), "b": fake_b.detach()}
        return loss, metrics

    def _discriminators(self, nets: nn.ModuleDict, batch: Batch, rng: Randomness) -> Loss:
        total, metrics = torch.zeros((), device=batch.real.device), {}
        for domain, real in zip("ab", _both(batch), strict=True):
            fake = self._exchanged(domain, batch.processes, rng)
            shown = torch.cat([batch.augment(real, rng), batch.augment(fake, rng)])
            logits = nets[f"discriminator_{domain}"](shown).float()
            of_real, of_fake = logits.chunk(2)
            # Halved, so that the discriminators learn at half the generators' pace (section 4).
            total = total + 0.5 * (
                REAL_LOSS[self.config.adversarial](of_real)
                + FAKE_LOSS[self.config.adversarial](of_fake)
            )
            metrics[f"real_logit_{domain}"] = of_real.detach().mean()
            metrics[f"fake_logit_{domain}"] = of_fake.detach().mean()
        return total, {"discriminator_loss": total.detach()} | metrics

    def _exchanged(self, domain: str, processes: Processes, rng: Randomness) -> Tensor:
        """Each process has the whole pool, and takes its share of what that gives."""
        pool, fakes = self.pools[domain], processes.whole(self.fakes.pop(domain).float())
        assert isinstance(pool, Pool)
        return processes.mine(pool.exchange(fakes, rng.for_all()))

    def _wants_real(self, logits: Tensor) -> Tensor:
        if self.config.adversarial == "hinge":
            return -logits.float().mean()
        return REAL_LOSS[self.config.adversarial](logits.float())


def _both(batch: Batch) -> tuple[Tensor, Tensor]:
    assert batch.other is not None
    return batch.real, batch.other


def _translate(
    network: nn.Module, images: Tensor, at_home: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Translations, and what becomes of images of the target domain, in one pass."""
    if at_home is None:
        return network(images), None
    made, same = network(torch.cat([images, at_home])).split([len(images), len(at_home)])
    return made, same


def _distance(made: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute error on [-1, 1], in fp32."""
    return l1_loss(made.float(), wanted)


def build(config: Config, setting: Setting) -> Objective:
    return Objective(config)
