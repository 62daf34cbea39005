"""Follows a training as it goes and sends its figures to MLflow, without ever being in its way.

A thread beside the training reads the files that training writes anyway. MLflow is imported there,
and only once a training has lasted a while: a short one is sent by `atelier registry sync`. A
missing MLflow or an unreachable server is noted and tried again; what could not be sent stays in
the files and is sent later, once.
"""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from atelier.registry.store import open_store
from atelier.registry.tracking import RunDescription, Sender, find_or_create

LOG = logging.getLogger(__name__)
EVERY_SECONDS = 10.0
FINISH_SECONDS = 20.0
"""How long the end of a training waits for the last figures."""


class Follower:
    """`with Follower(folder, describe): train()`.

    A body that ends well finishes the run, with at most 20 s of waiting; one that raises leaves it
    open, and the next Follower of the same training goes on with it. The folder must stay in its
    place until then. A training too short to have been followed is left to the sync.

    Args:
        folder: where the training writes history.csv and samples/.
        describe: called in the thread, so that reading the repository's state costs training
            nothing.
    """

    def __init__(
        self,
        folder: Path,
        describe: Callable[[], RunDescription],
        every_seconds: float = EVERY_SECONDS,
        system_metrics: bool = True,
    ) -> None:
        self.folder, self.describe, self.every_seconds = folder, describe, every_seconds
        self.run_id: str | None = None
        self.complete = False
        """Whether the store holds all of a finished training."""
        self._system_metrics = system_metrics
        self._sender: Sender | None = None
        self._monitor: Any = None
        self._finished = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follower", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.finish()
        else:
            self._end()

    def finish(self) -> bool:
        """Ends the following of a training that is done; says whether the store holds all of it."""
        self._finished = True
        self._end()
        return self.complete

    def _end(self) -> None:
        self._stop.set()
        self._thread.join(FINISH_SECONDS)

    def _follow(self) -> None:
        while not self._stop.wait(self.every_seconds):
            self._try_once()
        if self._sender is not None:
            self._try_once()
        if self._monitor is not None:
            self._monitor.finish()

    def _try_once(self) -> None:
        try:
            self._once()
        except ImportError as error:
            LOG.info("not tracked: %s", error)
            self._stop.set()
        # A border: whatever tracking meets, from a locked database to a broken proxy, training
        # goes on, and the files keep what was not sent.
        except Exception as error:
            LOG.warning("tracking: %s; will try again", str(error).splitlines()[0][:200])

    def _once(self) -> None:
        if self._sender is None:
            store = open_store()
            self.run_id = find_or_create(store, self.describe())
            store.client.update_run(self.run_id, status="RUNNING")
            self._sender = Sender(store, self.run_id, self.folder)
            if self._system_metrics:
                self._watch_system(store.uri)
        self._sender.send()
        if self._finished:
            self._sender.finish()
            self.complete = True

    def _watch_system(self, uri: str) -> None:
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        monitor: Any = SystemMetricsMonitor
        self._monitor = monitor(self.run_id, resume_logging=True, tracking_uri=uri)
        self._monitor.start()
