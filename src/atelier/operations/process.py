"""Runs one stage as a process group of its own, and ends all of it when it has to stop.

Whoever calls may be stopped by an exception at any moment (a scheduler's cancellation, a time-out):
the stage then saves its checkpoint and ends, before the exception goes on. If the caller is killed
instead, the stage notices that its parent is gone.
"""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from atelier.errors import AtelierError, Interrupted, UserError
from atelier.pipeline.interruption import PARENT_VARIABLE

GRACE_SECONDS = 25.0
"""For the last step, the checkpoint and the exit; after that the group is killed."""
POLL_SECONDS = 0.2
EXITED_WITH = re.compile(r"exited with (\d+)")
"""How DVC reports its stage's exit code; its own is 255 whatever that was."""


def run_stage(
    stage: str,
    on_line: Callable[[str], None],
    *,
    force: bool = False,
    variables: Mapping[str, str] | None = None,
    folder: Path = Path(),
    grace_seconds: float = GRACE_SECONDS,
) -> None:
    """`atelier repro --single-item STAGE`, each line handed to `on_line` as it comes.

    Raises:
        UserError: the stage refused a user's mistake (exit code 2).
        Interrupted: the stage was stopped by someone else; the same call goes on (exit code 75).
        AtelierError: the stage failed.
        Whatever stops the caller: after the stage has ended.
    """
    last = ""
    codes: list[int] = []

    def hear(line: str) -> None:
        nonlocal last
        if found := EXITED_WITH.search(line):
            codes.append(int(found[1]))
        elif line.strip() and not codes:  # what comes after is only who reports it
            last = line.strip()
        on_line(line)

    # data.dvc comes after the stage that draws; DVC finds that itself.
    alone = [] if stage.endswith(".dvc") else ["--single-item"]
    command = ["repro", *alone, "--no-sync", *(["--force"] if force else []), stage]
    code = run(command, hear, variables=variables, folder=folder, grace_seconds=grace_seconds)
    code = codes[-1] if code and codes else code
    if code == UserError.exit_code:
        raise UserError(stage, last)
    if code == Interrupted.exit_code:
        raise Interrupted(f"{stage}: was stopped; its checkpoint is saved.")
    if code:
        raise AtelierError(f"{stage}: failed with exit code {code}: {last}")


def run(
    arguments: list[str],
    on_line: Callable[[str], None],
    *,
    variables: Mapping[str, str] | None = None,
    folder: Path = Path(),
    grace_seconds: float = GRACE_SECONDS,
) -> int:
    """Runs `atelier ARGUMENTS` in a group of its own; returns its exit code."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    process = subprocess.Popen(
        [sys.executable, "-m", "atelier", *arguments],
        cwd=folder,
        env=os.environ
        | {"PATH": path, "PYTHONUNBUFFERED": "1", PARENT_VARIABLE: str(os.getpid())}
        | dict(variables or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_drain, args=(process, lines), daemon=True).start()
    try:
        for line in _lines(lines):
            on_line(line)
        return process.wait()
    except BaseException:
        end(process, grace_seconds)
        raise


def end(process: subprocess.Popen[str], grace_seconds: float) -> None:
    """Asks a group to save and end, and kills what is left of it after a while."""
    deadline = time.monotonic() + grace_seconds
    if process.poll() is None:
        process.terminate()  # atelier hands it on to dvc and to the stage, as SIGINT
    while _works(process) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    with suppress(ProcessLookupError, PermissionError):  # nobody is left
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _works(leader: subprocess.Popen[str]) -> bool:
    """Whether the leader or anyone else of its group has not ended yet.

    A zombie counts as one of the group. The leader is ours: asking for its exit code buries it. An
    orphan's is buried by the first process of the machine, late or, in many a container, never;
    but it holds our pipe no more, whose end the thread that drains it has then seen.
    """
    if leader.poll() is None:
        return True
    try:
        os.killpg(leader.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return leader.stdout is None or not leader.stdout.closed


def _drain(process: "subprocess.Popen[str]", lines: "queue.SimpleQueue[str | None]") -> None:
    """Reads in a thread: a full pipe would stop the stage while its end is waited for."""
    assert process.stdout is not None
    with process.stdout as output:
        for line in output:
            lines.put(line.rstrip("\n"))
    lines.put(None)


def _lines(lines: "queue.SimpleQueue[str | None]") -> Iterator[str]:
    """Lines until the end; short waits, so that a signal's exception is raised at once."""
    while True:
        try:
            line = lines.get(timeout=POLL_SECONDS)
        except queue.Empty:
            continue
        if line is None:
            return
        yield line
