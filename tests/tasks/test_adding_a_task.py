"""A task that the house does not know joins by its rows, its module and its class, and no more.

The toy of tests/toy_task.py goes all the way from training to the gate through the house's own
stages: whatever switches on the name of a task or a model on the way fails here.
"""

import base64
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tests import toy_task
from tests.toys import pictures

from atelier import config, task
from atelier.bundle import bundle_model
from atelier.bundle.bundle_model import answer, open_bundle, png
from atelier.bundle.client import Generator
from atelier.bundle.comparison import Comparer
from atelier.errors import UserError
from atelier.models import MODELS
from atelier.objectives import OBJECTIVES
from atelier.paths import Paths
from atelier.pipeline.bundling import choose_and_pack, open_comparer, score_bundle
from atelier.registry.gate import decide
from atelier.registry.packaging import signature
from atelier.tasks import MODULES
from atelier.tasks.context import Context
from atelier.training import loop, runtime, setup

SIDE, COUNT = 16, 64
PATHS = Paths("tiny")
TABLES = (task.TASKS, MODELS, OBJECTIVES, MODULES, bundle_model.TASKS)


@dataclass(frozen=True)
class Made:
    """What the stages left, and the same packed of networks that have learned nothing."""

    work: config.Experiment
    losses: list[float]
    grey: Path
    comparer: Comparer

    @property
    def bundle(self) -> Path:
        return PATHS.bundle(self.work.name)


def experiment() -> config.Experiment:
    """As its YAML would say; the files are those of faces-ae, which the tests' folder has."""
    known = config.load_experiment("tiny", "faces-ae")
    adam = config.Adam(learning_rate=0.05, betas=(0.9, 0.95), schedule="cosine")
    training = known.training.model_copy(
        update={
            "images": 60 * 16, "batch_size": 16, "optimizers": {toy_task.NETWORK: adam},
            "log_every_images": 10 * 16, "sample_every_images": 30 * 16,
        }
    )  # fmt: skip
    return known.model_copy(
        update={
            "name": "toys", "registered_name": "toys-tiny", "dataset": "toys",
            "model": toy_task.Config(name="colouriser"),
            "objective": toy_task.ObjectiveConfig(name="colour"),
            "training": training,
        }
    )  # fmt: skip


def prepare() -> None:
    """Pictures without labels whose colour is that of their brightness."""
    folder, judge = PATHS.prepared("toys"), PATHS.judge("toys")
    for needed in (folder, judge):
        needed.mkdir(parents=True)
    draw = np.random.default_rng(0)
    for split in ("training", "validation", "test"):
        bright = draw.integers(20, 236, (COUNT, 1, 4, 4)).repeat(4, 2).repeat(4, 3)
        noise = draw.integers(-3, 4, (COUNT, 3, SIDE, SIDE))
        coloured = np.concatenate([bright, bright // 2, bright // 4], 1) + noise
        np.save(folder / f"{split}.npy", coloured.astype(np.uint8))
    np.save(folder / "training_labels.npy", np.empty((COUNT, 0), np.uint8))
    manifest = {"layout": "pictures", "dataset": "toys", "drawn": True, "labels": [],
                "size_pixels": SIDE, "crop": 1.0}  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (judge / "judge.json").write_text('{"judge": "witness"}')


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """The toy, trained, packed and scored in a folder of its own."""
    work, before = experiment(), [set(table) for table in TABLES]
    with pytest.MonkeyPatch.context() as patch:
        toy_task.joined(patch)
        patch.chdir(tmp_path_factory.mktemp("toys"))
        prepare()
        learner = setup.build(work, PATHS.prepared("toys"), runtime.launch("fp32"))
        toy_task.pack(learner.averages, Context(work, PATHS, "validation"), Path("grey"), 0)
        loop.train("toys", work, learner, Path("work"), preview=toy_task.preview)
        shutil.copytree("work/output", PATHS.train("toys"))
        choose_and_pack(work, PATHS)
        score_bundle(work, PATHS)
        history = np.genfromtxt("work/output/history.csv", delimiter=",", names=True)
        losses = history["absolute_error"].tolist()
        yield Made(work, losses, Path("grey"), open_comparer(work, "tiny"))
    assert [set(table) for table in TABLES] == before, "the toy has left the house"


def test_it_is_trained_and_shown(made: Made) -> None:
    assert made.losses[-1] < made.losses[0] / 3
    assert list((PATHS.train("toys") / "samples").iterdir())


def test_a_snapshot_is_packed_and_its_figures_are_written(made: Made) -> None:
    opened = open_bundle(made.bundle)
    assert opened.task == toy_task.NAME
    kept = {int(path.stem) for path in (PATHS.train("toys") / "snapshots").iterdir()}
    assert opened.manifest["selected_images"] in kept
    assert "Colours grey pictures." in (made.bundle / "model_card.md").read_text()
    metrics = json.loads(PATHS.metrics("toys").read_text())
    assert metrics[toy_task.NAME]["psnr_db"] > 30
    assert metrics["settings"]["split"] == "test"
    assert (PATHS.evaluation("toys") / "grid.png").exists()


def test_it_answers_requests_and_refuses_the_rest(made: Made) -> None:
    opened = open_bundle(made.bundle)
    accepted = signature(opened.manifest)
    assert accepted.inputs.input_names() == ["image_base64"]
    assert accepted.outputs.input_names() == ["index", "png_base64"]
    photo = pictures(1, SIDE)
    row = {"image_base64": base64.b64encode(png(photo[0])).decode()}
    (given,) = answer(opened, [row], {"format": "array"})
    np.testing.assert_array_equal(
        given["array"], Generator(made.bundle, "toys").reconstruct(photo)[0]
    )
    with pytest.raises(UserError, match="never samples: its task is colourisation"):
        Generator(made.bundle, "toys").sample(1)


def test_the_gate_tells_it_from_one_that_colours_nothing(made: Made) -> None:
    opened, grey = open_bundle(made.bundle), open_bundle(made.grey)
    figures, worse = (made.comparer.figures(one) for one in (opened, grey))
    assert decide(figures, worse, made.comparer.compare(opened, grey)).promote
    assert worse.broken_floors == ("leaves pictures grey",)
    itself = decide(figures, figures, made.comparer.compare(opened, opened))
    assert not itself.promote
    assert "cannot tell the two apart" in itself.reason
