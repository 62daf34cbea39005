"""`vaegan` with attributes: a classifier that learnt from reals says whether fakes are as asked.

Bao et al. 2017 (CVAE-GAN), arXiv 1703.10155, from which the classifier, the features that a
reconstruction and its image shall share, and the conditional decoder come. We deviate: the encoder
is not told the attributes; the classifier learns beside the prior, from reals alone, and then
rests, because one that learns on in the game forgets smiles; draws have no mean features to match.

Each draw is asked to have the attributes of a real image and is held against that image.
"""

from typing import Literal

from torch import Tensor, nn

from atelier.objectives import vaegan
from atelier.objectives.adversarial import Loss, cross_entropy
from atelier.objectives.phase import Batch, Randomness, Setting
from atelier.objectives.vaegan import read
from atelier.schema import NonNegative

NOISE = 0.05
"""Deviation on [-1, 1] of what a classifier sees beside a fake, so that no hidden signal serves."""


class Config(vaegan.ThreeParts):
    """The classifier learns beside the prior, until the GAN begins."""

    name: Literal["cvaegan"]
    fake_label_weight: NonNegative
    """Of the classifier's cross-entropy on fakes, in the generator's phase."""


class Objective(vaegan.Objective):
    def __init__(self, setting: Setting, config: Config) -> None:
        super().__init__(setting, config)
        self.recognises = True
        self.fake_label_weight = config.fake_label_weight

    def labels_of_fakes(
        self, nets: nn.ModuleDict, fakes: Tensor, batch: Batch, rng: Randomness
    ) -> Loss:
        attributes = batch.attributes()
        noisy = fakes + NOISE * rng.normal(*fakes.shape)
        error = cross_entropy(read(nets["classifier"], noisy, attributes).evidence, attributes)
        return self.fake_label_weight * error, {"label_loss_of_fakes": error.detach()}


def build(config: Config, setting: Setting) -> Objective:
    return Objective(setting, config)
