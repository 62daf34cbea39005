"""The judge's shapes, cost and features."""

import pytest
import torch
from tests.rounding import are_apart, assert_alike
from torch.utils.flop_counter import FlopCounterMode

from atelier.errors import UserError
from atelier.models import judge

CONFIG = judge.Config(name="judge", width=16)


def build(size: int = 64, labels: int = 5) -> judge.Judge:
    classifier = judge.build(CONFIG, (3, size, size), labels)["classifier"]
    assert isinstance(classifier, judge.Judge)
    return classifier


@pytest.mark.parametrize("size", [16, 32, 64, 256])
def test_every_size_gives_logits_and_as_many_features(size: int) -> None:
    classifier = build(size).eval()
    images = torch.rand(2, 3, size, size) * 2 - 1
    assert classifier(images).shape == (2, 5)
    features = classifier.features(images)
    assert features.shape == (2, 28 * CONFIG.width)
    assert torch.isfinite(features).all()


def test_features_are_means_and_deviations_of_each_channel() -> None:
    classifier = build().eval()
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    first = classifier.depths[0](classifier.stem(images)).relu()
    features = classifier.features(images)
    assert torch.allclose(features[:, :32], first.mean((2, 3)), atol=1e-6)
    assert torch.allclose(features[:, 32:64], first.std((2, 3), correction=0), atol=1e-5)


@torch.no_grad()
def test_an_image_is_judged_alone() -> None:
    classifier = build().eval()
    images = torch.rand(4, 3, 64, 64) * 2 - 1
    assert_alike(classifier(images)[:1], classifier(images[:1]))
    classifier.train()  # BatchNorm then mixes the images of a batch
    assert are_apart(classifier(images)[:1], classifier(images[:1]))


def test_forward_costs_what_two_cores_can_train_in_a_minute() -> None:
    with FlopCounterMode(display=False) as counter:
        build()(torch.zeros(1, 3, 64, 64))
    assert counter.get_total_flops() < 30e6


def test_learns_a_toy_attribute() -> None:
    torch.manual_seed(0)
    classifier = build(16, 1)
    optimizer = torch.optim.Adam(classifier.parameters(), 2e-3)
    loss = torch.tensor(1.0)
    for _ in range(30):
        labels = (torch.rand(32, 1) < 0.5).float()
        images = torch.randn(32, 3, 16, 16) * 0.5
        images[:, :, 4:8] += labels[:, :, None, None]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(classifier(images), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert loss < 0.35


def test_refuses_images_that_leave_no_map() -> None:
    with pytest.raises(
        UserError, match=r"^judge: images of 8 pixels are too small\. From 16 on\.$"
    ):
        judge.build(CONFIG, (3, 8, 8), 5)
