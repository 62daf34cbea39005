"""What stands for all figures of an experiment: in words, and as a dot on a scale."""

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from atelier.evaluation.keys import (
    ACCURACY,
    INSIDE,
    MINIMUM,
    MULTIPLES_SHARE,
    PSNR_DB,
    TWIN,
    of_components,
)
from atelier.operations.reporting.charts import track
from atelier.operations.reporting.distances import Distance, distances
from atelier.operations.reporting.figures import Figure, Metrics, figure, shown
from atelier.spread import Spread

SHARES = {
    f"numbers/{MULTIPLES_SHARE}": "Draws that follow the pattern",
    f"{ACCURACY}/{MINIMUM}": "Requests that are met, of the worst kind",
    "A2B/verdict": "A2B, taken for the target",
    "B2A/verdict": "B2A, taken for the target",
}
"""Shares that stand for all figures, where they are there, and what to call them."""
TWINS = {
    f"A2B/{TWIN}/{INSIDE}": "A2B, nearer to the true twin",
    f"B2A/{TWIN}/{INSIDE}": "B2A, nearer to the true twin",
}
"""0 is the untouched input, 1 the twin itself."""


@dataclass(frozen=True)
class Headline:
    """What stands for all figures of an experiment: in words, and as a dot on a scale."""

    title: str
    figure: Figure
    beside: tuple[tuple[str, Figure], ...]
    chart: Markup | None
    words: str
    share: float | None = None
    """Of the way from the best floor to the ceiling."""
    in_summary: bool = True


def headlines(metrics: Metrics) -> Iterator[Headline]:
    for key, title in SHARES.items():
        found = figure(metrics, key.split("/"))
        if found is None:
            continue
        real = figure(metrics, f"{key}_of_reals".split("/"))
        beside = (("real pictures", real),) if real else ()
        said = f"{title}: {found}" + (f"; real pictures {real}" if real else "")
        ceiling = real.value if real else None
        chart = track(found.value, found.low, found.high, ceiling, said)
        words = f"{key}, a share of 1" + ("; green: real pictures" if real else "")
        if not found.interval:
            words += "; no interval is kept"
        yield Headline(title, found, beside, chart, words)
    found_distances = distances(metrics)
    for distance in found_distances:
        if distance.extractor == found_distances[0].extractor:
            yield _of_distance(distance)
    for key, title in TWINS.items():
        if found := figure(metrics, key.split("/")):
            chart = track(found.value, None, None, None, f"{title}: {found}")
            words = f"{key}: 0 is the untouched input, 1 the twin; no interval is kept"
            yield Headline(title, found, (), chart, words, in_summary=False)
    psnr = figure(metrics, ("reconstruction", PSNR_DB))
    plain = figure(metrics, ("reconstruction", of_components(PSNR_DB)))
    if psnr:
        beside = (("principal components", plain),) if plain else ()
        words = "of what comes back, the mean over test images; no interval is kept"
        yield Headline("PSNR in dB", psnr, beside, None, words)


def between_seeds(spread: Spread | None) -> Iterator[tuple[str, str]]:
    """Of each figure that `atelier seeds` has compared: its key, and how far seeds reach."""
    for key, found in spread.figures.items() if spread else ():
        reach = f"{shown(found.lowest)} to {shown(found.highest)}"
        yield key, f"{len(found.values)} training seeds: {reach}"


def _of_distance(distance: Distance) -> Headline:
    """Where it stands on the way from the best of the known wrong sets to training images."""
    mark, ceiling, floor = distance.scored, distance.ceiling, distance.best_floor
    beside = tuple((one.words, one.figure) for one in (ceiling, floor) if one)
    title = distance.title + (f" ({mark.words})" if mark.set_name else "")
    share = distance.share(mark.figure.value)
    if share is None:
        words = "training images and the wrong sets can't be told apart here: too few pictures"
        return Headline(title, mark.figure, beside, None, words)
    # The larger the distance, the less of the way: the ends change places.
    low, high = (
        None if end is None else distance.share(end) for end in (mark.figure.high, mark.figure.low)
    )
    words = f"of the way from {floor.words if floor else ''} (0) to training images (1)"
    apart = {True: "; still told from them", False: "; not told from them", None: ""}
    said = f"{title}: {100 * share:.1f} % {words}"
    chart = track(share, low, high, 1.0, said)
    return Headline(title, mark.figure, beside, chart, words + apart[distance.told_apart], share)
