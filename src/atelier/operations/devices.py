"""Which devices a stage may use: of several, each is claimed by one flow at a time, and a training
takes one for each of its processes. Cores are shared by those who work side by side."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from filelock import FileLock, Timeout

from atelier.data.parallel import available_cores
from atelier.errors import UserError
from atelier.pipeline.interruption import stop_requests
from atelier.pipeline.locks import CPU_SHARE, device_lock, held
from atelier.pipeline.processes import PROCESSES, asked_for

VISIBLE = "CUDA_VISIBLE_DEVICES"
POLL_SECONDS = 1.0


def visible_devices() -> list[str]:
    """What the operator lets us use: CUDA_VISIBLE_DEVICES, else what NVIDIA's driver lists.

    Asked of /proc, because importing torch takes seconds. Empty where there is no GPU.
    """
    if (named := os.environ.get(VISIBLE)) is not None:
        return [device.strip() for device in named.split(",") if device.strip()]
    folder = "/proc/driver/nvidia/gpus"
    return [str(n) for n in range(len(os.listdir(folder)))] if os.path.isdir(folder) else []


def devices_of_a_training() -> int:
    """How many devices a training takes: a GPU for each of its processes, or the processor.

    Raises:
        UserError: it shall have more processes than there are GPUs.
    """
    processes, names = asked_for(), visible_devices()
    if names and processes > len(names):
        there = f"{VISIBLE} or the driver lists {len(names)}: {', '.join(names)}"
        raise UserError(PROCESSES, f"asks for {processes} GPUs, one for each process; {there}")
    return processes if names else 1


@contextmanager
def claimed(waiting: Callable[[str], None], count: int = 1) -> Iterator[dict[str, str]]:
    """Claims free devices for as long as it lasts; yields the variables that tell a stage.

    A claim is the kernel's file lock: it goes with its process, however that ends. Who does not
    get as many as it wants keeps none.
    """
    names = visible_devices()
    if not names:
        yield {}
        return
    told = False
    while True:
        with ExitStack() as claims:
            mine: list[str] = []
            for name in names:
                lock = FileLock(device_lock(f"cuda:{name}").with_suffix(".claim"))
                with suppress(Timeout):
                    claims.enter_context(lock.acquire(timeout=0))
                    mine.append(name)
                if len(mine) == count:
                    yield {VISIBLE: ",".join(mine)}
                    return
        if not told:
            wanted = "a device" if count == 1 else f"{count} devices"
            waiting(f"waiting for {wanted}: {', '.join(names)} are claimed by other flows")
            told = True
        time.sleep(POLL_SECONDS)


@contextmanager
def shares_of_cores(count: int) -> Iterator[list[dict[str, str]]]:
    """Equal shares of this machine's cores; yields the variables that tell a process its own.

    Where processes train on the cores, those of others wait meanwhile.

    Raises:
        Interrupted: stopped while waiting for others.
    """
    threads = max(1, available_cores() // count)
    shares = [{"OMP_NUM_THREADS": str(threads), CPU_SHARE: str(n)} for n in range(count)]
    if visible_devices():
        yield shares
        return
    with stop_requests() as should_stop, held(device_lock("cpu"), "the device cpu", should_stop):
        yield shares


def places() -> int:
    """How many trainings this machine does well at once: one on the GPUs that it takes, else two on
    its cores.

    Raises:
        UserError: one shall have more processes than there are GPUs.
    """
    return len(_places_on_gpus()) or min(2, available_cores())


@contextmanager
def shares_of_machine(count: int) -> Iterator[list[dict[str, str]]]:
    """`shares_of_cores`, and of several GPUs as many as a training takes for each, by turns.

    Raises:
        UserError: one shall have more processes than there are GPUs.
        Interrupted: stopped while waiting for others.
    """
    on_gpus = _places_on_gpus()
    with shares_of_cores(count) as shares:
        for number, share in enumerate(shares if on_gpus else ()):
            share[VISIBLE] = on_gpus[number % len(on_gpus)]
        yield shares


def _places_on_gpus() -> list[str]:
    """The GPUs, as many together as a training takes; what is left over is in none."""
    names, size = visible_devices(), devices_of_a_training()
    return [",".join(names[at : at + size]) for at in range(0, len(names) - size + 1, size)]
