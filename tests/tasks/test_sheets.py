"""The sheets that scoring leaves: which there are, and what stands where."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import nn

from atelier.data.sheet import GAP
from atelier.evaluation.features import Images
from atelier.evaluation.reference import ReferenceSet
from atelier.tasks import pictures, translation

SIDE = 8


class Means:
    """A picture's mean grey, a channel each."""

    name = "judge"

    def __call__(self, images: Images) -> np.ndarray:
        return images.mean(axis=(2, 3)).astype(np.float32)

    of_reals = __call__


def grey(*levels: int) -> Images:
    """A flat picture of each level."""
    found = np.array(levels, np.uint8)[:, None, None, None]
    return np.broadcast_to(found, (len(levels), 3, SIDE, SIDE)).copy()


def levels_on(path: Path, columns: int) -> list[list[int]]:
    """The grey in the middle of each picture of a sheet, row by row."""
    seen = np.asarray(Image.open(path).convert("L"))[GAP + SIDE // 2 :: SIDE + GAP]
    return seen[:, GAP + SIDE // 2 :: SIDE + GAP][:, :columns].tolist()


@pytest.fixture
def reference() -> ReferenceSet:
    reals, means = grey(*range(100, 140)), Means()
    extractors: Any = {"judge": means, "witness": means}
    of_reals = {name: means(reals) for name in extractors}
    return ReferenceSet("test", {}, grey(*range(60, 100)), reals, extractors, of_reals)


def test_samples_leave_the_worst_and_those_nearest_to_training(
    reference: ReferenceSet, tmp_path: Path
) -> None:
    context: Any = SimpleNamespace(reference=reference)
    made = reference.features(grey(120, 250, 80, 110))
    found = pictures.score_memorisation(made, context, tmp_path)
    pictures.show_worst(made, context, tmp_path)
    assert found["copied"]["share"] <= 1
    assert levels_on(tmp_path / "nearest.png", 4) == [[80, 110, 120, 250], [80, 99, 99, 99]]
    assert levels_on(tmp_path / "worst.png", 4)[0][:2] == [250, 80]


def test_edits_leave_a_row_before_and_one_after_each(
    reference: ReferenceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle: Any = SimpleNamespace(
        decode=lambda rows: grey(*(100 + 10 * rows[:, 0]).astype(int)).transpose(0, 2, 3, 1),
        directions=("Male", "Bangs"),
        arrays={"directions": np.array([[1.0], [-1.0]], np.float32)},
    )
    words = {"labels": ["Male", "Bangs"], "used_labels": ["Male", "Bangs"]}
    context: Any = SimpleNamespace(
        judge=nn.Flatten(), judge_words=words, trusted_labels=[], reference=reference
    )
    monkeypatch.setattr(pictures, "evaluate_edits", lambda *_, **__: {"median_step": 2.0})
    pictures.score_edits(bundle, np.arange(3, dtype=np.float32)[:, None], context, tmp_path)
    before, bangs, male = levels_on(tmp_path / "edits.png", 3)
    assert (before, bangs, male) == ([100, 110, 120], [80, 90, 100], [120, 130, 140])


def test_translations_show_the_worst_of_each_direction_below_their_inputs(
    reference: ReferenceSet,
) -> None:
    of = SimpleNamespace(inputs=grey(1, 2, 3), target=reference)
    directions: Any = SimpleNamespace(of={"A2B": of, "B2A": of})
    outputs = {"A2B": grey(120, 10, 200), "B2A": grey(255, 121, 90)}
    rows, columns = translation._worst(directions, outputs)
    assert columns == 3
    shown = rows[:, 0, 0, 0].reshape(4, 3).tolist()
    assert shown == [[2, 3, 1], [10, 200, 120], [1, 3, 2], [255, 90, 121]]
