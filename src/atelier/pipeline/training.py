"""Running the one loop as a stage: locks, checkpoint, interruption, outputs that appear whole."""

import json
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atelier import config, paths
from atelier.data.folders import built_aside
from atelier.pipeline.definition import checkpoint_folder
from atelier.pipeline.interruption import stop_requests
from atelier.pipeline.locks import device_lock, held, physical
from atelier.pipeline.processes import leads

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from atelier.pipeline.warm_start import Before
    from atelier.training.loop import Preview
    from atelier.training.setup import Learner

SAVE_EVERY = "ATELIER_SAVE_EVERY_SECONDS"
"""How much work a kill -9 may cost; saving more often costs the disk's time."""

Observer = Callable[[Path], AbstractContextManager[Any]]
"""Follows a training from outside: gets its folder, must never stop it."""


@dataclass(frozen=True)
class Hooks:
    """What a stage adds to a training."""

    observer: Observer = lambda folder: nullcontext()
    finish: Callable[[Path], None] = lambda folder: None
    """May add to the finished folder before it takes its place."""
    preview: "Preview | None" = None
    """What its samples show."""


def run_training(
    stage: str,
    name: str,
    scale: str,
    work: config.Experiment | config.Judge,
    out: Path,
    dataset: str,
    hooks: Hooks,
) -> None:
    """Trains to the end, or on from where an equal training was stopped, and puts `out` in place.

    Raises:
        Interrupted: asked to stop; the checkpoint is saved.
    """
    folder, there = checkpoint_folder(stage, name, scale), paths.Paths(scale)
    judged = isinstance(work, config.Judge)
    where = there.dataset_file(name) if judged else there.experiment_file(name)
    with (
        stop_requests() as should_stop,
        held(folder.with_suffix(".lock"), f"the checkpoint of {stage}@{name}", should_stop),
    ):
        # torch and Fabric take seconds to import: not before it is our turn.
        from atelier.pipeline import room, warm_start
        from atelier.training import runtime

        precision = runtime.resolve_precision(work.training.precision)
        fabric = runtime.launch(precision)
        device = physical(str(fabric.device))
        with held(device_lock(device), f"the device {device}", should_stop):
            room.check(where, work, there.prepared(dataset), folder, fabric, precision)
            before = warm_start.Before(stage, name, scale)
            learner, facts = _learn(before, work, dataset, folder, fabric, hooks, should_stop)
            facts = runtime.describe(fabric, precision) | facts
            with built_aside(out, durable=True) as building:
                shutil.copytree(folder / "output", building, dirs_exist_ok=True)
                (building / "train.json").write_text(json.dumps(facts, indent=2) + "\n")
                hooks.finish(building)
        if isinstance(work, config.Experiment):
            before.keep(folder, learner, facts["images"])
        else:
            shutil.rmtree(folder)


def follow_training(
    stage: str, name: str, scale: str, work: config.Experiment | config.Judge, dataset: str
) -> None:
    """What each other process does of those that were launched: it computes, and writes nothing.

    Raises:
        Interrupted: one of them was asked to stop.
    """
    from atelier.pipeline import warm_start
    from atelier.training import runtime

    folder = checkpoint_folder(stage, name, scale)
    with stop_requests() as should_stop:
        fabric = runtime.launch(runtime.resolve_precision(work.training.precision))
        device = physical(str(fabric.device))
        with ExitStack() as stack:
            # A processor is one device for all of them, and the first holds it.
            if fabric.device.type == "cuda":
                own = held(device_lock(device), f"the device {device}", should_stop)
                stack.enter_context(own)
            before = warm_start.Before(stage, name, scale)
            _learn(before, work, dataset, folder, fabric, Hooks(), should_stop)


def _learn(
    before: "Before",
    work: config.Experiment | config.Judge,
    dataset: str,
    folder: Path,
    fabric: "Fabric",
    hooks: Hooks,
    should_stop: Callable[[], bool],
) -> tuple["Learner", dict[str, Any]]:
    """Trains; returns what has learned, and how far it came and from where."""
    from atelier.pipeline import warm_start
    from atelier.training import loop, setup

    if isinstance(work, config.Experiment) and leads():
        before.go_on(work, folder)
    fabric.barrier()
    learner = setup.build(work, paths.Paths(before.scale).prepared(dataset), fabric)
    start = warm_start.begin(work, learner, folder)
    with hooks.observer(folder):
        summary = loop.train(
            f"{before.stage}@{before.name}",
            work,
            learner,
            folder,
            preview=hooks.preview,
            should_stop=should_stop,
            save_every_seconds=float(os.environ.get(SAVE_EVERY, "60")),
        )
    facts = {
        "images": summary.images,
        "steps": summary.steps,
        "stopped_early": summary.stopped_early,
        "best_score": summary.best_score,
        "warnings": summary.warnings,
    }
    return learner, facts | ({"start": start.model_dump()} if start else {})
