"""Any image file becomes upright RGB of 8 bits, or one line that names it."""

import random
import struct
import zlib

import numpy as np
import pytest
from data.samples import encoded, picture
from PIL import Image

from atelier.data import decode as module
from atelier.data.decode import Fault, decode, size_of, try_decode
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


def tiff(samples, *tags, more=b""):
    """An uncompressed grey TIFF: its tags are (number, kind, count, value or place of `more`)."""
    width, height = 32, 20
    place = 8 + len(samples) + len(more)
    fixed = [(256, 3, 1, width), (257, 3, 1, height), (259, 3, 1, 1), (273, 4, 1, 8)]
    fixed += [(277, 3, 1, 1), (278, 3, 1, height), (279, 4, 1, len(samples))]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted([*fixed, *tags]))
    count = struct.pack("<H", len(fixed) + len(tags))
    return b"II*\0" + struct.pack("<I", place) + samples + more + count + entries + bytes(4)


RAMP = (np.arange(32) * 4095 // 31).astype(np.uint16)
EIGHT = (RAMP >> 4).astype(np.uint8)
BLACK_IS_ZERO, WHITE_IS_ZERO = (262, 3, 1, 1), (262, 3, 1, 0)


def twelve_bits():
    pairs = RAMP.reshape(-1, 2).astype(int)
    packed = [(a >> 4, (a & 15) << 4 | b >> 8, b & 255) for a, b in pairs.tolist()]
    return bytes(np.array(packed, np.uint8)) * 20


def test_twelve_bits_keep_their_upper_eight(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(twelve_bits(), (258, 3, 1, 12), BLACK_IS_ZERO))
    assert np.array_equal(pixels(path)[:, :, 0], np.tile(EIGHT, (20, 1)))


@pytest.mark.parametrize("bits", [8, 16])
def test_white_may_be_zero(tmp_path, bits):
    samples = np.tile(RAMP << 4 if bits == 16 else EIGHT, (20, 1)).tobytes()
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(samples, (258, 3, 1, bits), WHITE_IS_ZERO))
    assert np.array_equal(pixels(path)[:, :, 0], np.tile(255 - EIGHT, (20, 1)))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_a_tiff_lies_on_any_side(tmp_path, orientation, compression):
    """Pillow turns it itself; one that it maps into memory it would take for another shape."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = picture(4, 40, 24, mode="L")
    turned = pixels(saved(tmp_path, image, "TIFF", exif=exif, compression=compression))
    assert np.array_equal(turned, pixels(saved(tmp_path, image, "PNG", exif=exif)))
    size = size_of(tmp_path / "a.tiff")
    assert size == size_of(tmp_path / "a.png") == turned.shape[1::-1]


ODD_METADATA = {
    "a rational for a text": ((0x010E, 5, 1, 0), struct.pack("<II", 1, 3)),
    "a negative rational": ((0x011A, 10, 1, 0), struct.pack("<ii", -1, 2)),
    "a rational by zero": ((0x011A, 5, 1, 0), struct.pack("<II", 1, 0)),
    "a text for a number": ((0x011A, 2, 8, 0), b"a bit ..."[:8]),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("case", ODD_METADATA)
def test_odd_metadata_are_nobodys_business(tmp_path, case, kind):
    """A sound picture on its side stays one, whatever else its metadata say."""
    (number, type_, count, _), value = ODD_METADATA[case]
    path = tmp_path / f"a.{kind.lower()}"
    if kind == "TIFF":
        samples = np.tile(EIGHT, (20, 1))
        odd = (number, type_, count, 8 + samples.size)
        tags = [(258, 3, 1, 8), BLACK_IS_ZERO, (0x0112, 3, 1, 6), odd]
        path.write_bytes(tiff(samples.tobytes(), *tags, more=value))
        upright = np.rot90(samples, -1)
    else:
        tags = sorted([(0x0112, 3, 1, 6), (number, type_, count, 38)])
        entries = b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
        exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0" + entries + value
        image = Image.new("RGB", (32, 20))
        image.paste((255, 255, 255), (0, 0, 32, 4))
        path.write_bytes(encoded(image, kind, exif=exif))
        upright = np.rot90(np.asarray(image)[:, :, 0], -1)
    found = pixels(path)[:, :, 0]
    assert found.shape == (32, 20)
    assert size_of(path) == (20, 32)
    assert np.abs(found.astype(int) - upright).mean() < 4


def test_odd_metadata_of_a_turned_avif_are_named(tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "abcdefgh"
    content = encoded(picture(1), "AVIF", exif=exif)
    text = b"\x01\x0e\0\x02\0\0\0\x09"
    assert text in content
    path = tmp_path / "a.avif"
    path.write_bytes(content.replace(text, b"\x01\x0e\0\x05\0\0\0\x01"))
    with pytest.raises(UserError, match=r"a\.avif: has metadata that can't be read"):
        decode(path)


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
