"""What tests compare bit for bit, and how nearly the rest.

Equal bits are promised of one computation that is done twice: on one machine, with the same
instruction sets, number of threads, shapes and memory layout. PyTorch, oneDNN and MKL may add in
another order for a batch of 1 than for one of 4, for channels last, for two threads or on another
processor (https://docs.pytorch.org/docs/stable/notes/numerical_accuracy.html), and which of these
shows depends on the processor. So a test asks for equal bits

- of what is copied, counted, drawn with a seed in the same shape, or made by additions, products
  and quotients one value at a time, which IEEE 754 rounds in one way;
- of a computation that is repeated, resumed or done in a process with the same settings;
- of what the product does in the same shapes by design: a bundle's networks always take 64 rows,
  and a row in the same place of its 64 is the same whatever the others are; a translation takes
  one picture at a time.

All else is held to the bounds below, which are far from what the mistakes would change.
"""

import numpy as np
import torch

ROUNDING = 1e-5
"""Of networks' outputs, which are about 1. Against float64 those compared so err by 8e-7 at most
(CycleGAN's); the mistakes that these tests look for change outputs by 2e-3 or more."""
FLIPPED = 0.01
"""Share of 8-bit values that may lie one step off. An output that is off by ROUNDING falls to the
other side of a half in at most 3 of 1,000."""


def assert_alike(found, expected):
    """Networks' outputs, tensors or arrays, are equal but for rounding."""
    torch.testing.assert_close(
        torch.as_tensor(found), torch.as_tensor(expected), atol=ROUNDING, rtol=ROUNDING
    )


def assert_same_pictures(found, expected):
    """uint8 pictures come from outputs that are equal but for rounding."""
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype == np.uint8
    apart = np.abs(found.astype(int) - expected)
    assert apart.max() <= 1
    assert (apart > 0).mean() <= FLIPPED


def are_apart(found, other):
    """Whether outputs differ by more than rounding could do, a hundred times over."""
    gap = (torch.as_tensor(found) - torch.as_tensor(other)).abs().max()
    return gap.item() > 100 * ROUNDING
