"""One DVC stage as a Prefect task: lines in the log, progress as an artifact, another try."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from prefect import get_run_logger, task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.client.schemas.objects import State, TaskRun
from prefect.runtime import flow_run

from atelier.errors import UserError
from atelier.operations import process, progress
from atelier.operations.devices import devices_of_a_training
from atelier.paths import JUDGE, JUDGE_B
from atelier.registry.lineage import FLOW_RUN, FLOW_RUN_URL
from report import unless_away
from slot import device_slot

TRAIN = (JUDGE, JUDGE_B, "train")
ON_DEVICE = (*TRAIN, "bundle", "evaluate", "register")
"""Stages that compute with the networks; the others need no slot."""
HOURS = {"train": 72.0, JUDGE: 12.0, JUDGE_B: 12.0}
OTHER_HOURS = 3.0
TIMEOUT_VARIABLE = "ATELIER_STAGE_TIMEOUT_SECONDS"


def worth_another_try(task: Any, task_run: TaskRun, state: State) -> bool:
    """A user's mistake stays one; everything else goes on from its checkpoint."""
    return not isinstance(state.result(raise_on_failure=False), UserError)


@task(task_run_name="{stage}", retries=2, retry_delay_seconds=5, persist_result=False,
      retry_condition_fn=worth_another_try)  # fmt: skip
def run_stage(stage: str, force: bool, variables: dict[str, str]) -> None:
    """`dvc repro` of one stage; DVC decides whether there is anything to do."""
    process.run_stage(stage, _teller(stage), force=force, variables=variables)


@task(task_run_name="atelier {arguments}", persist_result=False)
def run_command(arguments: str) -> None:
    """A command of ours that is no stage."""
    logger = get_run_logger()
    if code := process.run(arguments.split(), logger.info, variables=_who_ordered()):
        raise RuntimeError(f"atelier {arguments}: exit code {code}; see the lines above")


def run(stage: str, force: bool = False) -> None:
    """Runs a stage in its task, with slots where it computes on devices.

    Raises:
        UserError: a training shall have more processes than there are GPUs, or slots.
    """
    kind = stage.partition("@")[0]
    seconds = float(os.environ.get(TIMEOUT_VARIABLE, 3600 * HOURS.get(kind, OTHER_HOURS)))
    devices = devices_of_a_training() if kind in TRAIN else 1
    waits: AbstractContextManager[dict[str, str]] = (
        device_slot(stage, devices) if kind in ON_DEVICE else nullcontext({})
    )
    with waits as named:
        timed = run_stage.with_options(timeout_seconds=seconds)
        timed(stage, force, {**named, **_who_ordered()})


def _who_ordered() -> dict[str, str]:
    return {FLOW_RUN: str(flow_run.id or ""), FLOW_RUN_URL: str(flow_run.ui_url or "")}


def _teller(stage: str) -> Callable[[str], None]:
    """Hands each line to the run's log, and those that tell of progress to an artifact, too."""
    logger, artifact = get_run_logger(), None

    @unless_away()
    def show(now: progress.Progress) -> None:
        nonlocal artifact
        if artifact is None:
            artifact = create_progress_artifact(now.percent, stage.replace("@", "-"), str(now))
        else:
            update_progress_artifact(artifact, now.percent, str(now))

    def tell(line: str) -> None:
        if line.strip():
            logger.info(line)
        if now := progress.read(line):
            show(now)

    return tell
