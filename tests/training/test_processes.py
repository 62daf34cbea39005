"""Two processes learn what one does: the same data and noise, and gradients of the whole batch."""

import math
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
WITH_BATCH_NORM = ("faces-gan with hinge", "faces-cgan with bce")
TWO = ("-m", "torch.distributed.run", "--nproc-per-node=2")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    for name in params.listed_experiments():
        layout = config.load_dataset("tiny", config.load_experiment("tiny", name).dataset)
        prepare(folder / name, layout.data.layout)
    return folder


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path: Path, prepared: Path) -> None:
    names = TRAINED + WITH_BATCH_NORM
    found = distances(tmp_path, prepared, names, DOUBLE="1")
    assert max(found.values()) < 1e-12, found
    for name in names:
        (one, two) = (tmp_path / where / name / "output" for where in ("one", "two"))
        assert sorted(p.name for p in one.rglob("*")) == sorted(p.name for p in two.rglob("*"))


@pytest.mark.slow
def test_so_they_do_in_single_precision(tmp_path: Path, prepared: Path) -> None:
    # Here the order of a sum, which is the processor's, now and then decides the sign of an
    # activation: one unit of a discriminator's then parts by 1e-4. That is chance, which another
    # seed has not; a fault would have it with every seed, and in double precision. BatchNorm puts
    # whole maps of flat pictures where that sign is decided, and any seed then parts.
    found = distances(tmp_path / "2", prepared, TRAINED)
    parted = [name for name, far in found.items() if far > 1e-5]
    if parted:
        again = distances(tmp_path / "3", prepared, parted, SEED="3")
        assert max(again.values()) < 1e-5, (found, again)


def distances(out: Path, prepared: Path, names: Sequence[str], **more: str) -> dict[str, float]:
    """How far two processes part from one, by name, and those that go on for each other."""
    train(out / "one", prepared, names, **more)
    train(out / "two", prepared, names, *TWO, **more)
    # Two go on where one stopped, and one goes on where two stopped.
    train(out / "one then two", prepared, names, **more, HALF="1")
    train(out / "one then two", prepared, names, *TWO, **more)
    train(out / "two then one", prepared, names, *TWO, **more, HALF="1")
    train(out / "two then one", prepared, names, **more)
    others = "two/0-of-2", "two/1-of-2", "one then two/1-of-2", "two then one/0-of-1"
    return {name: distance(out, name, *others) for name in names}


def train(out: Path, prepared: Path, names: Sequence[str], *launcher: str, **more: str) -> None:
    subprocess.run(
        [sys.executable, *launcher, str(SCRIPT), str(out), str(prepared), *names],
        check=True,
        env=os.environ | {"SEED": "2", "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"} | more,
    )


def distance(out: Path, name: str, *others: str) -> float:
    """The furthest that any weight or average of the others' is from that of one process."""
    expected = torch.load(out / "one" / name / "process-0-of-1.pt")
    furthest = 0.0
    for other in others:
        where, _, process = other.rpartition("/")
        found = torch.load(out / where / name / f"process-{process}.pt")
        for kind, tensors in expected.items():
            assert tensors.keys() == found[kind].keys()
            for key, tensor in tensors.items():
                gap = torch.dist(tensor.double(), found[kind][key].double(), p=math.inf).item()
                assert math.isfinite(gap), (name, other, key)
                furthest = max(furthest, gap)
    return furthest
