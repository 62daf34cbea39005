"""Drawing primitives: distances, coverage, noise, blur and encoding, against closed forms."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from atelier.drawing.canvas import (
    Canvas,
    Plane,
    bezier,
    capsule,
    edge,
    ellipse,
    palette,
    rotation,
    smooth_union,
    smoothstep,
    stroke,
    superellipse,
    turned,
)
from atelier.drawing.texture import (
    blur,
    encode_jpeg,
    enlarge,
    grain,
    noise_at,
    noise_grid,
    to_uint8,
    value_noise,
)

X = np.arange(-40, 41, dtype=np.float32)[None, :]
Y = np.arange(-40, 41, dtype=np.float32)[:, None]


def at(plane: Plane, x: int, y: int) -> float:
    return float(plane[y + 40, x + 40])


def test_circle_distance_is_exact() -> None:
    exact = np.sqrt(X * X + Y * Y) - 12.0
    distance = ellipse(X, Y, 12.0, 12.0)
    assert np.abs(distance - exact)[exact > -11].max() < 1e-3


def test_ellipse_and_squircle_pass_through_their_ends() -> None:
    for distance in (ellipse(X, Y, 20.0, 8.0), superellipse(X, Y, 20.0, 8.0, 0.8)):
        assert abs(at(distance, 20, 0)) < 1e-3
        assert abs(at(distance, 0, -8)) < 1e-3
        assert at(distance, 0, 0) < 0 < at(distance, 30, 30)


def test_a_squarer_squircle_covers_more() -> None:
    areas = [(superellipse(X, Y, 20.0, 8.0, s) < 0).sum() for s in (0.0, 0.5, 0.9)]
    assert areas[0] < areas[1] < areas[2]


def test_a_capsule_tapers() -> None:
    distance = capsule(X, Y, (-20.0, 0.0), (20.0, 0.0), 2.0, 6.0)
    assert at(distance, -20, 5) == pytest.approx(3.0)
    assert at(distance, 20, 10) == pytest.approx(4.0)


def test_a_stroke_follows_its_curve() -> None:
    points = bezier((-30.0, 0.0), (0.0, 30.0), (30.0, 0.0))
    distance = stroke(X, Y, points, [3.0] * len(points))
    assert at(distance, 0, 15) == pytest.approx(-3.0, abs=0.1)
    assert points[0] == (-30.0, 0.0)
    assert points[-1] == (30.0, 0.0)


def test_smooth_union_contains_both_and_rounds_the_joint() -> None:
    left, right = ellipse(X + 9.0, Y, 12.0, 12.0), ellipse(X - 9.0, Y, 12.0, 12.0)
    union = smooth_union(left, right, 6.0)
    assert (union <= np.minimum(left, right)).all()
    assert at(union, 0, 8) < at(np.minimum(left, right), 0, 8)


def test_a_rotation_keeps_lengths() -> None:
    cosine, sine = rotation(0.2)
    assert cosine * cosine + sine * sine == pytest.approx(1.0)
    x, y = turned(X, Y, (0.0, 0.0), 0.2)
    assert np.allclose(x * x + y * y, X * X + Y * Y, rtol=1e-4, atol=1e-3)


def test_coverage_is_half_on_the_border() -> None:
    ramp = np.array([-9.0, 0.0, 9.0], np.float32)
    assert edge(ramp, 2.0).tolist() == [1.0, 0.5, 0.0]
    assert smoothstep(2.0, 1.0, np.array([0.0, 3.0], np.float32)).tolist() == [1.0, 0.0]


def test_palette_runs_from_first_to_last() -> None:
    colours = ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert palette(colours, 0.0) == colours[0]
    assert palette(colours, 0.25) == (0.5, 0.0, 0.0)
    assert palette(colours, 1.0) == colours[2]


def test_patches_are_clipped_and_may_be_empty() -> None:
    canvas = Canvas(20, 30)
    patch = canvas.patch(-5.0, 4.0, 200.0, 6.5)
    assert canvas.window(patch).shape == (3, 4, 30)
    assert canvas.patch(40.0, 0.0, 50.0, 5.0).empty
    canvas.composite(patch, np.ones((4, 30), np.float32), (0.1, 0.2, 0.3))
    assert np.allclose(canvas.pixels[:, 5, 0], (0.1, 0.2, 0.3))
    assert canvas.pixels[:, 3].max() == 0


def test_enlarging_keeps_a_flat_field_and_blur_keeps_the_mean() -> None:
    assert np.allclose(enlarge(np.full((3, 4, 5), 0.3, np.float32), 31, 44), 0.3)
    picture = np.random.default_rng(0).random((3, 40, 40), np.float32)
    smooth = blur(picture, 1.7)
    assert np.abs(smooth.mean((1, 2)) - picture.mean((1, 2))).max() < 0.01
    assert smooth.std() < 0.4 * picture.std()


def test_blur_has_the_variance_it_promises() -> None:
    dot = np.zeros((1, 41, 41), np.float32)
    dot[0, 20, 20] = 1.0
    profile = blur(dot, 1.7)[0].sum(0)
    assert (profile * (np.arange(41) - 20.0) ** 2).sum() == pytest.approx(1.7**2, rel=1e-3)


def test_noise_is_bounded_smooth_and_repeats() -> None:
    random = np.random.default_rng(1)
    field = value_noise(random, 96, 96, 12.0)
    assert np.abs(field).max() <= 1.0
    assert np.abs(np.diff(field, axis=1)).max() < 0.3
    grid = noise_grid(random, 4, 8)
    assert np.allclose(noise_at(grid, X, Y), noise_at(grid, X + 8.0, Y - 4.0))


def test_grain_has_its_sigma_and_uint8_rounds_and_clips() -> None:
    flat = np.full((3, 200, 200), 0.5, np.float32)
    noisy = grain(np.random.default_rng(2), flat, 0.01)
    assert float(noisy.std()) == pytest.approx(0.01, rel=0.05)
    levels = np.array([-1.0, 0.0, 100.4 / 255, 100.6 / 255, 2.0], np.float32)
    image = to_uint8(np.broadcast_to(levels, (3, 1, 5)))
    assert image[0, :, 0].tolist() == [0, 0, 100, 101, 255]


def test_jpeg_is_stable_and_without_metadata() -> None:
    picture = to_uint8(
        np.stack([value_noise(np.random.default_rng(3), 48, 64, 9.0)] * 3) * 0.5 + 0.5
    )
    data = encode_jpeg(picture)
    assert data == encode_jpeg(picture.copy())
    decoded = Image.open(BytesIO(data))
    assert decoded.size == (64, 48)
    assert "exif" not in decoded.info
    assert np.abs(np.asarray(decoded).astype(int) - picture).mean() < 3
