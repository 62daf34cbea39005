"""The judge's own exam: validation chooses its snapshot, the test split says what it is worth."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from atelier import config
from atelier.data.batches import read_manifest
from atelier.display import say
from atelier.evaluation import report
from atelier.evaluation.features import in_batches
from atelier.evaluation.judge import (
    ACCURACY,
    CLASSIFIER,
    FLOOR,
    LABELS,
    MODEL,
    SIZE_PIXELS,
    TRUSTED_LABELS,
    UNTRUSTED,
    USED_LABELS,
    WORDS,
    balanced_accuracy,
    judge_report,
    judge_table,
    read_classifier,
)


def keep_best(
    folder: Path, work: config.Judge, prepared: Path, metrics: Path
) -> list[dict[str, object]]:
    """Turns a finished training of a judge into a judge: its best snapshot, examined.

    Validation chooses among the snapshots; the test split examines the chosen one. Returns how well
    it tells each label that the split can judge it by, as a table's rows.
    """
    manifest = read_manifest(prepared)
    names, drawn = tuple(manifest["labels"]), manifest["drawn"]
    size = manifest["size_pixels"]
    candidates = []
    for path in sorted((folder / "snapshots").iterdir()):
        classifier = read_classifier(work.model, size, len(names), path)
        logits, labels = _answers(classifier, prepared, "validation")
        scores = [balanced_accuracy(logits[:, c], labels[:, c]) for c in _judged(labels)]
        candidates.append((float(np.mean(scores)) if scores else 0.0, path, classifier))
    best, path, classifier = max(candidates, key=lambda candidate: candidate[0])
    logits, labels = _answers(classifier, prepared, "test")
    exam = judge_report(logits, labels, names, work.used_labels, drawn)
    say(
        f"judge: snapshot {path.stem}, validation {best:.4f}, untrusted: "
        f"{exam[UNTRUSTED] or 'none'}"
    )
    path.rename(folder / CLASSIFIER)
    for other in (folder / "snapshots").iterdir():
        other.unlink()
    (folder / "snapshots").rmdir()
    (folder / "samples").rmdir()
    described = {
        MODEL: work.model.model_dump(),
        LABELS: list(names),
        USED_LABELS: list(work.used_labels),
        TRUSTED_LABELS: trusted_labels(exam),
        SIZE_PIXELS: size,
        "selected_images": int(path.stem),
    }
    (folder / WORDS).write_text(json.dumps(described, indent=2) + "\n")
    report.write_metrics(metrics, exam)
    return [
        {"name": row["label"], "value": row[ACCURACY], **row}
        for row in judge_table(logits, labels, names)
        if row[ACCURACY] != ""
    ] or [{"name": "too few images to judge by", "value": 0.0}]


def trusted_labels(exam: dict[str, object]) -> list[str]:
    """All labels that it tells well enough for a figure to rest on, used ones or others."""
    scores, least = exam[ACCURACY], exam[FLOOR]
    assert isinstance(scores, dict)
    return [name for name, score in scores.items() if score >= least]


def _judged(labels: np.ndarray) -> list[int]:
    """Columns with both answers among the labels."""
    return [c for c in range(labels.shape[1]) if 0 < labels[:, c].sum() < len(labels)]


def _answers(classifier: nn.Module, prepared: Path, split: str) -> tuple[Any, Any]:
    images = np.load(prepared / f"{split}.npy", mmap_mode="r")
    return in_batches(classifier, images), np.load(prepared / f"{split}_labels.npy")
