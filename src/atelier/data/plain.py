"""Datasets that are nothing but pictures: without labels, or in a folder for each class."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from atelier.data.names import (
    LEAST,
    LEAST_OF_CLASS,
    by_folder,
    hashed_partition,
    names_below,
    too_few,
)
from atelier.errors import UserError


@dataclass(frozen=True)
class Found:
    """Names relative to the dataset's folder, with the split and the label's column of each."""

    labels: tuple[str, ...]
    parts: dict[str, str]
    columns: dict[str, int]
    problems: list[UserError]


def find_pictures(folder: Path) -> Found:
    """All pictures at any depth; none has a column."""
    names, problems = names_below(folder)
    parts = hashed_partition(names, LEAST)
    return Found((), parts, {}, problems + too_few(folder, parts, LEAST))


def find_classes(folder: Path) -> Found:
    """The pictures of each class folder, which gives them its name as their one label."""
    names, problems = names_below(folder)
    folders = by_folder(names)
    for name in folders.pop("", []):
        what = "an image beside the class folders"
        problems.append(UserError(folder / name, what, "Move it into one of them."))
    if len(folders) < 2:
        what = f"holds too few class folders (got {len(folders)})"
        problems.append(UserError(folder, what, "It takes two or more."))
    labels: list[str] = []
    parts: dict[str, str] = {}
    columns: dict[str, int] = {}
    for column, (name, inside) in enumerate(sorted(folders.items())):
        found = hashed_partition(inside, LEAST_OF_CLASS)
        problems += too_few(folder / name, found, LEAST_OF_CLASS)
        label = label_of(name)
        if not label or label in labels:
            what = f"gives no label of its own (got {label!r}, from letters and digits)"
            problems.append(UserError(folder / name, what, "Rename the folder."))
        labels.append(label)
        parts |= found
        columns |= dict.fromkeys(inside, column)
    return Found(tuple(labels), parts, columns, problems)


def label_of(folder: str) -> str:
    """A class folder's name as a label: letters, digits, _ and -, which every option takes."""
    return re.sub(r"[^\w-]+", "_", unicodedata.normalize("NFC", folder)).strip("_")
