"""Any image file becomes upright RGB of 8 bits, or one line that names it."""

import random
import struct
import zlib

import numpy as np
import pytest
from data.samples import encoded, picture
from PIL import Image

from atelier.data import decode as module
from atelier.data.decode import Fault, decode, try_decode
from atelier.errors import UserError


def pixels(path):
    image = decode(path)
    assert image.mode == "RGB"
    return np.asarray(image)


def chunk(kind, content):
    """One chunk of a PNG: length, kind, content, checksum."""
    length, check = len(content), zlib.crc32(kind + content)
    return struct.pack(">I", length) + kind + content + struct.pack(">I", check)


def saved(tmp_path, image, kind, name="a", **options):
    path = tmp_path / f"{name}.{kind.lower()}"
    path.write_bytes(encoded(image, kind, **options))
    return path


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "GIF", "WEBP", "JPEG", "AVIF"])
def test_formats(tmp_path, kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    image = picture(1)
    found = pixels(saved(tmp_path, image, kind, **options))
    assert found.shape == (56, 48, 3)
    lossy = {"GIF": 90, "JPEG": 60, "AVIF": 60}.get(kind, 0)
    assert np.abs(found.astype(int) - np.asarray(image)).max() <= lossy


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK"])
def test_modes_keep_the_picture(tmp_path, mode):
    image = picture(2).convert(mode)
    found = pixels(saved(tmp_path, image, "TIFF"))
    assert np.array_equal(found, np.asarray(image.convert("RGB")))


def test_jpeg_in_cmyk(tmp_path):
    found = pixels(saved(tmp_path, picture(3, mode="CMYK"), "JPEG", quality=95))
    assert np.abs(found.astype(int) - np.asarray(picture(3))).mean() < 6


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_over_white(tmp_path, mode):
    image = Image.new(mode, (20, 20), (0,) * len(mode))
    assert (pixels(saved(tmp_path, image, "PNG")) == 255).all()
    image.putalpha(128)
    assert set(pixels(saved(tmp_path, image, "PNG", "b")).flatten()) <= {126, 127, 128}
    image.putalpha(255)
    assert (pixels(saved(tmp_path, image, "PNG", "c")) == 0).all()


def test_transparent_palette_entry(tmp_path):
    image = Image.new("P", (20, 20), 0)
    image.putpalette([200, 0, 0, 0, 200, 0])
    image.paste(1, (0, 0, 10, 20))
    found = pixels(saved(tmp_path, image, "PNG", transparency=0))
    assert found[0, 0].tolist() == [0, 200, 0]
    assert found[0, 15].tolist() == [255, 255, 255]


def test_transparent_colour_of_a_gray_png(tmp_path):
    found = pixels(saved(tmp_path, Image.new("L", (20, 20), 7), "PNG", transparency=7))
    assert (found == 255).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_keep_their_upper_eight(tmp_path, kind):
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    found = pixels(saved(tmp_path, Image.fromarray(ramp), kind))
    assert np.array_equal(found, np.repeat((ramp >> 8).astype(np.uint8)[..., None], 3, axis=2))


def test_samples_that_are_no_brightness_are_named(tmp_path):
    wide = Image.fromarray(np.full((20, 20), 70000, np.int32))
    with pytest.raises(UserError, match=r"a\.tiff: samples beyond 16 bits \(got 70000 to 70000\)"):
        decode(saved(tmp_path, wide, "TIFF"))
    real = Image.fromarray(np.zeros((20, 20), np.float32))
    with pytest.raises(UserError, match=r"b\.tiff: holds floating point samples"):
        decode(saved(tmp_path, real, "TIFF", "b"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(tmp_path, orientation):
    upright = picture(4, 40, 24)
    turned = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(turned[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = pixels(saved(tmp_path, stored, "PNG", exif=exif))
    assert np.array_equal(found, np.asarray(upright))


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    path = tmp_path / "a.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert pixels(path)[0, 0].tolist() == [255, 0, 0]


def test_a_declared_bomb_is_not_decoded(tmp_path, monkeypatch):
    path = saved(tmp_path, picture(5), "PNG")
    monkeypatch.setattr(module, "MAX_PIXELS", 48 * 56 - 1)
    with pytest.raises(UserError, match=r"too many pixels \(got 48x56\)"):
        decode(path)


def test_a_real_bomb(tmp_path):
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b""))
    with pytest.raises(UserError, match=r"exceeds limit|too many pixels"):
        decode(path)


def test_postscript_is_never_run(tmp_path):
    path = saved(tmp_path, picture(6), "EPS").rename(tmp_path / "a.jpg")
    with pytest.raises(UserError, match="not an image"):
        decode(path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "empty"), (b"hello", "not an image"), (b"\xff\xd8\xff", "not an image|damaged")],
)
def test_no_image(tmp_path, content, problem):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"a\.jpg: ({problem})"):
        decode(path)


def test_unreadable_paths(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        decode(tmp_path / "missing.jpg")
    with pytest.raises(UserError, match="Is a directory"):
        decode(tmp_path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.9])
def test_cut_short(tmp_path, kind, kept):
    path = saved(tmp_path, picture(7), kind)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    assert isinstance(try_decode(path), Fault)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF"])
def test_random_damage_is_a_picture_or_a_fault_and_never_a_traceback(tmp_path, kind):
    content = bytearray(encoded(picture(8), kind))
    dice = random.Random(kind)
    path = tmp_path / f"a.{kind.lower()}"
    for _ in range(60):
        broken = bytearray(content)
        for _ in range(dice.randint(1, 12)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        path.write_bytes(broken)
        found = try_decode(path)
        assert isinstance(found, Fault) or found.mode == "RGB"
