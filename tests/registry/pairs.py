"""One registration in a process of its own, and the stores that two of them meet in.

Processes are forked from one that has imported everything, and is no copy of the tests' own.
"""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from tests.project import ROOT, free_port
from tests.toys import BETTER, GOOD

from atelier.bundle.bundle_model import MANIFEST, Bundle, digest_of
from atelier.bundle.comparison import Comparison, Figures, Round
from atelier.config import load_experiment
from atelier.errors import UserError
from atelier.operations.forkserver import PRELOADED
from atelier.paths import Paths
from atelier.registry import sync, turns
from atelier.registry.lineage import Lineage
from atelier.registry.store import open_store

FORKED = multiprocessing.get_context("forkserver")
BEAT_SECONDS, SILENCE_SECONDS = 0.3, 3.0
"""A twentieth of what they are, so that a trial meets who fell silent, and who came back."""
START_SECONDS = 120
USER_ERROR = 2
REHEARSAL = "ATELIER_REHEARSAL"
"""The database and the machine on which the process from which others are forked rehearses."""
POSTGRES = ("initdb", "pg_ctl")


class QualityComparer:
    """Knows a toy's quality from its manifest, and is quick and sure."""

    def figures(self, bundle: Bundle) -> Figures:
        return replace(GOOD, score=1 / quality_of(bundle))

    def compare(self, challenger: Bundle, champion: Bundle) -> list[Round]:
        worse = replace(BETTER, difference=-BETTER.difference, p_value=1 - BETTER.p_value)
        found: Comparison = BETTER if quality_of(challenger) > quality_of(champion) else worse
        return [[found], [found]]


def quality_of(bundle: Bundle) -> int:
    return int(bundle.manifest["selected_images"])


def prepare_processes(machine: Path, uri: str) -> None:
    """The process from which the others are forked registers something itself, once: then each of
    them has what MLflow, SQLAlchemy and torch find out at their first use."""
    FORKED.set_forkserver_preload([*PRELOADED, __name__, f"{__package__}.rehearsed"])
    with pytest.MonkeyPatch.context() as patch:
        # Some package brings `tests` of its own: ours come first.
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *sys.path]))
        patch.setenv(REHEARSAL, json.dumps([str(machine), uri]))
        forkserver.ensure_running()


def make_machine(folder: Path, packed: Path, images: int) -> None:
    """A workspace with the experiment `numbers` at scale tiny: trained, bundled and evaluated.

    Args:
        images: how long its training was, which tells it from another's.
    """
    from .test_tracking import write

    shutil.copytree(ROOT / "experiments", folder / "experiments")
    shutil.copyfile(ROOT / "params.yaml", folder / "params.yaml")
    paths = Paths("tiny")
    write(folder / paths.train("numbers"), [images], [images])
    shutil.copytree(packed, folder / paths.bundle("numbers"))
    figures = {"numbers": {"distance": 0.5, "stopping_score": 0.25}}
    (folder / paths.metrics("numbers")).write_text(json.dumps(figures))


def make_bundle(machine: Path, name: str, quality: int) -> None:
    """Another model, as good as said, in the place of the machine's last one."""
    file = machine / Paths("tiny").bundle("numbers") / MANIFEST
    manifest = json.loads(file.read_text()) | {"registered_name": name, "selected_images": quality}
    file.write_text(json.dumps(manifest | {"digest": digest_of(manifest)}))


def start(
    machine: Path, uri: str, name: str, barrier: Barrier | None, delay: float, said: Path
) -> BaseProcess:
    """Registers what a machine has made, in a process of its own."""
    arguments = (machine, uri, name, barrier, delay, said)
    process = FORKED.Process(target=register, args=arguments)
    process.start()
    return process


def register(
    machine: Path, uri: str, name: str, barrier: Barrier | None, delay: float, said: Path
) -> None:
    """As the stage `register` does it, with another comparer; what it prints goes to `said`."""
    with said.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(machine)
    os.environ |= {"MLFLOW_TRACKING_URI": uri, "NO_PROXY": "127.0.0.1"}
    turns.BEAT_SECONDS, turns.SILENCE_SECONDS = BEAT_SECONDS, SILENCE_SECONDS
    try:
        store = open_store()
        experiment = load_experiment("tiny", "numbers")
        experiment = experiment.model_copy(update={"registered_name": name})
        if barrier:
            barrier.wait(START_SECONDS)
        time.sleep(delay)
        found = sync.sync(store, experiment, "tiny", Lineage("", "", ""), QualityComparer)
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(USER_ERROR)
    print(found)


@contextmanager
def database(folder: Path, new: Path) -> Iterator[str]:
    """A SQLite file that processes of one machine share."""
    (folder / "mlruns").mkdir()
    shutil.copyfile(new, folder / "mlruns" / "mlflow.db")
    yield f"sqlite:///{folder}/mlruns/mlflow.db"


@contextmanager
def server(folder: Path, backend: str, **variables: str) -> Iterator[str]:
    """MLflow's server before a database."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", backend]
    command += ["--artifacts-destination", str(folder / "kept")]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"} | variables
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _wait_for(address: str, process: subprocess.Popen[Any]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=2).close()
        except OSError:
            time.sleep(0.3)
        else:
            return
    raise TimeoutError(f"{address}: no server")


@contextmanager
def postgres() -> Iterator[str]:
    """A cluster of its own on a Unix socket, under an unprivileged user, for it refuses root."""
    user = "postgres" if os.getuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="pairs-") as short:  # a socket's path is a short one
        place = Path(short)
        if user:
            shutil.chown(place, user)

        def run(*command: str) -> None:
            subprocess.run(command, user=user, cwd=place, check=True, stdout=subprocess.DEVNULL)

        data = str(place / "data")
        run("initdb", "--pgdata", data, "--username", "mlflow", "--auth", "trust", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories={place} -c fsync=off"
        log = str(place / "log")
        run("pg_ctl", "--pgdata", data, "--wait", "--log", log, "--options", options, "start")
        try:
            yield f"postgresql://mlflow@/postgres?host={place}"
        finally:
            run("pg_ctl", "--pgdata", data, "--mode", "immediate", "stop")
