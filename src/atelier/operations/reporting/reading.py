"""Reading files of artifacts/: one that is not there is empty, one that is cut short is a line."""

import csv
import json
import math
from pathlib import Path
from typing import Any

from atelier.errors import UserError

Rows = list[tuple[str, float]]


def read_json(path: Path) -> dict[str, Any]:
    """What a file holds; nothing where it is not there."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, NotADirectoryError) as error:
        remedy = f"Put it back: dvc checkout, or git checkout {path}"
        raise UserError(path, f"can't be read as JSON ({error})", remedy) from None
    if not isinstance(found, dict):
        raise UserError(path, f"expected keys and values (got {type(found).__name__})")
    return found


def _rows(path: Path, *columns: str) -> list[list[str]]:
    """These columns of a table; nothing where it, or one of them, is not there."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if not set(columns) <= set(rows.fieldnames or ()):
            return []
        return [[row[column] or "" for column in columns] for row in rows]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def read_curves(path: Path) -> dict[str, list[tuple[float, float]]]:
    curves: dict[str, list[tuple[float, float]]] = {}
    for images, name, value in _rows(path, "images", "figure", "value"):
        point = _number(images), _number(value)
        if all(map(math.isfinite, point)):
            curves.setdefault(name, []).append(point)
    return curves


def read_tables(folder: Path) -> dict[str, Rows]:
    """Those of one column of figures; distances have a chart of their own."""
    found = {}
    for path in sorted(folder.glob("*.csv")):
        rows = [(name, _number(value)) for name, value in _rows(path, "name", "value")]
        if rows and path.stem != "kid" and all(math.isfinite(value) for _, value in rows):
            found[path.stem] = rows
    return found
