"""What a user's folder or archive was taken for, and the facts that are told of it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from atelier.data.catalog import Layout
from atelier.data.decode import Fault
from atelier.data.names import (
    LEAST,
    LEAST_OF_CLASS,
    by_folder,
    hashed_partition,
    is_filled,
    shown,
    some,
)
from atelier.data.sources import Source
from atelier.data.table_files import TableFile
from atelier.paths import SPLITS


@dataclass(frozen=True)
class Picture:
    """One picture: its name in the dataset to be, its file, and its size once it was measured."""

    name: str
    path: Path
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Recognised:
    """What something was taken for."""

    source: Source
    layout: Layout
    pictures: tuple[Picture, ...]
    tables: tuple[TableFile, ...] = ()
    left_out: tuple[Path, ...] = ()
    """Files that are no pictures, or pictures in none of a pair's folders."""
    doubt: str = ""
    """What else it could be, and which option says so."""
    faults: tuple[Fault, ...] = ()
    """Of the pictures whose size can't be read."""

    @property
    def hashed(self) -> bool:
        """Whether each name decides its split."""
        tested = any(picture.name.startswith(("testA/", "testB/")) for picture in self.pictures)
        return self.layout in ("pictures", "classes") or (self.layout == "pairs" and not tested)

    @property
    def folders(self) -> dict[str, int]:
        """Pictures in each class or domain folder."""
        if self.layout in ("pictures", "attributes"):
            return {}
        groups = by_folder(picture.name for picture in self.pictures)
        return {name: len(names) for name, names in sorted(groups.items())}

    def splits(self) -> dict[str, int]:
        """Pictures in each split, where their names decide it."""
        divided = [hashed_partition(group, self._least) for group in self._groups()]
        parts = Counter(part for group in divided for part in group.values())
        return {split: parts[split] for split in SPLITS}

    def _groups(self) -> list[list[str]]:
        """Names that are divided together, as they are hashed."""
        names = [picture.name for picture in self.pictures]
        if self.layout == "pictures":
            return [names]
        groups = by_folder(names).values()
        if self.layout == "classes":
            return list(groups)
        return [[name.partition("/")[2] for name in group] for group in groups]

    @property
    def _least(self) -> dict[str, int]:
        return LEAST_OF_CLASS if self.layout == "classes" else LEAST

    def lines(self) -> list[str]:
        """What a user should know of it, one fact a line."""
        given = shown(self.source.given)
        lines = [f"{given}: taken for {_taken_for(self)}"]
        lines += _sizes(self)
        if self.hashed and all(len(g) >= sum(self._least.values()) for g in self._groups()):
            counts = ", ".join(f"{count:,} {split}" for split, count in self.splits().items())
            filled = any(is_filled(group, self._least) for group in self._groups())
            why = "so few that some had to fill a split" if filled else "others will move none"
            lines.append(f"split by each picture's name: {counts}; {why}")
        if self.left_out:
            names = some([shown(path.name) for path in self.left_out])
            lines.append(f"left out: {names}")
        return [*lines, self.doubt] if self.doubt else lines


def _taken_for(found: Recognised) -> str:
    count = f"{len(found.pictures):,} pictures"
    folders = some([f"{shown(name)} {count:,}" for name, count in found.folders.items()])
    match found.layout:
        case "classes":
            return f"{count} in class folders ({folders})"
        case "pairs":
            domains = found.source.domains
            if domains is not None:
                counts = zip("AB", domains, found.folders.values(), strict=True)
                folders = ", ".join(f"{d}: {shown(f.name)} {n:,}" for d, f, n in counts)
            return f"a pair of folders ({folders})"
        case "attributes":
            table = found.tables[0] if found.tables else None
            if table is None:
                return f"{count} with attributes, but without their table"
            named = f", {table.attributes} attributes" if table.attributes else ""
            return f"{count} and the table {shown(table.path.name)}{named}"
        case _:
            parents = {picture.path.parent for picture in found.pictures}
            inside = f", in {len(parents):,} folders" if len(parents) > 1 else ""
            return f"{count} without labels{inside}"


def _sizes(found: Recognised) -> Iterator[str]:
    sizes = [(picture.size, picture.name) for picture in found.pictures if picture.size]
    if sizes:
        width, height = (round(median(size[axis] for size, _ in sizes)) for axis in (0, 1))
        smallest, name = min(sizes, key=lambda one: (min(one[0]), max(one[0]), one[1]))
        least = f"{smallest[0]}x{smallest[1]} ({shown(name)})"
        yield f"size in pixels: median {width}x{height}, smallest {least}"
    if found.faults:
        yield f"can't be read: {some([shown(fault.path.name) for fault in found.faults])}"
