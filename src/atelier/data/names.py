"""Which files are pictures, and which split each belongs to by its name alone."""

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from atelier.errors import UserError

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".avif")
)
SYSTEM_LITTER = frozenset(("thumbs.db", "desktop.ini", "__macosx"))
SHOWN = 8
VALIDATION_SHARE = 0.1
TEST_SHARE = 0.1
LEAST = {"training": 2, "validation": 2, "test": 2}
"""Pictures that each split needs of a set, and of a domain: figures compare pairs."""
LEAST_OF_CLASS = {"training": 2, "validation": 1, "test": 1}


def is_litter(name: str) -> bool:
    """Whether it is one of the files that systems leave behind, or a hidden one."""
    return name.startswith(".") or name.lower() in SYSTEM_LITTER


def is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def walk(folder: Path) -> Iterator[Path]:
    """Every file below a folder, sorted, through links to folders, but through none twice.

    Raises:
        UserError: a folder that can't be read, which would be left out unseen.
    """
    seen = set()
    for parent, folders, files in os.walk(folder, onerror=_unread, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(f for f in folders if not is_litter(f))
        yield from (Path(parent) / name for name in sorted(files) if not is_litter(name))


def image_names(folder: Path) -> tuple[list[str], list[UserError]]:
    """Sorted names of the image files in a folder, and a problem for each other thing there."""
    entries = [entry for entry in sorted(folder.iterdir()) if not is_litter(entry.name)]
    problems = [
        UserError(shown(entry), "a folder among images", "Move or delete it.")
        for entry in entries
        if entry.is_dir()
    ]
    names, faults = _sound_names({e.name: e for e in entries if not e.is_dir()})
    return names, problems + faults


def names_below(folder: Path) -> tuple[list[str], list[UserError]]:
    """Names of the images at any depth, relative to the folder, and a problem for other files."""
    names, problems = _sound_names({p.relative_to(folder).as_posix(): p for p in walk(folder)})
    return sorted(names), problems


def name_faults(files: Mapping[str, Path]) -> list[UserError]:
    """Names that data versions can't hold, or that would break a line of a message: said once."""
    odd = [shown(path) for name, path in files.items() if _is_odd(name)]
    if not odd:
        return []
    what = "a name with characters that are not UTF-8, or that can't be printed"
    return [
        UserError(odd[0], what + and_others(odd), f"Rename {'it' if len(odd) == 1 else 'them'}.")
    ]


def shown(path: Path | str) -> str:
    """A name as any terminal can print it, in one line."""
    text = str(path).encode("utf-8", "backslashreplace").decode()
    return "".join(c if unicodedata.category(c) != "Cc" else repr(c)[1:-1] for c in text)


def folded(name: str) -> str:
    """One key for all ways to write a name: composed accents or not, any space, either case."""
    return unicodedata.normalize("NFKC", name).casefold().strip()


def folded_stem(name: str) -> str:
    """The same for a name without its ending and the folders before it."""
    return folded(PurePosixPath(name.replace("\\", "/")).stem)


def some(words: Sequence[str]) -> str:
    """The first words, and how many more there are."""
    more = f" and {len(words) - SHOWN:,} more" if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + more


def and_others(names: Sequence[str]) -> str:
    """How a fault of many names is said once, of the first: it may hold for each of 200,000."""
    return f", and so for {len(names) - 1:,} more: {some(names[1:])}" if len(names) > 1 else ""


def by_folder(names: Iterable[str]) -> dict[str, list[str]]:
    """Relative names by the first folder of each; "" has those that lie in none."""
    groups: dict[str, list[str]] = {}
    for name in names:
        first, gap, _ = name.partition("/")
        groups.setdefault(first if gap else "", []).append(name)
    return groups


def are_classes(names: Sequence[str]) -> bool:
    """Whether they lie in class folders: two or more, each of images, and none beside or below."""
    folders = by_folder(names)
    return len(folders) > 1 and all(name.count("/") == 1 for name in names)


def seeded_partition(names: Sequence[str]) -> dict[str, str]:
    """Name -> split for data that comes without a partition: 80/10/10, by digest of the name."""
    order = digest_order(sorted(names), "partition")
    test = _share(len(order), TEST_SHARE)
    held_out = test + _share(len(order), VALIDATION_SHARE)
    parts = ["test"] * test + ["validation"] * (held_out - test)
    parts += ["training"] * (len(order) - held_out)
    return dict(zip(order, parts, strict=True))


def held_out_partition(names: Sequence[str]) -> dict[str, str]:
    """Name -> training or, for a tenth, validation: of a domain that has its test folder."""
    order = digest_order(names, "validation")
    enough = len(order) >= LEAST["training"] + LEAST["validation"]
    held_out = max(round(len(order) * VALIDATION_SHARE), LEAST["validation"] if enough else 1)
    return {
        name: "validation" if place < held_out else "training" for place, name in enumerate(order)
    }


def hashed_partition(names: Sequence[str], least: Mapping[str, int]) -> dict[str, str]:
    """Name -> split, each by its own digest: below 0.1 tests, below 0.2 validates, else trains.

    So another picture moves none. The shares are approximate; where chance leaves a split with
    fewer than `least`, the next names in order fill it. Only in such a small set another picture
    may move one, and then towards training, never out of it.
    """
    order = sorted(names, key=lambda name: (fraction(name), name))
    fractions = [fraction(name) for name in order]
    test = max(sum(f < TEST_SHARE for f in fractions), least["test"])
    below = sum(f < TEST_SHARE + VALIDATION_SHARE for f in fractions)
    held_out = max(below, test + least["validation"])
    return {
        name: "test" if place < test else "validation" if place < held_out else "training"
        for place, name in enumerate(order)
    }


def is_filled(names: Sequence[str], least: Mapping[str, int]) -> bool:
    """Whether chance alone would leave a split with too few, so that other names fill it."""
    return hashed_partition(names, least) != hashed_partition(names, dict.fromkeys(least, 0))


def too_few(where: object, parts: Mapping[str, str], least: Mapping[str, int]) -> list[UserError]:
    """A problem, where a partition leaves a split with fewer names than it needs."""
    counts = Counter(parts.values())
    if all(counts[split] >= needed for split, needed in least.items()):
        return []
    needed = ", ".join(f"{split} takes {count}" for split, count in least.items())
    what = f"holds too few images to divide by their names (got {len(parts)})"
    return [UserError(where, what, f"{needed[0].upper()}{needed[1:]}.")]


def fraction(name: str) -> float:
    """A name's own number in [0, 1), the same for both ways to write an accent."""
    text = unicodedata.normalize("NFC", name)
    return int.from_bytes(_sha256(f"split/{text}")[:8], "big") / 2**64


def digest_order(names: Sequence[str], salt: str) -> list[str]:
    """A shuffle by digest: depends on each name alone, on no generator and no library's version."""
    return sorted(names, key=lambda name: _sha256(f"{salt}/{name}"))


def _unread(error: OSError) -> None:
    where = shown(error.filename or "a folder")
    raise UserError(where, f"cannot be read ({error.strerror})") from None


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _sound_names(files: Mapping[str, Path]) -> tuple[list[str], list[UserError]]:
    """Those of images, in the order given, and what is wrong with the others."""
    remedy = f"Images end in {' '.join(sorted(IMAGE_SUFFIXES))}."
    problems = [
        UserError(
            shown(path), f"not an image's name (got {shown(path.suffix) or 'no suffix'})", remedy
        )
        for path in files.values()
        if not is_image(path)
    ]
    images = {name: path for name, path in files.items() if is_image(path)}
    sound = [name for name in images if not _is_odd(name)]
    return sound, problems + name_faults(images)


def _is_odd(name: str) -> bool:
    return any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name)


def _share(count: int, share: float) -> int:
    """A share of `count`, at least two where six or more can be divided, one of three or more."""
    return max(round(count * share), 2 if count >= sum(LEAST.values()) else 1 if count > 2 else 0)
