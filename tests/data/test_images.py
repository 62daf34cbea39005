"""Pixels to networks and back: every byte value, and the edges of the interval."""

import pytest
import torch

from atelier.data.images import to_bytes, to_float

ALL = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)


def test_every_byte_value_is_mapped_linearly():
    values = to_float(ALL)
    assert values.dtype == torch.float32
    assert torch.equal(values.flatten(), torch.arange(256) / 127.5 - 1)
    assert values.min() == -1
    assert values.max() == 1


def test_every_byte_value_survives_the_way_there_and_back():
    assert torch.equal(to_bytes(to_float(ALL)), ALL)


def test_a_usual_conversion_would_lose_values():
    values = to_float(ALL)
    truncated = (255 * (values * 0.5 + 0.5)).to(torch.uint8)
    assert (truncated != ALL).sum() > 50


@pytest.mark.parametrize("byte", range(255))
def test_half_way_between_two_bytes_rounds_up(byte):
    between = torch.tensor([byte + 0.5], dtype=torch.float64) / 127.5 - 1
    below, above = between - 1e-4, between + 1e-4
    assert to_bytes(below).item() == byte
    assert to_bytes(above).item() == byte + 1


def test_an_exact_half_rounds_up():
    assert to_bytes(torch.tensor([0.0])).item() == 128


def test_values_outside_are_clipped():
    values = torch.tensor([-1e9, -1.0001, 1.0001, 1e9])
    assert to_bytes(values).tolist() == [0, 0, 255, 255]


def test_half_precision_is_widened_before_it_is_rounded():
    values = to_float(ALL).to(torch.bfloat16)
    expected = torch.floor(values.double() * 127.5 + 128).clamp(0, 255).to(torch.uint8)
    assert torch.equal(to_bytes(values), expected)


def test_wrong_types_are_refused():
    with pytest.raises(TypeError, match="uint8"):
        to_float(torch.zeros(1))
    with pytest.raises(TypeError, match="floating point"):
        to_bytes(ALL)
