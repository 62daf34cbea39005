"""CelebA's two tables: read with every kind of fault named, and written as its own TXT."""

import functools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atelier.data.names import IMAGE_SUFFIXES, shown, some
from atelier.errors import UserError

PARTS = {0: "training", 1: "validation", 2: "test"}

NAMED = re.compile(
    rf"(.*(?:{'|'.join(re.escape(suffix) for suffix in sorted(IMAGE_SUFFIXES))}))(?:[ \t]+|$)", re.I
)
"""A row's beginning up to the last word that ends as an image's name does."""


@dataclass(frozen=True)
class AttributeTable:
    """Rows in the file's order; `values` are uint8 {0, 1} [N, K]."""

    labels: tuple[str, ...]
    names: tuple[str, ...]
    values: NDArray[np.uint8]
    faulty: frozenset[str] = frozenset()
    """Names whose rows can't be used, each of which is a problem already."""
    promised: int = 0
    """Rows that the file says to have, where it has fewer: it is cut short, or a part."""

    def says(self) -> object:
        """What it says, to be compared."""
        return self.labels, dict(zip(self.names, self.values.tolist(), strict=True))


@dataclass(frozen=True)
class Partition:
    """Name -> training, validation or test."""

    splits: dict[str, str]
    faulty: frozenset[str] = frozenset()

    def says(self) -> object:
        """What it says, to be compared."""
        return self.splits


@dataclass(frozen=True)
class Row:
    """A row's number in its file, the name that it begins with, and its other fields."""

    line: int
    name: str
    fields: list[str]


Split = Callable[[Sequence[tuple[int, str]], bool | None], tuple[list[str], list[Row]]]
"""Lines with their numbers, and whether the first is a header (None: perhaps) -> labels, rows."""


class _Faults:
    """What is wrong with rows: each kind is said once, by its first row and the others' lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._first: dict[str, UserError] = {}
        self._others: dict[str, list[str]] = {}

    def add(self, kind: str, line: int, problem: str, remedy: str = "") -> None:
        if kind in self._first:
            self._others.setdefault(kind, []).append(str(line))
        else:
            self._first[kind] = UserError(f"{self._path}:{line}", problem, remedy)

    def errors(self) -> list[UserError]:
        for kind, lines in self._others.items():
            first = self._first[kind]
            plural = "s" * (len(lines) > 1)
            first.problem += f", and so in {len(lines):,} more: line{plural} {some(lines)}"
        return list(self._first.values())


@functools.lru_cache(maxsize=1024)
def number_of(word: str) -> int | None:
    """-1, 0, 1 or 2, also as 1.0 or True; None for all else."""
    if word.lower() in ("true", "false"):
        return int(word.lower() == "true")
    return int(float(word)) if re.fullmatch(r"-1(\.0*)?|[012](\.0*)?", word) else None


def with_spaces(
    lines: Sequence[tuple[int, str]], headed: bool | None
) -> tuple[list[str], list[Row]]:
    """As CelebA's own tables are: a partition has no header."""
    labels = lines[0][1].split() if headed else []
    return labels, [Row(n, *spaced(line, len(labels) or 1)) for n, line in lines[bool(headed) :]]


def spaced(line: str, width: int) -> tuple[str, list[str]]:
    """A name may have spaces in it; where it ends as no image's does, the last words are values."""
    if named := NAMED.match(line):
        return named[1], line[named.end() :].split()
    words = line.split()
    count = max(len(words) - width, 1)
    return " ".join(words[:count]), words[count:]


def read_attributes(
    path: Path, split: Split = with_spaces
) -> tuple[AttributeTable, list[UserError]]:
    """Reads a count (or none), the labels, and rows of values: -1/1, 0/1 or True/False.

    Rows with a fault are left out, and each kind of fault is named.

    Raises:
        UserError: when the file as a whole makes no sense, so that its rows would not either.
    """
    lines = _lines(path)
    declared = 0
    if lines and re.fullmatch(r"[0-9]{1,12}", lines[0][1].strip()):
        declared = int(lines.pop(0)[1])
    if not lines:
        raise UserError(path, "empty", "The first line names the attributes.")
    labels, rows = split(lines, True)
    _check_header(f"{path}:{lines[0][0]}", labels, rows)
    faults = _Faults(path)
    good = _sound_rows(rows, len(labels), faults)
    problems = faults.errors()
    if 0 < declared < len(rows):
        what = f"says {declared} rows, but {len(rows)} follow"
        problems.insert(0, UserError(f"{path}:1", what))
    names = tuple(good)
    numbers = np.array(list(good.values()), np.int8).reshape(len(good), len(labels))
    if (numbers < 0).any() and (numbers == 0).any():
        problems.append(UserError(path, "mixes -1/1 with 0/1", "Use one of the two throughout."))
    faulty = frozenset(row.name for row in rows).difference(names)
    promised = declared if declared > len(rows) else 0
    values = (numbers > 0).astype(np.uint8)
    return AttributeTable(tuple(labels), names, values, faulty, promised), problems


def read_partition(path: Path, split: Split = with_spaces) -> tuple[Partition, list[UserError]]:
    """Reads rows of a name and 0, 1 or 2.

    Raises:
        UserError: when it holds no rows.
    """
    lines = _lines(path)
    rows = split(lines, None)[1] if lines else []
    if not rows:
        raise UserError(path, "empty", "Each line is a name and 0, 1 or 2.")
    splits: dict[str, str] = {}
    faults = _Faults(path)
    for row in rows:
        part = number_of(row.fields[0]) if len(row.fields) == 1 else None
        if len(row.fields) != 1:
            what = f"a name and a number are expected (got {len(row.fields) + 1} fields)"
            faults.add("width", row.line, what)
        elif part not in PARTS:
            what = f"unknown partition (got {shown(row.fields[0])!r})"
            faults.add("value", row.line, what, "0 trains, 1 validates, 2 tests.")
        elif not _add_name_fault(faults, row, splits):
            splits[row.name] = PARTS[part]
    faulty = frozenset(row.name for row in rows).difference(splits)
    return Partition(splits, faulty), faults.errors()


def write_attributes(path: Path, table: AttributeTable) -> None:
    """CelebA's own TXT: the count, the labels, and rows of -1 and 1."""
    lines = [str(len(table.names)), " ".join(table.labels)]
    for name, row in zip(table.names, table.values.tolist(), strict=True):
        lines.append(name + " " + " ".join(" 1" if value else "-1" for value in row))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def write_partition(path: Path, splits: Mapping[str, str]) -> None:
    """CelebA's own TXT: a name and 0, 1 or 2, sorted by name."""
    numbers = {split: number for number, split in PARTS.items()}
    lines = [f"{name} {numbers[splits[name]]}\n" for name in sorted(splits)]
    path.write_text("".join(lines), encoding="utf-8", newline="\n")


def _lines(path: Path) -> list[tuple[int, str]]:
    """Number and text of each line that isn't blank."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(path, "no such file", "CelebA's tables are TXT or CSV.") from None
    except UnicodeDecodeError:
        raise UserError(path, "not a text file in UTF-8", "Save it as UTF-8.") from None
    except OSError as error:
        raise UserError(path, f"cannot be read ({error.strerror})") from None
    if "\0" in text:
        raise UserError(path, "not a text file (it holds NUL bytes)")
    # Not splitlines: a name may hold one of Unicode's other ends of lines.
    return [(n, line) for n, line in enumerate(text.split("\n"), start=1) if line.strip()]


def _check_header(where: str, labels: Sequence[str], rows: Sequence[Row]) -> None:
    """A wrong header would make every row wrong: it is the one problem then."""
    remedy = "The line before the first row names the attributes."
    odd = [label for label in labels if not re.fullmatch(r"(?!-?\d+(\.|$))\w[\w-]*", label)]
    if odd or not labels:
        got = shown(", ".join(odd[:5]))
        raise UserError(where, f"not the names of attributes (got {got!r})", remedy)
    twice = sorted(label for label, count in Counter(labels).items() if count > 1)
    if twice:
        raise UserError(where, f"names {', '.join(twice)} twice")
    if not rows:
        raise UserError(where, "no rows follow")
    widths = {len(row.fields) for row in rows}
    if len(widths) == 1 and len(rows) > 1 and widths != {len(labels)}:
        what = f"names {len(labels)} attributes, but every row has {widths.pop()} values"
        raise UserError(where, what, remedy)


def _sound_rows(rows: Sequence[Row], width: int, faults: _Faults) -> dict[str, list[int]]:
    """Name -> values of the rows without a fault."""
    good: dict[str, list[int]] = {}
    for row in rows:
        numbers = [number for field in row.fields if (number := number_of(field)) in (-1, 0, 1)]
        name = shown(row.name)
        if len(row.fields) != width:
            what = f"{name} has {len(row.fields)} values, but {width} attributes are named"
            faults.add("width", row.line, what)
        elif len(numbers) != width:
            odd = next(f for f in row.fields if number_of(f) not in (-1, 0, 1))
            what = f"{name} has a value that is neither -1, 0 nor 1 (got {shown(odd)!r})"
            faults.add("value", row.line, what)
        elif not _add_name_fault(faults, row, good):
            good[row.name] = numbers
    return good


def _add_name_fault(faults: _Faults, row: Row, known: Mapping[str, object]) -> bool:
    """A row names a file of one folder, never a path out of it, and each file has one row."""
    if row.name in known:
        faults.add("twice", row.line, f"a second row for {shown(row.name)}")
    elif not row.name or re.search(r"[/\\]", row.name):
        what = f"not a file's name (got {shown(row.name)!r})"
        faults.add("name", row.line, what)
    else:
        return False
    return True
