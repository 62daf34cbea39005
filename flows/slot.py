"""One global slot for each device: who holds it may train; it comes free when its holder dies."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from prefect import get_run_logger
from prefect.client.schemas.objects import ConcurrencyLeaseHolder
from prefect.concurrency._asyncio import ConcurrencySlotAcquisitionError
from prefect.concurrency.sync import concurrency
from prefect.runtime import flow_run
from prefect.variables import Variable

from atelier.pipeline.devices import claimed

LIMIT = "atelier-device"
"""The global concurrency limit; its number is how many devices there are."""
LEASE_SECONDS = 60.0
"""How long a dead holder keeps the others waiting: Prefect allows no shorter lease."""
TELL_SECONDS = 30.0
HOLDER = "atelier_device_holder"


@contextmanager
def device_slot(stage: str) -> Iterator[dict[str, str]]:
    """Waits for the slot, saying for whom, and holds it; yields the variables that name the device.

    A lease that can't be renewed, because the server is away, does not end the work: the file lock
    of the device itself keeps a second trainer off all the same.
    """
    with ExitStack() as held:
        _enter(held)
        Variable.set(HOLDER, f"{flow_run.name} ({stage})", overwrite=True)
        get_run_logger().info("%s: holds the slot", stage)
        held.callback(lambda: get_run_logger().info("%s: leaves the slot", stage))
        yield held.enter_context(claimed(get_run_logger().info))


def _enter(held: ExitStack) -> None:
    holder = ConcurrencyLeaseHolder(type="flow_run", id=flow_run.id)
    while True:
        try:
            held.enter_context(
                concurrency(
                    LIMIT,
                    timeout_seconds=TELL_SECONDS,
                    lease_duration=LEASE_SECONDS,
                    strict=True,
                    holder=holder,
                    raise_on_lease_renewal_failure=False,
                )
            )
            return
        except TimeoutError:
            who = Variable.get(HOLDER, default="another run")
            get_run_logger().info("waiting for the slot: held by %s", who)
        except ConcurrencySlotAcquisitionError:
            get_run_logger().warning(
                "this server has no limit %s (make up makes it); the device's file lock guards",
                LIMIT,
            )
            return
