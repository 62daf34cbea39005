"""Three parts: a VAE learns to reconstruct, a prior learns its codes, the decoder is sharpened.

Larsen et al. 2016, arXiv 1512.09300, whose generator also learns from a discriminator that sees
reconstructions beside draws. We deviate: the parts come one after the other, and in the last the
encoder and the prior rest; draws come from the prior, a rectified flow (Liu et al. 2022, arXiv
2209.03003, equation 1) that learns in between; the adversarial loss is `relativistic`, in which
each reconstruction is held against the very image that it was made of, as a whole and patch by
patch; likeness is the squared error of pixels, beside the difference of features.

Where images have attributes, a classifier learns those of reals, beside the prior. The
discriminator, its twin, begins with its weights and goes on telling them in the game: what images
differ in is what it then compares reals and fakes by (Odena et al. 2017, arXiv 1610.09585, whose
generator is told them; here it is not).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal, Protocol, Self, cast

import torch
from pydantic import model_validator
from torch import Tensor, nn

from atelier.objectives import relativistic
from atelier.objectives.adversarial import DISCRIMINATOR, GENERATOR, Loss, cross_entropy
from atelier.objectives.elbo import drawn, negative_bound
from atelier.objectives.phase import EXAMPLES, PART, Batch, Phase, Randomness, Setting
from atelier.schema import NonNegative, Positive, Share, Strict

PRIOR_ROWS = 512
"""Codes of a step in which the prior learns: they cost a hundredth of an image each."""
RECOGNITION_EVERY = 2
"""Steps of the prior for one of the classifier, which costs as much and needs fewer."""
MOST_NOISE = 0.1
"""Deviation on [-1, 1] of the strongest noise that attributes are recognised through."""


class ThreeParts(Strict):
    """What every VAE that goes on as a GAN is told."""

    reconstruct_until: Share
    """Of the planned images: then the prior learns."""
    learn_codes_until: Share
    """Of the planned images: then the GAN begins."""
    head_start: Share
    """Of the planned images: so long the discriminator learns alone, before it may teach."""
    gamma: NonNegative
    """Weight of R1 + R2, each times gamma / 2. Grows with the image's area."""
    penalty_every: Positive
    """Steps from one penalty to the next."""
    patches: NonNegative
    """Weight of the adversarial loss of patches; that of the whole weighs 1."""
    likeness: NonNegative
    """Weight of the reconstructions' squared error on [-1, 1]."""
    features: NonNegative
    """Weight of the difference between a reconstruction's features and its image's."""
    real_label_weight: NonNegative
    """Of the cross-entropy of what the discriminator takes for the attributes of reals, where they
    have any; 0: neither it nor a classifier learns them."""

    @model_validator(mode="after")
    def _parts_follow_each_other(self) -> Self:
        learns, begins = self.reconstruct_until, self.learn_codes_until
        if not (0 < learns < begins and self.teaches_from < 1):
            raise ValueError(
                "0 < reconstruct_until < learn_codes_until, and less than 1 with head_start "
                f"(got {learns}, {begins} and {self.head_start})"
            )
        return self

    @property
    def teaches_from(self) -> float:
        """Share of the planned images from which the generator learns from the discriminator."""
        return self.learn_codes_until + self.head_start


class Config(ThreeParts):
    name: Literal["vaegan"]


class Prior(Protocol):
    """Normal numbers become codes by following a learned velocity, and then an affine map."""

    def velocity(self, codes: Tensor, times: Tensor, *attributes: Tensor) -> Tensor: ...
    def carried(self, noise: Tensor, *attributes: Tensor) -> Tensor: ...
    def calibrate(self, codes: Tensor, draws: Tensor, *attributes: Tensor) -> None: ...


class Reading(Protocol):
    """What a discriminator says: logits of the whole and of patches, evidence for attributes, and
    the feature maps that it found them in."""

    @property
    def logits(self) -> tuple[Tensor, ...]: ...
    @property
    def evidence(self) -> Tensor: ...
    @property
    def maps(self) -> tuple[Tensor, ...]: ...


class Reader(Protocol):
    def read(self, images: Tensor, *condition: Tensor) -> Reading: ...


class Codes(nn.Module):
    """What the encoder says of many training images, for the prior to learn from."""

    means: Tensor
    log_variances: Tensor
    attributes: Tensor

    def __init__(self, latent_dim: int, attributes: int) -> None:
        super().__init__()
        self.register_buffer("means", torch.zeros(EXAMPLES, latent_dim))
        self.register_buffer("log_variances", torch.zeros(EXAMPLES, latent_dim))
        self.register_buffer("attributes", torch.zeros(EXAMPLES, attributes))

    def remember(self, rows: Tensor, found: Tensor, condition: tuple[Tensor, ...]) -> None:
        """[B, 2 L] of the encoder, and the attributes of its images where there are any."""
        self.means[rows], self.log_variances[rows] = found.chunk(2, dim=1)
        for attributes in condition:
            self.attributes[rows] = attributes

    def draw(self, count: int, rng: Randomness) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Codes [count, L], and the attributes of their images where there are any."""
        rows = (rng.uniform(count) * len(self.means)).long()
        codes = drawn(self.means[rows], self.log_variances[rows], rng)
        return codes, (self.attributes[rows],) if self.attributes.shape[1] else ()


class Objective(relativistic.Objective):
    """Half of each batch of fakes are reconstructions, in the order of their images."""

    def __init__(self, setting: Setting, config: ThreeParts) -> None:
        penalties = relativistic.Config(
            name="relativistic", gamma=config.gamma, penalty_every=config.penalty_every
        )
        super().__init__(setting, penalties)
        self.weights = config
        labels = len(setting.label_shares)
        self.memory = self.codes = Codes(setting.latent_dim, labels if setting.conditional else 0)
        learns, begins = config.reconstruct_until, config.learn_codes_until
        self.bound = Phase("bound", trains=("encoder", "decoder"), until=learns)
        self.prior = Phase(
            "prior", trains=("prior",), begins=learns, until=begins, prepare=self._remember
        )
        opening = DISCRIMINATOR if config.head_start else GENERATOR
        self.game = tuple(
            replace(
                phase,
                begins=config.teaches_from if phase == GENERATOR else begins,
                prepare=self._begin_game if phase == opening else None,
            )
            for phase in super().phases
        )
        self.recognition = Phase(
            "recognition", ("classifier",), every=RECOGNITION_EVERY, begins=learns, until=begins
        )
        self.recognises = labels > 0 and config.real_label_weight > 0

    @property
    def phases(self) -> tuple[Phase, ...]:
        recognition = (self.recognition,) if self.recognises else ()
        return (self.bound, self.prior, *recognition, *self.game)

    def loss(self, phase: Phase, nets: nn.ModuleDict, batch: Batch, rng: Randomness) -> Loss:
        if phase == self.bound:
            return negative_bound(nets, batch, rng, condition=self.condition(batch))
        if phase == self.prior:
            rows = PRIOR_ROWS // batch.processes.count
            return self._flow_loss(cast("Prior", nets["prior"]), rows, rng)
        if phase == self.recognition:
            return self._recognition_loss(nets["classifier"], batch, rng)
        return super().loss(phase, nets, batch, rng)

    def _remember(self, nets: nn.ModuleDict, batches: Iterator[Batch], rng: Randomness) -> None:
        parts = torch.arange(EXAMPLES).split(PART)
        for rows, batch in zip(parts, batches, strict=True):
            found = nets["encoder"](batch.real).float()
            self.codes.remember(rows, found, self.condition(batch))

    def _flow_loss(self, prior: Prior, rows: int, rng: Randomness) -> Loss:
        """The velocity's squared error on straight paths from noise to codes."""
        codes, condition = self.codes.draw(rows, rng)
        noise, times = rng.normal(*codes.shape), rng.uniform(len(codes))
        velocity = codes - noise
        guessed = prior.velocity(noise + times[:, None] * velocity, times, *condition)
        error = (guessed - velocity).square().mean()
        return error, {"flow_loss": error.detach()}

    def _recognition_loss(self, network: nn.Module, batch: Batch, rng: Randomness) -> Loss:
        """Cross-entropy on reals, seen through noise of any strength up to the largest."""
        images = batch.augment(batch.real, rng)
        strength = MOST_NOISE * rng.uniform(len(images), 1, 1, 1)
        images = images + strength * rng.normal(*images.shape)
        reading = read(network, images, *self.condition(batch))
        error = cross_entropy(reading.evidence, batch.attributes())
        return error, {"recognition_loss": error.detach()}

    def _begin_game(self, nets: nn.ModuleDict, batches: Iterator[Batch], rng: Randomness) -> None:
        prior = cast("Prior", nets["prior"])
        codes, condition = self.codes.draw(EXAMPLES, rng)
        noise = rng.normal(*codes.shape)
        parts = zip(*(each.split(PART) for each in (noise, *condition)), strict=True)
        with _exactly(noise):
            draws = torch.cat([prior.carried(*part) for part in parts])
            prior.calibrate(codes, draws, *condition)
        if self.recognises:
            nets["discriminator"].load_state_dict(nets["classifier"].state_dict())

    def fakes(self, nets: nn.ModuleDict, batch: Batch, rng: Randomness) -> Tensor:
        condition, half = self.condition(batch), _half(batch)
        with torch.no_grad():
            found = nets["encoder"](batch.real[:half]).float()
            means, log_variances = found.chunk(2, dim=1)
            again = drawn(means, log_variances, rng)
            noise = rng.normal(len(batch.real) - half, self.setting.latent_dim)
            with _exactly(noise):
                others = nets["prior"](noise, *(each[half:] for each in condition))
        images: Tensor = nets["decoder"](torch.cat([again, others]), *condition)
        return images

    def _discriminator_phase(self, nets: nn.ModuleDict, batch: Batch, rng: Randomness) -> Loss:
        batch, fakes = self.to_tell_apart(nets, batch, rng)
        pair = torch.cat(self.augmented_pair(batch, fakes, rng))
        twice = (torch.cat([each, each]) for each in self.condition(batch))
        reading = read(nets["discriminator"], pair, *twice)
        real, fake = zip(*(logits.chunk(2) for logits in reading.logits), strict=True)
        loss = self._apart(real, fake)
        labels, figures = self._labels_of_reals(reading, batch)
        return loss + labels, figures | {
            "discriminator_loss": loss.detach(),
            "real_logit": real[0].detach().mean(),
            "fake_logit": fake[0].detach().mean(),
        }

    def _generator_phase(self, nets: nn.ModuleDict, batch: Batch, rng: Randomness) -> Loss:
        fakes, condition = self.fakes_to_learn_from(nets, batch, rng), self.condition(batch)
        # A fake and the real in its place are changed alike, so that features can be compared.
        alike = rng.copy()
        seen, real_seen = batch.augment(fakes, rng), batch.augment(batch.real, alike)
        fake = read(nets["discriminator"], seen, *condition)
        with torch.no_grad():
            real = read(nets["discriminator"], real_seen, *condition)
        loss = self._apart(fake.logits, real.logits)
        likeness, of_pixels = self._likeness(fakes, batch)
        features, of_features = self._features(fake, real, _half(batch))
        labels, of_labels = self.labels_of_fakes(nets, seen, batch, rng)
        figures = of_pixels | of_features | of_labels | {"generator_loss": loss.detach()}
        return loss + likeness + features + labels, figures

    def _apart(self, higher: Sequence[Tensor], lower: Sequence[Tensor]) -> Tensor:
        """`higher` shall be above `lower`, as a whole and patch by patch."""
        pairs = zip(higher, lower, strict=True)
        whole, *patches = [self.discriminator_loss(*pair) for pair in pairs]
        return whole + self.weights.patches * torch.stack(patches).mean()

    def _likeness(self, fakes: Tensor, batch: Batch) -> Loss:
        """Of reconstructions, to their images."""
        # The mean of each, and then of half of these: half of a batch in channels_last would come
        # back from its gradient with channels first.
        errors = (fakes.float() - batch.real).square().mean((1, 2, 3))
        error = errors[: _half(batch)].mean()
        return self.weights.likeness * error, {"likeness_loss": error.detach()}

    def _features(self, fake: Reading, real: Reading, half: int) -> Loss:
        """Likewise, as the discriminator sees both."""
        parts = [
            (made.float() - given.float()).abs().mean((1, 2, 3))[:half].mean()
            for made, given in zip(fake.maps, real.maps, strict=True)
        ]
        error = torch.stack(parts).mean()
        return self.weights.features * error, {"feature_loss": error.detach()}

    def _labels_of_reals(self, reading: Reading, batch: Batch) -> Loss:
        """Of the first half of what was read."""
        if not self.recognises:
            return batch.real.new_zeros(()), {}
        attributes = batch.attributes()
        error = cross_entropy(reading.evidence[: len(attributes)], attributes)
        return self.weights.real_label_weight * error, {"label_loss_of_reals": error.detach()}

    def labels_of_fakes(
        self, nets: nn.ModuleDict, fakes: Tensor, batch: Batch, rng: Randomness
    ) -> Loss:
        """What the generator is held to beside: nothing."""
        return fakes.new_zeros(()), {}


def read(network: nn.Module, images: Tensor, *condition: Tensor) -> Reading:
    return cast("Reader", network).read(images, *condition)


def _exactly(given: Tensor) -> torch.autocast:
    """Without autocast, whose three digits an affine map of codes would show."""
    return torch.autocast(given.device.type, enabled=False)


def _half(batch: Batch) -> int:
    return len(batch.real) // 2


def build(config: Config, setting: Setting) -> Objective:
    return Objective(setting, config)
