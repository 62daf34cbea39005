"""One number of metrics.json, as a person reads it, with the interval that chance leaves it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from atelier.evaluation.estimate import CLEARLY, Share
from atelier.evaluation.keys import (
    ALL_ZERO_SHARE,
    EDITING,
    MULTIPLES_SHARE,
    OUT_OF_RANGE,
    SETTINGS,
    error_of,
)

Metrics = Mapping[str, Any]


@dataclass(frozen=True)
class Figure:
    """One number of metrics.json, and the interval that chance leaves it where that is known."""

    key: str
    value: float
    low: float | None = None
    high: float | None = None
    spread: float | None = None
    """Two standard errors, where the interval is so much to either side."""

    @property
    def shown(self) -> str:
        return shown(self.value)

    @property
    def interval(self) -> str:
        """In words; empty where there is none."""
        if self.spread is not None:
            return f"± {shown(self.spread, 2)}"
        if self.low is not None and self.high is not None:
            return f"({shown(self.low)} to {shown(self.high)})"
        return ""

    def __str__(self) -> str:
        return f"{self.shown} {self.interval}".rstrip()


def shown(value: float, digits: int = 3) -> str:
    """A number as a person reads it: three significant digits, no exponent where one can do."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    size = abs(value)
    if float(value).is_integer() or size >= 10 ** (digits - 1):
        text = f"{value:,.0f}"
    elif 0 < size < 1e-6:
        text = f"{value:.{digits}g}"
    else:
        places = digits - 1 - math.floor(math.log10(size)) if size else 0
        # Almost all is not all: 0.9998 is no 1.000.
        while float(text := f"{value:.{places}f}") == 1 and size < 1 and places < 6:
            places += 1
    return text.replace("-", "\N{MINUS SIGN}")


def figure(metrics: Metrics, path: Sequence[str]) -> Figure | None:
    """The figure at a path of keys, with its interval; None where there is none."""
    parent = _at(metrics, path[:-1])
    value = parent.get(path[-1]) if isinstance(parent, Mapping) else None
    if not isinstance(value, int | float):
        return None
    key = "/".join(path)
    if isinstance(error := parent.get(error_of(path[-1])), int | float):
        return _with_error(key, value, error)
    low, high = parent.get("low"), parent.get("high")
    if isinstance(low, float) and isinstance(high, float) and low <= value <= high:
        return Figure(key, value, low, high)
    if (count := _count(metrics, path)) and not isinstance(value, bool):
        spread = CLEARLY * Share(value, count).standard_error
        return Figure(key, value, max(0.0, value - spread), min(1.0, value + spread))
    return Figure(key, value)


def of_keys(values: Mapping[str, float]) -> dict[str, Figure]:
    """Figures that are kept by their whole keys, as MLflow keeps them."""
    return {
        key: _with_error(key, value, values.get(error_of(key))) for key, value in values.items()
    }


def _with_error(key: str, value: float, error: float | None) -> Figure:
    """A figure, and two of its standard errors to either side where that is known."""
    if error is None:
        return Figure(key, value)
    spread = CLEARLY * error
    return Figure(key, value, value - spread, value + spread, spread)


def _count(metrics: Metrics, path: Sequence[str]) -> int | None:
    """Of how many a share is, for those of which the file says it."""
    of: tuple[str, ...]
    match path:
        case ("numbers", name) if name in (MULTIPLES_SHARE, ALL_ZERO_SHARE):
            of = (SETTINGS, "samples")
        case (part, "flipped"):
            of = (part, "count")
        case (part, "verdict"):
            count, lost = _at(metrics, (part, "count")), _at(metrics, (part, OUT_OF_RANGE))
            return round(count * (1 - lost)) if count and lost is not None else None
        case (name, attribute, flipped) if name == EDITING and flipped.startswith("flipped_"):
            of = (EDITING, attribute, SETTINGS, "samples")
        case _:
            return None
    found = _at(metrics, of)
    return found if isinstance(found, int) and found > 0 else None


def _at(metrics: Metrics, path: Sequence[str]) -> Any:
    found: Any = metrics
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found
