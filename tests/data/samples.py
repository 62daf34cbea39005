"""Small datasets and archives for the tests of `atelier.data`."""

import hashlib
import zipfile
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

LABELS = ("Eyeglasses", "Black_Hair", "Smiling")


def picture(seed: int, width: int = 48, height: int = 56, mode: str = "RGB") -> Image.Image:
    """Smooth and different for each seed: a few random corners, enlarged."""
    corners = np.random.default_rng(seed).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    image = Image.fromarray(corners).resize((width, height), Image.Resampling.BICUBIC)
    return image.convert(mode)


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def write_faces(
    folder: Path, count: int = 12, partition: bool = True, nested: str = "", csv: bool = False
) -> Path:
    """CelebA's layout with `count` faces; `nested` goes between the images' folder and them."""
    images = folder / "img_align_celeba" / nested
    images.mkdir(parents=True)
    names = [f"{number:06d}.jpg" for number in range(1, count + 1)]
    for number, name in enumerate(names):
        (images / name).write_bytes(encoded(picture(number)))
    values = [["1" if number >> k & 1 else "-1" for k in range(3)] for number in range(count)]
    parts = [0 if i < count - 4 else 1 if i < count - 2 else 2 for i in range(count)]
    gap = "," if csv else " "
    rows = [",".join(("image_id", *LABELS))] if csv else [str(count), " ".join(LABELS)]
    rows += [gap.join((name, *row)) for name, row in zip(names, values, strict=True)]
    shares = ["image_id,partition"] if csv else []
    shares += [f"{name}{gap}{part}" for name, part in zip(names, parts, strict=True)]
    suffix = "csv" if csv else "txt"
    (folder / f"list_attr_celeba.{suffix}").write_text("\n".join(rows) + "\n")
    if partition:
        (folder / f"list_eval_partition.{suffix}").write_text("\n".join(shares) + "\n")
    return folder


def write_pairs(folder: Path, train: int = 10, test: int = 3) -> Path:
    for start, domain in enumerate(("trainA", "trainB", "testA", "testB")):
        (folder / domain).mkdir(parents=True)
        for number in range(train if domain.startswith("train") else test):
            path = folder / domain / f"{number:03d}.jpg"
            path.write_bytes(encoded(picture(1000 * (start + 1) + number)))
    return folder


def write_pictures(folder: Path, names: Iterable[str], start: int = 0, **sides: int) -> Path:
    """Different pictures of those names, with folders where a name has one; PNG or JPEG."""
    for seed, name in enumerate(names, start):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = "PNG" if path.suffix.lower() == ".png" else "JPEG"
        path.write_bytes(encoded(picture(5000 + seed, **sides), kind))
    return folder


def numbered(count: int, folder: str = "") -> list[str]:
    return [f"{folder}/{n:03d}.jpg".lstrip("/") for n in range(count)]


def zipped(source: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "w") as out:
        for path in sorted(source.rglob("*")):
            out.write(path, path.relative_to(source).as_posix())
    return archive


def write_zip(archive: Path, members: Iterable[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in members:
            out.writestr(name, content)
    return archive


def tree_digest(folder: Path) -> str:
    """SHA-256 of every path and content below a folder, empty folders and links included."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(
            f"{path.relative_to(folder)}\0{path.is_symlink()}\0".encode(errors="surrogateescape")
        )
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()
