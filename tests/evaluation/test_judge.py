"""The judge's own figures, against scikit-learn and at their limits."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from atelier.evaluation.judge import balanced_accuracy, judge_report, judge_table

NAMES = ("Eyeglasses", "Smiling", "Bald")


def labels_and_logits() -> tuple[np.ndarray, np.ndarray]:
    """Eyeglasses: told right 19 times of 20; Smiling: by chance; Bald: 19 positives."""
    draw = np.random.default_rng(0)
    labels = (draw.random((1000, 3)) < [0.1, 0.5, 0]).astype(np.uint8)
    labels[:19, 2] = 1
    right = np.where(labels > 0, 1.0, -1.0)
    flipped = np.where(np.arange(1000) % 25 == 0, -1.0, 1.0)
    logits = right * np.stack([flipped, draw.standard_normal(1000), np.ones(1000)], 1)
    return labels, logits.astype(np.float32)


def test_balanced_accuracy_is_scikit_learns() -> None:
    labels, logits = labels_and_logits()
    for column in range(3):
        theirs = balanced_accuracy_score(labels[:, column], logits[:, column] > 0)
        assert balanced_accuracy(logits[:, column], labels[:, column]) == pytest.approx(theirs)


def test_a_label_with_few_examples_is_not_judged() -> None:
    labels, logits = labels_and_logits()
    assert judge_table(logits, labels, NAMES)[2] == {
        "label": "Bald",
        "positives": 19,
        "negatives": 981,
        "balanced_accuracy": "",
    }
    report = judge_report(logits, labels, NAMES, ("Eyeglasses", "Bald"), drawn=True)
    assert report["not_judged"] == {"Bald": "19 positives, 981 negatives; needs 20 of each"}
    assert report["untrusted_labels"] == ["Bald"]
    assert report["trusted"] is False


@pytest.mark.parametrize(("drawn", "floor"), [(True, 0.95), (False, 0.8)])
def test_only_used_labels_decide_whether_it_is_trusted(drawn: bool, floor: float) -> None:
    labels, logits = labels_and_logits()
    report = judge_report(logits, labels, NAMES, ("Eyeglasses",), drawn)
    assert report["floor"] == floor
    assert report["trusted"] is True
    assert report["trusted_labels"] == ["Eyeglasses"]
    assert judge_report(logits, labels, NAMES, NAMES[:2], drawn)["trusted"] is False
