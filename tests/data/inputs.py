"""Datasets as people really have them, small and made up: SOUND ones are faces and labels.

A case writes what a user would hand over, below a folder, and returns it. Picture number n of
`COUNT`, in the order of names, has the labels of `bits(n)`, however the case spells that.
"""

import io
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from data.samples import LABELS, encoded, picture, zipped

COUNT = 12
PARTS = [0] * 8 + [1] * 2 + [2] * 2
NAMES = [f"{number:06d}.jpg" for number in range(1, COUNT + 1)]
IMAGES, TXT, CSV = "img_align_celeba", "list_attr_celeba.txt", "list_attr_celeba.csv"
PARTITION = "list_eval_partition.txt"

Case = Callable[[Path], Path]


def bits(number: int) -> list[int]:
    return [number >> place & 1 for place in range(len(LABELS))]


def images(folder: Path, names: Sequence[str] = NAMES, mode: str = "RGB") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        kind = "PNG" if name.endswith(".png") else "JPEG"
        (folder / name).write_bytes(encoded(picture(number, mode=mode), kind))


def partition(path: Path, names: Sequence[str] = NAMES) -> None:
    lines = [f"{name} {part}\n" for name, part in zip(names, PARTS, strict=True)]
    path.write_text("".join(lines), encoding="utf-8")


def txt(names: Sequence[str] = NAMES, count: int | None = COUNT, header: str = "") -> str:
    lines = [] if count is None else [str(count)]
    lines.append(f"{header} {' '.join(LABELS)}".strip())
    for number, name in enumerate(names):
        lines.append(" ".join([name, *(f"{2 * bit - 1:2d}" for bit in bits(number))]))
    return "\n".join(lines) + "\n"


def csv(
    names: Sequence[str] = NAMES,
    gap: str = ",",
    spell: Callable[[int], str] = lambda bit: str(2 * bit - 1),
    numbered: bool = False,
    quote: str = "",
) -> str:
    """A table of comma-separated values; `numbered` begins with pandas' own index column."""
    lines = [gap.join([""] * numbered + ["image_id", *LABELS])]
    for number, name in enumerate(names):
        row = [str(number)] * numbered + [f"{quote}{name}{quote}", *map(spell, bits(number))]
        lines.append(gap.join(row))
    return "\n".join(lines) + "\n"


def faces(
    table: str, text: str, names: Sequence[str] = NAMES, parted: Sequence[str] | None = None
) -> Case:
    """CelebA's layout with a table of that name and text."""

    def write(folder: Path) -> Path:
        images(folder / IMAGES, names)
        partition(folder / PARTITION, parted or names)
        (folder / table).write_text(text, encoding="utf-8")
        return folder

    return write


def as_downloaded(folder: Path) -> Path:
    """CelebA's own folders: an archive in Img/, and all the tables that belong to it."""
    images(folder / "loose" / IMAGES)
    for name in ("Anno", "Img", "Eval"):
        (folder / "CelebA" / name).mkdir(parents=True)
    anno = folder / "CelebA" / "Anno"
    (anno / TXT).write_text(txt())
    boxes = "".join(f"{name} 95 71 226 313\n" for name in NAMES)
    (anno / "list_bbox_celeba.txt").write_text(f"{COUNT}\nimage_id x_1 y_1 width height\n{boxes}")
    (anno / "identity_CelebA.txt").write_text("".join(f"{n} {i}\n" for i, n in enumerate(NAMES)))
    (folder / "CelebA" / "README.txt").write_text("CelebA is for non-commercial research.\n")
    partition(folder / "CelebA" / "Eval" / PARTITION)
    zipped(folder / "loose", folder / "CelebA" / "Img" / f"{IMAGES}.zip")
    shutil.rmtree(folder / "loose")
    return folder


def with_masks(folder: Path) -> Path:
    """CelebA-HQ: names without zeros, and a folder of masks beside the faces'."""
    names = [f"{number}.jpg" for number in range(COUNT)]
    images(folder / "CelebA-HQ-img", names)
    masks = [f"{number:05d}_hair.png" for number in range(2 * COUNT)]
    images(folder / "CelebAMask-HQ-mask-anno" / "0", masks, mode="L")
    (folder / "CelebAMask-HQ-attribute-anno.txt").write_text(txt(names))
    partition(folder / PARTITION, names)
    return folder


def in_the_wild_too(folder: Path) -> Path:
    """The same names twice: CelebA's own folder is the one that is meant."""
    faces(TXT, txt())(folder)
    images(folder / "img_celeba", NAMES[::-1])
    return folder


def numbers_for_names(folder: Path) -> Path:
    """Row numbers that look like the names beside them."""
    names = [f"{number}.jpg" for number in range(COUNT)]
    faces("labels.csv", csv(names, numbered=True), names)(folder)
    return folder


def both_tables(folder: Path) -> Path:
    faces(TXT, txt())(folder)
    (folder / CSV).write_text(csv())
    (folder / "list_eval_partition.csv").write_text(
        "image_id,partition\n" + "".join(f"{n},{p}\n" for n, p in zip(NAMES, PARTS, strict=True))
    )
    return folder


def by_numbers(folder: Path) -> Path:
    """Both tables as pandas writes them."""
    faces(CSV, csv(numbered=True))(folder)
    (folder / PARTITION).unlink()
    rows = [f"{i},{n},{p}\n" for i, (n, p) in enumerate(zip(NAMES, PARTS, strict=True))]
    (folder / "list_eval_partition.csv").write_text(",image_id,partition\n" + "".join(rows))
    return folder


def with_backslashes(folder: Path) -> Path:
    source = faces(TXT, txt())(folder / "loose")
    with zipfile.ZipFile(folder / "faces.zip", "w") as out:
        out.writestr("celeba\\", b"")
        for path in sorted(source.rglob("*.*")):
            name = path.relative_to(source).as_posix().replace("/", "\\")
            out.writestr(f"celeba\\{name}", path.read_bytes())
    return folder / "faces.zip"


def tarred(suffix: str, packing: str) -> Case:
    def write(folder: Path) -> Path:
        source = faces(TXT, txt())(folder / "loose")
        archive = folder / f"faces{suffix}"
        with tarfile.open(archive, f"w:{packing}") as out:
            out.add(source, ".")
        return archive

    return write


def tar_of(folder: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    archive = folder / "a.tar"
    with tarfile.open(archive, "w") as out:
        for entry, content in members:
            entry.size = len(content)
            out.addfile(entry, io.BytesIO(content))
    return archive


PNG = [name.replace(".jpg", ".png") for name in NAMES]
SPACED = [f"my face {number:02d}.jpg" for number in range(COUNT)]
COMMAS = [f"face, {number:02d}; a.jpg" for number in range(COUNT)]
ACCENTED = [f"cafe\u0301\u00a0{number:02d}.jpg" for number in range(COUNT)]
PLAINER = [f"caf\u00e9 {number:02d}.JPG" for number in range(COUNT)]

ODD_LINES = [f"a\u2028b {number:02d}.jpg" for number in range(COUNT)]

SOUND: dict[str, Case] = {
    "as downloaded": as_downloaded,
    "index column": by_numbers,
    "index column of names": numbers_for_names,
    "floats": faces(CSV, csv(spell=lambda bit: f"{2.0 * bit - 1}")),
    "floats of 0 and 1": faces(CSV, csv(spell=lambda bit: f"{bit}.")),
    "True and False": faces(CSV, csv(spell=lambda bit: str(bool(bit)))),
    "TRUE and FALSE": faces(CSV, csv(spell=lambda bit: str(bool(bit)).upper())),
    "semicolons": faces(CSV, csv(gap=";")),
    "semicolons and numbers": faces(CSV, csv(gap=";", numbered=True, quote='"')),
    "tabs": faces("list_attr_celeba.tsv", csv(gap="\t", numbered=True)),
    "header names the column": faces(TXT, txt(header="image_id")),
    "header names the column, no count": faces(TXT, txt(header="file_name", count=None)),
    "folder before the names": faces(CSV, csv([f"data/{IMAGES}/{name}" for name in NAMES])),
    "Windows folder before the names": faces(CSV, csv([f"C:\\{IMAGES}\\{n}" for n in NAMES])),
    "names without an ending": faces(TXT, txt([name[:-4] for name in NAMES])),
    "table jpg, files png": faces(TXT, txt(), PNG, NAMES),
    "table png, files jpg": faces(CSV, csv(PNG)),
    "upper-case endings": faces(TXT, txt(), [name.replace("jpg", "JPG") for name in NAMES], NAMES),
    "lower-case table": faces(TXT, txt(SPACED), [name.title() for name in SPACED], SPACED),
    "masks beside": with_masks,
    "in the wild beside": in_the_wild_too,
    "spaces": faces(TXT, txt(SPACED), SPACED),
    "commas": faces(CSV, csv(COMMAS, quote='"'), COMMAS),
    "commas in TXT": faces(TXT, txt(COMMAS), COMMAS),
    "decomposed, no-break": faces(CSV, csv(PLAINER), ACCENTED),
    "decomposed, no-break in TXT": faces(TXT, txt(PLAINER), ACCENTED, PLAINER),
    "composed for decomposed": faces(TXT, txt(ACCENTED), PLAINER),
    "another end of line": faces(TXT, txt(ODD_LINES), ODD_LINES),
    "count of the whole set": faces(TXT, txt(count=202_599)),
    "two tables": both_tables,
    "backslashes": with_backslashes,
    "tar": tarred(".tar", ""),
    "tar.gz": tarred(".tar.gz", "gz"),
    "tgz": tarred(".tgz", "gz"),
    "tar.bz2": tarred(".tar.bz2", "bz2"),
    "tar.xz": tarred(".tar.xz", "xz"),
}
