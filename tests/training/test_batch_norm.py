"""BatchNorm of several processes: alone among them, a process normalises as torch does.

Two learn what one does in test_processes.py.
"""

import pytest
import torch
from torch import distributed, nn

from atelier.training.batch_norm import SharedBatchNorm2d, share_statistics


@pytest.fixture
def process_group(tmp_path):
    store = (tmp_path / "store").as_uri()
    distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def layers():
    """torch's and ours, of the same random weights."""
    torch.manual_seed(0)
    theirs, ours = nn.BatchNorm2d(5), SharedBatchNorm2d(5)
    nn.init.normal_(theirs.weight)
    nn.init.normal_(theirs.bias)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def test_it_is_torchs_batch_norm(process_group):
    theirs, ours = layers()
    maps = 3 + 2 * torch.randn(6, 5, 7, 7)
    weight_of_each = torch.randn(6, 5, 7, 7)
    passed = []
    for layer in (theirs, ours):
        given = maps.clone().requires_grad_()
        for _ in range(2):  # statistics move twice
            made = layer(given)
        (made * weight_of_each).sum().backward()
        passed.append((made, given.grad, layer.weight.grad, layer.bias.grad))
    for expected, found in zip(*passed, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(dict(ours.state_dict()), dict(theirs.state_dict()))
    torch.testing.assert_close(ours.eval()(maps), theirs.eval()(maps))


def test_half_precision_comes_back_as_it_came(process_group):
    theirs, ours = layers()
    maps = torch.randn(6, 5, 7, 7).bfloat16()
    assert ours(maps).dtype == torch.bfloat16
    torch.testing.assert_close(ours(maps), theirs(maps), rtol=0.02, atol=0.02)


def test_a_process_alone_keeps_torchs():
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5))
    share_statistics(network)
    assert type(network[1]) is nn.BatchNorm2d
