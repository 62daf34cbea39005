"""The tables that people have, as TXT or CSV of many kinds, taken apart into labels and rows."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from atelier.data.names import is_image
from atelier.data.tables import NAMED, Row, spaced

GAPS = ",;\t"
"""What sets the fields of a table apart; one without them has spaces."""

OF_NAMES = re.compile(r"((image|img|file|picture|photo|path|name|id)s?[ _-]?)+", re.I)
"""How people head the column of names."""

SAMPLE_ROWS = 100


def any_rows(
    lines: Sequence[tuple[int, str]], headed: bool | None, folder: str = ""
) -> tuple[list[str], list[Row]]:
    """Labels and rows, see `tables.Split`.

    Commas, semicolons, tabs or spaces set the fields apart, quotes may hold them together. The
    header may head the column of names; before that, a column may number the rows.

    Args:
        folder: the pictures' own folder, which may stand before their names.
    """
    gap = gap_of(lines[0][1])
    if headed is None:
        headed = _heads_partition(lines[0][1], gap)
    labels, rows = _with_gaps(lines, headed, gap) if gap else _with_spaces(lines, headed)
    return labels, [Row(row.line, _bare(row.name, folder), row.fields) for row in rows]


def gap_of(line: str) -> str:
    """What sets apart the fields of a table with this first line; "" for spaces."""
    named = NAMED.match(line)
    if named and named.end() > named.end(1):
        return ""  # commas and the like before it belong to the name
    gap = max(GAPS, key=line.count)
    if gap == "\t" and not OF_NAMES.fullmatch(line.split(gap)[0] or "name"):
        return ""  # CelebA's own form: the header names the attributes alone
    return gap if gap in line else ""


def cells(line: str, gap: str) -> list[str]:
    """The fields of a line, which may stand in quotes."""
    try:
        row = next(csv.reader([line], delimiter=gap, skipinitialspace=True, strict=True))
    except csv.Error:
        row = line.split(gap)
    return [field.strip(" \t") for field in row]


def _heads_partition(line: str, gap: str) -> bool:
    """Whether it is a header: its last field is a word, and no field is an image's name."""
    fields = cells(line, gap or " ")
    return fields[-1][:1].isalpha() and not any(is_image(Path(field)) for field in fields)


def _with_spaces(lines: Sequence[tuple[int, str]], headed: bool) -> tuple[list[str], list[Row]]:
    labels = lines[0][1].split() if headed else []
    rows = [Row(number, *spaced(line, len(labels) or 1)) for number, line in lines[headed:]]
    if len(labels) == _usual(len(row.fields) for row in rows) + 1 and OF_NAMES.fullmatch(labels[0]):
        labels.pop(0)
    return labels, rows


def _with_gaps(
    lines: Sequence[tuple[int, str]], headed: bool, gap: str
) -> tuple[list[str], list[Row]]:
    header = cells(lines[0][1], gap) if headed else []
    body = [(number, cells(line, gap)) for number, line in lines[headed:]]
    named, numbering = _columns([fields for _, fields in body[:SAMPLE_ROWS]], header)

    def without(fields: Sequence[str]) -> list[str]:
        return [f for place, f in enumerate(fields) if place != named and place not in numbering]

    rows = [
        Row(number, fields[named] if named < len(fields) else "", without(fields))
        for number, fields in body
    ]
    return without(header), rows


def _columns(sample: Sequence[Sequence[str]], header: Sequence[str]) -> tuple[int, list[int]]:
    """The column of names, and those before it that only number the rows."""
    columns = [
        [fields[place] for fields in sample if place < len(fields)]
        for place in range(_usual(map(len, sample)))
    ]
    ends_as_image = (
        place
        for place, words in enumerate(columns)
        if sum(is_image(Path(word)) for word in words) * 2 > len(words)
    )
    headed_so = len(header) > 1 and not header[0] and OF_NAMES.fullmatch(header[1])
    named = next(ends_as_image, 1 if headed_so else 0)
    numbering = [
        place
        for place, words in enumerate(columns[:named])
        if len(set(words)) == len(words) and all(word.isdigit() for word in words)
    ]
    return named, numbering


def _bare(name: str, folder: str) -> str:
    """The name without the pictures' own folder before it; any other path is left, and refused."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return parts[-1] if folder and parts[-2:-1] == (folder,) else name


def _usual(widths: Iterable[int]) -> int:
    """How many fields most rows have; 0 without rows."""
    counts = Counter(widths).most_common(1)
    return counts[0][0] if counts else 0
