"""What a step must not do: counts, never times."""

import subprocess
import sys

import pytest
import torch
from tests.training.test_table import prepare, shortened
from torch.utils._python_dispatch import TorchDispatchMode

from atelier import config, params
from atelier.training import loop, setup

PICTURES = [name for name in params.listed_experiments() if name != "numbers"]
WIDE = 16
"""Channels from which on a processor convolves them together."""
FLATTENED = 4
"""Side of the smallest map, which a linear layer reads as a row: the gradient of that comes back
with channels first, and is small."""
FORWARD, BACKWARD = torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default


class Layouts(TorchDispatchMode):
    """Notes the convolutions that are given wide maps, or weights, with channels first."""

    def __init__(self):
        super().__init__()
        self.seen, self.first = 0, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in (FORWARD, BACKWARD):
            given = args[:2] if func is FORWARD else args[:3]
            if func is BACKWARD and given[0].shape[-1] <= FLATTENED:
                given = given[1:]
            self.seen += 1
            self.first += [
                (str(func), tuple(tensor.shape))
                for tensor in given
                if tensor.shape[1] >= WIDE
                and not tensor.is_contiguous(memory_format=torch.channels_last)
            ]
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", PICTURES)
def test_convolutions_are_given_their_maps_in_channels_last(name, fabric, tmp_path):
    work = shortened(name)
    layout = config.load_dataset("tiny", work.dataset).data.layout
    training = work.training.model_copy(update={"channels_last": True})
    work = work.model_copy(update={"training": training})
    learner = setup.build(work, prepare(tmp_path / "prepared", layout), fabric)
    run = loop._Run(name, work, learner, tmp_path, None)
    run.take_step()  # the first has a penalty, whose gradient of a gradient has its own layouts
    with Layouts() as layouts:
        while not run.finished:
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
