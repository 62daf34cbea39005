"""Fetching a bundle from the registry and using it."""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from atelier.errors import UserError
from atelier.registry import packaging, store, versions
from atelier.registry.bundle_model import Bundle, Refused, open_bundle, to_outputs

CACHE = Path(".atelier/bundles")
"""Where bundles of a server are kept, by digest; removing it is safe."""

Pictures = npt.NDArray[np.uint8]
"""[N, H, W, 3] in [0, 255], as Pillow has them."""
Codes = npt.NDArray[np.float32]
"""[N, L]: latents of a generator, or codes of an encoder."""


class Generator:
    """A bundle in use. `reference` is what was asked for, `version` what that is now.

    Every method raises a UserError for an argument outside its range, and where the task lacks it:

        numbers, images, conditional, and a variational autoencoder   sample, latents, decode
        translation                                                  translate
        reconstruction                                               reconstruct, encode, decode
    """

    def __init__(self, folder: Path, reference: str, version: versions.Version | None = None):
        try:
            self.bundle: Bundle = open_bundle(folder)
        except Refused as refusal:
            raise UserError(reference, f"the bundle is refused ({refusal})") from None
        self.reference = reference
        self.version = version
        if version is not None and version.digest != self.manifest["digest"]:
            raise UserError(
                reference, "the bundle is not the one that was registered (its digest differs)"
            )

    @property
    def manifest(self) -> dict[str, Any]:
        """The bundle's own words, bundle.json."""
        return self.bundle.manifest

    @property
    def task(self) -> str:
        """What it is for: one of models/__init__.py."""
        return self.bundle.task

    @property
    def makes_numbers(self) -> bool:
        return self.bundle.is_numbers

    def sample(
        self,
        count: int,
        seed: int = 0,
        truncation: float = 1.0,
        *,
        attributes: Mapping[str, float] | None = None,
        allow_unseen: bool = False,
        edits: Mapping[str, float] | None = None,
        sampler: str = "normal",
    ) -> Pictures | npt.NDArray[np.int64]:
        """uint8 [count, S, S, 3] in [0, 255], or int64 [count] of numbers.

        The same seed gives the same outputs, and output k does not depend on `count`.

        Args:
            count: 1 to 10,000.
            seed: 0 to 2^63 - 1.
            truncation: scales the latent; above 0, at most 2; below 1 is more typical.
            attributes: fractions in [0, 1] by name, of a conditional generator; the unnamed are 0.
            allow_unseen: makes combinations of attributes too that no training image had.
            edits: steps along the bundle's directions, in standard deviations from -3 to 3.
            sampler: "normal", or "mixture" where a mixture was fitted to the training codes.
        """
        with self._refusals():
            row = self.bundle.attribute_row(attributes or {}, allow_unseen)
            shift = self.bundle.shift_of(edits or {})
            made: Pictures = self.bundle.sample(count, seed, truncation, row, sampler, shift)
            return made

    def latents(
        self, count: int, seed: int = 0, truncation: float = 1.0, sampler: str = "normal"
    ) -> Codes:
        """The latents of `sample`, float32 [count, L]; `decode` makes the same pictures of them."""
        with self._refusals():
            return self.bundle.latents(count, seed, truncation, sampler)

    def decode(
        self,
        latents: Codes,
        *,
        attributes: Mapping[str, float] | None = None,
        allow_unseen: bool = False,
    ) -> Pictures | npt.NDArray[np.int64]:
        """float32 [N, L] -> uint8 [N, S, S, 3], or numbers; `attributes` as in `sample`."""
        with self._refusals():
            row = self.bundle.attribute_row(attributes or {}, allow_unseen)
            made: Pictures = to_outputs(self.bundle, self.bundle.decode(latents, row))
            return made

    def encode(self, images: Sequence[Pictures] | Pictures) -> Codes:
        """uint8 [H, W, 3] each -> codes float32 [N, L]; other sizes are cropped as in training."""
        with self._refusals():
            return self.bundle.encode(self._squares(images))

    def reconstruct(
        self,
        images: Sequence[Pictures] | Pictures,
        *,
        edits: Mapping[str, float] | None = None,
    ) -> Pictures:
        """uint8 [H, W, 3] each -> uint8 [N, S, S, 3], through encoder and decoder."""
        with self._refusals():
            shift = self.bundle.shift_of(edits or {})
            made: Pictures = self.bundle.reconstruct(self._squares(images), shift)
            return made.transpose(0, 2, 3, 1)

    def translate(
        self, images: Sequence[Pictures] | Pictures, direction: str
    ) -> list[npt.NDArray[np.uint8]]:
        """uint8 [H, W, 3] each, of any size -> the same sizes; `direction` is A2B or B2A."""
        with self._refusals():
            return [self.bundle.translate_any(image, direction) for image in _some(images)]

    def _squares(self, images: Sequence[Pictures] | Pictures) -> npt.NDArray[np.uint8]:
        return np.stack([self.bundle.to_square(image) for image in _some(images)])

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except Refused as refusal:
            raise UserError(self.reference, str(refusal)) from None


def _some(images: Sequence[Pictures] | Pictures) -> Sequence[Pictures] | Pictures:
    if not len(images):
        raise Refused("images: one or more (got none)")
    return images


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
