"""One process at a time on a stage, a checkpoint and a device, by the kernel's file locks.

A lock goes with its process, however that ends. A device is one for all repositories of a user, so
its lock lies in the user's runtime folder.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from atelier.display import say
from atelier.errors import Interrupted
from atelier.pipeline.interruption import stop_requests

POLL_SECONDS = 0.5
LOCKS_VARIABLE = "ATELIER_DEVICE_LOCKS"
"""Another folder for device locks: tests use it to leave the machine's own alone."""
CPU_SHARE = "ATELIER_CPU_SHARE"
"""Number of the share of the cores that a process has, where whoever holds them all shares them."""


def physical(device: str) -> str:
    """The name that all processes know: `cuda:0` of one that sees only some devices -> its number
    among all; `cpu` of one that has a share of the cores -> that share's."""
    kind, _, number = device.partition(":")
    if device == "cpu" and (share := os.environ.get(CPU_SHARE)):
        return f"cpu:{share}"
    named = [one.strip() for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    if kind != "cuda" or not any(named):
        return device
    return f"cuda:{named[int(number or 0)]}"


def device_lock(device: str) -> Path:
    """The lock file of a device, such as `cpu` or `cuda:0`, counted as the machine counts them."""
    # By number: in a container, a user may have neither a name nor a home.
    default = Path(tempfile.gettempdir(), f"atelier-{os.getuid()}")
    folder = Path(os.environ.get(LOCKS_VARIABLE, default))
    return folder / f"{device.replace(':', '-')}.lock"


@contextmanager
def alone(name: str, scale: str, *stages: str) -> Iterator[None]:
    """One process at a time makes a stage's outputs; the next waits, and then makes them again.

    Args:
        stages: what is made, after what it is made from, which nobody then makes anew; in the
            pipeline's order, so that no two wait for each other.

    Raises:
        Interrupted: asked to stop while waiting.
    """
    with ExitStack() as stack:
        with stop_requests() as should_stop:
            for stage in stages:
                lock = Path(".atelier", "stages", f"{scale}-{stage}-{name}.lock")
                stack.enter_context(held(lock, f"{stage}@{name}", should_stop))
        yield


@contextmanager
def held(path: Path, what: str, should_stop: Callable[[], bool]) -> Iterator[None]:
    """Waits for a lock, saying once for whom, and holds it.

    Raises:
        Interrupted: `should_stop` said so while waiting.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(path), _record(path)
    told = False
    while True:
        try:
            lock.acquire(timeout=POLL_SECONDS)
            break
        except Timeout:
            if not told:
                say(f"waiting for {what}: held by {holder_of(path)}")
                told = True
            if should_stop():
                raise Interrupted(f"stopped while waiting for {what}.") from None
    try:
        holder.write_text(json.dumps({"pid": os.getpid(), "command": " ".join(sys.argv)}))
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _record(path: Path) -> Path:
    return path.with_suffix(".holder.json")


def is_held(path: Path) -> bool:
    """Whether a process holds the lock: a record alone may be a killed one's."""
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True


def holder_of(path: Path) -> str:
    """Who holds a lock that is held."""
    try:
        known = json.loads(_record(path).read_text())
        if psutil.pid_exists(known["pid"]):
            return f"process {known['pid']} ({known['command']})"
    except (OSError, ValueError, KeyError):
        pass
    return "another process"
