"""Many pictures on one sheet, for a person who looks at them."""

import numpy as np
from numpy.typing import NDArray

GAP = 2
"""White pixels around each picture."""


def sheet(pictures: NDArray[np.uint8], columns: int = 8) -> NDArray[np.uint8]:
    """[N, C, H, W] uint8 -> one sheet [height, width, C] uint8, row by row, on white."""
    count, channels, height, width = pictures.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    shape = (rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, channels)
    drawn = np.full(shape, 255, np.uint8)
    for index, picture in enumerate(pictures.transpose(0, 2, 3, 1)):
        top = GAP + index // columns * (height + GAP)
        left = GAP + index % columns * (width + GAP)
        drawn[top : top + height, left : left + width] = picture
    return drawn
