"""What a person has paused or resumed in Prefect since the last deploy stays so, and is told.

Prefect itself would set all of it as the code says: applying a table again would start, untold,
what somebody stopped.
"""

from typing import cast

from prefect.client.orchestration import SyncPrefectClient
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.exceptions import ObjectNotFound
from prefect.schedules import Schedule

OFF = "off in schedules.yaml"
"""A tag: tells a schedule that the table switches off from one that a person paused."""


def tags_of(time: Schedule) -> list[str]:
    """What to write on a deployment, to know it by at the next deploy."""
    return [] if time.active else [OFF]


def apply(wanted: RunnerDeployment, client: SyncPrefectClient) -> None:
    """Makes a deployment, or renews it but for what a person decided; prints a line for each."""
    try:
        there = client.read_deployment_by_name(wanted.full_name)
    except ObjectNotFound:
        wanted.apply()
        return
    said = []
    if there.paused:
        wanted.paused = True
        said.append("paused in Prefect")
    active, was_active = any(one.active for one in there.schedules), OFF not in there.tags
    for schedule in wanted.schedules or ():
        if active not in (was_active, schedule.active):
            schedule.active = active
            said.append(f"its schedule was {'resumed' if active else 'paused'} in Prefect")
    for trigger in cast(list[DeploymentEventTrigger], wanted.triggers):  # we make no others
        if not all(one.enabled for one in client.read_automations_by_name(str(trigger.name))):
            trigger.enabled = False
            said.append("its trigger was switched off in Prefect")
    for words in said:
        print(f"{wanted.full_name}: {words}; left so")
    wanted.apply()
