"""Edits judged: pictures whose verdicts are known functions of the latent."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from atelier.errors import UserError
from atelier.evaluation import editing
from atelier.evaluation.editing import changed_verdicts, evaluate_edits
from atelier.evaluation.features import Images, JudgeFeatures, in_batches
from atelier.evaluation.reference import ReferenceSet

LABELS = ("Eyeglasses", "Male", "Smiling")
BANDS = 4
"""Rows of a picture are bright as far as a latent number says so: one number, one band."""


def decode(latents: np.ndarray) -> Images:
    """[N, 4] -> uint8 [N, 3, 16, 16]: band k is 128 + 16 times number k."""
    levels = np.clip(128 + 16 * np.asarray(latents), 0, 255).astype(np.uint8)
    return np.broadcast_to(
        np.repeat(levels, 16 // BANDS, axis=1)[:, None, :, None], (len(levels), 3, 16, 16)
    ).copy()


class Exact(nn.Module):
    """Says what the bands say: glasses from 1.5 on, men from 0, smiles from 0."""

    def features(self, images: Tensor) -> Tensor:
        bands = images[:, 0].unflatten(1, (BANDS, -1)).mean((2, 3)) * 127.5 / 16
        return bands

    def forward(self, images: Tensor) -> Tensor:
        return 2.0 * (self.features(images)[:, :3] - torch.tensor([1.5, 0.0, 0.0]))


@pytest.fixture(scope="module")
def reference() -> ReferenceSet:
    draw = np.random.default_rng(0)
    training, reals = decode(draw.standard_normal((500, 4)) * 1.5), decode(
        draw.standard_normal((300, 4)) * 1.5
    )  # fmt: skip
    extract = JudgeFeatures(Exact(), training)  # type: ignore[arg-type]
    return ReferenceSet("test", {}, training, reals, {"judge": extract}, {"judge": extract(reals)})


def judged(reference: ReferenceSet, direction: list[float], **options: Any) -> dict[str, Any]:
    latents = np.random.default_rng(1).standard_normal((200, 4)).astype(np.float32)
    making, judge = options.pop("decode", decode), Exact()
    return evaluate_edits(
        making, latents, np.array(direction, np.float32), judge,  # type: ignore[arg-type]
        LABELS, reference, unedited=in_batches(judge, making(latents)), target="Eyeglasses",
        others=LABELS, **options,
    )  # fmt: skip


def test_a_pure_direction_flips_and_changes_nothing_else(reference: ReferenceSet) -> None:
    found = judged(reference, [1, 0, 0, 0])
    # 3 steps are enough for all from -1.5 on: 93 of 100 of a normal number below 1.5.
    assert found["flipped_in_range"] == pytest.approx(0.93, abs=0.04)
    assert found["changed"] == {"Male": 0.0, "Smiling": 0.0}
    assert found["median_step"] == pytest.approx(1.65, abs=0.25)
    assert found["settings"]["samples"] < 200


def test_what_goes_with_it_is_counted_apart(reference: ReferenceSet) -> None:
    found = judged(reference, [0.8, 0.6, 0, 0])
    assert found["changed"]["Male"] > 0.25
    assert found["changed"]["Smiling"] == 0.0
    assert found["most_changed"] == found["changed"]["Male"]


def test_a_direction_that_brings_nothing(reference: ReferenceSet) -> None:
    found = judged(reference, [0, 0, 0, 1])
    assert found["flipped_in_range"] == found["flipped_out_of_range"] == 0.0
    assert found["median_step"] == 3.0


def test_a_flip_into_mush_does_not_count(reference: ReferenceSet) -> None:
    """The fourth band leaves what training showed, and the verdict means nothing there."""
    found = judged(reference, [1, 0, 0, 8])
    assert found["flipped_in_range"] < 0.1
    assert found["flipped_out_of_range"] > 0.8


def test_the_smallest_step_is_taken(reference: ReferenceSet) -> None:
    """A picture that would flip and flip back at larger steps has flipped."""

    def briefly(latents: np.ndarray) -> Images:
        wrapped = latents.copy()
        wrapped[wrapped[:, 0] > 1.9, 0] = 0.0
        return decode(wrapped)

    found = judged(reference, [1, 0, 0, 0], decode=briefly)
    assert found["flipped_in_range"] > 0.8


def test_the_margin_forgives_who_was_undecided() -> None:
    before = np.array([[0.1], [0.1], [-3.0], [2.0]], np.float32)
    after = np.array([[-0.1], [-1.5], [-2.0], [1.0]], np.float32)
    assert changed_verdicts(before, after).tolist() == [0.25]
    assert changed_verdicts(before[:0], after[:0]).tolist() == [0.0]


def test_too_few_lack_it(reference: ReferenceSet) -> None:
    def with_glasses(latents: np.ndarray) -> Images:
        return decode(latents + np.array([4.0, 0, 0, 0]))

    with pytest.raises(UserError, match=r"editing: Eyeglasses: \d of 200 pictures lack it, 20 are"):
        judged(reference, [1, 0, 0, 0], decode=with_glasses)


def test_several_steps_of_few_latents_are_one_batch(
    reference: ReferenceSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that is not full takes as long as one that is; what is found is the same."""
    batches: list[int] = []

    def counted(latents: np.ndarray) -> Images:
        batches.append(len(latents))
        return decode(latents)

    together = judged(reference, [1, 0, 0, 0], decode=counted)
    few, most = len(batches), max(batches[2:])
    assert most <= max(batches[1], editing.TOGETHER)
    batches.clear()
    monkeypatch.setattr(editing, "TOGETHER", 1)
    assert judged(reference, [1, 0, 0, 0], decode=counted) == together
    assert 0.5 < together["flipped_in_range"] < 1
    assert few < len(batches)
