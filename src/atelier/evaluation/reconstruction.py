"""How much of an image comes back: PSNR, SSIM and squared error, beside principal components.

Bytes are compared with bytes, because bytes are what is published. Principal components of the
training images, as many as a code has numbers, are the best linear code there is; they stand beside
each figure.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from atelier.data.images import to_bytes
from atelier.evaluation.features import BATCH, Images, evenly
from atelier.evaluation.keys import PSNR_DB, SETTINGS, of_components
from atelier.evaluation.similarity import psnr, ssim

Codes = npt.NDArray[np.float32]
"""[N, L]; of a variational autoencoder, the means."""
Floats = npt.NDArray[np.float32]
"""Images [N, 3, S, S] in [-1, 1]."""
Encode = Callable[[Images], Codes]
Decode = Callable[[Codes], Floats]

PCA_ROWS = 10_000
"""Training images at most that principal components are fitted to: all of them must be in memory.
Of a larger set, evenly."""


def evaluate_reconstruction(
    encode: Encode, decode: Decode, training: Images, images: Images
) -> dict[str, Any]:
    """Figures over a split's images; those of principal components end in `_pca`."""
    codes = encode(images[:1]).shape[1]
    figures = reconstruction_figures(images, reconstruct(encode, decode, images))
    known = evenly(training, PCA_ROWS)
    components = min(codes, len(known) - 1, known[0].size - 1)
    linear = reconstruction_figures(images, principal_reconstructions(known, images, components))
    figures |= {of_components(key): value for key, value in linear.items()}
    figures[f"{PSNR_DB}_above_pca"] = figures[PSNR_DB] - figures[of_components(PSNR_DB)]
    settings = {"images": len(images), "codes": codes, "pca_rows": len(known)}
    return {**figures, SETTINGS: {**settings, "pca_components": components}}


def reconstruction_figures(images: Images, made: Images) -> dict[str, float]:
    """PSNR in dB and SSIM, means over the images, and the mean squared error of values in [0, 1].

    `psnr_of_mean_error_db` is that of all pixels together, which squared error minimises.
    """
    errors = squared_errors(images, made)
    return {
        PSNR_DB: float(psnr(images, made).mean()),
        "psnr_of_mean_error_db": float(-10 * np.log10(errors.mean())),
        "ssim": float(ssim(images, made).mean()),
        "mse": float(errors.mean()),
    }


def squared_errors(images: Images, made: Images) -> npt.NDArray[np.float64]:
    """Mean squared error of each image, values in [0, 1]: [N]. What the gate compares in pairs."""
    rows = zip(images, made, strict=True)
    return np.array([((a.astype(np.float64) - b) ** 2).mean() for a, b in rows]) / 255**2


def reconstruct(encode: Encode, decode: Decode, images: Images) -> Images:
    """There and back again: uint8 [N, 3, S, S] -> the same."""
    starts = range(0, len(images), BATCH)
    made = [pixels(decode(encode(np.array(images[at : at + BATCH])))) for at in starts]
    return np.concatenate(made)


def pixels(images: Floats) -> Images:
    """Floats in [-1, 1] -> uint8."""
    found: Images = to_bytes(torch.from_numpy(images)).numpy()
    return found


def principal_reconstructions(training: Images, images: Images, components: int) -> Images:
    """The images as so many principal components of the training images have them."""
    from sklearn.decomposition import PCA

    known = training.reshape(len(training), -1).astype(np.float32)
    # A randomised solver's last components fall short: by 0.03 dB of faces, in our own favour.
    fitted = PCA(components, svd_solver="arpack", random_state=0).fit(known)
    flat = images.reshape(len(images), -1).astype(np.float32)
    made = fitted.inverse_transform(fitted.transform(flat))
    found: Images = made.round().clip(0, 255).astype(np.uint8).reshape(images.shape)
    return found
