"""Fetching a generator from the registry and using it."""

import os
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from atelier.errors import UserError
from atelier.registry import packaging, store, versions
from atelier.registry.bundle_model import Refused, Sampler, check_request

CACHE = Path(".atelier/bundles")
"""Where bundles of a server are kept, by digest; removing it is safe."""


class Generator:
    """A bundle in use. `reference` is what was asked for, `version` what that is now."""

    def __init__(self, folder: Path, reference: str, version: versions.Version | None = None):
        try:
            self._sampler = Sampler(folder)
        except Refused as refusal:
            raise UserError(reference, f"the bundle is refused ({refusal})") from None
        self.reference = reference
        self.version = version
        if version is not None and version.digest != self.manifest["digest"]:
            raise UserError(
                reference, "the bundle is not the one that was registered (its digest differs)"
            )

    @property
    def manifest(self) -> dict[str, object]:
        """The bundle's own words, bundle.json."""
        return self._sampler.manifest

    @property
    def makes_numbers(self) -> bool:
        return bool(self._sampler.is_numbers)

    def sample(
        self, count: int, seed: int = 0, truncation: float = 1.0
    ) -> npt.NDArray[np.uint8] | npt.NDArray[np.int64]:
        """uint8 [count, S, S, 3] in [0, 255], or int64 [count] of numbers.

        The same seed gives the same outputs, and output k does not depend on `count`.

        Args:
            count: 1 to 10,000.
            seed: 0 to 2^63 - 1.
            truncation: scales the latent; above 0, at most 2; below 1 is more typical.

        Raises:
            UserError: an argument outside its range.
        """
        try:
            check_request(count, seed, truncation)
        except Refused as refusal:
            raise UserError(self.reference, str(refusal)) from None
        sampled: npt.NDArray[np.uint8] = self._sampler.sample(count, seed, truncation)
        return sampled


def load(reference: str) -> Generator:
    """The generator that `name@alias` or `name/version` names in the registry.

    Atelier reads the bundle's data and runs its own code on it, never the code in the bundle.

    Raises:
        UserError: unknown name, alias or version, with the nearest that there is; a bundle that was
            tampered with; or a server that cannot be reached.
    """
    opened = store.open_store()
    found = versions.find(opened, reference)
    return Generator(fetch(opened, found), reference, found)


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
    place = CACHE / found.digest
    if not place.is_dir():
        _download(opened, found, place)
    return packaging.bundle_inside(place)


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
