"""Two processes learn what one does: the same data and noise, and gradients of the whole batch."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from tests.training.test_table import prepare

from atelier import config, params

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("processes.py")
TRAINED = (
    *params.listed_experiments(),
    *(f"numbers with {name}" for name in ("lsgan", "hinge", "wgan_gp", "relativistic")),
    "horse2zebra with cyclegan",
)
"""Networks with BatchNorm are left out: each process has statistics of its own share."""
TWO = ("-m", "torch.distributed.run", "--nproc-per-node=2")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    for name in params.listed_experiments():
        layout = config.load_dataset("tiny", config.load_experiment("tiny", name).dataset)
        prepare(folder / name, layout.data.layout)
    return folder


def train(out: Path, prepared: Path, *launcher: str, **more: str) -> None:
    subprocess.run(
        [sys.executable, *launcher, str(SCRIPT), str(out), str(prepared), *TRAINED],
        check=True,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"} | more,
    )


def check(out: Path, others: Sequence[str], name: str, within: float) -> None:
    expected = torch.load(out / "one" / name / "process-0-of-1.pt")
    for other in others:
        where, _, process = other.rpartition("/")
        found = torch.load(out / where / name / f"process-{process}.pt")
        torch.testing.assert_close(found, expected, atol=within, rtol=0)


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path: Path, prepared: Path) -> None:
    train(tmp_path / "one", prepared)
    train(tmp_path / "two", prepared, *TWO)
    # Two go on where one stopped, and one goes on where two stopped.
    train(tmp_path / "one then two", prepared, HALF="1")
    train(tmp_path / "one then two", prepared, *TWO)
    train(tmp_path / "two then one", prepared, *TWO, HALF="1")
    train(tmp_path / "two then one", prepared)
    for name in TRAINED:
        others = "two/0-of-2", "two/1-of-2", "one then two/1-of-2", "two then one/0-of-1"
        check(tmp_path, others, name, within=1e-5)
        (one, two) = (tmp_path / where / name / "output" for where in ("one", "two"))
        assert sorted(p.name for p in one.rglob("*")) == sorted(p.name for p in two.rglob("*"))


@pytest.mark.slow
def test_in_double_precision_they_learn_the_same(tmp_path: Path, prepared: Path) -> None:
    train(tmp_path / "one", prepared, DOUBLE="1")
    train(tmp_path / "two", prepared, *TWO, DOUBLE="1")
    for name in TRAINED:
        check(tmp_path, ("two/0-of-2", "two/1-of-2"), name, within=1e-12)
