"""`vaegan` with attributes: a classifier that learnt from reals says whether fakes are as asked.

Bao et al. 2017 (CVAE-GAN), arXiv 1703.10155, from which the classifier, the features that a
reconstruction and its image shall share, and the conditional decoder come. We deviate: the encoder
is not told the attributes; the classifier learns beside the prior, from reals alone, and then
rests, because one that learns on in the game forgets smiles; the discriminator begins with its
weights; draws have no mean features to match.

Each draw is asked to have the attributes of a real image and is held against that image.
"""

from typing import Literal

from torch import Tensor, nn

from atelier.objectives import vaegan
from atelier.objectives.adversarial import Loss, cross_entropy
from atelier.objectives.phase import Batch, Phase, Randomness, Setting
from atelier.objectives.vaegan import Reading, read
from atelier.schema import NonNegative

NOISE = 0.05
"""Deviation on [-1, 1] of what a classifier sees beside a fake, so that no hidden signal serves."""
MOST_NOISE = 0.1
"""The largest that it has learnt to bear."""


class Config(vaegan.ThreeParts):
    """The classifier learns beside the prior, until the GAN begins."""

    name: Literal["cvaegan"]
    real_label_weight: NonNegative
    """Of the discriminator's cross-entropy on reals."""
    fake_label_weight: NonNegative
    """Of the classifier's cross-entropy on fakes, in the generator's phase."""


class Objective(vaegan.Objective):
    def __init__(self, setting: Setting, config: Config) -> None:
        super().__init__(setting, config)
        self.real_label_weight = config.real_label_weight
        self.fake_label_weight = config.fake_label_weight
        self.recognition = Phase(
            "recognition",
            trains=("classifier",),
            begins=config.reconstruct_until,
            until=config.learn_codes_until,
        )

    @property
    def phases(self) -> tuple[Phase, ...]:
        return (*super().phases, self.recognition)

    def loss(self, phase: Phase, nets: nn.ModuleDict, batch: Batch, rng: Randomness) -> Loss:
        if phase == self.recognition:
            return self._recognition(nets, batch, rng)
        return super().loss(phase, nets, batch, rng)

    def _recognition(self, nets: nn.ModuleDict, batch: Batch, rng: Randomness) -> Loss:
        """Cross-entropy on reals, seen through noise of any strength up to the largest."""
        (wanted,) = self.condition(batch)
        images = batch.augment(batch.real, rng)
        strength = MOST_NOISE * rng.uniform(len(images), 1, 1, 1)
        images = images + strength * rng.normal(*images.shape)
        error = cross_entropy(read(nets["classifier"], images, wanted).evidence, wanted)
        return error, {"recognition_loss": error.detach()}

    def _begin_game(self, nets: nn.ModuleDict, batch: Batch, rng: Randomness) -> None:
        super()._begin_game(nets, batch, rng)
        nets["discriminator"].load_state_dict(nets["classifier"].state_dict())

    def labels_of_reals(self, reading: Reading, batch: Batch) -> Loss:
        (wanted,) = self.condition(batch)
        error = cross_entropy(reading.evidence[: len(wanted)], wanted)
        return self.real_label_weight * error, {"label_loss_of_reals": error.detach()}

    def labels_of_fakes(
        self, nets: nn.ModuleDict, fakes: Tensor, batch: Batch, rng: Randomness
    ) -> Loss:
        (wanted,) = self.condition(batch)
        noisy = fakes + NOISE * rng.normal(*fakes.shape)
        error = cross_entropy(read(nets["classifier"], noisy, wanted).evidence, wanted)
        return self.fake_label_weight * error, {"label_loss_of_fakes": error.detach()}


def build(config: Config, setting: Setting) -> Objective:
    return Objective(setting, config)
