"""Translation of pictures of any size: whole, without seams, and in the input's size."""

import base64
import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.toys import SIZE, pictures
from torch import nn

from atelier.bundle import bundle_model
from atelier.bundle.bundle_model import Bundle, Refused, answer, open_bundle

SIZES = [(97, 61), (640, 480), (61, 97), (16, 16), (7, 5), (300, 16), (1, 1), (1, 40)]


@pytest.fixture
def opened(packed: Callable[[str], Path]) -> Bundle:
    return open_bundle(packed("translation"))


def smooth(width: int, height: int) -> np.ndarray:
    """A picture without an edge: uint8 [height, width, 3]."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    planes = [80 + 60 * x, 80 + 60 * y, 140 - 30 * x - 30 * y]
    return np.stack(planes, axis=-1).astype(np.uint8)


class Left(nn.Module):
    """Makes the left half white: a change with one edge, and nothing at the frame."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        changed = images.clone()
        changed[..., : SIZE // 2] = 1.0
        return changed


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_size_comes_back_in_its_size(opened: Bundle, width: int, height: int) -> None:
    image = np.random.default_rng(0).integers(60, 190, (height, width, 3), np.uint8)
    there = opened.translate_any(image, "A2B")
    assert there.shape == image.shape
    assert there.dtype == np.uint8
    # 0.2 of [-1, 1] is 25.5 of 255; the filter in the toy adds up to 0.02.
    np.testing.assert_allclose(there.astype(int) - image, 25.5, atol=8)
    back = opened.translate_any(image, "B2A")
    np.testing.assert_allclose(back.astype(int) - image, -25.5, atol=8)


@pytest.mark.parametrize(("width", "height"), [(97, 61), (640, 480), (50, 200)])
def test_there_are_no_seams(opened: Bundle, width: int, height: int) -> None:
    """Neighbours of a smooth picture differ by little, and stay so, all the way to the border."""
    image = smooth(width, height)
    made = opened.translate_any(image, "A2B").astype(int)
    for axis in (0, 1):
        before = np.abs(np.diff(image.astype(int), axis=axis)).max()
        assert np.abs(np.diff(made, axis=axis)).max() <= before + 2


@pytest.mark.parametrize(("width", "height"), [(160, 160), (160, 120), (120, 160)])
def test_a_change_lands_where_it_belongs(opened: Bundle, width: int, height: int) -> None:
    opened.networks["a2b"] = Left()
    image = np.full((height, width, 3), 60, np.uint8)
    white = opened.translate_any(image, "A2B")[..., 0] > 157
    columns = white.mean(axis=0)
    edge = width // 2
    assert columns[: edge - 6].min() == 1.0
    assert columns[edge + 6 :].max() == 0.0


def test_detail_beyond_the_network_stays(opened: Bundle) -> None:
    """A board of single pixels is grey to a network of 16 pixels."""
    board = np.indices((320, 320)).sum(axis=0) % 2
    image = np.repeat((60 + 120 * board)[..., None], 3, axis=2).astype(np.uint8)
    made = opened.translate_any(image, "A2B").astype(int)
    np.testing.assert_allclose(made - image, 25.5, atol=4)


def test_at_the_training_size_it_is_the_network_itself(opened: Bundle) -> None:
    images = pictures(5)
    made = opened.translate(images, "A2B")
    for image, expected in zip(images, made, strict=True):
        any_size = opened.translate_any(image, "A2B")
        np.testing.assert_array_equal(any_size, expected)
        np.testing.assert_array_equal(opened.translate(image[None], "A2B")[0], expected)


def encoded(image: Image.Image, kind: str, **how: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return base64.b64encode(buffer.getvalue()).decode()


def shown(row: dict[str, Any]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(row["png_base64"]))))


def test_a_request_answers_in_the_order_of_its_rows(opened: Bundle) -> None:
    wide, own = smooth(97, 61), pictures(1)[0]
    rows = [
        {"image_base64": encoded(Image.fromarray(wide), "PNG"), "direction": "A2B"},
        {"image_base64": encoded(Image.fromarray(own), "PNG"), "direction": "B2A"},
    ]
    first, second = answer(opened, rows, None)
    assert (first["index"], second["index"]) == (0, 1)
    np.testing.assert_array_equal(shown(first), opened.translate_any(wide, "A2B"))
    np.testing.assert_array_equal(shown(second), opened.translate_any(own, "B2A"))
    (array,) = answer(opened, rows[:1], {"format": "array"})
    np.testing.assert_array_equal(array["array"], shown(first))


def test_pictures_of_every_mode_are_read_upright_and_on_white(opened: Bundle) -> None:
    image = Image.fromarray(smooth(30, 20))
    expected = opened.translate_any(np.asarray(image), "A2B")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter to be upright
    turned = image.transpose(Image.Transpose.ROTATE_90)
    (row,) = answer(
        opened, [{"image_base64": encoded(turned, "PNG", exif=exif), "direction": "A2B"}], None
    )
    np.testing.assert_array_equal(shown(row), expected)
    # A rational where a text belongs, and a negative one: a picture on its side all the same.
    tags = ((0x010E, 5, 1, 50), (0x0112, 3, 1, 6), (0x011A, 10, 1, 58))
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    values = struct.pack("<IIii", 1, 3, -1, 2)
    odd = b"Exif\0\0II*\0\x08\0\0\0\x03\0" + entries + values
    (row,) = answer(
        opened, [{"image_base64": encoded(turned, "PNG", exif=odd), "direction": "A2B"}], None
    )
    np.testing.assert_array_equal(shown(row), expected)
    clear = Image.new("RGBA", (30, 20), (0, 0, 0, 0))
    (row,) = answer(opened, [{"image_base64": encoded(clear, "PNG"), "direction": "B2A"}], None)
    assert shown(row).min() > 200
    for mode in ("L", "P", "1", "LA", "CMYK"):
        kind = "JPEG" if mode == "CMYK" else "PNG"
        text = encoded(image.convert(mode), kind)
        (row,) = answer(opened, [{"image_base64": text, "direction": "A2B"}], None)
        assert shown(row).shape == (20, 30, 3)


GIF = encoded(Image.new("RGB", (20, 20)), "GIF")
DEEP = encoded(Image.new("I;16", (20, 20)), "PNG")
PNG = encoded(Image.new("RGB", (20, 20)), "PNG")
BAD: list[tuple[dict[str, Any], str]] = [
    ({"image_base64": "no base64 at all!"}, "not a PNG or JPEG that can be read"),
    ({"image_base64": GIF}, "not a PNG or JPEG that can be read"),
    ({"image_base64": PNG[:-40]}, "not a PNG or JPEG that can be read"),
    ({"image_base64": ""}, "not a PNG or JPEG that can be read"),
    ({"image_base64": DEEP}, "8 bits a channel"),
    ({"image_base64": 3}, r"a PNG or JPEG in base64 \(got int\)"),
    ({"image_base64": None}, "a PNG or JPEG in base64"),
    ({"direction": "both"}, "direction: A2B or B2A"),
    ({"direction": None}, "direction: A2B or B2A"),
    ({"count": 1}, "count: no such column; there are image_base64, direction"),
]


@pytest.mark.parametrize(("row", "message"), BAD)
def test_what_cannot_be_translated_is_refused_before_anything_is(
    opened: Bundle, monkeypatch: pytest.MonkeyPatch, row: dict[str, Any], message: str
) -> None:
    good = {"image_base64": PNG, "direction": "A2B"}
    monkeypatch.setattr(opened, "_run", lambda *_: pytest.fail("made before it was checked"))
    with pytest.raises(Refused, match=message):
        answer(opened, [good, {**good, **row}], None)


def test_a_picture_that_would_fill_the_memory_is_never_decoded(
    opened: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = {"image_base64": encoded(Image.new("1", (9000, 9000)), "PNG"), "direction": "A2B"}
    assert len(bomb["image_base64"]) < 50_000
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("decoded"))
    with pytest.raises(Refused, match="at most 64000000 pixels in all"):
        answer(opened, [bomb], None)
    monkeypatch.undo()
    monkeypatch.setattr(bundle_model, "LARGEST_PIXELS", 900)
    small = {"image_base64": PNG, "direction": "A2B"}
    assert len(answer(opened, [small] * 2, None)) == 2
    with pytest.raises(Refused, match="pixels in all"):
        answer(opened, [small] * 3, None)
