"""Sheets of pictures that an evaluation leaves, and what each shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atelier.config import Experiment
from atelier.data.sampling import Domains
from atelier.evaluation.domains import A2B, B2A
from atelier.evaluation.keys import JUDGE, MIXTURE, NORMAL, SETTINGS
from atelier.evaluation.sheets import steps_shown
from atelier.tasks.translation import rule_in_words

GRID, REALS, WORST, NEAREST, EDITS = "grid", "reals", "worst", "nearest", "edits"
ORDER = (GRID, MIXTURE, NORMAL, A2B, B2A, EDITS, WORST, NEAREST, REALS)
"""What was made comes before what is real."""


@dataclass(frozen=True)
class Sheet:
    """A sheet of pictures, and what it shows."""

    path: Path
    caption: str
    rows: tuple[str, ...] = ()
    """What each row of it was asked for, where that differs."""
    rows_belong: int = 1
    """So many rows are one: an input, what came of it, and its true twin."""


def sheets_in(
    folder: Path, metrics: Mapping[str, Any], experiment: Experiment
) -> tuple[Sheet, ...]:
    """The sheets of an evaluation, what was made before what is real."""
    paths = sorted(
        folder.glob("*.png"),
        key=lambda path: (ORDER.index(path.stem) if path.stem in ORDER else len(ORDER), path.stem),
    )
    return tuple(_sheet(path, metrics, experiment) for path in paths)


def _sheet(path: Path, metrics: Mapping[str, Any], experiment: Experiment) -> Sheet:
    settings = metrics.get(SETTINGS, {})
    match path.stem:
        case "grid" if "reconstruction" in metrics:
            return Sheet(path, "Test images, and below each what came back of it", rows_belong=2)
        case "grid":
            rows = tuple(map(str, metrics.get("grid_rows", ())))
            seed = f"seed {settings['seed']}" if "seed" in settings else "a fixed seed"
            asked = "; each row was asked for something else" if rows else ""
            return Sheet(path, f"What it makes, from {seed}, none chosen by hand{asked}", rows)
        case "reals":
            return Sheet(path, "Real test images, to compare with")
        case "mixture":
            return Sheet(path, "Pictures from codes drawn as training images' codes lie")
        case "normal":
            return Sheet(path, "Pictures from normal codes")
        case "worst":
            return _worst(path, metrics)
        case "nearest":
            words = (
                f"{_samples(metrics)} nearest to a training image, nearest first, and below each "
            )
            words += "its nearest training image, mirrored where so it is nearer; by pixels"
            return Sheet(path, words, rows_belong=2)
        case "edits":
            return _edits(path, metrics)
        case "A2B" | "B2A" as direction:
            return _translation(path, direction, bool(settings.get("twins")), experiment)
    return Sheet(path, path.stem)


def _samples(metrics: Mapping[str, Any]) -> str:
    """What is looked at for copies."""
    return "Samples of the mixture" if "reconstruction" in metrics else "Samples"


def _worst(path: Path, metrics: Mapping[str, Any]) -> Sheet:
    """By which statistic they are the worst, and in whose features."""
    if "reconstruction" in metrics:
        words = (
            "The worst reconstructions, by squared error: test images, and below each what came "
        )
        return Sheet(path, words + "back of it", rows_belong=2)
    extractor = metrics.get(SETTINGS, {}).get("chosen_by", JUDGE)
    farthest = f"whose fifth nearest real test image is farthest, by the {extractor}'s features"
    if A2B in metrics:
        words = f"The worst of {A2B}, then of {B2A}: inputs, and below each the output"
        return Sheet(path, f"{words}; those {farthest}", rows_belong=2)
    return Sheet(path, f"The samples least like real ones, the worst first: those {farthest}")


def _edits(path: Path, metrics: Mapping[str, Any]) -> Sheet:
    before = "reconstruction" if "reconstruction" in metrics else "sample"
    moved = [f"{name}, {step:g} along" for name, step in steps_shown(metrics).items()]
    caption = "Edits: the same pictures after the median step that brings each attribute"
    return Sheet(path, caption, (f"{before} before", *moved))


def _translation(path: Path, direction: str, twins: bool, experiment: Experiment) -> Sheet:
    words = direction
    if isinstance(rule := experiment.sampling, Domains):
        ends = [rule_in_words(end) for end in (rule.a, rule.b)]
        words += " ({} to {})".format(*(ends if direction == "A2B" else ends[::-1]))
    if twins:
        caption = f"{words}: inputs, what became of them, and the true twin of each"
    else:
        caption = f"{words}: inputs, and what became of them; the data have no true twins"
    return Sheet(path, caption, rows_belong=3 if twins else 2)
