"""Which side, a power of two, the pictures of a set can be brought to without learning blur."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low

from atelier.data.catalog import Fit
from atelier.data.decode import MIN_PIXELS
from atelier.data.names import shown
from atelier.data.prepare import MAX_THINNESS, kept_side, least_side
from atelier.data.recognised import Picture
from atelier.errors import UserError

LEAST, MOST = 16, 1024
"""Sides that networks and metrics take."""

MOST_UNFIT = 0.1
"""Share of pictures that may be left out for a size: with more, it is the wrong size."""


@dataclass(frozen=True)
class Proposal:
    """A size, and the names of the few pictures that it leaves out."""

    size_pixels: int
    unfit: tuple[str, ...]


def propose_size(where: object, pictures: Sequence[Picture], wanted: int, fit: Fit) -> Proposal:
    """The largest power of two, at most `wanted`, that the median picture supports.

    Args:
        where: what an error names.
        pictures: measured ones; those without a size are nobody's business here.

    Raises:
        UserError: more than a tenth are too small for it, or `wanted` is no size at all.
    """
    if wanted < LEAST:
        raise UserError(where, f"too small a size (got {wanted})", f"{LEAST} px or more.")
    sides = [_side(picture, fit) for picture in pictures if picture.size]
    middle = median_low(sides) if sides else 0
    powers = [size for size in _powers(wanted) if least_side(size) <= middle]
    if not powers:
        what = f"most pictures are too small (median side {middle} px)"
        raise UserError(where, what, f"A side has {MIN_PIXELS} px or more.")
    size = powers[-1]
    unfit = _unfit(pictures, size, fit)
    if len(unfit) > MOST_UNFIT * len(sides):
        first = min(unfit, key=lambda picture: picture.size or (0, 0))
        what = (
            f"{len(unfit):,} of {len(sides):,} pictures are too small or too thin for {size} px "
            f"(such as {shown(first.name)}, {'x'.join(map(str, first.size or ()))})"
        )
        fitting = [s for s in powers if len(_unfit(pictures, s, fit)) <= MOST_UNFIT * len(sides)]
        remedy = f"Ask for {fitting[-1]} px, or take them out." if fitting else "Take them out."
        raise UserError(where, what, remedy)
    return Proposal(size, tuple(picture.name for picture in unfit))


def largest_size(pictures: Sequence[Picture], wanted: int, fit: Fit) -> int | None:
    """The largest power of two, at most `wanted`, that every picture supports, if any."""
    fitting = [size for size in _powers(wanted) if not _unfit(pictures, size, fit)]
    return fitting[-1] if fitting else None


def _powers(wanted: int) -> list[int]:
    return [2**n for n in range(LEAST.bit_length() - 1, MOST.bit_length()) if 2**n <= wanted]


def _side(picture: Picture, fit: Fit) -> int:
    assert picture.size is not None
    return kept_side(*picture.size, None if fit == "pad" else 1.0)


def _unfit(pictures: Sequence[Picture], size: int, fit: Fit) -> list[Picture]:
    """Those that the import or `prepare` would refuse."""
    return [
        picture
        for picture in pictures
        if picture.size
        and (
            min(picture.size) < MIN_PIXELS
            or _side(picture, fit) < least_side(size)
            or (fit == "pad" and max(picture.size) > MAX_THINNESS * min(picture.size))
        )
    ]
