"""What every training test shares: one processor, in full precision, and some pictures."""

import json

import numpy as np
import pytest

from atelier.training import runtime


@pytest.fixture(scope="module")
def fabric():
    return runtime.launch("fp32")


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """A prepared dataset of 96 smooth pictures, 16 pixels wide."""
    folder = tmp_path_factory.mktemp("prepared")
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (96, 3, 4, 4), dtype=np.uint8)
    np.save(folder / "training.npy", small.repeat(4, 2).repeat(4, 3))
    np.save(folder / "training_labels.npy", rng.integers(0, 2, (96, 2), dtype=np.uint8))
    manifest = {"dataset": "celeba", "layout": "attributes", "labels": ["Male", "Smiling"]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
