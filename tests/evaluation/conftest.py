"""Small procedural pictures, a prepared dataset of them and a small judge, shared by all."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from atelier.data.images import to_float
from atelier.evaluation.features import Images
from atelier.models import judge

COUNTS = {"training": 600, "validation": 120, "test": 300}
Draw = Callable[[int, int], Images]


def draw_discs(seed: int, count: int, size: int = 32) -> Images:
    """uint8 [count, 3, size, size]; each a striped disc of its own place, size and colour."""
    draw = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size].astype(np.float32) / size
    centre, radius = draw.uniform(0.3, 0.7, (2, count, 1, 1)), draw.uniform(0.1, 0.3, (count, 1, 1))
    away = np.sqrt((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2)
    inside = np.clip((radius - away) * size, 0, 1)[:, None]
    colour = draw.uniform((170, 80, 60), (200, 110, 90), (count, 3))[:, :, None, None]
    ground = draw.uniform((50, 100, 50), (80, 130, 80), (count, 3))[:, :, None, None]
    phase = draw.uniform(0, 2 * np.pi, (count, 1, 1, 1))
    colour = colour * (1 + 0.5 * np.sin(phase + columns * 2 * np.pi * size / 4))
    pictures = (inside * colour + (1 - inside) * ground) * (0.7 + 0.3 * rows)
    pictures += draw.normal(0, 4, (count, 3, size, size))
    return np.clip(pictures, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def discs() -> Draw:
    """(seed, count) -> uint8 [count, 3, 32, 32]."""
    return draw_discs


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("prepared")
    manifest = {
        "dataset": "discs",
        "layout": "attributes",
        "size_pixels": 32,
        "crop": 1.0,
        "drawn": True,
        "labels": ["Large"],
        "splits": {name: {"count": count, "names": []} for name, count in COUNTS.items()},
    }
    for seed, (name, count) in enumerate(COUNTS.items()):
        np.save(folder / f"{name}.npy", draw_discs(seed, count))
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="session")
def classifier() -> judge.Judge:
    """Has learnt to tell which way the stripes run, in a second, and so looks at texture."""
    torch.manual_seed(0)
    built = judge.build(judge.Config(name="judge", width=8), (3, 32, 32), 1)["classifier"]
    assert isinstance(built, judge.Judge)
    optimizer = torch.optim.Adam(built.parameters(), 2e-3)
    for step in range(30):
        images = to_float(torch.from_numpy(draw_discs(100 + step, 32)))
        images[::2] = images[::2].transpose(2, 3)
        labels = (torch.arange(32) % 2).float()[:, None]
        loss = binary_cross_entropy_with_logits(built(images), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return built.eval()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the arrays that are opened from here on."""
    names: list[str] = []
    load = np.load

    def noting(path: Path, **options: Any) -> Any:
        names.append(path.name)
        return load(path, **options)

    monkeypatch.setattr(np, "load", noting)
    return names
