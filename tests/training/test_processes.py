"""Two processes learn what one does: the same data and noise, and gradients of the whole batch."""

import os
import subprocess
import sys
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


def train(out: Path, prepared: Path, *launcher: str, **more: str) -> None:
    subprocess.run(
        [sys.executable, *launcher, str(SCRIPT), str(out), str(prepared), *TRAINED],
        check=True,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"} | more,
    )


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    for name in params.listed_experiments():
        layout = config.load_dataset("tiny", config.load_experiment("tiny", name).dataset)
        prepare(prepared / name, layout.data.layout)
    train(tmp_path / "one", prepared)
    train(tmp_path / "two", prepared, *TWO)
    # Two go on where one stopped, and one goes on where two stopped.
    train(tmp_path / "one then two", prepared, HALF="1")
    train(tmp_path / "one then two", prepared, *TWO)
    train(tmp_path / "two then one", prepared, *TWO, HALF="1")
    train(tmp_path / "two then one", prepared)
    for name in TRAINED:
        expected = torch.load(tmp_path / "one" / name / "process-0-of-1.pt")
        for other in (
            *(f"two/{name}/process-{process}-of-2.pt" for process in (0, 1)),
            f"one then two/{name}/process-1-of-2.pt",
            f"two then one/{name}/process-0-of-1.pt",
        ):
            found = torch.load(tmp_path / other)
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
        (one, two) = (tmp_path / where / name / "output" for where in ("one", "two"))
        assert sorted(p.name for p in one.rglob("*")) == sorted(p.name for p in two.rglob("*"))
