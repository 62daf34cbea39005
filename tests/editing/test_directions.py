"""AttributeDirections against latents whose attributes are known rules of them."""

import numpy as np
import pytest

from atelier.editing.directions import (
    LEAST_EXAMPLES,
    AttributeDirections,
    find_attribute_directions,
)

NAMES = ("Glasses", "Male", "Smiling")
WIDTH = 16


@pytest.fixture(scope="module")
def entangled() -> tuple[np.ndarray, np.ndarray]:
    """6,000 latents of different scales: glasses and men lie at 60 degrees, smiles by themselves.

    Labels are noisy, as a judge's are.
    """
    draw = np.random.default_rng(0)
    whitened = draw.standard_normal((6000, WIDTH)).astype(np.float32)
    normals = truth()
    margins = whitened @ normals.T + 0.3 * draw.standard_normal((6000, 3))
    labels = (margins > np.array([1.0, 0.2, 0.0])).astype(np.uint8)
    return whitened * scales() + 3.0, labels


def truth() -> np.ndarray:
    """[3, WIDTH], of length 1."""
    normals = np.zeros((3, WIDTH))
    normals[0, 0] = normals[2, 2] = 1.0
    normals[1, :2] = np.cos(np.pi / 3), np.sin(np.pi / 3)
    return normals


def scales() -> np.ndarray:
    return np.geomspace(0.1, 10.0, WIDTH).astype(np.float32)


def find(entangled: tuple[np.ndarray, np.ndarray], **options: object) -> AttributeDirections:
    return find_attribute_directions(*entangled, NAMES, **options)  # type: ignore[arg-type]


def test_a_fully_conditioned_direction_leaves_the_other_normals_alone(
    entangled: tuple[np.ndarray, np.ndarray],
) -> None:
    steps = find(entangled, conditioning=0.0).vectors / scales()
    changes = steps @ truth().T
    assert np.abs(changes - np.diag(np.diag(changes))).max() < 0.06
    assert changes[0, 0] == pytest.approx(np.sin(np.pi / 3), abs=0.02)


def test_conditioning_is_a_matter_of_degree(entangled: tuple[np.ndarray, np.ndarray]) -> None:
    """Without it, men change by half as much as glasses; each degree takes some of it away."""
    leaks = []
    for conditioning in (100.0, 1.0, 0.5, 0.0):
        step = find(entangled, conditioning=conditioning).vectors[0] / scales()
        leaks.append(float(step @ truth()[1]))
    assert leaks[0] > 0.4
    assert leaks == sorted(leaks, reverse=True)


def test_a_step_is_one_standard_deviation_along_it(
    entangled: tuple[np.ndarray, np.ndarray],
) -> None:
    latents, _ = entangled
    inverse = np.linalg.inv(np.cov(latents.T))
    for step in find(entangled).vectors:
        # The place of each latent on the line, in the latents' own metric.
        places = (latents - latents.mean(axis=0)) @ inverse @ step
        assert places.std() == pytest.approx(1.0, rel=0.01)
        assert step @ inverse @ step == pytest.approx(1.0, rel=0.01)


def test_distances_lead_from_those_who_lack_it_to_those_who_have_it() -> None:
    """Two groups, 3 apart along one axis and independent of a second attribute."""
    draw = np.random.default_rng(1)
    labels = (draw.random((4000, 2)) < 0.5).astype(np.uint8)
    latents = draw.standard_normal((4000, 4)).astype(np.float32)
    latents[:, 0] += 3.0 * labels[:, 0]
    latents[:, 1] += 2.0 * labels[:, 1]
    found = find_attribute_directions(latents, labels, ("a", "b"))
    for row, apart in enumerate((3.0, 2.0)):
        moved = found.distances[row] * found.vectors[row]
        np.testing.assert_allclose(moved[row], apart, rtol=0.05)
        assert np.abs(np.delete(moved, row)).max() < 0.15
    assert found.words()["a"] == {"share": found.shares[0], "distance": found.distances[0]}


def test_a_rare_attribute_is_left_out_with_its_counts(
    entangled: tuple[np.ndarray, np.ndarray],
) -> None:
    latents, labels = entangled
    labels = labels.copy()
    labels[:, 2] = 0
    labels[: LEAST_EXAMPLES - 1, 2] = 1
    found = find_attribute_directions(latents, labels, NAMES)
    assert found.names == ("Glasses", "Male")
    assert found.left_out == {"Smiling": "199 positives and 5801 negatives; needs 200 of each"}
    alone = find_attribute_directions(latents, labels[:, :2], NAMES[:2])
    np.testing.assert_allclose(found.vectors, alone.vectors, atol=1e-6)
    # What conditions the others moves them by far more.
    assert np.abs(find(entangled).vectors[:2] - alone.vectors).max() > 1e-3


def test_a_label_that_the_latents_do_not_tell_is_left_out(
    entangled: tuple[np.ndarray, np.ndarray],
) -> None:
    latents, labels = entangled
    chance = np.random.default_rng(2).integers(0, 2, (len(labels), 1), np.uint8)
    found = find_attribute_directions(latents, np.hstack([labels, chance]), (*NAMES, "Coin"))
    assert found.names == NAMES
    assert found.left_out["Coin"].startswith("the latents hardly tell it: they explain 0.")


def test_two_names_of_one_thing_do_not_hold_each_other_still(
    entangled: tuple[np.ndarray, np.ndarray],
) -> None:
    latents, labels = entangled
    doubled = np.hstack([labels, 1 - labels[:, 1:2]])
    found = find_attribute_directions(latents, doubled, (*NAMES, "Female"))
    alone = find_attribute_directions(latents, labels, NAMES)
    np.testing.assert_allclose(found.vectors[1], alone.vectors[1], atol=1e-4)
    np.testing.assert_allclose(found.vectors[3], -found.vectors[1], atol=1e-4)


def test_constant_latent_numbers_and_no_attribute_at_all() -> None:
    draw = np.random.default_rng(3)
    latents = draw.standard_normal((2000, 4)).astype(np.float32)
    latents[:, 3] = 5.0
    labels = (latents[:, :1] > 0).astype(np.uint8)
    found = find_attribute_directions(latents, labels, ("a",))
    assert np.isfinite(found.vectors).all()
    assert abs(found.vectors[0, 3]) < 1e-5
    nothing = find_attribute_directions(latents, np.zeros_like(labels), ("a",))
    assert nothing.vectors.shape == (0, 4)
    assert nothing.names == ()
