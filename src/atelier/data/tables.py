"""CelebA's two tables, as TXT or CSV: read with every fault named, and written."""

import re
from collections.abc import Iterator, Mapping, Sequence
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


@dataclass(frozen=True)
class _Row:
    line: int
    fields: list[str]


def read_attributes(path: Path) -> tuple[AttributeTable, list[UserError]]:
    """Reads TXT (a count, the labels, then rows) or CSV (`image_id` and the labels, then rows).

    Values are -1/1 or 0/1. A row with a fault is left out and named.
    """
    rows, comma = _rows(path)
    problems = []
    header = next(rows, None)
    if header is not None and not comma and len(header.fields) == 1 and header.fields[0].isdigit():
        declared: int | None = int(header.fields[0])
        header = next(rows, None)
    else:
        declared = None
    if header is None:
        raise UserError(path, "empty", "The first line names the attributes.")
    labels = header.fields[1:] if comma else header.fields
    problems += _label_faults(path, header, labels)
    names, values, faults, spellings = _attribute_rows(path, rows, len(labels))
    problems += faults
    total = len(names) + len(faults)
    if declared is not None and declared != total:
        problems.append(UserError(f"{path}:1", f"says {declared} rows, but {total} follow"))
    if {"-1", "0"} <= spellings:
        problems.append(UserError(path, "mixes -1/1 with 0/1", "Use one of the two throughout."))
    if not total:
        problems.append(UserError(path, "has no rows"))
    table = np.array(values, np.uint8).reshape(len(names), len(labels))
    return AttributeTable(tuple(labels), tuple(names), table), problems


def read_partition(path: Path) -> tuple[dict[str, str], list[UserError]]:
    """Name -> training, validation or test, from TXT or CSV rows of a name and 0, 1 or 2."""
    rows, _ = _rows(path)
    splits: dict[str, str] = {}
    problems = []
    for row in rows:
        if row.line == 1 and len(row.fields) == 2 and row.fields[1] == "partition":
            continue
        where = f"{path}:{row.line}"
        if len(row.fields) != 2:
            what = f"a name and a number are expected (got {len(row.fields)} fields)"
            problems.append(UserError(where, what))
        elif row.fields[1] not in PARTS:
            what = f"unknown partition (got {row.fields[1]!r})"
            problems.append(UserError(where, what, "0 trains, 1 validates, 2 tests."))
        elif row.fields[0] in splits:
            problems.append(UserError(where, f"a second row for {row.fields[0]}"))
        elif fault := _name_fault(row.fields[0]):
            problems.append(UserError(where, fault))
        else:
            splits[row.fields[0]] = PARTS[row.fields[1]]
    if not splits and not problems:
        raise UserError(path, "empty", "Each line is a name and 0, 1 or 2.")
    return splits, problems


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


def _rows(path: Path) -> tuple[Iterator[_Row], bool]:
    """Non-blank lines split into fields, and whether commas separate them."""
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
    comma = "," in text.partition("\n")[0]

    def rows() -> Iterator[_Row]:
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                fields = [f.strip().strip('"') for f in line.split(",")] if comma else line.split()
                yield _Row(number, fields)

    return rows(), comma


def _label_faults(path: Path, header: _Row, labels: Sequence[str]) -> list[UserError]:
    where = f"{path}:{header.line}"
    if not labels:
        return [UserError(where, "names no attributes")]
    faults = []
    for label in sorted({label for label in labels if labels.count(label) > 1}):
        faults.append(UserError(where, f"names the attribute {label!r} twice"))
    for label in labels:
        if not re.fullmatch(r"\w[\w-]*", label) or re.fullmatch(r"-?[0-9.]+", label):
            what = f"not an attribute's name (got {label!r})"
            faults.append(UserError(where, what, "The line before the first row names them."))
    return faults


def _attribute_rows(
    path: Path, rows: Iterator[_Row], width: int
) -> tuple[list[str], list[list[int]], list[UserError], set[str]]:
    names: list[str] = []
    values: list[list[int]] = []
    faults: list[UserError] = []
    spellings: set[str] = set()
    seen: set[str] = set()
    for row in rows:
        name, *fields = row.fields
        unknown = [field for field in fields if field not in _BITS]
        fault = ""
        if len(fields) != width:
            fault = f"{name} has {len(fields)} values, but {width} attributes are named"
        elif unknown:
            fault = f"{name} has a value that is neither -1, 0 nor 1 (got {unknown[0]!r})"
        elif name in seen:
            fault = f"a second row for {name}"
        else:
            fault = _name_fault(name)
        if fault:
            faults.append(UserError(f"{path}:{row.line}", fault))
            continue
        seen.add(name)
        names.append(name)
        values.append([_BITS[field] for field in fields])
        spellings.update(fields)
    return names, values, faults, spellings


def _name_fault(name: str) -> str:
    """A row names a file of one folder, never a path out of it."""
    return f"not a file's name (got {name!r})" if not name or re.search(r"[/\\]", name) else ""
