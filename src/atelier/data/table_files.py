"""Which of the files beside pictures is their table of attributes: told by a look at its head."""

import csv
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

TABLE_SUFFIXES = (".txt", ".csv", ".tsv")
OWN_START = "list_attr"
"""A file of this name is a table of attributes, however little it looks like one."""

HEAD_BYTES = 2**18
HEAD_LINES = 60
NAME_WORDS = 6
"""Words that a name may have in a table whose fields are set apart by spaces alone."""

BITS = frozenset(("-1", "0", "1", "-1.0", "0.0", "1.0", "true", "false"))
MOSTLY = 0.8
"""Share of a table's values that are bits: one with faults is a table still."""


@dataclass(frozen=True)
class TableFile:
    """A table, how many attributes it names, and the folder whose pictures it describes."""

    path: Path
    folder: Path
    attributes: int


def table_files(files: Iterable[Path], pictures: Sequence[Path]) -> list[TableFile]:
    """The files that look like tables of attributes of some of the pictures."""
    stems: dict[Path, set[str]] = {}
    for picture in pictures:
        stems.setdefault(picture.parent, set()).add(_stem(picture.name))
    fullest = max(stems, key=lambda folder: len(stems[folder]))
    found = []
    for path in files:
        if path.suffix.lower() not in TABLE_SUFFIXES:
            continue
        lines = _head(path)
        folder = max(stems, key=lambda folder: _named(lines, stems[folder]))
        if width := _attributes(lines, stems[folder]):
            found.append(TableFile(path, folder, width))
        elif path.stem.startswith(OWN_START):
            found.append(TableFile(path, fullest, 0))
    return found


def _head(path: Path) -> list[list[str]]:
    """Fields of the first lines that aren't blank; none where it is no text."""
    try:
        with path.open("rb") as file:
            content = file.read(HEAD_BYTES)
    except OSError:
        return []
    text = content.decode("utf-8-sig", "replace")
    lines = [line for line in text.splitlines() if line.strip()]
    if len(content) == HEAD_BYTES:
        lines.pop()  # cut short
    lines = lines[:HEAD_LINES]
    gap = next((gap for gap in ",;\t" if sum(gap in line for line in lines) > len(lines) / 2), "")
    if not gap or "\0" in text:
        return [line.split() for line in lines] if "\0" not in text else []
    return [[field.strip() for field in row] for row in csv.reader(lines, delimiter=gap)]


def _named(lines: list[list[str]], stems: set[str]) -> int:
    return sum(bool(_values(line, stems)) for line in lines)


def _values(fields: list[str], stems: set[str]) -> list[str]:
    """What follows a picture's name in a row; nothing where the row names none."""
    for count in range(1, min(NAME_WORDS, len(fields) - 1) + 1):
        if _stem(" ".join(fields[:count])) in stems or _stem(fields[count - 1]) in stems:
            return fields[count:]
    return []


def _attributes(lines: list[list[str]], stems: set[str]) -> int:
    """How many attributes the lines tell of pictures; 0 where they are no such table.

    A partition, a list of identities or of boxes has no such header, or other values.
    """
    rows = [_values(line, stems) for line in lines]
    first = next((place for place, row in enumerate(rows) if row), 0)
    if first == 0:
        return 0
    header, width = lines[first - 1], len(rows[first])
    named = [row for row in rows[first:] if row]
    words = [word.lower() for row in named for word in row]
    is_bits = sum(word in BITS for word in words) >= MOSTLY * len(words)
    is_header = len(header) >= width and not any(
        re.fullmatch(r"-?[\d.]+", word) or word.lower() in ("partition", "split")
        for word in header[-width:]
    )
    most = len(named) * 2 > len(rows) - first
    return width if is_bits and is_header and most else 0


def _stem(name: str) -> str:
    text = unicodedata.normalize("NFC", name.replace("\\", "/"))
    return PurePosixPath(text).stem.casefold()
