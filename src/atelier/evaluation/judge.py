"""The judge is judged: how well it tells each label on images that it never saw."""

import numpy as np
import numpy.typing as npt

FLOOR_DRAWN = 0.95
FLOOR_REAL = 0.80
LEAST_EXAMPLES = 20
"""Positives and negatives that a label needs in the split, else nothing is said about it."""

Labels = npt.NDArray[np.uint8]
Logits = npt.NDArray[np.float32]


def floor(drawn: bool) -> float:
    """Balanced accuracy from which figures that rest on a label can be trusted."""
    return FLOOR_DRAWN if drawn else FLOOR_REAL


def balanced_accuracy(logits: Logits, labels: Labels) -> float:
    """Mean of the shares of positives and of negatives that are told right, [N] and [N]."""
    said, true = logits > 0, labels > 0
    return float((said[true].mean() + (~said[~true]).mean()) / 2)


def judge_table(logits: Logits, labels: Labels, names: tuple[str, ...]) -> list[dict[str, object]]:
    """A row for each label: counts, and the balanced accuracy or "" where it is not judged."""
    rows: list[dict[str, object]] = []
    for column, name in enumerate(names):
        positives = int((labels[:, column] > 0).sum())
        negatives = len(labels) - positives
        judged = min(positives, negatives) >= LEAST_EXAMPLES
        score = balanced_accuracy(logits[:, column], labels[:, column]) if judged else ""
        rows.append(
            {
                "label": name,
                "positives": positives,
                "negatives": negatives,
                "balanced_accuracy": score,
            }
        )
    return rows


def judge_report(
    logits: Logits, labels: Labels, names: tuple[str, ...], used: tuple[str, ...], drawn: bool
) -> dict[str, object]:
    """What is known about a judge after a split, [N, K] logits and labels.

    Args:
        used: the labels on which figures rest. One that is not judged is not trusted either.
    """
    rows = {str(row["label"]): row for row in judge_table(logits, labels, names)}
    scores = {
        name: row["balanced_accuracy"] for name, row in rows.items() if row["balanced_accuracy"]
    }
    least = floor(drawn)
    trusted = [name for name in used if float(str(scores.get(name, 0))) >= least]
    untrusted = [name for name in used if name not in trusted]
    return {
        "balanced_accuracy": scores,
        "not_judged": {
            name: f"{row['positives']} positives, {row['negatives']} negatives; "
            f"needs {LEAST_EXAMPLES} of each"
            for name, row in rows.items()
            if name not in scores
        },
        "floor": least,
        "trusted": not untrusted,
        "trusted_labels": trusted,
        "untrusted_labels": untrusted,
        "settings": {"samples": len(labels)},
    }
