"""The judge: opening it, and judging it by how well it tells each label on images it never saw."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.torch import load_file

from atelier.errors import UserError
from atelier.models import MODELS
from atelier.models.judge import Judge

CLASSIFIER = "classifier.safetensors"
WORDS = "judge.json"
"""What is said of it, beside its weights; alone where a dataset has no judge."""
LABELS, USED_LABELS, TRUSTED_LABELS = "labels", "used_labels", "trusted_labels"
"""In WORDS: those that it tells, in order; those that figures rest on; those told well enough."""
MODEL, SIZE_PIXELS = "model", "size_pixels"
"""In WORDS: how to build it."""

# Keys of its exam.
ACCURACY = "balanced_accuracy"
"""By label, and of a row of the table."""
FLOOR = "floor"
"""The least accuracy of a label on which figures may rest."""
UNTRUSTED = "untrusted_labels"
"""Used labels below it."""

FLOOR_DRAWN = 0.95
FLOOR_REAL = 0.80
LEAST_EXAMPLES = 20
"""Positives and negatives that a label needs in the split, else nothing is said about it."""

Labels = npt.NDArray[np.uint8]
Logits = npt.NDArray[np.float32]


def accuracy_floor(drawn: bool) -> float:
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
                ACCURACY: score,
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
    scores = {name: row[ACCURACY] for name, row in rows.items() if row[ACCURACY]}
    least = accuracy_floor(drawn)
    trusted = [name for name in used if float(str(scores.get(name, 0))) >= least]
    untrusted = [name for name in used if name not in trusted]
    return {
        ACCURACY: scores,
        "not_judged": {
            name: f"{row['positives']} positives, {row['negatives']} negatives; "
            f"needs {LEAST_EXAMPLES} of each"
            for name, row in rows.items()
            if name not in scores
        },
        FLOOR: least,
        "trusted": not untrusted,
        TRUSTED_LABELS: trusted,
        UNTRUSTED: untrusted,
        "settings": {"samples": len(labels)},
    }


def open_judge(folder: Path) -> Judge | None:
    """A judge of a dataset, as its stage left it; None where the dataset has none.

    Raises:
        UserError: the stage has not run.
    """
    if not (folder / WORDS).exists():
        remedy = f"Run: dvc repro {folder.name}@{folder.parent.name}"
        raise UserError(folder, "no judge here yet", remedy)
    described = json.loads((folder / WORDS).read_text())
    if not (folder / CLASSIFIER).exists():
        return None
    config = MODELS[described[MODEL]["name"]].config.model_validate(described[MODEL])
    size, labels = described[SIZE_PIXELS], len(described[LABELS])
    return read_classifier(config, size, labels, folder / CLASSIFIER)


def read_classifier(config: Any, size: int, labels: int, weights: Path) -> Judge:
    """Of an architecture's `Config`, in evaluation mode; `weights` as safetensors."""
    nets = MODELS[config.name].build(config, (3, size, size), labels)
    nets.load_state_dict(load_file(weights))
    judge = nets["classifier"].eval()
    assert isinstance(judge, Judge)
    return judge
