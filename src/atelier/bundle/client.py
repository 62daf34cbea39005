"""A bundle in use: what it can do, with every refusal in one line."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from atelier.bundle.bundle_model import Bundle, Refused, code_digest_of, open_bundle
from atelier.errors import UserError

Pictures = npt.NDArray[np.uint8]
"""[N, H, W, 3] in [0, 255], as Pillow has them."""
Codes = npt.NDArray[np.float32]
"""[N, L]: latents of a generator, or codes of an encoder."""
Digests = tuple[str, str]
"""Of a bundle's model and of its code."""


class Generator:
    """A bundle in use. `reference` is what was asked for, `version` what that is now.

    Every method raises a UserError for an argument outside its range, and where the task lacks it:

        numbers, unconditional, conditional, and a variational one    sample, latents, decode
        translation                                                  translate
        reconstruction                                               reconstruct, encode, decode
    """

    def __init__(
        self, folder: Path, reference: str, version: str = "", digests: Digests | None = None
    ):
        """`digests`: of the model and of the code that were registered; others are refused."""
        try:
            self.bundle: Bundle = open_bundle(folder)
        except Refused as refusal:
            raise UserError(reference, f"the bundle is refused ({refusal})") from None
        self.reference, self.version = reference, version or reference
        if digests and digests != (self.manifest["digest"], code_digest_of(self.manifest)):
            raise UserError(
                reference, "the bundle is not the one that was registered (its digest differs)"
            )

    @property
    def manifest(self) -> dict[str, Any]:
        """The bundle's own words, bundle.json."""
        return self.bundle.manifest

    @property
    def task(self) -> str:
        """What it is for: one of atelier.task.TASKS."""
        return self.bundle.task

    @property
    def makes_numbers(self) -> bool:
        return self.bundle.MAKES_NUMBERS

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
            made: Pictures = self.bundle.decode(latents, row)
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
            return made

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
        raise Refused("images", "one or more (got none)")
    return images
