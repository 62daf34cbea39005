"""How alike two pictures are, pixel by pixel and window by window: PSNR and SSIM.

SSIM: Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity",
with the paper's window and constants, on luma. It is the mean over all windows that lie inside.
Both are scikit-image's. (torchmetrics' mean takes in windows over mirrored edges.)
"""

import numpy as np
import numpy.typing as npt

from atelier.evaluation.features import Images

PerImage = npt.NDArray[np.float64]
"""[N]"""

LARGEST = 255.0
SIGMA = 1.5
"""Of the window, which is 11 pixels wide: 3.5 sigmas to either side."""
STABILISERS = {"K1": 0.01, "K2": 0.03}
LUMA = (0.299, 0.587, 0.114)
"""ITU-R BT.601."""


def psnr(first: Images, second: Images) -> PerImage:
    """Peak signal-to-noise ratio in dB, per image; infinite for equal ones."""
    from skimage.metrics import peak_signal_noise_ratio

    with np.errstate(divide="ignore"):
        found = [
            peak_signal_noise_ratio(one, other, data_range=LARGEST)
            for one, other in zip(first, second, strict=True)
        ]
    return np.array(found, np.float64)


def ssim(first: Images, second: Images) -> PerImage:
    """Structural similarity per image, at most 1; sides are at least 11 pixels."""
    found = [_ssim(_luma(one), _luma(other)) for one, other in zip(first, second, strict=True)]
    return np.array(found, np.float64)


def _luma(image: Images) -> npt.NDArray[np.float64]:
    """uint8 [3, S, S] -> [S, S] in [0, 255]."""
    return np.tensordot(LUMA, image, 1)


def _ssim(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    from skimage.metrics import structural_similarity

    # The variances divide by the weights' sum, not by one less.
    options = {"gaussian_weights": True, "sigma": SIGMA, "use_sample_covariance": False}
    found = structural_similarity(first, second, data_range=LARGEST, **options, **STABILISERS)
    return float(found)
