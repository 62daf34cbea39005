"""Writes figures, tables and pictures, byte-stable: sorted, rounded, without a clock or a path."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from atelier.data.sheet import sheet
from atelier.files import write_whole

if TYPE_CHECKING:
    from atelier.evaluation.features import Images

COLUMNS = 8
"""Pictures in a row of a grid."""
DIGITS = 6
"""Significant ones: what is left of a figure where the order of additions differs."""


def settings_of(manifest: Mapping[str, Any], split: str, samples: int, seed: int) -> dict[str, Any]:
    """What figures of a prepared dataset's split rest on."""
    of_dataset = {key: manifest[key] for key in ("dataset", "drawn", "size_pixels", "crop")}
    return {**of_dataset, "split": split, "samples": samples, "seed": seed}


def rounded(value: Any) -> Any:
    """The same nested value with each float at six significant digits.

    Raises:
        ValueError: a figure is not finite, and so means nothing.
    """
    if isinstance(value, Mapping):
        return {str(key): rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    if isinstance(value, float | np.floating):
        if not math.isfinite(value):
            raise ValueError(f"a figure is not finite (got {value})")
        return float(f"{value:.{DIGITS}g}")
    return value


def flatten(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """{"judge": {"kid": 1.0}} -> {"judge/kid": 1.0}; leaves that are not numbers are left out."""
    flat: dict[str, float] = {}
    for key, value in metrics.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}/")
        elif isinstance(value, int | float):
            flat[f"{prefix}{key}"] = float(value)
    return flat


def write_metrics(path: Path, metrics: Mapping[str, Any]) -> None:
    """JSON for `dvc metrics`; whole or not at all, for what was there lies in git."""
    text = json.dumps(rounded(metrics), indent=2, sort_keys=True, allow_nan=False)
    write_whole(path, text + "\n")


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """CSV for `dvc plots`; the first row names the columns."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rounded(row) for row in rows)


def write_grid(path: Path, images: "Images", columns: int = COLUMNS) -> None:
    """PNG of pictures [N, 3, S, S] side by side."""
    Image.fromarray(sheet(images, columns)).save(path, format="PNG", optimize=False)
