"""Evaluating is timed part by part, and goes on without what is not installed."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from atelier import config

FOLDER = Path("benchmarks").resolve()


class Generator(nn.Module):
    """Codes -> pictures, at once."""

    def __init__(self, latent_dim):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, 3 * 32 * 32), nn.Tanh(), nn.Unflatten(1, (3, 32, 32))
        )

    def forward(self, codes):
        return self.layers(codes)


def test_each_part_is_timed_and_what_is_missing_is_told(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(FOLDER))
    evaluation = importlib.import_module("gpu_evaluation")

    def missing(training, place):
        raise ModuleNotFoundError("No module named 'weights'")

    monkeypatch.setitem(evaluation.EXTRACTORS, "imagenet", missing)
    pictures = np.random.default_rng(1).integers(0, 256, (12, 3, 32, 32), dtype=np.uint8)
    for split in ("training", "test"):
        np.save(tmp_path / f"{split}.npy", pictures)
    work = config.load_experiment("tiny", "faces-gan")
    generator = Generator(work.model.latent_dim)
    rows = {"faces-gan": {"evaluating": {}}}
    report = rows["faces-gan"]["evaluating"]
    evaluation.Evaluation(report, generator, tmp_path).run(work, 30)  # more than test images
    seconds = dict(report["seconds"])
    together = seconds.pop("together")
    assert list(seconds) == ["generating", "features, witness", "KID, witness"]
    assert together == pytest.approx(sum(seconds.values()))
    fault = "ModuleNotFoundError: No module named 'weights'"
    assert report["faults"] == {"features, imagenet": fault}
    table = importlib.import_module("gpu_tables").evaluating(rows)
    assert len(table) == 2 + 4 + 1
    assert "| `faces-gan` | 30 | generating |" in table[2]
    assert table[-1] == f"| `faces-gan` | 30 | features, imagenet | {fault} |"
