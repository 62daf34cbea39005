"""Which device a stage may use: of several, each is claimed by one flow at a time; cores are shared
by those who work side by side."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from atelier.data.parallel import available_cores
from atelier.pipeline.interruption import stop_requests
from atelier.pipeline.locks import CPU_SHARE, device_lock, held

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


@contextmanager
def claimed(waiting: Callable[[str], None]) -> Iterator[dict[str, str]]:
    """Claims a free device for as long as it lasts; yields the variables that tell a stage.

    A claim is the kernel's file lock: it goes with its process, however that ends.
    """
    names = visible_devices()
    locks = [FileLock(device_lock(f"cuda:{name}").with_suffix(".claim")) for name in names]
    if not locks:
        yield {}
        return
    told = False
    while True:
        for name, lock in zip(names, locks, strict=True):
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            try:
                yield {VISIBLE: name}
            finally:
                lock.release()
            return
        if not told:
            waiting(f"waiting for a device: {', '.join(names)} are claimed by other flows")
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
    """How many trainings this machine does well at once: one on each GPU, else two on its cores."""
    return len(visible_devices()) or min(2, available_cores())


@contextmanager
def shares_of_machine(count: int) -> Iterator[list[dict[str, str]]]:
    """`shares_of_cores`, and of several GPUs one for each, by turns.

    Raises:
        Interrupted: stopped while waiting for others.
    """
    names = visible_devices()
    with shares_of_cores(count) as shares:
        for number, share in enumerate(shares if names else ()):
            share[VISIBLE] = names[number % len(names)]
        yield shares
