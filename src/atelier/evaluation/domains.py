"""The two directions of a translation: what goes in, what should come out, and the judge's verdict.

A domain is a rule on attributes (data/sampling.py). What goes with the domain in the data, such as
men with black hair, is no fault of a translation that keeps it; distances between sets are
therefore taken of rows in which the balanced attributes are equally frequent on both sides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from atelier.data.batches import TRAINING, read_manifest
from atelier.data.sampling import Domains, Labels, columns, members
from atelier.errors import UserError
from atelier.evaluation.feature_cache import Place
from atelier.evaluation.features import HERE, Images, evenly, in_batches, of_reals
from atelier.evaluation.keys import IMAGENET, JUDGE
from atelier.evaluation.probe import Probe
from atelier.evaluation.range import Range
from atelier.evaluation.reference import ReferenceSet, open_extractors
from atelier.models.judge import Judge

A2B, B2A = "A2B", "B2A"
RANGE_REALS = 2000
"""Images of the split, of either domain or none, that say what the judge knows."""
Rows = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Direction:
    """One direction of a translation on one split."""

    source: Mapping[str, int]
    goal: Mapping[str, int]
    """The target domain's rule: what the judge should see."""
    rows: Rows
    """Of the split: the images that go in."""
    inputs: Images
    matched: Rows
    """Of the inputs: those that distances are taken of."""
    target: ReferenceSet
    """Held to the split's matched images of the target domain."""
    ceiling: Images
    """Training images of the target domain, matched, at most as many as inputs."""

    @property
    def matched_inputs(self) -> Images:
        return self.inputs[self.matched]


@dataclass(frozen=True)
class BothDirections:
    """Both directions and the judge, opened once for any number of translations."""

    of: dict[str, Direction]
    """By `A2B` and `B2A`."""
    judge: Judge
    judge_labels: tuple[str, ...]
    domains: Domains
    known: Range
    """Outputs outside of it have no verdict."""
    seed: int
    probe: Probe | None = None
    """Another's verdict; None where features that photographs taught are not asked."""

    def logits(self, images: Images) -> npt.NDArray[np.float32]:
        """The judge's answers, [N, labels]."""
        return in_batches(self.judge, images)

    def in_domain(self, images: Images, rule: Mapping[str, int]) -> Flags:
        """Which of them the judge takes for images of the domain, in range or not."""
        chosen = columns(self.judge_labels, list(rule))
        said = self.logits(images)[:, chosen] > 0
        found: Flags = (said == np.array(list(rule.values()), bool)).all(axis=1)
        return found

    def flipped(self, name: str, outputs: Images) -> float:
        """Share of a direction's outputs that the judge takes for the domain they should be in."""
        return float(self.in_domain(outputs, self.of[name].goal).mean())


def open_directions(
    prepared: Path,
    judge: Judge,
    judge_labels: Sequence[str],
    domains: Domains,
    split: str,
    seed: int,
    count: int | None = None,
    second: Judge | None = None,
    place: Place = HERE,
) -> BothDirections:
    """Both on one split, with at most `count` inputs each; opens no other split but training.

    Args:
        judge_labels: what the judge's logits say, in their order: all labels of the dataset.
        seed: of the choice of matched rows.
        second: a judge for a second opinion, in whose features distances are taken, too.
        place: where features are computed and kept.

    Raises:
        UserError: a domain, or what of it matches the other, has fewer than two images.
    """
    manifest = read_manifest(prepared)
    training: Images = np.load(prepared / TRAINING, mmap_mode="r")
    images: Images = np.load(prepared / f"{split}.npy", mmap_mode="r")
    extractors = open_extractors(judge, training, second, place)
    draw, names = np.random.default_rng(seed), tuple(manifest["labels"])
    here = _domain_rows(np.load(prepared / f"{split}_labels.npy"), names, domains, draw, count)
    there = _domain_rows(np.load(prepared / "training_labels.npy"), names, domains, draw, None)
    of = {}
    for name, source, goal in ((A2B, 0, 1), (B2A, 1, 0)):
        rows, matched = here[source]
        reals = images[here[goal][0][here[goal][1]]]
        likewise = evenly(there[goal][0][there[goal][1]], len(matched))
        features = of_reals(reals, extractors)
        of[name] = Direction(
            source=(domains.a, domains.b)[source],
            goal=(domains.a, domains.b)[goal],
            rows=rows,
            inputs=images[rows],
            matched=matched,
            target=ReferenceSet(split, manifest, training, reals, extractors, features),
            ceiling=training[likewise],
        )
    held_out = extractors[JUDGE].of_reals(evenly(images, RANGE_REALS))
    known = Range.fit(extractors[JUDGE].training, held_out)
    probe = Probe(extractors[IMAGENET], there[0][0], there[1][0], len(training))
    return BothDirections(of, judge, tuple(judge_labels), domains, known, seed, probe)


def matching(a: Labels, b: Labels, draw: np.random.Generator) -> tuple[Rows, Rows]:
    """Rows of both sets, [N, K] and [M, K], that have each combination equally often.

    Of each combination the same share of either set stays, which is the smaller of its two; which
    rows those are is drawn. Nothing is repeated: copies would look like a distance.
    """
    if a.shape[1] == 0:
        return np.arange(len(a)), np.arange(len(b))
    combinations, inverse = np.unique(np.concatenate([a, b]), axis=0, return_inverse=True)
    of_a, of_b = inverse.reshape(-1)[: len(a)], inverse.reshape(-1)[len(a) :]
    kept: tuple[list[Rows], list[Rows]] = ([], [])
    for combination in range(len(combinations)):
        found = [np.flatnonzero(of == combination) for of in (of_a, of_b)]
        share = min(len(found[0]) / len(a), len(found[1]) / len(b))
        for rows, stay, size in zip(found, kept, (len(a), len(b)), strict=True):
            stay.append(draw.permutation(rows)[: round(share * size)])
    first, second = (np.sort(np.concatenate(rows)) for rows in kept)
    return first, second


def _domain_rows(
    labels: Labels,
    names: Sequence[str],
    domains: Domains,
    draw: np.random.Generator,
    count: int | None,
) -> list[tuple[Rows, Rows]]:
    """Of A and of B: rows of the split, and which of these rows match the other domain's."""
    rows = [members(labels, names, rule) for rule in (domains.a, domains.b)]
    if count is not None:
        rows = [evenly(found, count) for found in rows]
    balance = columns(names, domains.balance)
    kept = matching(labels[rows[0]][:, balance], labels[rows[1]][:, balance], draw)
    if min(map(len, kept)) < 2:
        what = f"too few images match the other domain's (got {len(kept[0])} and {len(kept[1])})"
        raise UserError("sampling.balance", what, "Balance fewer attributes.")
    return list(zip(rows, kept, strict=True))
