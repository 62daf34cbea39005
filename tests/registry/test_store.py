"""A store that opens once for many, moves with its repository and says when it cannot be had."""

import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.toys import GOOD

from atelier.errors import UserError
from atelier.registry import champions, tracking, versions
from atelier.registry.gate import decide
from atelier.registry.store import Store, locked, open_store


def test_no_location_is_absolute(store: Store, repository: Path, image_bundle: Path) -> None:
    run = tracking.find_or_create(store, tracking.RunDescription("faces-gan-tiny", "a", "key"))
    store.client.log_text(run, "words", "words.txt")
    versions.register(store, image_bundle, run)
    with closing(sqlite3.connect("mlruns/mlflow.db")) as database:
        assert str(repository) not in "\n".join(database.iterdump())
    assert list(Path("mlruns/artifacts/faces-gan-tiny").rglob("words.txt"))


def test_a_deleted_experiment_comes_back(store: Store) -> None:
    made = store.experiment("faces-gan-tiny")
    store.client.delete_experiment(made)
    assert store.experiment("faces-gan-tiny") == made
    assert store.client.get_experiment(made).lifecycle_stage == "active"


def test_an_experiment_that_another_machine_made_a_moment_ago_is_used(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Machines that share a server share no lock."""
    made = store.experiment("faces")
    answers = [None, store.client.get_experiment_by_name("faces")]
    monkeypatch.setattr(store.client, "get_experiment_by_name", lambda name: answers.pop(0))
    assert replace(store, uri="http://server").experiment("faces") == made


def test_a_held_lock_is_named(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atelier.registry.store.LOCK_SECONDS", 0.1)
    code = "import sys; from filelock import FileLock; lock = FileLock('mlruns/.lock');"
    code += "lock.acquire(); print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=r"mlruns/\.lock: held by another process"), locked():
            pass
    finally:
        holder.communicate("")


def test_an_unreachable_server_is_one_line(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(
        UserError,
        match=r"^http://127\.0\.0\.1:9: cannot be used \(Connection refused\)\. Is the server up\?",
    ):
        open_store()


LOOK = """
    import sys, mlflow
    from mlflow.tracking import MlflowClient
    model = mlflow.pyfunc.load_model("models:/faces-gan-tiny@champion")
    assert len(model.predict([{"count": 2}])) == 2
    (run,) = MlflowClient().search_runs(["1"])
    print(mlflow.artifacts.load_text(run.info.artifact_uri + "/words.txt"))
"""


@pytest.mark.slow
def test_the_repository_can_be_moved_twice(
    store: Store, repository: Path, image_bundle: Path, tmp_path: Path
) -> None:
    run = tracking.find_or_create(store, tracking.RunDescription("faces-gan-tiny", "a", "key"))
    store.client.log_text(run, "words", "words.txt")
    version, _ = versions.register(store, image_bundle, run)
    champions.record(store, version, decide(GOOD, None))
    place = repository
    environment = {**os.environ, "MLFLOW_TRACKING_URI": "sqlite:///mlruns/mlflow.db"}
    for name in ("once", "a folder/twice"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        place = Path(shutil.move(place, tmp_path / name))
        found = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(LOOK)],
            cwd=place,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert found.returncode == 0, found.stderr
        assert found.stdout.splitlines()[-1] == "words"
    os.chdir(tmp_path)


@pytest.mark.slow
def test_six_processes_open_a_new_store_at_once(tmp_path: Path) -> None:
    code = "from atelier.registry.store import open_store; open_store().experiment('faces-gan')"
    source = str(Path(__file__).parents[2] / "src")
    opened = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": source},
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    errors = [process.communicate()[1] for process in opened]
    assert [process.returncode for process in opened] == [0] * 6, errors
    with closing(sqlite3.connect(tmp_path / "mlruns" / "mlflow.db")) as database:
        rows = database.execute("SELECT name, artifact_location FROM experiments").fetchall()
    assert ("faces-gan", "mlruns/artifacts/faces-gan") in rows
    assert len(rows) == 2
