"""The MLflow store: a SQLite file under mlruns/, or the server that MLFLOW_TRACKING_URI names.

MLflow writes absolute paths into a store on disk, and two processes that open a new one at the same
time break each other. So every opening here holds a file lock, where there is a right to write, and
artifact locations lose the repository's path before anything is stored below them: the repository
can be moved. What a database keeps lies below the folder in which its own mlruns/ is, wherever we
work: see `Store.root`.
"""

import logging
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from atelier.errors import UserError
from atelier.files import written_aside
from atelier.paths import home_of

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

ADDRESS = "MLFLOW_TRACKING_URI"
SQLITE = "sqlite:///"
FOLDER = Path("mlruns")
DATABASE = FOLDER / "mlflow.db"
LOCAL_URI = f"{SQLITE}{DATABASE.as_posix()}"
BUNDLES = FOLDER / "bundles"
"""Below the store's root, as FOLDER is."""
KIND_TAG, KIND = "mlflow.experimentKind", "custom_model_development"
"""Of an MLflow experiment: that MLflow's pages show runs and models, not traces and prompts."""
LOCK_SECONDS = 120
"""A first opening migrates a database, some 10 s on two busy cores."""
BUSY_SECONDS = 10
"""How long SQLite waits for another's transaction when a store is opened; later MLflow says 20."""

QUIET = {
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # Unreachable is an answer, too: MLflow's own default blocks for four minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
LOGGERS = {
    "mlflow": logging.WARNING,
    "alembic": logging.WARNING,
    # It prints the traceback of an error that it also raises.
    "mlflow.store.db.utils": logging.CRITICAL,
}


@dataclass(frozen=True)
class Store:
    """An open store. A fault of it ends each call of its client with a UserError."""

    client: "MlflowClient"
    uri: str
    root: Path = Path()
    """Where its relative locations begin; empty is the working directory, for as long as the store
    is used."""

    @property
    def is_server(self) -> bool:
        """A server keeps artifacts itself; a database leaves them to us, in mlruns/."""
        return self.uri.startswith(("http://", "https://"))

    def locked(self) -> AbstractContextManager[None]:
        """Holds the lock that every change of the store on disk, and every registration, takes."""
        return locked(self.root)

    def artifacts(self, location: str) -> Any:
        """MLflow's ArtifactRepository of what lies at the location of a version's bundle."""
        from atelier.registry.client import watched_artifacts

        return watched_artifacts(location, self.uri, self.root)

    def experiment(self, name: str) -> str:
        """The id of the MLflow experiment `name`, made if it is not there."""
        with self.locked():
            if found := self.client.get_experiment_by_name(name):
                if found.lifecycle_stage == "deleted":
                    self.client.restore_experiment(found.experiment_id)
                if found.tags.get(KIND_TAG) != KIND:
                    self.client.set_experiment_tag(found.experiment_id, KIND_TAG, KIND)
                return str(found.experiment_id)
            tags = {KIND_TAG: KIND}
            if self.is_server:
                with made_already_is_well():
                    return str(self.client.create_experiment(name, tags=tags))
                return self.experiment(name)
            location = (self.root / FOLDER / "artifacts" / name).absolute()
            made = str(self.client.create_experiment(name, str(location), tags))
            if database := database_of(self.uri):
                _make_locations_relative(database, self.root)
            return made


def open_store() -> Store:
    """Opens the store, and makes it if it is not there. To look at one needs no right to write.

    Raises:
        UserError: another process has held the lock for two minutes or the database for ten
            seconds, the store was made by a newer MLflow, or the server cannot be reached.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    from atelier.registry.client import faults_told, watched_client

    uri, root = _uri_and_root()
    database = database_of(uri)
    for logger, level in LOGGERS.items():
        logging.getLogger(logger).setLevel(level)
    with ExitStack() as stack:
        stack.enter_context(faults_told(uri))
        try:
            stack.enter_context(locked(root))
            may_write = True
        except NotWritable:
            # Another user's, or on a read-only disk: whole as it is, and nothing to wait for.
            if not has_store():
                raise
            may_write = False
        if database and database.exists():
            # MLflow itself would try again and again, up to 100 seconds.
            _look_into(database)
        elif database and may_write:
            _make(database, root)
        client = watched_client(uri, root)
        client.search_experiments(max_results=1)
        if database and may_write:
            _make_locations_relative(database, root)
    return Store(client, uri, root)


@contextmanager
def made_already_is_well() -> Iterator[None]:
    """Lets a request pass that makes what another machine made a moment ago: those who share a
    server share no lock."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def has_store() -> bool:
    """Whether there is a store to read; opening one that is not there would make it."""
    database = database_of(_uri_and_root()[0])
    return database is None or database.exists()


def need_store() -> None:
    """Raises a UserError where there is no registry to read."""
    if not has_store():
        where = os.environ.get(ADDRESS) or str(FOLDER)
        remedy = f"Run atelier repro in the repository's root, or set {ADDRESS}."
        raise UserError(where, "nothing is registered here", remedy)


def on_disk() -> tuple[Path, Path] | None:
    """The SQLite file of a store that is there, and its root; None of a server's."""
    uri, root = _uri_and_root()
    database = database_of(uri)
    return (database, root) if database and database.exists() else None


def database_of(uri: str) -> Path | None:
    """The SQLite file that a store's address names; None of a server or another database."""
    named = uri.removeprefix(SQLITE).partition("?")[0]
    return Path(named) if uri.startswith(SQLITE) and named else None


def _uri_and_root() -> tuple[str, Path]:
    """The store's address, and where its relative locations begin.

    What a trial of DVC's tells in a folder of its own goes to the repository's store, for that
    folder is removed. The files of a database lie in mlruns/ around it or beside it.
    """
    uri = os.environ.get(ADDRESS) or LOCAL_URI
    if not (database := database_of(uri)):
        return uri, Path()
    if not database.is_absolute() and (home := home_of(Path.cwd())) != Path.cwd():
        database = home / database
        uri = f"{SQLITE}{database}"
    return uri, database.parent.parent if database.parent.name == FOLDER.name else database.parent


class NotWritable(UserError):
    """The store's folder is another user's, or on a disk that is mounted to be read."""


@contextmanager
def locked(root: Path = Path()) -> Iterator[None]:
    """Holds the lock that every change of the store below `root`, and every registration, takes."""
    path = root / FOLDER / ".lock"
    lock = FileLock(path, timeout=LOCK_SECONDS, is_singleton=True)
    try:
        path.parent.mkdir(exist_ok=True)
        lock.acquire()
    except Timeout:
        raise UserError(
            path, f"held by another process for {LOCK_SECONDS} s", "Wait for it, or end it."
        ) from None
    except OSError as error:
        problem = f"can't be written ({error.strerror or error})"
        remedy = "What only reads it works; what changes it needs the right to write there."
        raise NotWritable(path.parent, problem, remedy) from None
    try:
        yield
    finally:
        lock.release()


def _make(database: Path, root: Path) -> None:
    """A new database, whole or not at all: MLflow makes its tables one by one, and refuses one that
    has some of them ever after."""
    from atelier.registry.client import watched_client

    with TemporaryDirectory() as scratch:
        made = Path(scratch, database.name)
        watched_client(f"{SQLITE}{made}", root).search_experiments(max_results=1)
        with written_aside(database, durable=True) as beside:
            shutil.copyfile(made, beside)


def _look_into(database: Path) -> None:
    with closing(sqlite3.connect(database, timeout=BUSY_SECONDS)) as connection:
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()


def _make_locations_relative(database: Path, root: Path) -> None:
    """Strips the root from where experiments keep artifacts; what they store later inherits it.

    MLflow's own schema, which it offers no call for; a test moves a repository twice to watch it.
    """
    folder = root.absolute()
    with closing(sqlite3.connect(database, timeout=BUSY_SECONDS)) as connection, connection:
        for prefix in (f"{folder}/", f"file://{folder}/"):
            absolute = "substr(artifact_location, 1, ?) = ?"
            known = (len(prefix), prefix)
            look = f"SELECT 1 FROM experiments WHERE {absolute} LIMIT 1"
            if connection.execute(look, known).fetchall():
                change = "UPDATE experiments SET artifact_location = substr(artifact_location, ?) "
                connection.execute(f"{change} WHERE {absolute}", (len(prefix) + 1, *known))
