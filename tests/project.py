"""A copy of the repository at `tiny` scale with few pictures; its commands as real processes."""

import atexit
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from atelier.drawing.scenes import DATASETS as DRAWN
from atelier.params import Parameters, load_parameters
from atelier.rewriting import rewritten
from tests.tables import SHIPPED

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
PATIENCE = 600.0
"""Seconds after which what is waited for is taken for dead: a busy machine is no fault of it."""
COUNTS = {
    "faces_training": 192,
    "faces_validation": 48,
    "faces_test": 48,
    "animals_training": 32,
    "animals_test": 12,
}


def environment(**more):
    """The tests' own environment, with this interpreter's commands first on the path."""
    path = f"{BIN}:{os.environ['PATH']}"
    # One thread: these nets are tiny, and a second thread only waits.
    return os.environ | {"PATH": path, "COLUMNS": "200", "OMP_NUM_THREADS": "1"} | more


def copy_repository(folder: Path) -> Path:
    """All that git knows or would take of the working tree, committed anew in `folder`."""
    listed = git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    for name in listed:
        if (ROOT / name).is_file() and not name.startswith(("artifacts/", "dvc.lock", "data.dvc")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    listed, kept = load_parameters(), carried()
    gone = (listed.datasets.keys() - kept.datasets) | (listed.experiments.keys() - kept.experiments)
    (folder / "params.yaml").write_text(parameters("tiny", gone, {("drawing",): COUNTS}))
    shutil.copy(ROOT / "tests" / "data.dvc.template", folder / "data.dvc")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "t")
    git(folder, "gc", "--quiet")  # one file instead of hundreds, for whoever copies it
    return folder


def copy_project(project: Path, folder: Path) -> None:
    """A copy of a project, to be changed at will.

    What cannot be written to is linked: git and DVC keep thousands of such files and change none,
    and where many were removed a moment ago a file system takes a millisecond for each new one.
    """

    def copy(source: str, target: str) -> None:
        is_fixed = not os.stat(source).st_mode & 0o222
        (os.link if is_fixed else shutil.copy2)(source, target)

    shutil.copytree(project, folder, copy_function=copy, symlinks=True, dirs_exist_ok=True)


def parameters(
    scale: str = "laptop",
    without: Collection[str] = (),
    changes: Mapping[tuple[str, ...], Any] | None = None,
) -> str:
    """The text of params.yaml at a scale, whichever a user has chosen, and without some lines."""
    text = rewritten((ROOT / "params.yaml").read_text(), {("scale",): scale, **(changes or {})})
    for name in without:
        text = re.sub(rf"^  {name}:.*\n(?: {{3,}}.*\n)*", "", text, flags=re.MULTILINE)
    return text


def carried() -> Parameters:
    """What a copy can make: all but datasets of a user's own pictures, which git has not."""
    listed = load_parameters()
    datasets = {
        name: entry
        for name, entry in listed.datasets.items()
        if name in DRAWN or not entry.source.startswith("data/")
    }
    experiments = {
        name: entry for name, entry in listed.experiments.items() if entry.dataset in datasets
    }
    return listed.model_copy(update={"datasets": datasets, "experiments": experiments})


def copy_shipped(folder: Path) -> Path:
    """The mapping and the experiments that ship, at `laptop`, without what a user has added.

    What a test makes in it, such as the README's own faces-hinge, a user may have made already.
    """
    listed = load_parameters()
    datasets = {listed.experiments[name].dataset for name in SHIPPED}
    added = (listed.experiments.keys() - set(SHIPPED)) | (listed.datasets.keys() - datasets)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(parameters(without=added))
    unlisted = shutil.ignore_patterns(*(f"{name}.yaml" for name in added))
    shutil.copytree(ROOT / "experiments", folder / "experiments", ignore=unlisted)
    shutil.copy(ROOT / "dvc.yaml", folder)
    return folder


def git(folder: Path, *arguments: str) -> str:
    """What git says in a folder, under a name of the tests' own."""
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def contents(folder: Path) -> dict[Path, bytes]:
    """Every file below a folder, to compare two folders by."""
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def start(folder: Path, *command: str, **variables: str) -> subprocess.Popen:
    """A command in the project, its own session so that a kill can be aimed."""
    return subprocess.Popen(
        command, cwd=folder, env=environment(**variables), text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


@cache
def fork_server() -> dict[str, str]:
    """The variables by which commands find a server; the first call starts it."""
    serve = (
        "import json, sys; from atelier.operations.forkserver import serving\n"
        "with serving() as found: print(json.dumps(found), flush=True); sys.stdin.read()"
    )
    server = subprocess.Popen(
        # Not where the test is that happens to ask first: that folder will be gone, and a server
        # in none turns everybody away.
        [sys.executable, "-c", serve], cwd=ROOT,
        env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stdout
    found: dict[str, str] = json.loads(server.stdout.readline())
    atexit.register(server.communicate)  # which closes what it reads
    return found


def run(folder: Path, *command: str, code: int = 0, **variables: str) -> str:
    """Runs a command to its end and returns what it said; another exit code fails the test.

    `atelier` is a fork of one process for all of them, unless PYTHONPATH says that another source
    is meant. What starts, stops and kills commands is tested by `start`, which knows no such.
    """
    if "PYTHONPATH" not in variables:
        variables = fork_server() | variables
    process = start(folder, *command, **variables)
    said, _ = process.communicate(timeout=1800)
    assert process.returncode == code, said[-4000:]
    return said


def wait_for(
    condition: Callable[[], Any], seconds: float = PATIENCE, said: Callable[[], str] = str
) -> None:
    """Returns when the condition holds; `said` tells what else there is to know when it never does.

    `seconds` is for who claims that it holds so soon.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {seconds:g} s: {said()[-4000:]}"
        time.sleep(0.1)


def benchmark(name: str) -> ModuleType:
    """A script of benchmarks/, as a module: they are no package."""
    spec = importlib.util.spec_from_file_location(
        f"benchmark_{name}", ROOT / "benchmarks" / f"{name}.py"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def forget_connections() -> None:
    """MLflow keeps one store for each address in a process; tests have each its own file."""
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Registry
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Tracker
    from mlflow.tracking._model_registry import utils as registries
    from mlflow.tracking._tracking_service import utils as trackers

    trackers._tracking_store_registry._get_store_with_resolved_uri.cache_clear()
    registries._get_store_registry()._get_store_with_resolved_uri.cache_clear()
    for engines in (Tracker._engine_map, Registry._engine_map):
        for engine in engines.values():
            engine.dispose()
        engines.clear()
