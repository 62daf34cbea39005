"""CelebA's two tables, as TXT or CSV: read with every fault named, and written."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atelier.errors import UserError

PARTS = {"0": "training", "1": "validation", "2": "test"}
_BITS = {"1": 1, "0": 0, "-1": 0}


@dataclass(frozen=True)
class AttributeTable:
    """Rows in the file's order; `values` are uint8 {0, 1} [N, K]."""

    labels: tuple[str, ...]
    names: tuple[str, ...]
    values: NDArray[np.uint8]
    faulty: frozenset[str] = frozenset()
    """Names whose rows can't be used, each of which is a problem already."""


@dataclass(frozen=True)
class Partition:
    """Name -> training, validation or test."""

    splits: dict[str, str]
    faulty: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Row:
    line: int
    name: str
    fields: list[str]


def read_attributes(path: Path) -> tuple[AttributeTable, list[UserError]]:
    """Reads TXT (a count, the labels, then rows) or CSV (`image_id` and the labels, then rows).

    Values are -1/1 or 0/1. A row with a fault is left out and named.

    Raises:
        UserError: when the file as a whole makes no sense, so that its rows would not either.
    """
    lines, comma = _lines(path)
    declared = None
    if lines and not comma and len(lines[0][1]) == 1 and lines[0][1][0].isdigit():
        declared = int(lines.pop(0)[1][0])
    if not lines:
        raise UserError(path, "empty", "The first line names the attributes.")
    number, header = lines.pop(0)
    labels = header[1:] if comma else header
    rows = [_Row(number, fields[0], fields[1:]) for number, fields in lines]
    _check_header(f"{path}:{number}", labels, rows)
    good, problems = _sound_rows(path, rows, len(labels))
    if declared is not None and declared != len(rows):
        what = f"says {declared} rows, but {len(rows)} follow"
        problems.insert(0, UserError(f"{path}:1", what))
    if {"-1", "0"} <= {field for row in good for field in row.fields}:
        problems.append(UserError(path, "mixes -1/1 with 0/1", "Use one of the two throughout."))
    names = tuple(row.name for row in good)
    bits = [[_BITS[field] for field in row.fields] for row in good]
    values = np.array(bits, np.uint8).reshape(len(good), len(labels))
    faulty = frozenset(row.name for row in rows).difference(names)
    return AttributeTable(tuple(labels), names, values, faulty), problems


def read_partition(path: Path) -> tuple[Partition, list[UserError]]:
    """Reads TXT or CSV rows of a name and 0, 1 or 2.

    Raises:
        UserError: when it holds no rows.
    """
    lines, _ = _lines(path)
    if lines and lines[0][1][1:] == ["partition"]:
        lines.pop(0)
    if not lines:
        raise UserError(path, "empty", "Each line is a name and 0, 1 or 2.")
    splits: dict[str, str] = {}
    problems = []
    for number, (name, *fields) in lines:
        remedy = ""
        if len(fields) != 1:
            fault = f"a name and a number are expected (got {len(fields) + 1} fields)"
        elif fields[0] not in PARTS:
            fault = f"unknown partition (got {fields[0]!r})"
            remedy = "0 trains, 1 validates, 2 tests."
        else:
            fault = _name_fault(name, splits)
        if fault:
            problems.append(UserError(f"{path}:{number}", fault, remedy))
        else:
            splits[name] = PARTS[fields[0]]
    faulty = frozenset(fields[0] for _, fields in lines).difference(splits)
    return Partition(splits, faulty), problems


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


def _lines(path: Path) -> tuple[list[tuple[int, list[str]]], bool]:
    """Number and fields of each line that isn't blank, and whether commas separate the fields."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(path, "no such file", "CelebA's tables are TXT or CSV.") from None
    except UnicodeDecodeError:
        raise UserError(path, "not a text file in UTF-8") from None
    except OSError as error:
        raise UserError(path, f"cannot be read ({error.strerror})") from None
    if "\0" in text:
        raise UserError(path, "not a text file (it holds NUL bytes)")
    lines = [(n, line) for n, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not lines or "," not in lines[0][1]:
        return [(n, line.split()) for n, line in lines], False
    return [(n, [field.strip(' "') for field in line.split(",")]) for n, line in lines], True


def _check_header(where: str, labels: Sequence[str], rows: Sequence[_Row]) -> None:
    """A wrong header would make every row wrong: it is the one problem then."""
    remedy = "The line before the first row names the attributes."
    odd = [label for label in labels if not re.fullmatch(r"(?!-?\d+(\.|$))\w[\w-]*", label)]
    if odd or not labels:
        raise UserError(where, f"not the names of attributes (got {', '.join(odd[:5])!r})", remedy)
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise UserError(where, f"names {', '.join(twice)} twice")
    if not rows:
        raise UserError(where, "no rows follow")
    widths = {len(row.fields) for row in rows}
    if len(widths) == 1 and len(rows) > 1 and widths != {len(labels)}:
        what = f"names {len(labels)} attributes, but every row has {widths.pop()} values"
        raise UserError(where, what, remedy)


def _sound_rows(path: Path, rows: Sequence[_Row], width: int) -> tuple[list[_Row], list[UserError]]:
    good: dict[str, _Row] = {}
    problems = []
    for row in rows:
        unknown = [field for field in row.fields if field not in _BITS]
        if len(row.fields) != width:
            fault = f"{row.name} has {len(row.fields)} values, but {width} attributes are named"
        elif unknown:
            fault = f"{row.name} has a value that is neither -1, 0 nor 1 (got {unknown[0]!r})"
        else:
            fault = _name_fault(row.name, good)
        if fault:
            problems.append(UserError(f"{path}:{row.line}", fault))
        else:
            good[row.name] = row
    return list(good.values()), problems


def _name_fault(name: str, known: Mapping[str, object]) -> str:
    """A row names a file of one folder, never a path out of it, and each file has one row."""
    if name in known:
        return f"a second row for {name}"
    return f"not a file's name (got {name!r})" if not name or re.search(r"[/\\]", name) else ""
