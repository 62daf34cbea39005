"""One global slot for each device: who holds it may train; it comes free when its holder dies.

A training of several processes holds as many slots as it takes GPUs.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from prefect import get_run_logger
from prefect.client.schemas.objects import ConcurrencyLeaseHolder
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.concurrency.sync import concurrency
from prefect.runtime import flow_run
from prefect.variables import Variable

from atelier.errors import UserError
from atelier.operations.devices import claimed
from atelier.operations.services import LIMIT
from atelier.pipeline.processes import PROCESSES
from report import unless_away

LEASE_SECONDS = 60.0
"""How long a dead holder keeps the others waiting: Prefect allows no shorter lease."""
TELL_SECONDS = 30.0
AWAY_SECONDS = 5.0
HOLDER = "atelier_device_holder"
TOO_MANY = "greater than the limit"
"""What Prefect's server says of a request that no waiting will fulfil."""


@contextmanager
def device_slot(stage: str, devices: int = 1) -> Iterator[dict[str, str]]:
    """Waits for its slots, saying for whom, and holds them; yields the variables that name the
    devices.

    A lease that can't be renewed, because the server is away, does not end the work: the file lock
    of the device itself keeps a second trainer off all the same.

    Raises:
        UserError: the server has fewer slots than devices are asked for.
    """
    say = get_run_logger().info
    with ExitStack() as held:
        _enter(held, devices)
        with unless_away():
            Variable.set(HOLDER, f"{flow_run.name} ({stage})", overwrite=True)
        say("%s: holds the slot", stage)
        held.callback(say, "%s: leaves the slot", stage)
        yield held.enter_context(claimed(say, devices))


def _enter(held: ExitStack, devices: int) -> None:
    say, warn = get_run_logger().info, get_run_logger().warning
    while True:
        slot = concurrency(
            LIMIT,
            occupy=devices,
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
            if TOO_MANY in str(error):
                few = f"has fewer slots than the {devices} devices that {PROCESSES} asks for"
                raise UserError(LIMIT, f"{few}; see `atelier deploy --slots`") from None
            warn("waiting for the slot: %s (%s)", error, error.__cause__)
            time.sleep(AWAY_SECONDS)
        else:
            held.callback(_leave, slot)
            return


def _leave(slot: AbstractContextManager[None]) -> None:
    """Where the server is away, the lease runs out by itself."""
    with unless_away():
        slot.__exit__(None, None, None)
