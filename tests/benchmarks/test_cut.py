"""CUT: what is contrasted with what, and both networks learn."""

from types import ModuleType

import numpy as np
import pytest
import torch
from tests.benchmarks.learning import moved_shares
from tests.project import ROOT, benchmark

from atelier.models import cyclegan


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return benchmark("cut")


class Pairs:
    """Random pictures of two domains."""

    shape = (3, 32, 32)

    def take(self, rng, count):
        return {"real": rng.normal(count, *self.shape), "other": rng.normal(count, *self.shape)}


def test_layers_are_those_of_the_paper(cut: ModuleType) -> None:
    generator = cyclegan.build(cut.SIZES, (3, 32, 32))["a2b"]
    places = cut.compared_layers(generator)
    found = cut.features(generator, torch.zeros(1, 3, 32, 32), places)
    assert [maps.shape[1] for maps in found] == [3, 32, 64, 64, 64]
    assert [maps.shape[-1] for maps in found] == [38, 16, 8, 8, 8]


def test_the_contrast_is_least_where_each_patch_is_nearest_to_its_own(cut: ModuleType) -> None:
    keys = torch.eye(4)
    right = cut.patch_contrast(keys, keys)
    expected = np.log(np.exp(1 / 0.07) + 3) - 1 / 0.07
    assert right.item() == pytest.approx(expected, abs=1e-5)
    assert cut.patch_contrast(keys.roll(1, 0), keys) > 10
    same = torch.ones(4, 4) / 2
    assert cut.patch_contrast(same, same).item() == pytest.approx(np.log(4), abs=1e-5)


def test_a_step_moves_all_networks_and_the_average(cut: ModuleType) -> None:
    training = cut.Training(Pairs(), turned=False, rate=0.01, seed=1)
    networks = (
        training.generator, training.discriminator, training.projections, training.average,
    )  # fmt: skip
    assert min(moved_shares(networks, training.step, 2)) > 0.9
    images = np.zeros((3, 3, 32, 32), np.uint8)
    assert training.translate(images).shape == images.shape
    assert training.seconds > 0


def test_the_other_direction_goes_the_other_way(cut: ModuleType) -> None:
    """A discriminator that is asked of its goal alone: the domain that was turned to."""
    seen = []

    class Told(Pairs):
        def take(self, rng, count):
            zeros = torch.zeros(count, *self.shape)
            return {"real": zeros, "other": zeros + 1}

    for turned in (False, True):
        training = cut.Training(Told(), turned=turned, rate=0.01, seed=1)
        hook = training.discriminator.register_forward_pre_hook(
            lambda _, given: seen.append(given[0].mean().item())
        )
        training.step()
        hook.remove()
    first, second = seen[0], seen[3]
    assert (first, second) == (1.0, 0.0)
