"""True twins of drawn test images: the same scenes as the other domain has them, and where they
differ.

`draw` leaves them in `data/twins/<dataset>/`; `prepare` makes arrays of them beside the test split
and beside no other, so that nothing can be trained on them. Imported data have none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from atelier.data.catalog import MARKER, Catalog, Split
from atelier.errors import UserError

SPLIT = "test"
UNTOUCHED = 1e-3
"""Largest part of a pixel that comes from inside the mask, for it to count as outside."""


@dataclass(frozen=True)
class Direction:
    """From which images to which twins, as attributes and the values that they have there."""

    name: str
    source: dict[str, int]
    target: dict[str, int]


DIRECTIONS = {
    "attributes": (
        Direction("black_to_blond", {"Black_Hair": 1}, {"Blond_Hair": 1}),
        Direction("blond_to_black", {"Blond_Hair": 1}, {"Black_Hair": 1}),
    ),
    "pairs": (
        Direction("a_to_b", {"domain_b": 0}, {"domain_b": 1}),
        Direction("b_to_a", {"domain_b": 1}, {"domain_b": 0}),
    ),
}
"""By layout: what the drawn datasets have twins of."""


@dataclass(frozen=True)
class TwinFiles:
    """The files of one direction, in the order of the test split's rows."""

    direction: Direction
    rows: tuple[int, ...]
    images: tuple[tuple[Path, ...], ...]
    """[N][K]: where several twins are as true, such as a horse's coats, all of them."""
    masks: tuple[Path, ...]

    @property
    def each(self) -> int:
        """Twins of one image."""
        return len(self.images[0])


@dataclass(frozen=True)
class Twins:
    """Prepared twins of one direction; memory maps."""

    rows: NDArray[np.intp]
    """[N], of the test split."""
    images: NDArray[np.uint8]
    """[N, K, 3, S, S]."""
    masks: NDArray[np.uint8]
    """[N, S, S]: 0 where no source pixel of the mask shows, 255 where no other does."""


def twin_files(folder: Path, catalog: Catalog, split: Split) -> list[TwinFiles]:
    """Which files are the twins of the test split's images; none where nothing was drawn.

    Args:
        folder: `data/twins/<dataset>`.

    Raises:
        UserError: an image's twins or its mask are missing.
    """
    if not (catalog.drawn and (folder / MARKER).exists()):
        return []
    found = []
    for direction in DIRECTIONS.get(catalog.layout, ()):
        rows = _rows(split, catalog.labels, direction.source)
        names = [Path(split.names[row]) for row in rows]
        images = [_images_of(folder, catalog.layout, name) for name in names]
        masks = [folder / "masks" / name.with_suffix(".png") for name in names]
        if len({len(paths) for paths in images}) > 1 or not all(map(Path.exists, masks)):
            raise _incomplete(folder)
        if rows:
            found.append(TwinFiles(direction, tuple(rows), tuple(images), tuple(masks)))
    return found


def mask_to_square(
    mask: Image.Image, size_pixels: int, box: tuple[int, int, int, int]
) -> NDArray[np.uint8]:
    """Mask of 0 and 255 -> uint8 [S, S], of the part of it that a crop keeps."""
    return resized_mask(mask, (size_pixels, size_pixels), box)


def resized_mask(
    mask: Image.Image, size: tuple[int, int], box: tuple[int, int, int, int] | None = None
) -> NDArray[np.uint8]:
    """Mask of 0 and 255 -> uint8 [H, W], the part of each pixel that comes from inside.

    The picture's own resampling, in floats: its weights reach two pixels out and some are negative,
    and a pixel is outside only where nothing from inside went into it.
    """
    inside = Image.fromarray((np.asarray(mask.convert("L")) > 127).astype(np.float32))
    part = np.asarray(inside.resize(size, Image.Resampling.BICUBIC, box=box))
    scaled = np.clip(np.round(part * 255), 0, 255).astype(np.uint8)
    return np.where(np.abs(part) > UNTOUCHED, np.maximum(scaled, 1), 0).astype(np.uint8)


def array_names(direction: str) -> tuple[str, str, str]:
    """Files in the prepared folder: twins, masks, rows."""
    stem = f"{SPLIT}_twins_{direction}"
    return f"{stem}.npy", f"{stem}_masks.npy", f"{stem}_rows.npy"


def described(files: TwinFiles, digest: str) -> dict[str, Any]:
    """What the manifest says of them."""
    return {
        "split": SPLIT,
        "from": files.direction.source,
        "to": files.direction.target,
        "count": len(files.rows),
        "each": files.each,
        "digest": digest,
    }


def open_twins(
    prepared: Path,
    manifest: Mapping[str, Any],
    source: Mapping[str, int],
    target: Mapping[str, int],
) -> Twins | None:
    """The twins between two domains, given as attributes and values; None where there are none."""
    for name, said in manifest.get("twins", {}).items():
        if said["from"].items() <= source.items() and said["to"].items() <= target.items():
            images, masks, rows = (
                np.load(prepared / file, mmap_mode="r") for file in array_names(name)
            )
            return Twins(rows.astype(np.intp), images, masks)
    return None


def _rows(split: Split, labels: Sequence[str], rule: Mapping[str, int]) -> list[int]:
    if not rule.keys() <= set(labels):
        return []
    columns = [list(labels).index(name) for name in rule]
    chosen = (split.labels[:, columns] == np.array(list(rule.values()))).all(axis=1)
    return np.flatnonzero(chosen).tolist()


def _images_of(folder: Path, layout: str, name: Path) -> tuple[Path, ...]:
    parent = folder / ("images" if layout == "attributes" else name.parent)
    only = parent / f"{name.stem}.jpg"
    several = [only] if only.exists() else sorted(parent.glob(f"{name.stem}_[0-9]*.jpg"))
    if not several:
        raise _incomplete(folder)
    return tuple(several)


def _incomplete(folder: Path) -> UserError:
    return UserError(folder, "not every drawn test image has its twins here", "Run: atelier draw")
