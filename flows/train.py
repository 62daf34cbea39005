"""Train one experiment: whatever is stale in its pipeline, from the data to the registry.

python flows/train.py faces-gan --scale tiny        works without a server, too
"""

import sys
from typing import Annotated

import typer
from prefect import flow, get_client, get_run_logger, task
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterStartTime,
)
from prefect.runtime import deployment, flow_run

import report
import stage
from atelier.config import load_experiment
from atelier.errors import AtelierError
from atelier.operations import datasets, status
from atelier.operations.staleness import Step, steps_of
from atelier.operations.workspace import workspace
from atelier.params import STAGES_OF_EXPERIMENT, default_scale, listed_experiments
from parameters import Experiment, Scale


def run_name() -> str:
    """`faces-gan laptop #7 data 3f2a`."""
    asked = flow_run.parameters
    name, scale = asked["experiment"], asked.get("scale") or default_scale()
    number = f" #{_earlier_runs() + 1}" if deployment.id else ""
    digest = datasets.digests()[listed_experiments()[name].dataset]
    return f"{name} {scale}{number} data {digest[:4]}"


def _earlier_runs() -> int:
    """How many runs of this deployment have begun before this one."""
    begun = FlowRunFilter(start_time=FlowRunFilterStartTime(is_null_=False))
    these = DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id]))
    with get_client(sync_client=True) as client:
        return client.count_flow_runs(deployment_filter=these, flow_run_filter=begun)


@task(task_run_name="what is stale of {experiment}", persist_result=False)
def look(experiment: str, scale: str) -> list[Step]:
    """Asks DVC what is stale."""
    steps = steps_of(experiment, scale, get_run_logger().info)
    report.show_steps(experiment, scale, steps)
    return steps


@flow(flow_run_name=run_name)
def train(experiment: Experiment, scale: Scale | None = None, force: bool = False) -> str:
    """Trains, judges and registers an experiment if anything it rests on has changed.

    Args:
        experiment: one of params.yaml.
        scale: another than the workspace's works in a git worktree of the last commit.
        force: train again even where nothing has changed.
    """
    logger = get_run_logger()
    with workspace(scale, logger.info) as at:
        load_experiment(at, experiment)
        steps = look(experiment, at)
        stale = [step.stage for step in steps if step.stale]
        # The dataset's stages serve other experiments too: they are not forced.
        own = [f"{step}@{experiment}" for step in STAGES_OF_EXPERIMENT]
        if force:
            stale += [name for name in own if name not in stale]
        if not stale:
            logger.info("%s: nothing is stale", experiment)
            return f"{experiment}: nothing is stale"
        logger.info("%s: stale: %s", experiment, ", ".join(stale))
        before = status.champion_of(experiment, at)
        for name in stale:
            stage.run(name, force and name in own)
        stage.run_command(f"registry sync {experiment} --scale {at}")
        found = status.status_of(experiment, at)
        report.show_status(found, at)
        report.tell_champion(found, before)
        return f"{experiment}: {found.latest}: {found.reason}"


def main(
    experiment: Annotated[str, typer.Argument(help="An experiment of params.yaml.")],
    scale: Annotated[Scale | None, typer.Option(help="Another than params.yaml's.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Train again.")] = False,
) -> None:
    """Train one experiment as a Prefect flow."""
    try:
        load_experiment(scale or "laptop", experiment)
        print(train(experiment, scale, force))
    except AtelierError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    typer.run(main)
