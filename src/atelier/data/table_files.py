"""Which of the files beside pictures is their table of attributes: told by a look at its head."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from atelier.data.names import folded_stem, is_image
from atelier.data.table_rows import cells, gap_of
from atelier.data.tables import number_of
from atelier.paths import IMAGES

TABLE_SUFFIXES = (".txt", ".csv", ".tsv")
OWN_START = "list_attr"
"""A file of this name is a table of attributes, however little it looks like one."""

HEAD_BYTES = 2**18
HEAD_LINES = 60
NAME_WORDS = 6
"""Words that a name may have in a table whose fields are set apart by spaces alone."""

MOSTLY = 0.8
"""Share of a table's values that are bits: one with faults is a table still."""


@dataclass(frozen=True)
class TableFile:
    """A table, how many attributes it names, and the folder whose pictures it describes."""

    path: Path
    folder: Path
    attributes: int
    rivals: tuple[Path, ...] = ()
    """Other folders whose pictures it describes as well."""


def table_files(files: Iterable[Path], pictures: Sequence[Path]) -> list[TableFile]:
    """The files that look like tables of attributes of some of the pictures."""
    stems: dict[Path, set[str]] = {}
    for picture in pictures:
        stems.setdefault(picture.parent, set()).add(folded_stem(picture.name))

    def fit(lines: list[list[str]], folder: Path) -> tuple[int, bool, int]:
        return _named(lines, stems[folder]), folder.name == IMAGES, len(stems[folder])

    found = []
    for path in files:
        if path.suffix.lower() not in TABLE_SUFFIXES:
            continue
        lines = _head(path)
        fits = {folder: fit(lines, folder) for folder in stems}
        best, *rivals = (folder for folder in fits if fits[folder] == max(fits.values()))
        if width := _attributes(lines, stems[best]):
            found.append(TableFile(path, best, width, tuple(rivals)))
        elif path.stem.startswith(OWN_START):
            found.append(TableFile(path, best, 0))
    return found


def own_tables(tables: Sequence[TableFile]) -> list[TableFile]:
    """Those of CelebA's own name, where there are such: others beside them say something else."""
    own = [table for table in tables if table.path.stem.startswith(OWN_START)]
    return own or list(tables)


def _head(path: Path) -> list[list[str]]:
    """Fields of the first lines that aren't blank; none where it is no text."""
    try:
        with path.open("rb") as file:
            content = file.read(HEAD_BYTES)
    except OSError:
        return []
    text = content.decode("utf-8-sig", "replace")
    if "\0" in text:
        return []
    lines = [line for line in re.split(r"[\r\n]+", text) if line.strip()]
    if len(content) == HEAD_BYTES:
        lines.pop()  # cut short
    gaps = [gap_of(line) for line in lines[:HEAD_LINES]]
    gap = max(gaps, key=gaps.count, default="")
    return [cells(line, gap) if gap else line.split() for line in lines[:HEAD_LINES]]


def _named(lines: list[list[str]], stems: set[str]) -> int:
    return sum(bool(_values(line, stems)) for line in lines)


def _values(fields: list[str], stems: set[str]) -> list[str]:
    """What follows a picture's name in a row; nothing where the row names none."""
    for count in range(1, min(NAME_WORDS, len(fields) - 1) + 1):
        names = folded_stem(" ".join(fields[:count])), folded_stem(fields[count - 1])
        # What stands before an image's name is no name: row numbers look like those of CelebA-HQ.
        if not stems.isdisjoint(names) and not is_image(Path(fields[count])):
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
    words = [word for row in named for word in row]
    is_bits = sum(number_of(word) in (-1, 0, 1) for word in words) >= MOSTLY * len(words)
    is_header = len(header) >= width and not any(
        re.fullmatch(r"-?[\d.]+", word) or word.lower() in ("partition", "split")
        for word in header[-width:]
    )
    most = len(named) * 2 > len(rows) - first
    return width if is_bits and is_header and most else 0
