"""The keys of metrics.json that one file writes and another reads, each declared once.

A key that stays within one file is written out there. Those of the judge's own exam stand in
judge.py, and what early stopping can watch in data/numbers.py: both decide weights, so that no
other word may make a trained network stale.
"""

from collections.abc import Mapping
from typing import Any

from atelier import paths

# Extractors: a distance stands below the one whose features it is taken in.
JUDGE = paths.JUDGE
"""The dataset's own classifier."""
JUDGE_B = paths.JUDGE_B
"""The second classifier of the same labels, which says how much of a figure is the judge's own: it
neither chooses nor gates."""
IMAGENET = "imagenet"
"""Taught by others on photographs; a second opinion, or the first where nothing is labelled."""
WITNESS = "witness"
"""Never trained; a further opinion."""
EXTRACTORS = (JUDGE, JUDGE_B, IMAGENET, WITNESS)
"""In the order of tables. Of those that there are, the first chooses and gates."""

# Sets that stand beside what is scored; see `distance_to`.
CEILING = "ceiling"
"""Training images: what a perfect generator would get."""
BLURRED = "blurred"
"""Of these, a blur."""
SHUFFLED = "shuffled"
"""Of these, patches in disorder."""
UNTOUCHED = "untouched"
"""What a translation was given."""
MIXTURE = "mixture"
"""Samples of codes drawn from the fitted mixture; also the sampler's name."""
NORMAL = "normal"
"""Samples of codes drawn from N(0, 1); also the sampler's name."""

# Figures of any generator of pictures.
KID = "kid"
"""The distance that chooses and gates."""
OF_THE_WAY = "of_the_way"
"""How much of the way from a known wrong set to training images lies behind a KID: 1 is all."""
MEMORISATION = "memorisation"
"""Whether samples are copies, by pixels and by witness features."""
EDITING = "editing"
"""What each attribute direction does."""
SETTINGS = "settings"
"""What the figures beside it rest on."""
LEFT_OUT = "left_out"
"""In a figure's place: why there is none."""
OUT_OF_RANGE = "out_of_range"
"""Share of pictures on which the judge's verdict means nothing."""

# Conditions: `accuracy` of a conditional generator.
ACCURACY = "accuracy"
"""Shares of requests that are met."""
WITH, WITHOUT = "with", "without"
"""Of requests for an attribute, and for its absence; by attribute."""
MINIMUM = "minimum"
"""The smallest of several shares."""

# Translation: below A2B and B2A.
DOES_NOTHING = "does_nothing"
"""Whether outputs are but the inputs; also of both directions together."""
FOLLOWS_INPUT = "follows_input"
"""Whether outputs resemble their own inputs most; one half is chance."""
PROBE = "probe"
"""What a linear classifier of ImageNet's features takes outputs for."""
VERDICT = "verdict"
"""Share of pictures that are taken for the goal."""
TWIN = "twin"
"""Figures against the true twins."""
INSIDE, OUTSIDE, CHANGE = "inside", "outside", "change"
"""Of a twin: gain within the mask, change without it, and how much changed at all."""

# Autoencoders.
PSNR_DB = "psnr_db"
"""Mean over the images."""

# Numbers.
MULTIPLES_SHARE = "multiples_share"
"""Share of multiples of 5."""
ENTROPY_SHARE = "entropy_share"
"""Entropy of the values, as a share of the largest possible."""
ALL_ZERO_SHARE = "all_zero_share"
"""Share of rows that mean no number."""
VALUES_COVERED = "values_covered"
"""How many of the pattern's values appear."""

_ERROR = "_standard_error"
_COMPONENTS = "_pca"


def distance_to(set_name: str, figure: str = KID) -> str:
    """The key of a figure of another set than the one that is scored: `kid_ceiling`."""
    return f"{figure}_{set_name}"


def error_of(figure: str) -> str:
    """The key of a figure's standard error."""
    return figure + _ERROR


def of_components(figure: str) -> str:
    """The key of a figure of principal components, which stand beside an autoencoder."""
    return figure + _COMPONENTS


def kid_keys(figures: Mapping[str, Any]) -> dict[str, str]:
    """The keys of every KID among the figures, by the set's name; "" is what is scored."""
    found = {}
    for key in figures:
        if (key == KID or key.startswith(f"{KID}_")) and not key.endswith(_ERROR):
            found[key.removeprefix(KID).removeprefix("_")] = key
    return found
