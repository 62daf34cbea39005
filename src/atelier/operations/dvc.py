"""`dvc repro`, once or several side by side, that waits its turn.

DVC fails at once where a path is busy. Its own record of who holds what (.dvc/tmp/rwlock) says for
whom to wait.
"""

import json
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psutil

from atelier.commands import MODULE
from atelier.display import say
from atelier.errors import AtelierError, Interrupted
from atelier.pipeline.interruption import parent_above, watch

POLL_SECONDS = 1.0
LOOK_SECONDS, MET_SECONDS = 0.2, 3.0
"""How often we look who else holds paths, and how long before its end DVC may have met them."""
HOLDERS = Path(".dvc", "tmp", "rwlock")
COMMAND = (*MODULE, "dvc", "--wait-for-lock", "repro")
"""DVC's lock on the repository is short and waited for; a busy path is not: see above."""
Arguments = Sequence[str]
Place = Mapping[str, str]
"""Variables of a command's environment, beside ours."""


def repro(runs: Iterable[Arguments], places: Sequence[Place] = ({},)) -> None:
    """`dvc repro` with each of these arguments, as many at once as there are places.

    Runs that are side by side must share no path that one of them writes. What they say then comes
    line by line. A run that meets others at a path is tried again when they have gone.

    Raises:
        Interrupted: stopped on request; the same call goes on.
        AtelierError: a stage failed; its own message stands above. No further run was started, and
            those beside it came to their end.
    """
    everything = _Runs(runs, places)
    with everything.listening():
        everything.to_the_end()
    if everything.stopped.is_set():
        raise Interrupted("dvc repro: stopped; the same command goes on.")
    if code := everything.failure:
        raise AtelierError(f"dvc repro: a stage failed (exit code {code}); see above.")


def waited(tell: Callable[[str], None]) -> bool:
    """Waits for those who hold paths that DVC works on, and tells who they are; False if none."""
    if not (holders := busy()):
        return False
    tell(f"waiting for {', '.join(holders)}")
    while busy():
        time.sleep(POLL_SECONDS)
    return True


def busy(but: Collection[int] = ()) -> list[str]:
    """Who holds paths that DVC works on: living processes but these, by number and command."""
    try:
        record = json.loads(HOLDERS.read_text())
    except (OSError, ValueError):
        return []
    readers = [entry for held in record.get("read", {}).values() for entry in held]
    holders = {}
    for entry in [*record.get("write", {}).values(), *readers]:
        if entry["pid"] not in but and psutil.pid_exists(entry["pid"]):
            holders[entry["pid"]] = f"process {entry['pid']} ({entry['cmd']})"
    return [holders[pid] for pid in sorted(holders)]


@dataclass(frozen=True)
class _Run:
    """DVC at work."""

    dvc: subprocess.Popen[str]
    arguments: Arguments
    place: Place
    reader: threading.Thread | None
    """Says what it says, where it is one of several."""


class _Runs:
    """Those that wait, those at work, and the places that are free."""

    def __init__(self, runs: Iterable[Arguments], places: Sequence[Place]) -> None:
        self.waiting, self.free = deque(runs), list(places)
        self.side_by_side = len(places) > 1
        self.running: list[_Run] = []
        self.stopped = threading.Event()
        self.failure = 0
        """The exit code of a run that failed."""
        self.gives_way = False
        """Others were met: nothing starts before they have gone."""
        self.met = -MET_SECONDS

    @contextmanager
    def listening(self) -> Iterator[None]:
        """SIGTERM reaches all runs and their stages as SIGINT, after which DVC waits for the stage.

        So does the end of the process that this one shall not outlive, if there is one.
        """
        parent, finished = parent_above(), threading.Event()

        def stop(number: int, frame: FrameType | None) -> None:
            self.stopped.set()
            if number == signal.SIGTERM:
                self.interrupt()

        if parent:
            watch(parent, self.interrupt, finished)
        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            finished.set()
            for number, handler in before.items():
                signal.signal(number, handler)

    def interrupt(self) -> None:
        self.stopped.set()
        for run in tuple(self.running):
            with suppress(psutil.NoSuchProcess):  # it has just ended by itself
                family = psutil.Process(run.dvc.pid)
                for process in (*family.children(recursive=True), family):
                    with suppress(psutil.NoSuchProcess):
                        process.send_signal(signal.SIGINT)

    def to_the_end(self) -> None:
        while self.running or (self.waiting and not self._ends()):
            others = busy(but=[run.dvc.pid for run in self.running])
            if others:
                self.met = time.monotonic()
            else:
                self.gives_way = False
            for run in [run for run in self.running if run.dvc.poll() is not None]:
                self._take_back(run, others)
            while self.waiting and self.free and not (self.gives_way or self._ends()):
                self._start(self.waiting.popleft(), self.free.pop(0))
            time.sleep(LOOK_SECONDS)

    def _ends(self) -> bool:
        return bool(self.failure) or self.stopped.is_set()

    def _take_back(self, ended: _Run, others: Sequence[str]) -> None:
        """Frees the place of a run that has ended; one that met others waits again."""
        self.running.remove(ended)
        self.free.append(ended.place)
        if ended.reader:
            ended.reader.join()
        if ended.dvc.returncode == 0 or self.stopped.is_set():
            return
        # Whom it met may have gone since: then it is worth another try at once.
        if not others and time.monotonic() - self.met > MET_SECONDS:
            self.failure = ended.dvc.returncode
            return
        self.waiting.appendleft(ended.arguments)
        if others:
            say(f"waiting for {', '.join(others)}")
            self.gives_way = True

    def _start(self, arguments: Arguments, place: Place) -> None:
        piped = subprocess.PIPE if self.side_by_side else None
        dvc = subprocess.Popen(
            [*COMMAND, *arguments], env=os.environ | dict(place), text=True, errors="replace",
            stdout=piped, stderr=subprocess.STDOUT if piped else None,
        )  # fmt: skip
        reader = threading.Thread(target=_say_all, args=(dvc,), daemon=True) if piped else None
        if reader:
            reader.start()
        self.running.append(_Run(dvc, arguments, place, reader))


def _say_all(dvc: subprocess.Popen[str]) -> None:
    assert dvc.stdout is not None
    with dvc.stdout as lines:
        for line in lines:
            say(line.rstrip())
