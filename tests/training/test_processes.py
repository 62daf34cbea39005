"""Two processes learn what one does: the same data and noise, and gradients of the whole batch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.training.test_table import prepare

from atelier import config

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("processes.py")
SAME = ("numbers", "faces-ae")
"""Experiments of which it holds; the others' losses are no mean over the images of a batch."""


def train(out: Path, prepared: Path, *launcher: str) -> None:
    subprocess.run(
        [sys.executable, *launcher, str(SCRIPT), str(out), str(prepared), *SAME],
        check=True,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
    )


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    for name in SAME:
        (tmp_path / "prepared").mkdir(exist_ok=True)
        layout = config.load_dataset("tiny", config.load_experiment("tiny", name).dataset)
        prepare(tmp_path / "prepared" / name, layout.data.layout)
    train(tmp_path / "one", tmp_path / "prepared")
    train(
        tmp_path / "two", tmp_path / "prepared", "-m", "torch.distributed.run", "--nproc-per-node=2"
    )
    for name in SAME:
        expected = torch.load(tmp_path / "one" / name / "process-0-of-1.pt")
        for process in (0, 1):
            found = torch.load(tmp_path / "two" / name / f"process-{process}-of-2.pt")
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
        (one, two) = (tmp_path / where / name / "output" for where in ("one", "two"))
        assert sorted(p.name for p in one.rglob("*")) == sorted(p.name for p in two.rglob("*"))
