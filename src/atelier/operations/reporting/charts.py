"""Charts as inline SVG: small functions that need no script, and take their colours from the page.

Each is drawn for a narrow column, so that its words stay legible on a phone.
"""

import math
from collections.abc import Sequence

from markupsafe import Markup

from atelier.operations.reporting.distances import Distance, Mark
from atelier.operations.reporting.figures import shown

WIDTH = 360
"""Of a chart, in its own units; the page makes it no wider than twice that."""
SMALL = 200
"""Width of a curve."""
ROW = 26
LABELS, VALUES = 116, 278
"""Where the plot begins and ends: to its left stand names, to its right values."""
ZERO = 20
"""Width of the zone of what can't be told from zero."""
MOST_POINTS = 200
"""Of a curve; more are thinned, the first and the last stay."""
STEEP = 30.0
"""A curve that spans a larger factor is drawn on a logarithmic axis."""


def _svg(width: float, height: float, label: str, body: Markup, kind: str) -> Markup:
    opening = Markup(
        '<svg class="chart {}" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}">'
    ).format(kind, width, height, label)
    return opening + body + Markup("</svg>")


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" class="{}" text-anchor="{}">{}</text>').format(
        x, y, kind, anchor, words
    )


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup(
        '<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" class="{}"/>'
    ).format(x1, y1, x2, y2, kind)  # fmt: skip


def _dot(x: float, y: float, kind: str) -> Markup:
    return Markup('<circle cx="{:.1f}" cy="{:.1f}" r="5" class="{}"/>').format(x, y, kind)


def track(
    value: float, low: float | None, high: float | None, ceiling: float | None, label: str
) -> Markup:
    """A dot with its interval between 0 and 1; what lies beyond is drawn at the end, as an arrow.

    Args:
        ceiling: what real pictures get, a tick.
    """
    left, right, middle = 14.0, WIDTH - 14.0, 14.0

    def at(share: float) -> float:
        return left + max(0.0, min(1.0, share)) * (right - left)

    body = _line(left, middle, right, middle, "axis")
    for end in (0.0, 0.5, 1.0):
        body += _line(at(end), middle - 5, at(end), middle + 5, "axis")
    if ceiling is not None:
        body += _line(at(ceiling), middle - 9, at(ceiling), middle + 9, "ceiling")
    if low is not None and high is not None:
        body += _line(at(low), middle, at(high), middle, "spread scored")
    if value < 0:
        points = f"{left - 9},{middle} {left},{middle - 6} {left},{middle + 6}"
        body += Markup('<polygon points="{}" class="scored"/>').format(points)
    else:
        body += _dot(at(value), middle, "scored")
    body += _text(left, 36, "0") + _text((left + right) / 2, 36, "0.5", anchor="middle")
    body += _text(right, 36, "1", anchor="end")
    return _svg(WIDTH, 40, label, body, "track")


def logarithmic(distance: Distance) -> Markup:
    """Every set of a distance as a dot with its interval of two standard errors.

    Below the smallest difference that as many training images leave, nothing can be told from
    zero: that is the zone at the left.
    """
    marks = distance.marks
    least, most = _bounds(marks)
    decades = math.log10(most / least)

    def at(value: float) -> float:
        if value <= least:
            return LABELS + ZERO / 2
        share = min(1.0, math.log10(value / least) / decades)
        return LABELS + ZERO + share * (VALUES - LABELS - ZERO)

    bottom = len(marks) * ROW + 6
    body = Markup('<rect x="{}" y="0" width="{}" height="{}" class="zero"/>').format(
        LABELS, ZERO, bottom
    )
    for tick in _ticks(least, most):
        body += _line(at(tick), 0, at(tick), bottom, "grid")
        body += _text(at(tick), bottom + 13, shown(tick, 1), anchor="middle")
    body += _text(LABELS + ZERO / 2, bottom + 13, "~0", anchor="middle")
    for number, mark in enumerate(marks):
        one, y = mark.figure, number * ROW + ROW / 2 + 3
        body += _text(LABELS - 6, y + 4, mark.words, "name", "end")
        if one.low is not None and one.high is not None:
            body += _line(at(one.low), y, at(one.high), y, f"spread {mark.kind}")
        body += _dot(at(one.value), y, mark.kind)
        body += _text(VALUES + 8, y + 4, one.shown)
    said = "; ".join(f"{mark.words} {mark.figure}" for mark in marks)
    return _svg(WIDTH, bottom + 18, f"{distance.title}, logarithmic: {said}", body, "distance")


def _bounds(marks: Sequence[Mark]) -> tuple[float, float]:
    """Where the axis begins and ends: from what noise leaves to the largest end of an interval."""
    most = max(mark.figure.high or mark.figure.value for mark in marks)
    noise = [mark.figure.spread for mark in marks if mark.kind == "ceiling" and mark.figure.spread]
    positive = [mark.figure.value for mark in marks if mark.figure.value > 0]
    least = noise[0] if noise else min(positive, default=1e-6) / 2
    most = max(most, 1e-9)
    return min(least, most / 10), most * 1.1


def _ticks(least: float, most: float) -> list[float]:
    """Powers of ten, or where there are few of them, also twice and five times those."""
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    for steps in ((1,), (1, 5), (1, 2, 5)):
        found = [step * 10.0**power for power in powers for step in steps]
        found = [tick for tick in found if least * 1.3 < tick < most]
        if len(found) >= 2:
            break
    return found[:: math.ceil(len(found) / 5)] if found else []


def curve(
    points: Sequence[tuple[float, float]],
    name: str,
    last: float | None = None,
    selected: float | None = None,
) -> Markup:
    """A figure over training images; a dashed line where the published weights were taken.

    Args:
        last: where the axis ends, so that curves of several phases stand above one another.
    """
    points = _thinned(points)
    values = [value for _, value in points]
    low, high = min(values), max(values)
    last = max(images for images, _ in points) if last is None else last
    steep = low > 0 and high / low > STEEP
    scale = math.log10 if steep else float
    bottom, top, left, right = 88.0, 22.0, 6.0, SMALL - 6.0
    span = scale(high) - scale(low) or 1.0

    def at(images: float, value: float) -> str:
        x = left + images / (last or 1.0) * (right - left)
        return f"{x:.1f},{bottom - (scale(value) - scale(low)) / span * (bottom - top):.1f}"

    body = _line(left, bottom, right, bottom, "axis")
    if selected is not None and 0 < selected <= last:
        taken = left + selected / last * (right - left)
        body += _line(taken, top, taken, bottom, "selected")
    path = " ".join(at(*point) for point in points)
    body += Markup('<polyline points="{}" class="curve"/>').format(path)
    if len(points) == 1:
        x, y = map(float, path.split(","))
        body += _dot(x, y, "scored")
    ends = f"{shown(values[0])} → {shown(values[-1])}"
    body += _text(left, 12, name, "name")
    body += _text(left, 104, ends) + _text(right, 104, _short(last), anchor="end")
    axis = ", logarithmic" if steep else ""
    said = f"{name}{axis}, over {last:,.0f} images: {ends}, {shown(low)} to {shown(high)}"
    return _svg(SMALL, 110, said, body, "small")


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    step = math.ceil(len(points) / MOST_POINTS)
    kept = list(points[::step])
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]


def _short(count: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g}{letter}"
    return f"{count:.0f}"


def bars(rows: Sequence[tuple[str, float]], title: str) -> Markup:
    """Horizontal bars that begin at zero; shares end at 1."""
    most = max(value for _, value in rows)
    # Shares of one whole are small; those of requests met go up to 1.
    end = 1.0 if 0.5 < most <= 1 else most
    height, left = 18, min(LABELS + 40, 12 + 7 * max(len(name) for name, _ in rows))
    body = Markup()
    for number, (name, value) in enumerate(rows):
        y = number * height
        length = max(0.0, value) / (end or 1.0) * (VALUES - left)
        body += _text(left - 6, y + 13, name, "name", "end")
        body += Markup('<rect x="{}" y="{}" width="{:.1f}" height="12" class="bar"/>').format(
            left, y + 3, length
        )
        body += _text(VALUES + 8, y + 13, shown(value))
    body += _line(left, 0, left, len(rows) * height, "axis")
    said = ", ".join(f"{name} {shown(value)}" for name, value in rows)
    return _svg(WIDTH, len(rows) * height + 4, f"{title}: {said}", body, "bars")
