"""Which of a version's test figures to say first, and how: a value, its error, what is beside it.

Keys are those of metrics.json, flattened: `judge/kid`, `A2B/judge/kid`.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from atelier.evaluation.keys import (
    ACCURACY,
    CEILING,
    EXTRACTORS,
    KID,
    MINIMUM,
    MIXTURE,
    MULTIPLES_SHARE,
    OF_THE_WAY,
    PSNR_DB,
    distance_to,
    error_of,
    of_components,
)

RECONSTRUCTION, MEAN_ERROR, NUMBERS = "reconstruction", "mse", "numbers"
BOUND = "elbo/nats_per_image"
COMPONENTS = "principal components"
"""Beside an autoencoder: the best linear one of as many numbers."""


@dataclass(frozen=True)
class Headline:
    """One figure that stands for many."""

    name: str
    key: str
    value: float
    error: float | None = None
    """Its standard error, where one is known."""
    part: str = ""
    """Of the task, where it has several: a translation's direction."""
    by: str = ""
    """Whose features it is taken in."""
    beside: str = ""
    """What it is held to, in words; empty where that is a plain 0 or 1."""
    beside_value: float | None = None
    beside_error: float | None = None
    of_the_way: float | None = None
    """From the best of the known wrong sets to training images: see evaluation/scale.py."""

    @property
    def title(self) -> str:
        """`KID A2B (judge)`."""
        by = f"({self.by})" if self.by else ""
        return " ".join(word for word in (self.name, self.part, by) if word)

    @property
    def held_to(self) -> str:
        """`; ceiling of training images: 0.002 ± 0.0013`, to follow it; empty where nothing is."""
        if self.beside_value is None:
            return ""
        return f"; {self.beside}: {number(self.beside_value, self.beside_error)}"

    @property
    def measured(self) -> str:
        """`0.030 ± 0.0040 = 94% of the way`; the share where it is known."""
        way = "" if self.of_the_way is None else f" = {self.of_the_way:.0%} of the way"
        return number(self.value, self.error) + way

    def __str__(self) -> str:
        """`KID A2B 0.030 ± 0.0040 = 94% of the way (judge)`."""
        words = [self.name, self.part, self.measured]
        words.append(f"({self.by})" if self.by else "")
        return " ".join(word for word in words if word)


def headlines(figures: Mapping[str, float]) -> list[Headline]:
    """The few figures that people compare versions by; those that the gate compares by first."""
    found = [*_of_errors(figures), *_of_numbers(figures)]
    for extractor in EXTRACTORS:
        for part in _parts(figures, extractor):
            found += _of_distances(figures, part, extractor)
    if (key := f"{ACCURACY}/{MINIMUM}") in figures:
        found.append(Headline("requests met, of the attribute least heeded", key, figures[key]))
    return found


def gate_figure(figures: Mapping[str, float]) -> str:
    """What the gate compares by, as a headline's words; empty if unknown."""
    found = headlines(figures)
    if not found:
        return ""
    first = found[0]
    parts = [one for one in found if (one.name, one.by) == (first.name, first.by)]
    if len(parts) == 1:
        return str(first)
    values = ", ".join(f"{one.part} {one.measured}" for one in parts)
    return f"{first.name} {values} ({first.by})"


def number(value: float, error: float | None = None) -> str:
    """The error with two significant digits, the value with as many decimals."""
    if not error or not math.isfinite(error):
        return _three_digits(value)
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def _three_digits(value: float) -> str:
    """As many as it takes where almost all is not all: 0.9999 is no 1."""
    if abs(value) >= 1000:
        return f"{value:.0f}"
    digits = 3
    while value < 1 and float(f"{value:.{digits}g}") == 1 and digits < 6:
        digits += 1
    return f"{value:.{digits}g}"


def _of_errors(figures: Mapping[str, float]) -> Iterator[Headline]:
    """Of an autoencoder: a variational one is held to its bound, the other to its error."""
    if BOUND in figures:
        yield Headline("negative ELBO in nats per image", BOUND, figures[BOUND])
    for name, word in (("MSE", MEAN_ERROR), ("PSNR in dB", PSNR_DB)):
        key, linear = f"{RECONSTRUCTION}/{word}", f"{RECONSTRUCTION}/{of_components(word)}"
        if key in figures:
            beside = COMPONENTS if linear in figures else ""
            yield Headline(name, key, figures[key], beside=beside, beside_value=figures.get(linear))


def _of_numbers(figures: Mapping[str, float]) -> Iterator[Headline]:
    if not any(key.startswith(f"{NUMBERS}/") for key in figures):
        return
    from atelier.data.numbers import STOPPING_SCORE  # brings torch along, which takes seconds

    for name, word in (
        ("stopping score", STOPPING_SCORE),
        ("share of multiples of 5", MULTIPLES_SHARE),
    ):
        if (key := f"{NUMBERS}/{word}") in figures:
            yield Headline(name, key, figures[key])


def _parts(figures: Mapping[str, float], extractor: str) -> list[str]:
    """Of the task, that have distances in the features of that extractor; "" is the whole."""
    paths = [key.split("/") for key in figures]
    return sorted({"/".join(path[:-2]) for path in paths if path[-2:-1] == [extractor]})


def _of_distances(figures: Mapping[str, float], part: str, extractor: str) -> Iterator[Headline]:
    """The KID; of an autoencoder, that of its samples."""
    folder = f"{part}/{extractor}" if part else extractor
    ceiling = f"{folder}/{distance_to(CEILING)}"
    for name, word, way in (
        ("KID", KID, OF_THE_WAY),
        ("KID of samples", distance_to(MIXTURE), distance_to(MIXTURE, OF_THE_WAY)),
    ):
        if (key := f"{folder}/{word}") in figures:
            yield Headline(
                name=name,
                key=key,
                value=figures[key],
                error=figures.get(error_of(key)),
                part=part,
                by=extractor,
                beside="ceiling of training images" if ceiling in figures else "",
                beside_value=figures.get(ceiling),
                beside_error=figures.get(error_of(ceiling)),
                of_the_way=figures.get(f"{folder}/{way}"),
            )
