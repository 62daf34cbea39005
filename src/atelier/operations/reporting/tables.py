"""All figures of metrics.json as tables, found by what keys end with: a new one needs no line here.

docs/judging.md has what each key means; here stand the shortest words for the most of them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from atelier.evaluation.keys import (
    ALL_ZERO_SHARE,
    CEILING,
    DOES_NOTHING,
    EDITING,
    ENTROPY_SHARE,
    FOLLOWS_INPUT,
    INSIDE,
    KID,
    LEFT_OUT,
    MINIMUM,
    MULTIPLES_SHARE,
    OUT_OF_RANGE,
    OUTSIDE,
    PSNR_DB,
    SETTINGS,
    TWIN,
    VALUES_COVERED,
    distance_to,
    error_of,
    of_components,
)
from atelier.evaluation.scale import WRONG
from atelier.operations.reporting.distances import WORDS, is_distances
from atelier.operations.reporting.figures import Figure, Metrics, figure

BESIDE = {
    **{f"_{name}": WORDS[name] for name in (CEILING, *WRONG)},
    of_components(""): "principal components",
    "_of_reals": "real pictures",
    "_of_twin": "true twins",
}
"""Ends of keys whose figure belongs beside another's, and what it is of."""
MEANINGS = {
    KID: "distance to the test images, squared; lower is better",
    "fd": "Fréchet distance to the test images; lower is better",
    "precision": "share of pictures that lie among real ones",
    "recall": "share of real ones that lie among the pictures",
    "density": "real neighbourhoods a picture lies in, over those expected",
    "coverage": "share of real ones with a picture near by",
    "diversity_share": "distance of two pictures, over that of two real ones",
    "collapsed": "whether its pictures are all alike",
    "nearer_to_training": "share nearer to training images than to held-out ones; chance is 0.5",
    "copied/share": "share nearer to a training image than 99 in 100 held-out ones; chance is 0.01",
    MINIMUM: "the least of them",
    OUT_OF_RANGE: "share on which the judge's word does not count",
    "verdict": "share of outputs in range that the judge takes for the target",
    "flipped": "the same of all outputs",
    FOLLOWS_INPUT: "share of other inputs that resemble an output less; chance is 0.5",
    "cycle_l1": "what there and back again leaves of a difference; lower is better",
    DOES_NOTHING: "whether outputs are but the inputs",
    INSIDE: "how much nearer to the true twin; 1 is the twin, 0 the untouched input",
    OUTSIDE: "change of what should stay; lower is better",
    PSNR_DB: "likeness of what comes back, in dB; higher is better",
    "ssim": "likeness in structure, 0 to 1; higher is better",
    "mse": "squared error; lower is better",
    "bits_per_dimension": "bound on what a picture costs; lower is better",
    MULTIPLES_SHARE: "share of draws that follow the pattern",
    VALUES_COVERED: "of the 20 numbers",
    ENTROPY_SHARE: "how evenly, as a share of the most there can be",
    ALL_ZERO_SHARE: "share of rows that mean no number; lower is better",
    "stopping_score": "what the gate compares; lower is better",
}
"""What a key's last words say to a newcomer; docs/judging.md has all of them."""
TABLES_OF_THEIR_OWN = (SETTINGS, LEFT_OUT, EDITING)


@dataclass(frozen=True)
class Row:
    """A figure, what stands beside it, and what it means."""

    name: str
    figure: Figure
    beside: tuple[tuple[str, Figure], ...] = ()

    @property
    def meaning(self) -> str:
        parts = self.name.split("/")
        endings = ("/".join(parts[at:]) for at in range(len(parts)))
        return next((MEANINGS[one] for one in endings if one in MEANINGS), "")


@dataclass(frozen=True)
class Table:
    """Figures that belong together."""

    title: str
    rows: tuple[Row, ...]

    @property
    def has_beside(self) -> bool:
        return any(row.beside for row in self.rows)


def tables(metrics: Metrics) -> list[Table]:
    """All figures, each in one row; settings, edits and what is left out stand elsewhere."""
    found = []
    loose = {key: value for key, value in metrics.items() if not isinstance(value, Mapping)}
    for key, group in metrics.items():
        if not isinstance(group, Mapping) or key in TABLES_OF_THEIR_OWN:
            continue
        apart = [name for name, inner in group.items() if name == TWIN or is_distances(inner)]
        rest = {name: value for name, value in group.items() if name not in apart}
        found += [_table(metrics, (key,), rest)]
        found += [_table(metrics, (key, name), group[name]) for name in apart]
    found.append(_table(metrics, (), loose))
    return [table for table in found if table.rows]


EDITS = {
    "flipped_in_range": "gets it, in range",
    "flipped_out_of_range": "gets it, out of range",
    "median_step": "after a step of",
    "most_changed": "most that another changes",
}
"""What says how an attribute's direction does, and its column's name."""


@dataclass(frozen=True)
class Edit:
    """What the direction of an attribute does, or why nobody knows."""

    attribute: str
    figures: tuple[Figure | None, ...]
    """Those of EDITS, in their order."""
    why_none: str


def edits(metrics: Metrics) -> list[Edit]:
    """One for each attribute that has a direction."""
    of = metrics.get(EDITING)
    found = []
    for attribute, inner in of.items() if isinstance(of, Mapping) else ():
        if attribute == LEFT_OUT:
            found.append(Edit("every attribute", (), str(inner)))
            continue
        row = tuple(figure(metrics, (EDITING, attribute, name)) for name in EDITS)
        why = inner.get(LEFT_OUT, "") if isinstance(inner, Mapping) else inner
        found.append(Edit(attribute, row, "" if any(row) else f"{why or 'not kept'}"))
    return found


def _table(metrics: Metrics, path: tuple[str, ...], group: Metrics) -> Table:
    leaves = {"/".join(leaf): leaf for leaf in _leaves(group)}
    parents = {leaf[:-1] for leaf in leaves.values() if leaf[-1] not in ("low", "high")}
    hidden = {
        name
        for name, leaf in leaves.items()
        if name.endswith(error_of(""))
        or SETTINGS in leaf
        or (leaf[-1] in ("low", "high") and leaf[:-1] in parents)
    }
    named = {name: leaf for name, leaf in leaves.items() if name not in hidden}
    beside: dict[str, list[tuple[str, Figure]]] = {}
    placed = set()
    for name, leaf in named.items():
        for ending, words in BESIDE.items():
            one = figure(metrics, (*path, *leaf))
            if name.endswith(ending) and one and (held := _held_to(name, ending, named)):
                placed.add(name)
                for target in held:
                    beside.setdefault(target, []).append((words, one))
    rows = [
        Row(name, one, tuple(beside.get(name, ())))
        for name, leaf in named.items()
        if name not in placed and (one := figure(metrics, (*path, *leaf)))
    ]
    return Table(", ".join(path) or "as a whole", tuple(rows))


def _held_to(name: str, ending: str, named: Mapping[str, Any]) -> list[str]:
    """The figures that one stands beside: `kid` of `kid_ceiling`, else `kid_mixture` and others."""
    base = name.removesuffix(ending)
    if base in named:
        return [base]
    others = (one for one in named if one.startswith(distance_to("", base)) and one != name)
    return [one for one in others if not one.endswith(tuple(BESIDE))]


def _leaves(group: Metrics, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in group.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*path, key))
        elif isinstance(value, int | float):
            yield (*path, key)
