"""Held to the true twin: is what changed right, and is what should stay as it was?

Inside the mask the pictures are compared by the witness, with everything outside taken from the
input, and by the stripes' spectrum; each as a gain: 1 is the twin itself, 0 no nearer to it than
the untouched input, below 0 is worse than doing nothing. Pixels would not do: a flat brown body is
nearer to the twin than stripes that are a little out of step. Where several twins are as true, such
as a horse's coats, the nearest counts.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from atelier.data.twins import Twins
from atelier.evaluation.features import Extractor, Images
from atelier.evaluation.keys import CHANGE, INSIDE, OUTSIDE, UNTOUCHED, distance_to
from atelier.evaluation.similarity import LUMA, psnr, ssim

INSIDE_FROM = 128
"""A mask's value from which a pixel is inside: at least half of it is."""
RINGS, ORIENTATIONS = 8, 8
"""Of the stripes' spectrum: from coarse to fine, and which direction they run."""
NOTHING_BELOW = 0.3
"""Share of the twin's own change, in the median image, below which a translation does nothing."""
HIGHEST_PSNR = 60.0
"""In dB; equal pictures count as this, which is what rounding to 8 bits leaves."""
PIXEL_UNIT = 127.5
"""8-bit steps in 1 of the range [-1, 1]."""

PerImage = npt.NDArray[np.float64]
Error = Callable[[Images], PerImage]
"""Pictures [N, 3, S, S] held to each image's own something -> [N], smaller is better."""


def score_twins(
    outputs: Images, inputs: Images, twins: Twins, witness: Extractor
) -> dict[str, Any]:
    """Figures of outputs beside their twins, all [N, 3, S, S] in the order of `twins.rows`.

    `inside` is the smaller of its two gains; `outside` the mean L1 distance to the input, in [-1,
    1]; `change` how far towards the twin an output went (1: as far).
    """
    inside = twins.masks >= INSIDE_FROM
    witnessed = _gain(outputs, inputs, _witness_error(inputs, twins, inside, witness))
    striped = _gain(outputs, inputs, _spectrum_error(twins, inside))
    return {
        INSIDE: min(witnessed, striped),
        f"{INSIDE}_witness": witnessed,
        f"{INSIDE}_spectrum": striped,
        OUTSIDE: _outside(outputs, inputs, twins.masks == 0),
        CHANGE: change(outputs, inputs, twins),
        "ssim": _best(ssim, outputs, twins),
        distance_to(UNTOUCHED, "ssim"): _best(ssim, inputs, twins),
        "psnr": _best(psnr, outputs, twins),
        distance_to(UNTOUCHED, "psnr"): _best(psnr, inputs, twins),
        "count": len(outputs),
        "each": twins.images.shape[1],
    }


def change(outputs: Images, inputs: Images, twins: Twins) -> float:
    """The median of L1(output, input) / L1(twin, input) inside the mask: 0 is the untouched input.

    Of each image's twins, the one that the output is nearest to.
    """
    inside = twins.masks >= INSIDE_FROM
    each = range(twins.images.shape[1])
    to_output = [_masked_l1(twins.images[:, k], outputs, inside) for k in each]
    to_input = np.array([_masked_l1(twins.images[:, k], inputs, inside) for k in each])
    wanted = to_input[np.argmin(to_output, axis=0), np.arange(len(inputs))]
    changed = _masked_l1(outputs, inputs, inside)
    some = wanted > 0
    return float(np.median(changed[some] / wanted[some])) if some.any() else 0.0


def stripe_spectrum(images: Images, inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Root of the power of the luma inside, by fineness and orientation: [N, RINGS * ORIENTATIONS].

    Blind to where a stripe lies and to the mean brightness, as a misplaced stripe is still one.
    """
    area = inside.sum((1, 2), keepdims=True).clip(min=1)
    luma = np.tensordot(
        images.astype(np.float32) / PIXEL_UNIT, np.array(LUMA, np.float32), ((1,), (0,))
    )
    luma = (luma - (luma * inside).sum((1, 2), keepdims=True) / area) * inside
    power = torch.fft.fft2(torch.from_numpy(luma.astype(np.float32)), norm="ortho").abs().square()
    size = luma.shape[-1]
    vertical = torch.fft.fftfreq(size)[:, None].expand(size, size)
    horizontal = torch.fft.fftfreq(size).expand(size, size)
    radius = (vertical.square() + horizontal.square()).sqrt()
    ring = (radius * 2 * RINGS).long()
    turn = torch.atan2(vertical, horizontal) % torch.pi / torch.pi
    orientation = (turn * ORIENTATIONS).long() % ORIENTATIONS
    chosen = (ring < RINGS) & (radius > 0)
    bins = (ring * ORIENTATIONS + orientation)[chosen]
    sums = torch.zeros(len(power), RINGS * ORIENTATIONS).index_add(1, bins, power[:, chosen])
    found: npt.NDArray[np.float32] = (sums / torch.from_numpy(area[:, 0])).sqrt().numpy()
    return found


def _gain(outputs: Images, inputs: Images, error: Error) -> float:
    """By how much the outputs are nearer than the untouched inputs, as a share of these."""
    untouched = float(error(inputs).mean())
    return 1 - float(error(outputs).mean()) / untouched if untouched > 0 else 0.0


def _witness_error(
    inputs: Images, twins: Twins, inside: npt.NDArray[np.bool_], witness: Extractor
) -> Error:
    def features(images: Images) -> npt.NDArray[np.float32]:
        return witness(np.where(inside[:, None], images, inputs))

    return _to_nearest(features, twins)


def _spectrum_error(twins: Twins, inside: npt.NDArray[np.bool_]) -> Error:
    return _to_nearest(lambda images: stripe_spectrum(images, inside), twins)


def _to_nearest(features: Callable[[Images], npt.NDArray[np.float32]], twins: Twins) -> Error:
    """Euclidean distance of features to those of the nearest twin."""
    truths = [features(twins.images[:, number]) for number in range(twins.images.shape[1])]

    def error(images: Images) -> PerImage:
        found = features(images)
        distances = [np.linalg.norm((found - truth).astype(np.float64), axis=1) for truth in truths]
        nearest: PerImage = np.min(distances, axis=0)
        return nearest

    return error


def _outside(outputs: Images, inputs: Images, outside: npt.NDArray[np.bool_]) -> float:
    """Mean over the images that have anything outside."""
    found = _masked_l1(outputs, inputs, outside)[outside.any((1, 2))]
    return float(found.mean()) if len(found) else 0.0


def _masked_l1(first: Images, second: Images, chosen: npt.NDArray[np.bool_]) -> PerImage:
    """Mean absolute difference on [-1, 1] over the chosen pixels of each image."""
    apart = np.abs(first.astype(np.float32) - second).mean(axis=1) / PIXEL_UNIT
    found: PerImage = (apart * chosen).sum((1, 2)) / chosen.sum((1, 2)).clip(min=1)
    return found


def _best(likeness: Callable[[Images, Images], PerImage], images: Images, twins: Twins) -> float:
    """Mean over images of the likeness to the nearest twin."""
    each = range(twins.images.shape[1])
    found = np.max([likeness(images, twins.images[:, k]) for k in each], axis=0)
    return float(np.minimum(found, HIGHEST_PSNR).mean())
