"""What Prefect can run: a deployment for each experiment of params.yaml, and three more.

python flows/deployments.py        makes or renews them; `make up` and `make deploy` call it

params.yaml says which experiments there are, schedules.yaml when they run, the flows what they do.
"""

import sys
from dataclasses import dataclass
from typing import Any

from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.responses import DeploymentResponse
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.runner.storage import LocalStorage
from prefect.schedules import Schedule

import pauses
import schedules
from atelier.errors import UserError
from atelier.operations.services import POOL
from atelier.params import Listed, load_parameters
from watch import CHANGED, resource_of

TRAIN = "flows/train.py:train"
QUEUE = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
"""The next run of a deployment waits for the one before."""


@dataclass(frozen=True)
class Other:
    """A deployment that is no experiment's."""

    entrypoint: str
    description: str
    tag: str


OTHERS = {
    "refresh": Other(
        "flows/refresh.py:refresh",
        "Every experiment, one after the other; pushes to the DVC remote",
        "refresh",
    ),
    "evaluate-again": Other(
        "flows/evaluate.py:evaluate",
        "Champions on today's data, without training",
        "evaluate",
    ),
    "watch-data": Other(
        "flows/watch.py:watch",
        "Compares the datasets' hashes and says which changed",
        "data",
    ),
}


class Checkout(LocalStorage):
    """The repository in the folder of whichever worker runs, not in that of who deploys."""

    def to_pull_step(self) -> dict[str, Any]:
        where = {"directory": "{{ $ATELIER_ROOT }}"}
        return {"prefect.deployments.steps.set_working_directory": where}


def wanted() -> list[RunnerDeployment]:
    """Every deployment that there shall be; asks no server.

    Raises:
        UserError: params.yaml or schedules.yaml is wrong.
    """
    listed = load_parameters().experiments
    times = schedules.read_times(list(listed), OTHERS)
    return [_train(name, listed[name], time) for name, time in times.experiments.items()] + [
        _deployment(one.entrypoint, name, one.description, [one.tag], times.others[name])
        for name, one in OTHERS.items()
    ]


def _train(name: str, listed: Listed, time: Schedule) -> RunnerDeployment:
    """An experiment's deployment: at its time, and when its own dataset has changed."""
    return _deployment(
        TRAIN,
        name,
        f"Model {listed.model} with objective {listed.objective} on dataset {listed.dataset}",
        ["train", listed.dataset],
        time,
        parameters={"experiment": name},
        triggers=[DeploymentEventTrigger(expect={CHANGED}, match=resource_of(listed.dataset))],
    )


def _deployment(
    entrypoint: str, name: str, description: str, tags: list[str], time: Schedule, **more: Any
) -> RunnerDeployment:
    """The flow is loaded: the form in Prefect's UI shows its parameters."""
    deployment = RunnerDeployment.from_entrypoint(
        entrypoint,
        name,
        description=description,
        tags=[*tags, *pauses.tags_of(time)],
        schedules=[DeploymentScheduleCreate.from_schedule(time)],
        concurrency_limit=QUEUE,
        work_pool_name=POOL,
        # A flow that printed through its worker would end with it; its log goes to the server.
        job_variables={"stream_output": False},
        **more,
    )
    deployment.storage = Checkout(".")
    return deployment


def apply() -> None:
    """Makes what is missing, renews what is there, and removes what params.yaml lists no longer."""
    deployments = wanted()
    with get_client(sync_client=True) as client:
        before = _experiments_deployed(client)
        for one in deployments:
            pauses.apply(one, client)
        names = {one.name for one in deployments if one.entrypoint == TRAIN}
        for name in sorted(names - before.keys()):
            print(f"train/{name}: new")
        for name in sorted(before.keys() - names):
            # Its trigger is an automation of its own, which would outlive it.
            client.delete_resource_owned_automations(f"prefect.deployment.{before[name].id}")
            client.delete_deployment(before[name].id)
            print(f"train/{name}: removed, because params.yaml lists no {name}")


def _experiments_deployed(client: SyncPrefectClient) -> dict[str, DeploymentResponse]:
    """Deployments named like the experiment they train; those made by hand have other names."""
    trains = FlowFilter(name=FlowFilterName(any_=["train"]))
    return {
        one.name: one
        for one in client.read_deployments(flow_filter=trains)
        if one.entrypoint == TRAIN and one.parameters.get("experiment") == one.name
    }


if __name__ == "__main__":
    try:
        apply()
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
