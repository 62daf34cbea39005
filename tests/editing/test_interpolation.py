"""BothDirections between latents: ends exact, arcs on the sphere, tables in order."""

import numpy as np
import pytest

from atelier.editing.interpolation import along, lerp, slerp, table


@pytest.fixture
def stops() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((3, 64)).astype(np.float32)


def test_an_arc_keeps_to_the_shell_and_a_line_does_not(stops: np.ndarray) -> None:
    ends = np.linalg.norm(stops[:2], axis=1)
    arc = np.linalg.norm(slerp(stops[0], stops[1], 9), axis=1)
    np.testing.assert_allclose(arc, np.linspace(*ends, 9), rtol=1e-5)
    line = np.linalg.norm(lerp(stops[0], stops[1], 9), axis=1)
    assert line[4] < 0.8 * min(ends)


def test_an_arc_turns_evenly_and_ends_where_it_should(stops: np.ndarray) -> None:
    path = slerp(stops[0], stops[1], 5)
    np.testing.assert_allclose(path[[0, -1]], stops[:2], rtol=1e-5, atol=1e-6)
    units = path / np.linalg.norm(path, axis=1, keepdims=True)
    turns = np.arccos((units[1:] * units[:-1]).sum(axis=1))
    np.testing.assert_allclose(turns, turns[0], rtol=1e-3)


@pytest.mark.parametrize("end", [np.array([2.0, 0.0]), np.array([-1.0, 0.0]), np.zeros(2)])
def test_where_there_is_no_arc_the_line_serves(end: np.ndarray) -> None:
    start = np.array([1.0, 0.0], np.float32)
    path = slerp(start, end.astype(np.float32), 3)
    np.testing.assert_allclose(path[1], (start + end) / 2)


def test_a_way_through_three_stops_names_each_once(stops: np.ndarray) -> None:
    for straight in (True, False):
        path = along(list(stops), 4, straight)
        assert path.shape == (7, 64)
        np.testing.assert_allclose(path[[0, 3, 6]], stops, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"steps: two or more \(got 1\)"):
        along(list(stops), 1, straight=True)


def test_a_table_goes_across_by_one_and_down_by_the_other() -> None:
    base, across, down = np.zeros(2), np.array([1.0, 0.0]), np.array([0.0, 1.0])
    made = table(base, across, down, columns=[-1.0, 0.0, 1.0], rows=[0.0, 2.0])
    assert made.shape == (2, 3, 2)
    np.testing.assert_array_equal(made[1, 0], [-1.0, 2.0])
    np.testing.assert_array_equal(made[0, 2], [1.0, 0.0])
