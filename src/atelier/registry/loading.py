"""Fetching what the registry names: a bundle on this machine, ready to use."""

import os
import tempfile
from pathlib import Path

from atelier.bundle.client import Generator
from atelier.errors import UserError
from atelier.registry import packaging, store, versions
from atelier.registry.lookup import look_up

CACHE = Path(".atelier/bundles")
"""Where bundles of a server are kept, by digest; removing it is safe."""


class BundleGone(UserError):
    """The store knows the version, but nobody can be served by it: its bundle is not there."""


def load(reference: str, device: str = "cpu") -> Generator:
    """The generator that `name@alias` or `name/version` names in the registry.

    Atelier reads the bundle's data and runs its own code on it, never the code in the bundle.

    Args:
        device: where its networks run, `cuda` say. The CPU's pictures are the reference: another
            device's may differ by 1 of 255 in at most 0.1% of their values.

    Raises:
        UserError: unknown name, alias or version, with the nearest that there is; a bundle that was
            tampered with; a server that cannot be reached; or a device that is not here.
    """
    if device == "cpu":
        return _load(reference)
    from atelier.device import named

    place = named(device)
    generator = _load(reference)
    generator.bundle.to(place)
    return generator


def _load(reference: str) -> Generator:
    if kept := store.on_disk():
        database, root = kept
        if found := look_up(database, reference):
            return Generator(_folder_below(root, found), reference, str(found), found.digests)
    opened = store.open_store()
    found = versions.find(opened, reference)
    return Generator(fetch(opened, found), reference, str(found), found.digests)


def fetch(opened: store.Store, found: versions.Version) -> Path:
    """The folder of a version's bundle on this machine; a server's is downloaded once.

    Raises:
        BundleGone: the store knows the version, but its bundle is gone.
        UserError: the server cannot be reached.
    """
    if not opened.is_server:
        return _folder_below(opened.root, found)
    place = CACHE / packaging.place_of(*found.digests).name
    if not place.is_dir():
        _download(opened, found, place)
    return packaging.bundle_inside(place)


def _folder_below(root: Path, found: versions.Version) -> Path:
    """Of a store on disk."""
    folder = packaging.bundle_inside(root / found.source)
    if not folder.is_dir():
        raise BundleGone(folder, f"the bundle of {found} is missing", "atelier registry sync")
    return folder


def fetch_of_run(
    opened: store.Store, found: versions.Version, artifact: str, folder: str
) -> Path | None:
    """An artifact of the run that a version came from, in `folder`; None where there is none."""
    from mlflow.exceptions import MlflowException

    try:
        return Path(opened.client.download_artifacts(str(found.training_run), artifact, folder))
    except (MlflowException, OSError):
        return None


def _download(opened: store.Store, found: versions.Version, place: Path) -> None:
    kept = opened.artifacts(found.source)
    if not kept.list_artifacts(packaging.INSIDE):
        raise BundleGone(found, "its bundle is gone from the server", "Run: atelier registry sync")
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".fetching-") as temporary:
        fetched = kept.download_artifacts("", temporary)
        os.replace(fetched, place)
