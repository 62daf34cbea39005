"""Noticing that a stage should stop: a signal, or the death of the dvc that started it.

A killed `dvc repro` leaves its stage's command running. Such an orphan would train on beside its
successor, so it ends like an interrupted one: with a checkpoint.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import psutil

POLL_SECONDS = 0.5
DVC_MARK = "DVC_STAGE"
"""Set by DVC in the environment of every command it runs."""


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
        threading.Thread(target=_watch, args=(dvc, request, finished), daemon=True).start()
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
    for ancestor in psutil.Process().parents():
        try:
            if DVC_MARK not in ancestor.environ():
                return ancestor
        except psutil.Error:
            return ancestor
    return None


def _watch(process: psutil.Process, request: StopRequest, finished: threading.Event) -> None:
    while not finished.wait(POLL_SECONDS):
        # is_running compares the start time too: a reused process id is another process.
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            request.ask("dvc, which started this stage, is gone")
            return
