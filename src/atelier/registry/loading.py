"""Fetching what the registry names: a bundle on this machine, ready to use."""

import os
import tempfile
from pathlib import Path

from atelier.bundle.client import Generator
from atelier.errors import UserError
from atelier.registry import packaging, store, versions

CACHE = Path(".atelier/bundles")
"""Where bundles of a server are kept, by digest; removing it is safe."""


def load(reference: str) -> Generator:
    """The generator that `name@alias` or `name/version` names in the registry.

    Atelier reads the bundle's data and runs its own code on it, never the code in the bundle.

    Raises:
        UserError: unknown name, alias or version, with the nearest that there is; a bundle that was
            tampered with; or a server that cannot be reached.
    """
    opened = store.open_store()
    found = versions.find(opened, reference)
    return Generator(fetch(opened, found), reference, str(found), found.digests)


def fetch(opened: store.Store, found: versions.Version) -> Path:
    """The folder of a version's bundle on this machine; a server's is downloaded once.

    Raises:
        UserError: the store knows the version, but its bundle is gone.
    """
    if not opened.is_server:
        folder = packaging.bundle_inside(Path(found.source))
        if not folder.is_dir():
            raise UserError(folder, f"the bundle of {found} is missing", "atelier registry sync")
        return folder
    place = CACHE / versions.place_of(*found.digests)
    if not place.is_dir():
        _download(opened, found, place)
    return packaging.bundle_inside(place)


def fetch_of_run(
    opened: store.Store, found: versions.Version, artifact: str, folder: str
) -> Path | None:
    """An artifact of the run that a version came from, in `folder`; None where there is none."""
    from mlflow.exceptions import MlflowException

    try:
        return Path(opened.client.download_artifacts(str(found.run_id), artifact, folder))
    except (MlflowException, OSError):
        return None


def _download(opened: store.Store, found: versions.Version, place: Path) -> None:
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".fetching-") as temporary:
        try:
            fetched = download_artifacts(
                artifact_uri=found.source, dst_path=temporary, tracking_uri=opened.uri
            )
        except MlflowException as error:
            reason = str(error).splitlines()[0][:200]
            raise UserError(found, f"cannot be fetched ({reason})") from None
        os.replace(fetched, place)
