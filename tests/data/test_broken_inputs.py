"""Broken inputs through the command line: one clear line a problem, exit code 2, nothing changed.

Each row of a table names a case, what it does to a sound source, and the lines it must end in; the
tables of attributes and partitions have a file of their own.
"""

import shutil
import stat

import pytest
from data.breaking import (
    Harm,
    cut,
    damaged,
    drop,
    flipped,
    lost,
    packed,
    patched,
    png_of,
    put,
    special,
)
from data.samples import encoded, picture, write_faces, write_pairs, write_zip, zipped
from PIL import Image

KINDS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF")
DOMAINS = ("trainA", "trainB", "testA", "testB")
IMAGE_DAMAGE = [
    (kind, how)
    for kind in KINDS
    for how in ("empty", "head only", "20 %", "50 %", "80 %", "zeros", "text")
]


@pytest.mark.parametrize(("kind", "how"), IMAGE_DAMAGE, ids=lambda value: value)
def test_damaged_images(world, ends_in, kind, how):
    source = write_pairs(world / "user", train=3, test=2)
    (source / "trainB" / f"bad.{kind.lower()}").write_bytes(damaged(kind, how))
    expected = rf"user/trainB/bad\.{kind.lower()}: (empty|not an image|damaged or cut short|cannot)"
    ends_in(["import", "horse2zebra", str(source)], [expected])


ODD_IMAGES: list[tuple[str, bytes, str]] = [
    ("small.png", encoded(picture(1, 15, 90), "PNG"), r"too small \(got 15x90\)"),
    ("low.png", encoded(picture(1, 90, 15), "PNG"), r"too small \(got 90x15\)"),
    ("dot.png", encoded(picture(1, 1, 1), "PNG"), r"too small \(got 1x1\)"),
    ("float.tif", encoded(Image.new("F", (20, 20)), "TIFF"), "floating point samples"),
    ("wide.tif", encoded(Image.new("I", (20, 20), 70000), "TIFF"), "samples beyond 16 bits"),
    ("minus.tif", encoded(Image.new("I", (20, 20), -1), "TIFF"), "samples beyond 16 bits"),
    ("script.jpg", encoded(picture(1), "EPS"), "not an image"),
    ("paper.jpg", encoded(picture(1), "PDF"), "not an image"),
    ("movie.mp4", b"x", r"not an image's name \(got \.mp4\)"),
    ("notes.txt", b"x", r"not an image's name \(got \.txt\)"),
    ("nothing", b"x", r"not an image's name \(got no suffix\)"),
    ("array.npy", b"x", r"not an image's name \(got \.npy\)"),
]
ODD_IMAGES += [
    ("bomb.png", png_of(60_000, 60_000), "exceeds limit|too many pixels"),
    ("large.png", png_of(9_000, 9_000), r"too many pixels \(got 9000x9000\)"),
    ("flat.png", png_of(0, 20), "damaged or cut short|not an image"),
    ("hollow.png", png_of(20, 20), "damaged or cut short|not an image"),
]


@pytest.mark.parametrize(("name", "content", "problem"), ODD_IMAGES, ids=lambda v: str(v)[:20])
def test_odd_images(world, ends_in, name, content, problem):
    source = write_pairs(world / "user", train=3, test=2)
    (source / "testA" / name).write_bytes(content)
    expected = rf"user/testA/{name}: .*({problem})"
    ends_in(["import", "horse2zebra", str(source)], [expected])


JPEG = encoded(picture(1))
ZIPS: list[tuple[str, Harm, list[str]]] = [
    ("climbing", packed(("../evil.jpg", JPEG)), [r"a.zip/\.\./evil.jpg: climbs out"]),
    ("climbing deep", packed(("trainA/../../evil.jpg", JPEG)), ["climbs out of the folder"]),
    ("absolute", packed(("/tmp/evil.jpg", JPEG)), ["has an absolute name"]),
    ("drive", packed(("C:/evil.jpg", JPEG)), ["has an absolute name"]),
    ("backslashes", packed(("trainA\\..\\..\\evil.jpg", JPEG)), ["climbs out of the folder"]),
    ("link", packed((special("trainA/l.jpg", stat.S_IFLNK), b"/etc/passwd")), ["is a link"]),
    ("link to a folder", packed((special("x", stat.S_IFLNK), b"..")), ["a.zip/x: is a link"]),
    ("pipe", packed((special("p.jpg", stat.S_IFIFO), b"")), ["is neither file nor folder"]),
    ("device", packed((special("d.jpg", stat.S_IFCHR), b"")), ["is neither file nor folder"]),
    ("same name", packed(("trainA/000.JPG", JPEG)), ["has the name of another member"]),
    ("below a file", packed(("trainA/000.jpg/a.jpg", JPEG)), ["in a folder that is a file too"]),
    ("three at once", packed(("../a", b""), ("/b", b""), ("c:d", b"")), ["climbs", "/b", "c:d"]),
    ("encrypted", patched(6, 8, 1), ["is encrypted"]),
    ("strange packing", patched(8, 10, 97), [r"unknown method \(got 97\)"]),
    ("bomb", lambda a: write_zip(a, [("trainA/a.bmp", bytes(2**25))]), ["times its size.*bomb"]),
    (
        "many bombs",
        lambda a: write_zip(a, [(f"{n}.bmp", bytes(2**23)) for n in range(4)]),
        ["bomb"],
    ),
    ("empty file", cut(0), ["not a zip file"]),
    ("half", cut(0.5), ["not a zip file"]),
    ("end cut off", cut(0.99), ["not a zip file"]),
    ("text", lambda a: a.write_text("no zip"), ["not a zip file"]),
    ("7z", lambda a: a.write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(99)), ["not a zip file"]),
    ("gzip", lambda a: a.write_bytes(b"\x1f\x8b\x08" + bytes(99)), ["not a tar file"]),
    ("an image", lambda a: a.write_bytes(JPEG), ["not a zip file"]),
    ("damaged member", flipped(b"trainA/002.jpg"), [r"trainA/002.jpg: can't be unpacked"]),
    ("broken image", packed(("trainA/x.jpg", b"x")), ["a.zip/trainA/x.jpg: not an image"]),
    ("text among images", packed(("testB/x.txt", b"x")), ["a.zip/testB/x.txt: not an image's"]),
    (
        "empty zip",
        lambda a: write_zip(a, []),
        [f"no folder {d} " for d in DOMAINS],
    ),
    ("two of each", packed(("more/trainA/a.jpg", JPEG)), ["has 2 folders trainA"]),
]


@pytest.mark.parametrize(("name", "harm", "expected"), ZIPS, ids=[row[0] for row in ZIPS])
def test_zips(world, ends_in, name, harm, expected):
    (world / "user").mkdir()
    archive = zipped(write_pairs(world / "sound", train=4, test=2), world / "user" / "a.zip")
    harm(archive)
    ends_in(["import", "horse2zebra", str(archive)], expected)


PAIRS: list[tuple[str, Harm, list[str]]] = [
    ("no trainA", lost("trainA"), ["has no folder trainA with images"]),
    ("no testB", lost("testB"), ["has no folder testB with images"]),
    (
        "only training",
        lost("testA", "testB"),
        [r"train[AB]: holds too few images to divide by their names \(got 3\)"] * 2,
    ),
    ("one horse", drop("trainA/001.jpg", "trainA/002.jpg"), ["trainA: holds too few images"]),
    ("other names", lambda s: (s / "trainA").rename(s / "TrainA"), ["has no folder trainA"]),
    (
        "faces instead",
        lambda s: [shutil.rmtree(s), write_faces(s)],
        [f"no folder {d} " for d in DOMAINS],
    ),
    (
        "a file instead",
        lambda s: [shutil.rmtree(s / "testA"), put("testA", JPEG)(s)],
        ["no folder testA"],
    ),
    (
        "twice",
        lambda s: shutil.copytree(s, s / "again"),
        [f"has 2 folders {d}" for d in DOMAINS],
    ),
    (
        "25 broken",
        lambda s: [put(f"trainA/b{n:02d}.jpg", b"")(s) for n in range(25)],
        ["b00", "b19", "5 more problems"] + ["empty"] * 18,
    ),
]


@pytest.mark.parametrize(("name", "harm", "expected"), PAIRS, ids=[row[0] for row in PAIRS])
def test_pair_folders(world, ends_in, name, harm, expected):
    source = write_pairs(world / "user", train=3, test=2)
    harm(source)
    ends_in(["import", "horse2zebra", str(source)], expected)


COMMANDS: list[tuple[list[str], str]] = [
    (["import", "celeba", "nowhere"], "nowhere: no such file or folder"),
    (["import", "celeba", "../user"], "no images found"),
    (
        ["import", "monet2photo", "../user"],
        r"monet2photo: an imported.*there already\. Add --replace",
    ),
    (["import", "../celeba", "../user"], "no name for a dataset"),
    (["import", "/celeba", "../user"], "no name for a dataset"),
    (["import", "", "../user"], "no name for a dataset"),
    (["import", ".hidden", "../user"], "no name for a dataset"),
    (["import", "twins", "../user"], "'twins': no name for a dataset"),
    (["import", "numbers", "../user"], "'numbers': no name for a dataset"),
    (["import", "monet2photo", "data/monet2photo", "--replace"], "holds .* itself"),
    (["import", "all", "."], "holds .* itself"),
    (["check", "nothing"], "data/nothing: no dataset in a known layout"),
    (["check", "../user"], "no dataset in a known layout"),
    (["check", "monet2photo", "--scale", "huge"], "experiments/huge/datasets: no such folder"),
    (["fetch", "imagenet"], "imagenet: no known original"),
    (["fetch", "horse2zebra", "--url", "ftp://host/a.zip"], "ftp://host/a.zip: not a web address"),
    (["fetch", "horse2zebra", "--url", "file:///a.zip"], "file:///a.zip: not a web address"),
    (["fetch", "horse2zebra", "--url", "a.zip"], "a.zip: not a web address"),
    (["fetch", "celeba", "--url", "http://"], "http://: no such address"),
]


@pytest.mark.parametrize(
    ("arguments", "expected"), COMMANDS, ids=[" ".join(c) for c, _ in COMMANDS]
)
def test_commands(world, ends_in, arguments, expected):
    (world / "user").mkdir()
    ends_in(arguments, [expected])


CHECKS: list[tuple[str, Harm, list[str]]] = [
    ("damaged", put("trainA/001.jpg", JPEG[:300]), ["trainA/001.jpg: damaged or cut short"]),
    ("empty", put("testA/001.jpg", b""), ["testA/001.jpg: empty"]),
    ("small", put("trainB/001.jpg", encoded(picture(1, 8, 8))), [r"too small \(got 8x8"]),
    (
        "copy",
        lambda s: shutil.copy(s / "trainA/002.jpg", s / "trainA/x.jpg"),
        ["duplicate: has the same bytes"],
    ),
    (
        "leak",
        lambda s: shutil.copy(s / "testA/001.jpg", s / "trainB/x.jpg"),
        ["testA/001.jpg: leaks from .* into test"],
    ),
    (
        "near",
        put("testB/x.jpg", encoded(picture(1003), quality=50)),
        ["testB/x.jpg: leaks from .*nearly equals"],
    ),
    ("stray", put("testB/x.doc", b""), ["testB/x.doc: not an image's name"]),
    ("no folder", lost("testB"), ["testB: no such folder"]),
    (
        "two",
        lambda s: [put("trainA/x.jpg", b"")(s), put("testA/x.jpg", b"")(s)],
        ["trainA/x", "testA/x"],
    ),
]


@pytest.mark.parametrize(("name", "harm", "expected"), CHECKS, ids=[row[0] for row in CHECKS])
def test_checks(world, ends_in, name, harm, expected):
    (world / "user").mkdir()
    harm(world / "root" / "data" / "monet2photo")
    ends_in(["check", "monet2photo"], expected)
