"""What several files of these tests share: an experiment that is ready to be registered."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from tests.toys import NUMBERS, Toy, some_numbers
from torch import nn

from atelier.bundle.pack import BundleDescription
from atelier.config import Experiment, load_experiment
from atelier.paths import Paths
from atelier.registry.store import Store

from .test_tracking import write

ROOT = Path(__file__).parents[2]
FIGURES = {"distance": 0.5, "stopping_score": 0.25}


def pack(out: Path, networks: dict[str, nn.Module], description: BundleDescription) -> None:
    Toy(networks, description, some_numbers).pack(out)


def patterned_numbers(seed: int) -> nn.Module:
    """Makes multiples of 5 alone, all of them."""
    torch.manual_seed(seed)
    linear = nn.Linear(8, 100)
    with torch.no_grad():
        linear.bias.fill_(-100.0)
        linear.bias[::5] = 1.0
    return nn.Sequential(linear, nn.ReLU())


@pytest.fixture
def experiment(store: Store, repository: Path) -> Experiment:
    """The experiment `numbers` at scale tiny, trained, bundled and evaluated."""
    shutil.copytree(ROOT / "experiments", "experiments")
    shutil.copyfile(ROOT / "params.yaml", "params.yaml")
    paths = Paths("tiny")
    write(paths.train("numbers"), [100, 200], [200])
    pack(paths.bundle("numbers"), {"generator": patterned_numbers(0)}, NUMBERS)
    paths.metrics("numbers").write_text(json.dumps({"numbers": FIGURES}))
    return load_experiment("tiny", "numbers")
