"""Every picture stands in its place, with white around it."""

import numpy as np

from atelier.data.sheet import GAP, sheet


def test_a_sheet_has_gaps_and_every_picture() -> None:
    pictures = np.arange(10, dtype=np.uint8)[:, None, None, None] + np.zeros((1, 3, 16, 16), "u1")
    drawn = sheet(pictures, columns=8)
    assert drawn.shape == (2 * 18 + GAP, 8 * 18 + GAP, 3)
    for index in range(10):
        row, column = divmod(index, 8)
        top, left = GAP + 18 * row, GAP + 18 * column
        assert (drawn[top : top + 16, left : left + 16] == index).all()
    assert (drawn[:GAP] == 255).all()
    assert (drawn[GAP + 18 :, GAP + 2 * 18 :] == 255).all()


def test_few_pictures_make_a_narrow_sheet() -> None:
    assert sheet(np.zeros((3, 1, 8, 8), np.uint8)).shape == (8 + 2 * GAP, 3 * 10 + GAP, 1)
