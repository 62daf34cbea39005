"""The sets that papers compare: what was asked for, as many as there are reals, in one order."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests import prepared
from tests.toys import ATTRIBUTES

from atelier.bundle.bundle_model import Bundle, open_bundle
from atelier.config import load_experiment
from atelier.data.images import channels_last
from atelier.errors import UserError
from atelier.paths import Paths
from atelier.tasks import picture_sets
from atelier.tasks.context import Context
from atelier.tasks.picture_sets import Asked, Compared, PictureSet, compared_sets

ALL = Asked(count=50_000, seed=7)
TEST = prepared.COUNTS["test"]
Sets = tuple[Bundle, Context, Callable[[Asked], list[Compared]]]
Opened = Callable[[str, str], Sets]


@pytest.fixture
def opened(
    packed: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Opened:
    """(a toy, an experiment) -> its bundle, the test split, and the sets of both."""

    def open_both(toy: str, experiment: str, split: str = "test") -> Sets:
        context = Context(load_experiment("tiny", experiment), Paths("tiny"), split)
        prepared.lay_out(tmp_path)
        monkeypatch.chdir(tmp_path)
        bundle = open_bundle(packed(toy))
        return bundle, context, lambda asked: compared_sets(bundle, context, asked)

    return open_both


def all_of(pictures: PictureSet) -> np.ndarray:
    """uint8 [N, S, S, 3], as bundles make them."""
    found = channels_last(np.concatenate(list(pictures.blocks())))
    assert len(found) == pictures.count
    return found


def test_as_many_samples_as_real_pictures(opened: Opened) -> None:
    bundle, context, sets = opened("unconditional", "faces-gan")
    (pair,) = sets(ALL)
    assert (pair.made.name, pair.reals.name) == ("samples", "reals")
    np.testing.assert_array_equal(all_of(pair.made), bundle.sample(TEST, seed=7))
    np.testing.assert_array_equal(all_of(pair.reals), channels_last(context.images()[:]))
    np.testing.assert_array_equal(all_of(pair.made), all_of(pair.made))


def test_fewer_are_spread_over_the_whole_split(opened: Opened) -> None:
    _, context, sets = opened("unconditional", "faces-gan")
    (pair,) = sets(Asked(count=10, seed=7))
    assert (pair.made.count, pair.reals.count) == (10, 10)
    ends = channels_last(np.array(context.images()[[0, -1]]))
    np.testing.assert_array_equal(all_of(pair.reals)[[0, -1]], ends)


def test_what_one_seed_cannot_make_comes_from_the_next(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_sets, "FROM_ONE_SEED", 20)
    bundle, _, sets = opened("unconditional", "faces-gan")
    made = all_of(sets(ALL)[0].made)
    np.testing.assert_array_equal(made[:20], bundle.sample(20, seed=7))
    np.testing.assert_array_equal(made[20:], bundle.sample(TEST - 20, seed=8))


def test_a_conditional_one_is_asked_for_what_the_reals_have(opened: Opened) -> None:
    bundle, context, sets = opened("conditional", "faces-cgan")
    labels = context.labels()[:, [prepared.LABELS.index(name) for name in ATTRIBUTES]]
    (pair,) = sets(ALL)
    np.testing.assert_array_equal(all_of(pair.made), bundle.sample(TEST, 7, attributes=labels))
    (few,) = sets(Asked(count=10, seed=7))
    spread = np.linspace(0, TEST - 1, 10).round().astype(int)
    expected = bundle.sample(10, 7, attributes=labels[spread])
    np.testing.assert_array_equal(all_of(few.made), expected)


def test_translations_are_held_to_the_domain_they_should_be_in(opened: Opened) -> None:
    bundle, context, sets = opened("translation", "black2blond")
    black, blond = (
        channels_last(np.array(context.images()[context.labels()[:, column] == 1]))
        for column in (1, 2)
    )
    there, back = sets(ALL)
    assert [pair.made.name for pair in (there, back)] == ["A2B", "B2A"]
    assert [pair.reals.name for pair in (there, back)] == ["B", "A"]
    np.testing.assert_array_equal(all_of(there.made), bundle.translate(black, "A2B"))
    np.testing.assert_array_equal(all_of(there.reals), blond)
    np.testing.assert_array_equal(all_of(back.made), bundle.translate(blond, "B2A"))
    np.testing.assert_array_equal(all_of(back.reals), black)


def test_an_autoencoder_is_held_to_what_it_was_given(opened: Opened) -> None:
    bundle, context, sets = opened("autoencoder", "faces-ae")
    (pair,) = sets(ALL)
    assert pair.made.name == "reconstructions"
    expected = bundle.reconstruct(channels_last(context.images()[:]))
    np.testing.assert_array_equal(all_of(pair.made), expected)


def test_a_variational_one_has_samples_too_of_each_sampler(opened: Opened) -> None:
    bundle, _, sets = opened("vae", "faces-vae")
    pairs = sets(ALL)
    assert [pair.made.name for pair in pairs] == ["reconstructions", "normal", "mixture"]
    assert len({pair.reals for pair in pairs}) == 1
    expected = bundle.sample(TEST, seed=7, sampler="mixture")
    np.testing.assert_array_equal(all_of(pairs[2].made), expected)


def test_numbers_are_no_pictures(opened: Opened) -> None:
    _, _, sets = opened("numbers", "numbers")
    with pytest.raises(UserError, match=r"numbers: papers compare nothing of its kind \(its"):
        sets(ALL)
