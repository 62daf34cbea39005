"""One global slot for each device: who holds it may train; it comes free when its holder dies."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from prefect import get_run_logger
from prefect.client.schemas.objects import ConcurrencyLeaseHolder
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.concurrency.sync import concurrency
from prefect.runtime import flow_run
from prefect.variables import Variable

from atelier.operations.devices import claimed
from atelier.operations.services import LIMIT
from report import unless_away

LEASE_SECONDS = 60.0
"""How long a dead holder keeps the others waiting: Prefect allows no shorter lease."""
TELL_SECONDS = 30.0
AWAY_SECONDS = 5.0
HOLDER = "atelier_device_holder"


@contextmanager
def device_slot(stage: str) -> Iterator[dict[str, str]]:
    """Waits for the slot, saying for whom, and holds it; yields the variables that name the device.

    A lease that can't be renewed, because the server is away, does not end the work: the file lock
    of the device itself keeps a second trainer off all the same.
    """
    say = get_run_logger().info
    with ExitStack() as held:
        _enter(held)
        with unless_away():
            Variable.set(HOLDER, f"{flow_run.name} ({stage})", overwrite=True)
        say("%s: holds the slot", stage)
        held.callback(say, "%s: leaves the slot", stage)
        yield held.enter_context(claimed(say))


def _enter(held: ExitStack) -> None:
    say, warn = get_run_logger().info, get_run_logger().warning
    while True:
        slot = concurrency(
            LIMIT,
            timeout_seconds=TELL_SECONDS,
            lease_duration=LEASE_SECONDS,
            strict=True,
            holder=ConcurrencyLeaseHolder(type="flow_run", id=flow_run.id),
            raise_on_lease_renewal_failure=False,
        )
        try:
            slot.__enter__()
        except TimeoutError:
            with unless_away():
                say("waiting for the slot: held by %s", Variable.get(HOLDER, default="another run"))
        except ConcurrencySlotAcquisitionError as error:
            if "must be created" in str(error):
                warn("this server has no limit %s; the device's file lock guards alone", LIMIT)
                return
            warn("waiting for the slot: %s (%s)", error, error.__cause__)
            time.sleep(AWAY_SECONDS)
        else:
            held.callback(_leave, slot)
            return


def _leave(slot: AbstractContextManager[None]) -> None:
    """Where the server is away, the lease runs out by itself."""
    with unless_away():
        slot.__exit__(None, None, None)
