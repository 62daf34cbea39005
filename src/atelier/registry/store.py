"""The MLflow store: a SQLite file under mlruns/, or the server that MLFLOW_TRACKING_URI names.

MLflow writes absolute paths into a store on disk, and two processes that open a new one at the same
time break each other. So every opening here holds a file lock, and artifact locations lose the
repository's path before anything is stored below them: the repository can be moved.
"""

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from atelier.errors import UserError

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

FOLDER = Path("mlruns")
DATABASE = FOLDER / "mlflow.db"
LOCAL_URI = f"sqlite:///{DATABASE.as_posix()}"
BUNDLES = FOLDER / "bundles"
LOCK_SECONDS = 120
"""A first opening migrates a database, some 10 s on two busy cores."""

QUIET = {
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # Unreachable is an answer, too: MLflow's own default blocks for four minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


@dataclass(frozen=True)
class Store:
    """An open store. The working directory is the repository's root for as long as it is used."""

    client: "MlflowClient"
    uri: str

    @property
    def is_server(self) -> bool:
        """A server keeps artifacts itself; a database leaves them to us, in mlruns/."""
        return self.uri.startswith(("http://", "https://"))

    def experiment(self, name: str) -> str:
        """The id of the MLflow experiment `name`, made if it is not there."""
        with locked():
            if found := self.client.get_experiment_by_name(name):
                if found.lifecycle_stage == "deleted":
                    self.client.restore_experiment(found.experiment_id)
                return str(found.experiment_id)
            if self.is_server:
                return str(self.client.create_experiment(name))
            location = FOLDER / "artifacts" / name
            made = str(self.client.create_experiment(name, artifact_location=str(location)))
            _make_locations_relative(self.uri)
            return made


def open_store() -> Store:
    """Opens the store, and makes it if it is not there.

    Raises:
        UserError: another process has held the lock for two minutes, the store was made by a newer
            MLflow, or the server cannot be reached.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    uri = os.environ.get("MLFLOW_TRACKING_URI") or LOCAL_URI
    for logger in ("mlflow", "alembic"):
        logging.getLogger(logger).setLevel(logging.WARNING)
    with locked():
        try:
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            client.search_experiments(max_results=1)
            if uri == LOCAL_URI:
                _make_locations_relative(uri)
        except MlflowException as error:
            reason = str(error).splitlines()[0][:200]
            raise UserError(uri, f"cannot be opened ({reason})", "Is the server up?") from None
    return Store(client, uri)


@contextmanager
def locked() -> Iterator[None]:
    """Holds the lock that every change of the store on disk, and every registration, takes."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / ".lock"
    try:
        with FileLock(path, timeout=LOCK_SECONDS, is_singleton=True):
            yield
    except Timeout:
        raise UserError(
            path, f"held by another process for {LOCK_SECONDS} s", "Wait for it, or end it."
        ) from None


def _make_locations_relative(uri: str) -> None:
    """Strips this folder from where experiments keep artifacts; what they store later inherits it.

    MLflow's own schema, which it offers no call for; a test moves a repository twice to watch it.
    """
    if not uri.startswith("sqlite:///") or not (database := Path(uri[10:])).exists():
        return
    prefixes = {f"{Path.cwd()}/", f"file://{Path.cwd()}/"}
    with closing(sqlite3.connect(database, timeout=LOCK_SECONDS)) as connection, connection:
        for prefix in prefixes:
            connection.execute(
                "UPDATE experiments SET artifact_location = substr(artifact_location, ?) "
                "WHERE substr(artifact_location, 1, ?) = ?",
                (len(prefix) + 1, len(prefix), prefix),
            )
