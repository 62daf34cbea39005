"""What a training shows of itself as it learns: always of the same noise or the same images."""

from collections.abc import Callable

import torch
from torch import Tensor

from atelier.data.batches import Drawn
from atelier.training.setup import Learner

PICTURES = 64


@torch.inference_mode()
def preview(learner: Learner) -> Tensor | None:
    """A grid's pictures, [64, 3, S, S] in [-1, 1], by the averaged networks; None: no pictures."""
    if (show := SHOWN.get(learner.task)) is None:
        return None
    with learner.fabric.autocast():
        return show(learner).float()


def _images(learner: Learner) -> Tensor:
    return learner.draw(PICTURES)


def _conditional(learner: Learner) -> Tensor:
    """Noise with the attributes of training images."""
    noise, labels = learner.fixed().normal(PICTURES, learner.latent_dim), _data(learner)["labels"]
    images: Tensor = learner.averages["generator"](noise, labels.float())
    return images


def _translation(learner: Learner) -> Tensor:
    """Pairs of an image and its translation: 16 from each domain."""
    drawn = _data(learner)
    quarter = PICTURES // 4
    a, b = drawn["real"][:quarter], drawn["other"][:quarter]
    there = _pairs(a, learner.averages["a2b"](a))
    return torch.cat([there, _pairs(b, learner.averages["b2a"](b))])


def _reconstruction(learner: Learner) -> Tensor:
    """Pairs of an image and its reconstruction."""
    images = _data(learner)["real"][: PICTURES // 2]
    codes = learner.averages["encoder"](images)[:, : learner.latent_dim]
    return _pairs(images, learner.averages["decoder"](codes))


def _data(learner: Learner) -> Drawn:
    return learner.batches.take(learner.fixed(), PICTURES)


def _pairs(images: Tensor, made: Tensor) -> Tensor:
    return torch.stack([images.float(), made.float()], dim=1).flatten(0, 1)


SHOWN: dict[str, Callable[[Learner], Tensor]] = {
    "images": _images,
    "conditional": _conditional,
    "translation": _translation,
    "reconstruction": _reconstruction,
}
