"""`atelier translate` and `reconstruct`: every picture by its name, or one line and no file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from tests.invoking import invoke
from tests.toys import SIZE, pictures

from atelier.cli.generate import generate
from atelier.cli.translate import reconstruct, translate
from atelier.errors import UserError
from atelier.registry import loading as generator
from atelier.registry.store import Store

app = typer.Typer()
for command in (generate, translate, reconstruct):
    app.command()(command)
HORSES = ("translate", "horse2zebra-tiny@champion", "--direction", "A2B")


def run(*arguments: str) -> str:
    return invoke(app, *arguments)


def names(folder: str) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in Path(folder).rglob("*") if p.is_file())


@pytest.fixture
def photos(gallery: Store) -> Path:
    """Pictures of several sizes and kinds, one of them on its side, in a folder with litter."""
    folder = Path("photos")
    (folder / "more").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, (width, height) in {
        "a.png": (97, 61), "b.JPG": (64, 48), "c.webp": (30, 30), "more/a.gif": (20, 24),
        "more/d.tiff": (16, 16), "more/e.bmp": (40, 20),
    }.items():  # fmt: skip
        pixels = random.integers(60, 190, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pictures(1, 40)[0, :30]).save(folder / "turned.jpg", exif=exif)
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_text("no picture")
    return folder


def test_files_and_folders_keep_their_names_and_sizes(photos: Path) -> None:
    Image.fromarray(pictures(1)[0]).save("single.png")
    said = run(*HORSES, "photos", "single.png", "--out", "made")
    assert said == "8 by horse2zebra-tiny/1, A2B: made\n"
    expected = ["a.png", "b.JPG", "c.webp", "more/a.png", "more/d.tiff", "more/e.bmp",
                "single.png", "turned.jpg"]  # fmt: skip
    assert names("made") == expected
    sizes = {name: Image.open(Path("made", name)).size for name in expected}
    assert sizes["a.png"] == (97, 61)
    assert sizes["more/a.png"] == (20, 24)
    assert sizes["turned.jpg"] == Image.open("photos/turned.jpg").size[::-1]
    assert "exif" not in Image.open("made/turned.jpg").info
    assert Image.open("made/b.JPG").format == "JPEG"
    zebras = generator.load("horse2zebra-tiny@champion")
    (whole,) = zebras.translate([np.asarray(Image.open("photos/a.png"))], "A2B")
    np.testing.assert_array_equal(np.asarray(Image.open("made/a.png")), whole)
    lossy = np.asarray(Image.open("made/b.JPG")).astype(int)
    (whole,) = zebras.translate([np.asarray(Image.open("photos/b.JPG"))], "A2B")
    assert np.abs(lossy - whole).mean() < 3


def test_the_other_direction_is_the_other_network(photos: Path) -> None:
    run(*HORSES, "photos/a.png", "--out", "zebras")
    back = ("translate", "horse2zebra-tiny@champion", "--direction", "B2A")
    run(*back, "photos/a.png", "--out", "horses")
    zebra, horse = (np.asarray(Image.open(f"{d}/a.png")).mean() for d in ("zebras", "horses"))
    assert zebra - horse == pytest.approx(51, abs=8)


def test_nothing_is_replaced_without_being_told(photos: Path) -> None:
    before = Path("photos/a.png").read_bytes()
    with pytest.raises(UserError, match=r"photos/a\.png: exists already and 1 more\. Choose"):
        run(*HORSES, "photos/a.png", "photos/c.webp", "--out", "photos")
    assert Path("photos/a.png").read_bytes() == before
    run(*HORSES, "photos/a.png", "--out", "photos", "--overwrite")
    assert Path("photos/a.png").read_bytes() != before
    assert not list(Path().rglob("*.writing"))


def test_all_unreadable_files_are_named_and_nothing_is_written(photos: Path) -> None:
    (photos / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing more")
    (photos / "more" / "short.jpg").write_bytes((photos / "b.JPG").read_bytes()[:600])
    with pytest.raises(UserError) as caught:
        run(*HORSES, "photos", "nowhere.png", "photos/notes.txt", "--out", "made/there")
    lines = str(caught.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "photos/bad.png", "photos/more/short.jpg", "nowhere.png", "photos/notes.txt",
    ]  # fmt: skip
    assert caught.value.exit_code == 2
    assert not Path("made").exists()


def test_a_failure_half_way_leaves_no_file(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, written = Path.write_bytes, []

    def until_the_disk_is_full(path: Path, content: bytes) -> int:
        written.append(path)
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", until_the_disk_is_full)
    with pytest.raises(UserError, match=r"--out: cannot be written \(No space left on device: m"):
        run(*HORSES, "photos", "--out", "made/there")
    assert not Path("made").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--direction", "a2b", "photos/a.png"], r"--direction: A2B or B2A \(got a2b\)"),
        (["--direction", "A2B", "empty"], "empty: no pictures here"),
        (
            ["--direction", "A2B", "photos/a.png", "single/a.png"],
            r"single/a\.png: would be written",
        ),
    ],
)
def test_what_cannot_be_translated_is_one_line(
    photos: Path, arguments: list[str], message: str
) -> None:
    Path("empty").mkdir()
    Path("single").mkdir()
    Image.new("RGB", (20, 20)).save("single/a.png")
    with pytest.raises(UserError, match=message):
        run("translate", "horse2zebra-tiny@champion", *arguments, "--out", "made")
    assert not Path("made").exists()


def test_an_output_folder_that_is_a_file_is_one_line(photos: Path) -> None:
    with pytest.raises(UserError, match=r"--out: photos/a\.png is a file, not a folder"):
        run(*HORSES, "photos/b.JPG", "--out", "photos/a.png")


@pytest.mark.parametrize("name", ["faces-ae-tiny", "faces-vae-tiny"])
def test_reconstructions_have_the_size_of_the_training_images(photos: Path, name: str) -> None:
    run("reconstruct", f"{name}@champion", "photos/b.JPG", "photos/more", "--out", "made")
    assert names("made") == ["a.png", "b.JPG", "d.tiff", "e.bmp"]
    made = np.asarray(Image.open("made/d.tiff"))
    assert made.shape == (SIZE, SIZE, 3)
    given = np.asarray(Image.open("photos/more/d.tiff"))
    expected = generator.load(f"{name}@champion").reconstruct([given])[0]
    np.testing.assert_array_equal(made, expected)


def test_a_reconstruction_can_be_edited(photos: Path) -> None:
    vae = ("reconstruct", "faces-vae-tiny@champion", "photos/more/d.tiff")
    run(*vae, "--edits", "Smiling=2", "--out", "made")
    given = np.asarray(Image.open("photos/more/d.tiff"))
    loaded = generator.load("faces-vae-tiny@champion")
    expected = loaded.reconstruct([given], edits={"Smiling": 2.0})[0]
    np.testing.assert_array_equal(np.asarray(Image.open("made/d.tiff")), expected)
    with pytest.raises(UserError, match=r"edits: 'Smile' is not known; .* Smiling"):
        run(*vae, "--edits", "Smile=2", "--out", "other")
    with pytest.raises(UserError, match="edits: this bundle holds no directions"):
        run("reconstruct", "faces-ae-tiny@champion", "photos/a.png", "--edits", "Smiling=2",
            "--out", "other")  # fmt: skip
    assert not Path("other").exists()


WRONG_TASKS = [
    ((*HORSES[:1], "faces-gan-tiny@champion", *HORSES[2:], "photos/a.png"), "never translates"),
    (("reconstruct", "faces-gan-tiny@champion", "photos/a.png"), "never encodes: its task is un"),
    (("generate", "horse2zebra-tiny@champion"), "never samples: its task is translation"),
    (("generate", "faces-ae-tiny@champion"), "never samples: its task is reconstruction, whose"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG_TASKS)
def test_a_task_that_cannot_is_one_line(
    photos: Path, arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UserError, match=f"@champion: {message}"):
        run(*arguments, "--out", "made.png")
    assert not Path("made.png").exists()


def test_attributes_edits_and_samplers_reach_the_generator(gallery: Store) -> None:
    make = ("generate", "faces-cgan-tiny@champion", "--count", "2", "--seed", "7", "--out")
    asked = ("--attributes", "Eyeglasses=1,Blond_Hair=1", "--edits", "Male=-1")
    run(*make, "made/", *asked)
    loaded = generator.load("faces-cgan-tiny@champion")
    expected = loaded.sample(
        2, 7, attributes={"Eyeglasses": 1, "Blond_Hair": 1}, edits={"Male": -1.0}
    )
    np.testing.assert_array_equal(np.asarray(Image.open("made/0001.png")), expected[1])
    both = ("--attributes", "Black_Hair=1,Blond_Hair=1")
    with pytest.raises(UserError, match="was never seen in training"):
        run(*make, "both/", *both)
    assert not Path("both").exists()
    run(*make, "both/", *both, "--allow-unseen")
    assert names("both") == ["0000.png", "0001.png"]
    with pytest.raises(UserError, match=r"--attributes: NAME=NUMBER, separated by commas"):
        run(*make, "other/", "--attributes", "Eyeglasses")
    run(
        "generate", "faces-vae-tiny@champion", "--count", "2", "--sampler", "mixture", "--out", "v/"
    )
    expected = generator.load("faces-vae-tiny@champion").sample(2, sampler="mixture")
    np.testing.assert_array_equal(np.asarray(Image.open("v/0000.png")), expected[0])


Call = Callable[[generator.Generator], object]
METHODS: dict[str, Call] = {
    "sample": lambda g: g.sample(2),
    "latents": lambda g: g.latents(2),
    "decode": lambda g: g.decode(np.zeros((2, 8), np.float32)),
    "encode": lambda g: g.encode([np.zeros((30, 20, 3), np.uint8)]),
    "reconstruct": lambda g: g.reconstruct([np.zeros((30, 20, 3), np.uint8)]),
    "translate": lambda g: g.translate([np.zeros((30, 20, 3), np.uint8)], "B2A"),
}
HAVE = {
    "numbers": ("sample", "latents", "decode"),
    "faces-gan": ("sample", "latents", "decode"),
    "faces-cgan": ("sample", "latents", "decode"),
    "horse2zebra": ("translate",),
    "faces-ae": ("encode", "reconstruct", "decode"),
    "faces-vae": ("sample", "latents", "encode", "reconstruct", "decode"),
}


def test_load_gives_what_the_task_has_and_refuses_the_rest_in_one_line(gallery: Store) -> None:
    import atelier

    shapes = {
        "sample": (2, SIZE, SIZE, 3), "latents": (2, 8), "decode": (2, SIZE, SIZE, 3),
        "encode": (1, 8), "reconstruct": (1, SIZE, SIZE, 3), "translate": (1, 30, 20, 3),
    }  # fmt: skip
    for name, has in HAVE.items():
        loaded = atelier.load(f"{name}-tiny@champion")
        for method, call in METHODS.items():
            if method not in has:
                with pytest.raises(UserError, match=rf"^{name}-tiny@champion: never \w+.*\.$"):
                    call(loaded)
            elif name != "numbers" or method == "latents":
                assert np.shape(call(loaded)) == shapes[method], (name, method)
            else:
                assert np.shape(call(loaded)) == (2,)


def test_wrong_arguments_of_load_are_one_line(gallery: Store) -> None:
    faces = generator.load("faces-vae-tiny@champion")
    for call, message in (
        (lambda: faces.reconstruct([]), "images: one or more"),
        (lambda: faces.encode([np.zeros((8, 8), np.uint8)]), r"image: uint8 \[H, W, 3\]"),
        (lambda: faces.sample(1, edits={"Smiling": 4}), "edits: Smiling: from -3 to 3"),
        (lambda: faces.sample(1, attributes={"Male": 1}), "attributes: this takes none"),
        (lambda: faces.sample(1, sampler="even"), "sampler: normal or mixture"),
    ):
        with pytest.raises(UserError, match=f"faces-vae-tiny@champion: {message}"):
            call()
