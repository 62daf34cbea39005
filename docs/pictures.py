"""Makes the README's pictures from data/ and the registry; a person runs it after `make repro`.

    python docs/pictures.py

writes docs/images/: 12 x 4 pictures of 64 pixels each, of the drawn test images and of what the
champions make of them or of one seed; none is picked by hand.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import atelier
from atelier.config import load_dataset
from atelier.data.catalog import read_catalog
from atelier.data.decode import try_decode
from atelier.data.prepare import to_square
from atelier.data.sheet import sheet
from atelier.evaluation.degraded import blurred, shuffled
from atelier.paths import Paths

Images = NDArray[np.uint8]
"""[N, 3, 64, 64]."""

COLUMNS, ROWS = 12, 4
SIZE_PIXELS = 64
SEED = 7
REQUESTS: tuple[dict[str, float], ...] = (
    {"Black_Hair": 1, "Male": 1},
    {"Black_Hair": 1, "Male": 1, "Eyeglasses": 1},
    {"Blond_Hair": 1, "Smiling": 1},
    {"Blond_Hair": 1, "Smiling": 1, "Eyeglasses": 1},
)
COLOURS = 256
"""A palette makes a file a third as large; a picture here is a look, not a measurement."""
FOLDER = Path("docs", "images")


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    save("faces", faces())
    save("animals", animals())
    made = atelier.load("faces-gan@champion").sample(COLUMNS * ROWS, SEED)
    save("faces-gan", channels_first(made))
    save("scale", scale(channels_first(made)))
    save("faces-cgan", asked())
    save("horse2zebra", translated("horse2zebra", animals()))
    save("black2blond", translated("black2blond", hair()))
    save("faces-ae", reconstructed())
    drawn = atelier.load("faces-vae@champion").sample(2 * COLUMNS, SEED, sampler="mixture")
    save("faces-vae", channels_first(drawn))


def faces() -> Images:
    """The first test faces, cropped as faces-gan sees them."""
    share = load_dataset("laptop", "celeba").data.crop_share or 1.0
    folder = Path("data", "celeba")
    catalog = read_catalog(folder, "attributes")
    names = catalog.splits["test"].names[: COLUMNS * ROWS]
    return squares([catalog.images / name for name in names], share)


def scale(made: Images) -> Images:
    """What the scale of a KID goes by, a row each: training images, made ones, the wrong sets."""
    training = np.load(Paths("laptop").prepared("celeba") / "training.npy", mmap_mode="r")
    reals = np.array(training[:COLUMNS])
    return np.concatenate([reals, made[:COLUMNS], shuffled(reals, SEED), blurred(reals)])


def animals() -> Images:
    """Two rows of horses, two rows of zebras."""
    names = read_catalog(Path("data", "horse2zebra"), "pairs").splits["test"].names
    chosen = []
    for domain in ("testA", "testB"):
        chosen += [name for name in names if name.startswith(domain)][: COLUMNS * ROWS // 2]
    return squares([Path("data", "horse2zebra", name) for name in chosen], 1.0)


def asked() -> Images:
    """A row for each request of faces-cgan, the same twelve latents in each."""
    generator = atelier.load("faces-cgan@champion")
    rows = [generator.sample(COLUMNS, SEED, attributes=request) for request in REQUESTS]
    return channels_first(np.concatenate(rows))


def translated(name: str, pictures: Images) -> Images:
    """Two rows of A, two of B -> a row of A, what it became, a row of B, what that became."""
    generator = atelier.load(f"{name}@champion")
    rows = []
    for first, direction in ((0, "A2B"), (2 * COLUMNS, "B2A")):
        row = pictures[first : first + COLUMNS]
        made = generator.translate(list(row.transpose(0, 2, 3, 1)), direction)
        rows += [row, channels_first(np.stack(made))]
    return np.concatenate(rows)


def reconstructed() -> Images:
    """A row of test faces, and a row of what became of them."""
    row = faces()[:COLUMNS]
    made = atelier.load("faces-ae@champion").reconstruct(list(row.transpose(0, 2, 3, 1)))
    return np.concatenate([row, channels_first(made)])


def hair() -> Images:
    """Two rows of black-haired test faces, two of blond ones."""
    catalog = read_catalog(Path("data", "celeba"), "attributes")
    split, labels = catalog.splits["test"], list(catalog.labels)
    share = load_dataset("laptop", "celeba").data.crop_share or 1.0
    paths = []
    for colour, other in (("Black_Hair", "Blond_Hair"), ("Blond_Hair", "Black_Hair")):
        has = split.labels[:, labels.index(colour)] > split.labels[:, labels.index(other)]
        paths += [catalog.images / split.names[row] for row in np.flatnonzero(has)[: 2 * COLUMNS]]
    return squares(paths, share)


def channels_first(pictures: NDArray[np.uint8]) -> Images:
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))


def squares(paths: list[Path], crop_share: float) -> Images:
    pictures = []
    for path in paths:
        image = try_decode(path)
        assert isinstance(image, Image.Image)
        pictures.append(to_square(image, SIZE_PIXELS, crop_share))
    return np.stack(pictures)


def save(name: str, pictures: Images) -> None:
    path = FOLDER / f"{name}.png"
    drawn = Image.fromarray(sheet(pictures, COLUMNS))
    drawn.quantize(COLOURS, dither=Image.Dither.NONE).save(path, format="PNG", optimize=True)
    print(f"{path}: {len(pictures)} pictures, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
