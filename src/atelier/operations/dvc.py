"""`dvc repro` and `dvc exp run`, once or several side by side, that wait their turn.

DVC fails at once where a path is busy. Its own record of who holds what (.dvc/tmp/rwlock) says for
whom to wait.
"""

import fcntl
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
from typing import Any

import psutil

from atelier.commands import MODULE
from atelier.display import say
from atelier.errors import AtelierError, Interrupted
from atelier.operations import forkserver
from atelier.operations.records import keep_or_put_back
from atelier.pipeline.interruption import parent_above, watch

POLL_SECONDS = 1.0
PATIENCE_SECONDS = 72 * 3600.0
"""The longest wait for others at a path: as long as a flow lets a training last."""
LOOK_SECONDS, MET_SECONDS = 0.2, 3.0
"""How often we look who else holds paths, and how long before its end DVC may have met them."""
HOLDERS = Path(".dvc", "tmp", "rwlock")
GUARD = HOLDERS.with_name("rwlock.lock")
"""What DVC locks, with flock, while it changes the record."""
COMMAND = (*MODULE, "dvc", "--wait-for-lock")
"""DVC's lock on the repository is short and waited for; a busy path is not: see above."""
Arguments = Sequence[str]
Place = Mapping[str, str]
"""Variables of a command's environment, beside ours."""
REPRO, TRIAL = ("repro",), ("exp", "run", "--temp")


def repro(
    runs: Iterable[Arguments], places: Sequence[Place] = ({},), one_stage: bool = False
) -> None:
    """`dvc repro` with each of these arguments, as many at once as there are places.

    Runs that are side by side must share no path that one of them writes. What they say then comes
    line by line. A run that meets others at a path is tried again when they have gone.

    Args:
        one_stage: no more than that is run, for which no fork server is worth its start.

    Raises:
        Interrupted: stopped on request; the same call goes on.
        AtelierError: a stage failed, and its own message stands above; or others held a path for
            too long. No further run was started, and those beside it came to their end.
    """
    with forkserver.serving(one_stage) as server:
        _run_all(REPRO, runs, [server | dict(place) for place in places])


def try_out(runs: Iterable[Arguments], places: Sequence[Place] = ({},)) -> None:
    """The same with `dvc exp run --temp`: each in a folder of its own below .dvc/tmp/exps, which is
    a copy of the workspace as Git knows it, and is gone at the end.

    Raises:
        Interrupted, AtelierError: as `repro` does.
    """
    with forkserver.serving() as server:
        _run_all(TRIAL, runs, [server | dict(place) for place in places])


def _run_all(command: Arguments, runs: Iterable[Arguments], places: Sequence[Place]) -> None:
    keep_or_put_back()
    everything = _Runs(runs, places, command)
    with everything.listening():
        everything.to_the_end()
    if everything.stopped.is_set():
        raise Interrupted(f"dvc {' '.join(command)}: stopped; the same command goes on.")
    if everything.failure:
        raise AtelierError(everything.failure)


def waited(tell: Callable[[str], None]) -> bool:
    """Waits for those who hold paths that DVC works on, and tells who they are; False if none.

    Raises:
        AtelierError: they held them longer than anyone waits.
    """
    if not (holders := busy()):
        return False
    tell(f"waiting for {', '.join(holders)}")
    until = time.monotonic() + PATIENCE_SECONDS
    while holders := busy():
        if time.monotonic() > until:
            raise AtelierError(_in_vain(holders))
        time.sleep(POLL_SECONDS)
    return True


def busy(but: Collection[int] = ()) -> list[str]:
    """Who holds paths that DVC works on: living processes but these, by number and command.

    What a killed process left is taken out of the record. DVC itself does so only until another
    process has its number, and reads no record whose writing was cut short.
    """
    holders = {entry["pid"]: entry["cmd"] for _, _, entry in entries(_record())}
    if not all(_is_dvc(pid) for pid in holders):
        holders = {entry["pid"]: entry["cmd"] for _, _, entry in entries(_mended_record())}
    return [
        f"process {pid} ({command})" for pid, command in sorted(holders.items()) if pid not in but
    ]


Record = Mapping[str, Mapping[str, Any]]
"""{"write": {path: {"pid": 1, "cmd": "dvc repro"}}, "read": {path: [the same, …]}}."""


def _record() -> Record:
    try:
        record: Record = json.loads(HOLDERS.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:  # it is being written, or was when DVC was killed
        return _mended_record()
    return record


def _mended_record() -> Record:
    """The record without those who are no DVC at work; one that can't be read begins anew."""
    with GUARD.open("a") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        try:
            record = json.loads(HOLDERS.read_text())
        except (FileNotFoundError, ValueError):
            HOLDERS.unlink(missing_ok=True)
            return {}
        kept: dict[str, dict[str, Any]] = {"write": {}, "read": {}}
        for kind, path, entry in entries(record):
            if _is_dvc(entry["pid"]) and kind == "write":
                kept[kind][path] = entry
            elif _is_dvc(entry["pid"]):
                kept[kind].setdefault(path, []).append(entry)
        HOLDERS.write_text(json.dumps(kept))
        return kept


def entries(record: Record) -> Iterator[tuple[str, str, Any]]:
    """(write or read, path, who holds it)."""
    for path, holder in record.get("write", {}).items():
        yield "write", path, holder
    for path, holders in record.get("read", {}).items():
        for holder in holders:
            yield "read", path, holder


def _is_dvc(pid: int) -> bool:
    """Whether a process lives and is DVC: its number may be another's since."""
    try:
        words = psutil.Process(pid).cmdline()
    except psutil.NoSuchProcess:  # or a zombie
        return False
    except psutil.AccessDenied:
        return True
    return any(Path(word).name == "dvc" or word.endswith("dvc/__main__.py") for word in words)


def _in_vain(holders: Iterable[str]) -> str:
    return (
        f"dvc: waited {PATIENCE_SECONDS / 3600:g} hours for {', '.join(holders)}. "
        "End it, or run the same command again."
    )


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

    def __init__(
        self,
        runs: Iterable[Arguments],
        places: Sequence[Place],
        command: Arguments,
    ) -> None:
        self.command = command
        self.waiting, self.free = deque(runs), list(places)
        # What a trial says is no result of ours, for which our own output is kept.
        self.line_by_line = len(places) > 1 or command == TRIAL
        self.running: list[_Run] = []
        self.stopped = threading.Event()
        self.failure = ""
        """Why no further run starts."""
        self.gives_way = False
        """Others were met: nothing starts before they have gone."""
        self.waits_until = 0.0
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
        """All below this process: DVC and the fork server's stages, whose parents are two."""
        self.stopped.set()
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # it has just ended by itself
                process.send_signal(signal.SIGINT)

    def to_the_end(self) -> None:
        while self.running or (self.waiting and not self._ends()):
            others = busy(but=[run.dvc.pid for run in self.running])
            if others:
                self.met = time.monotonic()
            else:
                self.gives_way = False
            if self.gives_way and time.monotonic() > self.waits_until:
                self.failure = _in_vain(others)
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
            code = ended.dvc.returncode
            words = " ".join(self.command)
            self.failure = f"dvc {words}: a stage failed (exit code {code}); see above."
            return
        self.waiting.appendleft(ended.arguments)
        if others:
            say(f"waiting for {', '.join(others)}")
            self.gives_way = True
            self.waits_until = time.monotonic() + PATIENCE_SECONDS

    def _start(self, arguments: Arguments, place: Place) -> None:
        piped = subprocess.PIPE if self.line_by_line else None
        dvc = subprocess.Popen(
            [*COMMAND, *self.command, *arguments], env=os.environ | dict(place),
            text=True, errors="replace", stdout=piped, stderr=subprocess.STDOUT if piped else None,
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
