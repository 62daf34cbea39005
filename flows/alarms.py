"""Who is told of what: Prefect automations that write to the operator's own notification block.

python flows/alarms.py        makes or renews them; `make up` and `make deploy` call it

ATELIER_ALARM_BLOCK names the block, such as slack-webhook/ops; without it nobody is told. One more
automation needs no block: it marks runs as crashed whose heartbeat stopped, so that a dead worker's
run does not stand in the way of the next.
"""

import os
import sys
from datetime import timedelta
from typing import cast

from prefect import get_client
from prefect.automations import Automation
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.exceptions import ObjectNotFound

from atelier.errors import UserError
from report import CHAMPION_REPLACED

BLOCK_VARIABLE = "ATELIER_ALARM_BLOCK"
SILENT_SECONDS = 150
"""Five heartbeats; a run that misses them is gone."""
EVERY_RUN = {"prefect.resource.id": "prefect.flow-run.*"}
MESSAGES = {
    "atelier: a run failed": (
        {"prefect.flow-run.Failed", "prefect.flow-run.Crashed", "prefect.flow-run.TimedOut"},
        EVERY_RUN,
        "{{ flow_run.name }}: {{ flow_run.state.name }}",
        "{{ flow_run.state.message }}",
    ),
    "atelier: a champion was replaced": (
        {CHAMPION_REPLACED},
        {"prefect.resource.id": "atelier.champion.*"},
        "{{ event.payload.champion }} is champion",
        "Before: {{ event.payload.before }}. {{ event.payload.reason }}",
    ),
    "atelier: a schedule was missed": (
        {"prefect.flow-run.Late"},
        EVERY_RUN,
        "{{ flow_run.name }} is late",
        "No worker took it: is one running?",
    ),
}


def zombies() -> Automation:
    """After Prefect's own recipe: a heartbeat, and then neither another nor an end."""
    return Automation(
        name="atelier: a run without heartbeat has crashed",
        trigger=EventTrigger(
            match=EVERY_RUN,
            after={"prefect.flow-run.heartbeat"},
            expect={
                "prefect.flow-run.heartbeat", "prefect.flow-run.Completed",
                "prefect.flow-run.Failed", "prefect.flow-run.Cancelled",
                "prefect.flow-run.Crashed", "prefect.flow-run.AwaitingRetry",
            },
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=SILENT_SECONDS),
        ),
        actions=[
            ChangeFlowRunState(state=StateType.CRASHED, message="Its heartbeat stopped.")
        ],
    )  # fmt: skip


def messages(block: str) -> list[Automation]:
    """One automation for each thing that an operator should hear of."""
    kind, _, name = block.partition("/")
    with get_client(sync_client=True) as client:
        try:
            found = client.read_block_document_by_name(name=name, block_type_slug=kind)
        except ObjectNotFound:
            raise UserError(
                BLOCK_VARIABLE,
                f"no such block (got {block})",
                "Make it in Prefect's UI and name it TYPE/NAME.",
            ) from None
    return [
        Automation(
            name=title,
            trigger=EventTrigger(match=match, expect=expect, posture=Posture.Reactive, threshold=1),
            actions=[SendNotification(block_document_id=found.id, subject=subject, body=body)],
        )
        for title, (expect, match, subject, body) in MESSAGES.items()
    ]


def apply() -> None:
    """Makes what is missing and renews what is there; what a person switched off stays so.

    A block that is not named leaves its messages as they are; one that is named "" ends them.
    """
    block = os.environ.get(BLOCK_VARIABLE)
    wanted = {one.name: one for one in [zombies(), *(messages(block) if block else [])]}
    for name in (zombies().name, *MESSAGES):
        there = _find(name)
        if name in wanted and there:
            wanted[name].id = there.id
            wanted[name].enabled = there.enabled
            wanted[name].update()
            if not there.enabled:
                print(f"{name}: switched off in Prefect; left so")
        elif name in wanted:
            wanted[name].create()
        elif there and block is not None:
            there.delete()


def _find(name: str) -> Automation | None:
    try:
        # Prefect declares its overloads of `read` async; without a loop it answers at once.
        return cast(Automation, Automation.read(name=name))
    except ValueError:
        return None


if __name__ == "__main__":
    try:
        apply()
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
