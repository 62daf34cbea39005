"""The benchmark is the DCGAN that it says it is, and its clock and marks are honest."""

from types import ModuleType

import numpy as np
import pytest
import torch
from tests.project import benchmark


@pytest.fixture(scope="module")
def dcgan() -> ModuleType:
    return benchmark("dcgan")


def parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_the_nets_are_of_the_published_size(dcgan: ModuleType) -> None:
    # What PyTorch's tutorial prints of its nets adds up to these.
    assert parameters(dcgan.build_generator()) == 3_576_704
    assert parameters(dcgan.build_discriminator()) == 2_765_568
    with torch.inference_mode():
        pictures = dcgan.build_generator()(torch.randn(2, 100, 1, 1))
        assert pictures.shape == (2, 3, 64, 64)
        assert dcgan.build_discriminator()(pictures).shape == (2, 1, 1, 1)


def test_an_epoch_shows_each_picture_once(dcgan: ModuleType) -> None:
    pixels = torch.arange(200, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 2, 2)
    batches = dcgan.epochs(pixels)
    seen = torch.cat([next(batches), next(batches)])
    assert len(seen) == 200
    assert len(seen[:, 0, 0, 0].unique()) == 200


def test_scoring_changes_neither_draws_nor_statistics(
    dcgan: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dcgan, "BATCH", 4)
    pixels = torch.randint(0, 256, (8, 3, 64, 64), dtype=torch.uint8)
    scored = dcgan.Training(pixels, seed=1)
    scored.step()
    first = scored.sample(3, seed=5)
    assert np.array_equal(first, scored.sample(3, seed=5))
    scored.step()
    plain = dcgan.Training(pixels, seed=1)
    plain.step()
    plain.step()
    assert (scored.images, scored.steps) == (8, 2)
    ours, theirs = scored.generator.state_dict(), plain.generator.state_dict()
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-6) for name in ours)


def test_marks_are_scored_once_each_in_the_order_they_are_reached(dcgan: ModuleType) -> None:
    class Clock:
        seconds, images = 0.0, 0

        def step(self) -> None:
            self.seconds += 1
            self.images += 100

    marks = [dcgan.Mark("t", seconds=3), dcgan.Mark("n", images=150), dcgan.Mark("4t", seconds=12)]
    clock, scored = Clock(), []
    dcgan.run(clock, marks, lambda mark: scored.append((mark.name, clock.images)))
    assert scored == [("n", 200), ("t", 300), ("4t", 1200)]
