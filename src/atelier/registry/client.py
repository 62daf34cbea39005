"""MLflow's client as we use it: faults of the store in one line, artifacts found from anywhere.

Imported by store.py when a store is opened, for MLflow takes seconds to import.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, cast

from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from atelier.errors import UserError

ANSWERS = (
    "RESOURCE_DOES_NOT_EXIST",
    "RESOURCE_ALREADY_EXISTS",
    "INVALID_PARAMETER_VALUE",
    "INVALID_STATE",
)
"""What a sound store says to a request that it can't fulfil; all else is a fault of the store."""
REMEDIES = {
    "locked": "Another process writes there: wait for it, or end it, and run the same again.",
    "readonly": "It can be read from here; what changes it is for its owner to run.",
    "Permission denied": "It belongs to another user; what changes it is for its owner to run.",
    "Read-only file system": "It can be read from here; mount it writable to change it.",
    "No space left": "Make room, and run the same again.",
    "disk is full": "Make room, and run the same again.",
    "already exists": "Its making was cut short: remove it, if nothing is registered yet.",
}
"""By words of the reason, in this order."""


@contextmanager
def faults_told(uri: str) -> Iterator[None]:
    """Says in one line what befalls the store at `uri`; what it answers goes through.

    Raises:
        UserError: a server that is gone, a database that is locked or damaged, a full disk.
    """
    try:
        yield
    except MlflowException as error:
        if error.error_code in ANSWERS:
            raise
        raise unusable(uri, error) from None
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise unusable(uri, error) from None


def unusable(uri: str, error: BaseException) -> UserError:
    """`mlruns/mlflow.db: cannot be used (database is locked). Another process writes there: …`."""
    reason = _reason(error)
    found = [remedy for words, remedy in REMEDIES.items() if words in reason]
    if uri.startswith(("http://", "https://")):
        found.append("Is the server up? Run the same again when it is.")
    where = _without_password(uri).removeprefix("sqlite:///")
    return UserError(where, f"cannot be used ({reason})", found[0] if found else "")


def _reason(error: BaseException) -> str:
    """What the innermost error says, in one line: the outer ones quote it, with addresses."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return _without_password(str(words).splitlines()[0].removesuffix("."))[:200]


def _without_password(text: str) -> str:
    """Addresses without the name and password that may stand in them."""
    return re.sub(r"//[^/@\s]*@", "//", text)


class _Watched:
    """An object each of whose calls tells a fault of the store in one line."""

    def __init__(self, watched: Any, uri: str) -> None:
        self._watched, self._uri = watched, uri

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._watched, name)
        if not callable(found):
            return found

        @wraps(found)
        def call(*arguments: Any, **words: Any) -> Any:
            with faults_told(self._uri):
                return found(*arguments, **words)

        return call


def watched_client(uri: str, root: Path) -> MlflowClient:
    """The client of a store whose relative locations begin at `root`."""
    return cast("MlflowClient", _Watched(RootedClient(uri, root), uri))


def watched_artifacts(location: str, uri: str, root: Path) -> Any:
    """What lies at a location of that store: MLflow's ArtifactRepository."""
    return _Watched(_artifacts(location, uri, root), uri)


class RootedClient(MlflowClient):
    """Finds a run's artifacts below the store's own root, whatever the working directory.

    MLflow looks for a relative location below the working directory.
    """

    def __init__(self, uri: str, root: Path) -> None:
        super().__init__(tracking_uri=uri, registry_uri=uri)
        self._root = root

    def log_artifact(self, run_id: str, local_path: str, artifact_path: str | None = None) -> None:
        self._artifacts(run_id).log_artifact(local_path, artifact_path)

    def log_artifacts(self, run_id: str, local_dir: str, artifact_path: str | None = None) -> None:
        self._artifacts(run_id).log_artifacts(local_dir, artifact_path)

    def list_artifacts(self, run_id: str, path: str | None = None) -> list[FileInfo]:
        return list(self._artifacts(run_id).list_artifacts(path))

    def download_artifacts(self, run_id: str, path: str, dst_path: str | None = None) -> str:
        return str(self._artifacts(run_id).download_artifacts(path, dst_path))

    def _artifacts(self, run_id: str) -> Any:
        location = str(self.get_run(run_id).info.artifact_uri)
        return _artifacts(location, self.tracking_uri, self._root)


def _artifacts(location: str, uri: str, root: Path) -> ArtifactRepository:
    place = location if ":" in location else str(root / location)
    return get_artifact_repository(place, tracking_uri=uri)
