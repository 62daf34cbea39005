"""What a step must not do: counts, never times."""

import subprocess
import sys

import pytest
import torch
from tests.training.test_table import prepare, shortened
from torch.utils._python_dispatch import TorchDispatchMode

from atelier import config, params
from atelier.training import loop, setup

LISTED = params.listed_experiments()
WIDE = 16
"""Channels from which on a processor convolves them together."""
CONVOLUTIONS = (torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default)


class Layouts(TorchDispatchMode):
    """Notes the convolutions that are given wide maps with channels first."""

    def __init__(self):
        super().__init__()
        self.seen, self.first = 0, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in CONVOLUTIONS:
            maps = [tensor for tensor in args[:3] if isinstance(tensor, torch.Tensor)]
            # Of a gradient of a gradient, batch and channels change places.
            forward = all(min(tensor.shape[2:]) != 4 for tensor in maps[:1])
            self.seen += 1
            self.first += [
                (str(func), tuple(tensor.shape))
                for tensor in maps
                if tensor.dim() == 4
                and tensor.shape[1] >= WIDE
                and forward
                and not tensor.is_contiguous(memory_format=torch.channels_last)
            ]
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", LISTED)
def test_convolutions_are_given_their_maps_in_channels_last(name, fabric, tmp_path):
    work = shortened(name)
    if not work.training.channels_last:
        pytest.skip("its file asks for channels first")
    layout = config.load_dataset("tiny", work.dataset).data.layout
    learner = setup.build(work, prepare(tmp_path / "prepared", layout), fabric)
    run = loop._Run(name, work, learner, tmp_path, None)
    run.clock.step = 1  # no penalty, whose gradient of a gradient has layouts of its own
    with Layouts() as layouts:
        run.take_step()
    assert layouts.seen
    assert not layouts.first


STEPS = """
import resource
import torch
from atelier.training import runtime
runtime.launch("fp32")
def step():
    return [torch.empty(2**20).fill_(1.0) for _ in range(10)]  # 4 MB each
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(float(torch.full((2**18,), 1e-39).mul(0.5).sum()))
"""


def test_a_step_asks_the_system_for_no_new_memory_and_computes_nothing_too_small():
    said = subprocess.run(
        [sys.executable, "-c", STEPS], capture_output=True, text=True, check=True
    ).stdout.split()
    pages = 100 * 4 * 2**20 // 4096
    assert int(said[-2]) < pages / 10
    assert float(said[-1]) == 0.0
