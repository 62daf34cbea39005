"""PSNR and SSIM against the definition, window by window, and closed forms."""

import numpy as np
import pytest

from atelier.evaluation.similarity import LUMA, psnr, ssim

SIZE = 16


def noise(seed: int, count: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 3, SIZE, SIZE)).astype(np.uint8)


def by_definition(first: np.ndarray, second: np.ndarray) -> float:
    """One image [3, S, S], each window on its own."""
    x, y = (np.tensordot(LUMA, image.astype(float), 1) for image in (first, second))
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    found = []
    for top in range(SIZE - 10):
        for left in range(SIZE - 10):
            a, b = (image[top : top + 11, left : left + 11] for image in (x, y))
            m, n = (window * a).sum(), (window * b).sum()
            s, t = (window * (a - m) ** 2).sum(), (window * (b - n) ** 2).sum()
            covariance = (window * (a - m) * (b - n)).sum()
            c, d = (0.01 * 255) ** 2, (0.03 * 255) ** 2
            found.append(
                (2 * m * n + c) * (2 * covariance + d) / ((m * m + n * n + c) * (s + t + d))
            )
    return float(np.mean(found))


def test_ssim_is_the_papers() -> None:
    first = noise(0)
    second = ((first.astype(int) + noise(1)) // 2).astype(np.uint8)
    expected = [by_definition(a, b) for a, b in zip(first, second, strict=True)]
    assert ssim(first, second) == pytest.approx(expected, rel=1e-9)
    assert 0.1 < expected[0] < 0.9


def test_equal_pictures_are_perfectly_alike() -> None:
    assert ssim(noise(0), noise(0)) == pytest.approx([1, 1])
    assert np.isinf(psnr(noise(0), noise(0))).all()


def test_a_constant_shift_has_a_known_psnr() -> None:
    grey = np.full((1, 3, SIZE, SIZE), 100, np.uint8)
    assert psnr(grey, grey + np.uint8(5))[0] == pytest.approx(20 * np.log10(255 / 5))
