"""Noticing that a stage should stop: a signal, or the death of the dvc that started it.

A killed `dvc repro` leaves its stage's command running. Such an orphan would train on beside its
successor, so it ends like an interrupted one: with a checkpoint.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import psutil

from atelier.errors import Interrupted

POLL_SECONDS = 0.5
DVC_MARK = "DVC_STAGE"
"""Set by DVC in the environment of every command it runs."""
CALLER = "ATELIER_CALLER"
"""Set in a fork that takes a command's place: that command's process."""
PARENT_VARIABLE = "ATELIER_PARENT"
"""Set for a command that shall not outlive the process of that number."""


class StopRequest:
    """Becomes true, once, when the work should be saved and ended."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.reason = ""

    def __call__(self) -> bool:
        return self._event.is_set()

    def ask(self, reason: str) -> None:
        if not self._event.is_set():
            self.reason = reason
            self._event.set()


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Listens for SIGINT, SIGTERM and the death of the dvc process above us."""
    request = StopRequest()

    def handle(number: int, frame: FrameType | None) -> None:
        request.ask(signal.Signals(number).name)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    finished = threading.Event()
    if dvc := dvc_above():
        gone = "dvc, which started this stage, is gone"
        watch(dvc, lambda: request.ask(gone), finished)
    try:
        yield request
    finally:
        finished.set()
        for number, handler in before.items():
            signal.signal(number, handler)


def dvc_above() -> psutil.Process | None:
    """The dvc process that runs this stage, if any: the nearest ancestor without DVC's mark."""
    if DVC_MARK not in os.environ:
        return None
    try:
        ancestors = psutil.Process(int(os.environ.get(CALLER, os.getpid()))).parents()
    except psutil.NoSuchProcess:
        raise Interrupted("the command that started this one is gone.") from None
    for ancestor in ancestors:
        try:
            if DVC_MARK not in ancestor.environ():
                return ancestor
        except psutil.Error:
            return ancestor
    return None


def parent_above() -> psutil.Process | None:
    """The process that started this command and without which it shall not go on, if any.

    Raises:
        Interrupted: it has ended already.
    """
    number = os.environ.get(PARENT_VARIABLE)
    if number is None:
        return None
    if int(number) != os.getppid():
        raise Interrupted("the process that started this one is gone.")
    return psutil.Process(int(number))


def watch(process: psutil.Process, then: Callable[[], None], finished: threading.Event) -> None:
    """Calls `then`, once, in a thread, when a process has ended before `finished` is set."""
    threading.Thread(target=_watch, args=(process, then, finished), daemon=True).start()


def _watch(process: psutil.Process, then: Callable[[], None], finished: threading.Event) -> None:
    while not finished.wait(POLL_SECONDS):
        # is_running compares the start time too: a reused process id is another process.
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            then()
            return
