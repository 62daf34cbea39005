"""`dvc repro` that waits its turn, then the registry is brought up to date.

DVC fails at once where a path is busy. Its own record of who holds what (.dvc/tmp/rwlock) says for
whom to wait.
"""

import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType

import psutil

from atelier.commands import MODULE, CommandFailed, run
from atelier.display import say
from atelier.errors import AtelierError, Interrupted, UserError
from atelier.operations.workspace import change_scale
from atelier.params import default_scale, listed_experiments, load_parameters
from atelier.paths import Paths
from atelier.pipeline.interruption import parent_above, watch
from atelier.schema import unknown

POLL_SECONDS = 1.0
LOOK_SECONDS, MET_SECONDS = 0.2, 3.0
"""How often we look who else holds paths, and how long before its end DVC may have met them."""
HOLDERS = Path(".dvc", "tmp", "rwlock")


def reproduce(
    targets: list[str],
    force: bool = False,
    single_item: bool = False,
    sync: bool = True,
    scale: str | None = None,
) -> None:
    """Runs the pipeline, or `targets` and what they need, in the repository's root.

    Args:
        targets: stages; none means all.
        force: runs even what is up to date.
        single_item: runs the targets without what they need.
        sync: brings the registry up to date at the end.
        scale: params.yaml names it from now on.

    Raises:
        UserError: this is no repository of ours, or a target or the scale is unknown; nothing is
            changed then.
        Interrupted: stopped on request; the same call goes on.
        AtelierError: a stage failed; its own message stands above.
    """
    if not Path("dvc.yaml").exists():
        raise UserError("dvc.yaml", "no such file", "Run this in the repository's root.")
    _check_targets(targets)
    if scale is not None:
        change_scale(scale)
    options = [*(["--force"] if force else []), *(["--single-item"] if single_item else [])]
    # DVC's lock on the repository is short and waited for; a busy path is not: see below.
    command = [*MODULE, "dvc", "--wait-for-lock", "repro", *options, *targets]
    while True:
        code, met = _run(command)
        if code == 0:
            break
        # Whom it met may have gone since: then it is worth another try at once.
        if not waited(say) and not met:
            raise AtelierError(f"dvc repro: a stage failed (exit code {code}); see above.")
    if sync:
        _sync_registry()
        _check_data()


def _check_targets(targets: list[str]) -> None:
    """A stage of an experiment or dataset that is not listed is told by name, before DVC starts."""
    parameters = load_parameters()
    known = {
        **dict.fromkeys(("prepare", "judge"), tuple(parameters.datasets)),
        **dict.fromkeys(("train", "bundle", "evaluate", "register"), tuple(parameters.experiments)),
    }
    for target in targets:
        stage, _, name = target.partition("@")
        if name and name not in known.get(stage, [name]):
            raise unknown(f"{stage}@", name, known[stage])


def waited(tell: Callable[[str], None]) -> bool:
    """Waits for those who hold paths that DVC works on, and tells who they are; False if none."""
    if not (holders := busy()):
        return False
    tell(f"waiting for {', '.join(holders)}")
    while busy():
        time.sleep(POLL_SECONDS)
    return True


def busy(but: int = 0) -> list[str]:
    """Who holds paths that DVC works on: living processes but one, by number and command."""
    try:
        record = json.loads(HOLDERS.read_text())
    except (OSError, ValueError):
        return []
    readers = [entry for held in record.get("read", {}).values() for entry in held]
    holders = {}
    for entry in [*record.get("write", {}).values(), *readers]:
        if entry["pid"] != but and psutil.pid_exists(entry["pid"]):
            holders[entry["pid"]] = f"process {entry['pid']} ({entry['cmd']})"
    return [holders[pid] for pid in sorted(holders)]


def _run(command: list[str]) -> tuple[int, bool]:
    """Runs dvc; returns its exit code, and whether others held paths just before its end.

    SIGTERM reaches it and its stage as SIGINT, after which dvc waits for the stage. So does the end
    of the process that this one shall not outlive, if there is one.
    """
    parent = parent_above()
    dvc = subprocess.Popen(command)
    stopped, finished = threading.Event(), threading.Event()

    def pass_on() -> None:
        stopped.set()
        with suppress(psutil.NoSuchProcess):  # it has just ended by itself
            family = psutil.Process(dvc.pid)
            for process in (*family.children(recursive=True), family):
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGINT)

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()
        if number == signal.SIGTERM:
            pass_on()

    if parent:
        watch(parent, pass_on, finished)
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        code, met = _watch_to_the_end(dvc)
    finally:
        finished.set()
        for number, handler in before.items():
            signal.signal(number, handler)
    if stopped.is_set():
        raise Interrupted("dvc repro: stopped; the same command goes on.")
    return code, met


def _watch_to_the_end(dvc: subprocess.Popen[bytes]) -> tuple[int, bool]:
    met = -MET_SECONDS
    while True:
        try:
            return dvc.wait(LOOK_SECONDS), time.monotonic() - met < MET_SECONDS
        except subprocess.TimeoutExpired:
            if busy(but=dvc.pid):
                met = time.monotonic()


def _sync_registry() -> None:
    """A receipt is no proof: compares the store with the artifacts that there are."""
    from atelier.pipeline.registering import sync

    scale = default_scale()
    sync(scale, [name for name in listed_experiments() if Paths(scale).train(name).exists()])


def _check_data() -> None:
    """DVC rewrites a hash that drifted without a word; here the word is said."""
    try:
        run("git", "diff", "--quiet", "--", "data.dvc")
    except CommandFailed as failed:
        if failed.code == 1:
            say(
                "data.dvc: the data differ from those of the last commit. If you changed them, "
                "commit data.dvc; if not, they were drawn with other versions: git diff data.dvc"
            )
