"""A store that cannot be written, is locked or lost: one line, and looking at it goes on."""

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from tests.invoking import invoke
from tests.project import contents, forget_connections

from atelier.cli.registry import registry
from atelier.errors import UserError
from atelier.registry import loading, tracking, versions
from atelier.registry.store import DATABASE, Store, open_store

NOBODY = 65534


@pytest.fixture
def shared(published_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A repository with a registry, to whose folder every user can come."""
    root = Path(tempfile.mkdtemp())
    root.chmod(0o755)
    shutil.copytree(published_folder, root / "mlruns")
    (root / "mlruns/.lock").touch()
    monkeypatch.chdir(root)
    forget_connections()
    yield root
    forget_connections()
    shutil.rmtree(root)


@contextmanager
def as_another(root: Path, folder_mode: int) -> Iterator[None]:
    """Files may only be read, by a user whose store it is not; folders have that mode."""
    for path in [root / "mlruns", *(root / "mlruns").rglob("*")]:
        path.chmod(folder_mode if path.is_dir() else 0o444)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        for path in [root / "mlruns", *(root / "mlruns").rglob("*")]:
            path.chmod(stat.S_IRWXU if path.is_dir() else 0o644)


@pytest.mark.parametrize("folder_mode", [0o555, 0o777], ids=["read-only", "anothers_files"])
def test_a_store_that_is_only_read_needs_no_right_to_write(shared: Path, folder_mode: int) -> None:
    before = contents(shared)
    with as_another(shared, folder_mode):
        assert "faces-gan-tiny/2" in invoke(registry, "list")
        assert "previous_champion" in invoke(registry, "show", "faces-gan-tiny@champion")
        assert len(loading.load("faces-gan-tiny@champion").sample(2)) == 2
        with pytest.raises(UserError, match=r"^mlruns: can't be written \(Permission denied\)\."):
            invoke(registry, "rollback", "faces-gan-tiny")
    assert contents(shared) == before


def test_what_changes_a_read_only_database_outside_the_lock_is_one_line(shared: Path) -> None:
    """Such as the figures of a champion that is scored again."""
    with as_another(shared, 0o555):
        store = open_store()
        with pytest.raises(UserError, match=r"^mlruns/mlflow\.db: cannot be used .* readonly"):
            store.client.set_model_version_tag("faces-gan-tiny", "1", "key", "value")


def test_no_store_is_made_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/typo/mlruns/mlflow.db")
    monkeypatch.chdir(tmp_path)
    assert "Nothing is registered yet" in invoke(registry, "list")
    with pytest.raises(UserError, match=r"typo/mlruns/mlflow\.db: nothing is registered here"):
        invoke(registry, "show", "faces-gan@champion")
    with pytest.raises(UserError, match=r"can't be written \(No such file or directory\)"):
        open_store()
    assert not list(tmp_path.iterdir())


def test_a_locked_database_is_one_line_within_seconds(
    store: Store, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("atelier.registry.store.BUSY_SECONDS", 0.1)
    forget_connections()
    with closing(sqlite3.connect(DATABASE)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UserError) as refused:
            open_store()
    assert str(refused.value).startswith(
        "mlruns/mlflow.db: cannot be used (database is locked). Another process writes there"
    )
    assert capfd.readouterr().err == ""
    open_store()


@pytest.mark.slow
def test_a_change_waits_for_the_database_then_is_one_line(
    store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    """MLflow waits 20 s; what was to be changed is as it was."""
    with closing(sqlite3.connect(DATABASE)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UserError, match=r"database is locked.*Another process writes"):
            store.experiment("faces-gan-tiny")
    assert capfd.readouterr().err == ""
    assert store.client.get_experiment_by_name("faces-gan-tiny") is None


def test_what_is_no_database_is_said_at_once(store: Store) -> None:
    forget_connections()
    DATABASE.write_bytes(b"this is not what it should be" * 100)
    with pytest.raises(UserError, match=r"mlflow\.db: cannot be used \(file is not a database\)"):
        open_store()


@pytest.mark.slow
def test_a_database_whose_making_is_killed_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow makes some dozens of tables one by one, and refuses a database that has some."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    making = [sys.executable, "-c", "from atelier.registry.store import open_store; open_store()"]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    variables = os.environ | {"TMPDIR": str(scratch)}
    process = subprocess.Popen(making, start_new_session=True, env=variables)
    while not any(map(has_tables, scratch.rglob(DATABASE.name))):
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not DATABASE.exists()
    forget_connections()
    assert open_store().experiment("faces-gan-tiny") == "1"
    assert {path.name for path in DATABASE.parent.iterdir()} <= {".lock", DATABASE.name}
    forget_connections()


def has_tables(database: Path) -> bool:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            return connection.execute("SELECT count(*) FROM sqlite_master").fetchone() > (0,)
        except sqlite3.Error:
            return False


def test_a_half_made_database_of_others_is_said(store: Store) -> None:
    forget_connections()
    DATABASE.unlink()
    with closing(sqlite3.connect(DATABASE)) as connection:
        connection.execute("CREATE TABLE trace_info (x)")
    with pytest.raises(UserError, match=r"mlflow\.db: cannot be used .* Its making was cut short"):
        open_store()


class Answers(BaseHTTPRequestHandler):
    """An MLflow server without experiments; `status` is what it answers with."""

    status = 200

    def do_GET(self) -> None:
        body = b"{}" if self.status == 200 else b"<html>bad gateway</html>"
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def server(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    served = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setattr(Answers, "status", 200)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{served.server_port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    yield served
    served.shutdown()
    served.server_close()
    thread.join()


def test_a_server_that_is_lost_on_the_way_is_one_line(server: HTTPServer) -> None:
    """Not that a generator is unknown, which it may well not be; and no password is shown."""
    store = open_store()
    server.shutdown()
    server.server_close()
    line = r"^http://127\.0\.0\.1:\d+: cannot be used \(Connection refused\)\. Is the server up\?"
    with pytest.raises(UserError, match=line):
        versions.find(store, "faces-gan@champion")
    with pytest.raises(UserError, match=line):
        tracking.run_at(store, "0123")


def test_a_server_that_does_not_answer_in_time_is_one_line(
    repository: Path, server: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    hold = threading.Event()
    monkeypatch.setattr(Answers, "do_GET", lambda self: hold.wait(10))
    monkeypatch.setattr(Answers, "do_POST", lambda self: hold.wait(10))
    with pytest.raises(UserError, match=r"cannot be used \(timed out\)\. Is the server up\?"):
        open_store()
    hold.set()


def test_what_stands_before_a_server_and_answers_in_its_place_is_one_line(
    server: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Answers, "status", 502)
    with pytest.raises(UserError, match=r"cannot be used .*502.*Is the server up\?") as refused:
        open_store()
    assert "secret" not in str(refused.value)
