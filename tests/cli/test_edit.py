"""`atelier edit` and `interpolate`: grids and what moves, from bundles alone."""

import io
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image, ImageSequence
from tests.invoking import invoke
from tests.rounding import assert_same_pictures
from tests.toys import SIZE, pictures

from atelier.cli.animation import LARGEST_SIDE, gif, webp
from atelier.cli.edit import edit, interpolate
from atelier.errors import UserError
from atelier.registry import loading as generator
from atelier.registry.store import Store

app = typer.Typer()
app.command()(edit)
app.command()(interpolate)

Form = Callable[[Sequence[np.ndarray], int], bytes]
SIDE = SIZE + 2
"""Of a picture on a sheet, with the gap on one side."""
GROUPS = "Male=1,Smiling=1 - Male=0,Smiling=1 + Male=0,Smiling=0"


def noise(height: int, width: int) -> list[np.ndarray]:
    """Four frames."""
    return list(np.random.default_rng(0).integers(0, 256, (4, height, width, 3), np.uint8))


def run(*arguments: str) -> str:
    return invoke(app, *arguments)


def cells(path: str) -> np.ndarray:
    """A sheet's pictures: uint8 [R, C, 16, 16, 3]."""
    pixels = np.asarray(Image.open(path))
    rows, columns = (side // SIDE for side in pixels.shape[:2])
    return np.stack([
        [pixels[2 + r * SIDE : 2 + r * SIDE + SIZE, 2 + c * SIDE : 2 + c * SIDE + SIZE]
         for c in range(columns)] for r in range(rows)
    ])  # fmt: skip


def test_samples_before_and_after(gallery: Store) -> None:
    run("edit", "faces-gan-tiny@champion", "--count", "3", "--seed", "7", "--edits", "Smiling=2",
        "--truncation", "1", "--out", "grid.png")  # fmt: skip
    opened = generator.load("faces-gan-tiny@champion")
    made, edited = cells("grid.png"), opened.sample(3, seed=7, edits={"Smiling": 2.0})
    np.testing.assert_array_equal(made[0], opened.sample(3, seed=7))
    assert_same_pictures(made[1], edited)  # the second row went through after the first
    assert np.abs(edited.astype(int) - made[0]).max() > 50
    run("edit", "faces-gan-tiny@champion", "--count", "3", "--steps", "5", "--edits",
        "Smiling=2,Male=-1", "--out", "steps.png")  # fmt: skip
    assert cells("steps.png").shape[:2] == (5, 3)


def test_a_photo_goes_through_the_encoder(gallery: Store) -> None:
    photo = pictures(1)[0]
    Image.fromarray(photo).save("photo.png")
    run("edit", "faces-vae-tiny@champion", "--image", "photo.png", "--edits", "Smiling=3",
        "--out", "grid.png")  # fmt: skip
    opened, made = generator.load("faces-vae-tiny@champion"), cells("grid.png")
    np.testing.assert_array_equal(made[0, 0], photo)
    np.testing.assert_array_equal(made[1, 0], opened.reconstruct([photo])[0])
    edited = opened.reconstruct([photo], edits={"Smiling": 3.0})[0]
    assert_same_pictures(made[2, 0], edited)  # the third row went through after the second
    assert np.abs(edited.astype(int) - made[1, 0]).max() > 50


def test_arithmetic_shows_its_groups_and_what_they_make(gallery: Store) -> None:
    run("edit", "faces-vae-tiny@champion", "--arithmetic", GROUPS, "--out", "sum.png")
    made = cells("sum.png")
    assert made.shape[:2] == (1, 4)
    run("edit", "faces-vae-tiny@champion", "--arithmetic", "Male=1,Smiling=0", "--out", "man.png")
    # Male + smiling - female, smiling + female, serious = male, serious.
    np.testing.assert_allclose(made[0, 3].astype(int), cells("man.png")[0, 0], atol=1)


def test_a_way_between_samples(gallery: Store) -> None:
    run("interpolate", "faces-gan-tiny@champion", "--seeds", "1,2,3", "--steps", "4",
        "--truncation", "1", "--out", "way.png")  # fmt: skip
    opened, made = generator.load("faces-gan-tiny@champion"), cells("way.png")[:, 0]
    assert len(made) == 7
    for place, seed in ((0, 1), (3, 2), (6, 3)):
        expected = opened.sample(1, seed=seed)[0].astype(int)
        np.testing.assert_allclose(made[place], expected, atol=1)


def test_what_moves_goes_there_and_back(gallery: Store) -> None:
    run("interpolate", "faces-vae-tiny@champion", "--steps", "4", "--count", "2",
        "--out", "way.gif")  # fmt: skip
    frames = [np.asarray(f.convert("RGB")) for f in ImageSequence.Iterator(Image.open("way.gif"))]
    assert [frame.shape for frame in frames] == [(SIDE + 2, 2 * SIDE + 2, 3)] * 6
    np.testing.assert_array_equal(frames[1], frames[5])
    run("interpolate", "faces-vae-tiny@champion", "--steps", "4", "--out", "way.webp")
    assert Image.open("way.webp").n_frames == 6


def test_a_table_by_directions_and_by_labels(gallery: Store) -> None:
    """The book's figure: what can be asked for goes by label, else by direction."""
    run("interpolate", "faces-cgan-tiny@champion", "--across", "Eyeglasses", "--down", "Male",
        "--steps", "3", "--out", "table.png")  # fmt: skip
    made = cells("table.png").astype(float)
    assert made.shape[:2] == (3, 3)
    # The toy makes red of the first attribute, whatever the latent.
    red = made[..., 0].mean(axis=(2, 3))
    assert (np.diff(red, axis=1) > 80).all()
    assert np.abs(np.diff(made[..., 1], axis=0)).max() > 1
    assert np.abs(np.diff(red, axis=0)).max() < 15


@pytest.mark.parametrize("form", [gif, webp])
def test_equal_frames_give_equal_bytes(form: Form) -> None:
    frames = noise(20, 27)
    assert form(frames, 10) == form([frame.copy() for frame in frames], 10)
    with pytest.raises(ValueError, match=r"frames: two or more \(got 1\)"):
        form(frames[:1], 10)


def test_a_webp_holds_every_pixel_and_runs_for_ever() -> None:
    frames = noise(32, 48)
    opened = Image.open(io.BytesIO(webp(frames, 8)))
    assert (opened.format, opened.n_frames, opened.info["loop"]) == ("WEBP", len(frames), 0)
    for found, frame in zip(ImageSequence.Iterator(opened), frames, strict=True):
        np.testing.assert_array_equal(found.convert("RGB"), frame)
        assert found.info["duration"] == 125


@pytest.mark.parametrize(("name", "form"), [(".gif", gif), (".webp", webp)])
def test_the_largest_side_is_what_the_format_can_hold(name: str, form: Form) -> None:
    side = LARGEST_SIDE[name]
    assert Image.open(io.BytesIO(form(noise(1, side), 10))).width == side
    with pytest.raises((RuntimeError, struct.error)):
        form(noise(1, side + 1), 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["edit", "faces-gan-tiny@champion"], "--edits: either edits or --arithmetic"),
        (["edit", "faces-gan-tiny@champion", "--edits", "Smilng=1"], "nearest of 2 is Smiling"),
        (["edit", "faces-gan-tiny@champion", "--edits", "Smiling=4"], "from -3 to 3 standard"),
        (["edit", "faces-gan-tiny@champion", "--arithmetic", "Male=1"], "not say where groups are"),
        (["edit", "faces-vae-tiny@champion", "--arithmetic", "Hat=1"], r"group: unknown \(got"),
        (["edit", "faces-ae-tiny@champion", "--edits", "Smiling=1"], "never samples"),
        (["edit", "numbers-tiny@champion", "--edits", "Smiling=1"], "holds no directions"),
        (["edit", "faces-gan-tiny@champion", "--edits", "Male=1", "--count", "0"], "--count: 1 to"),
        (["edit", "faces-gan-tiny@champion", "--edits", "Male=1", "--image", "no.png"], r"no\.png"),
        (["interpolate", "numbers-tiny@champion"], "makes numbers, not pictures"),
        (["interpolate", "faces-gan-tiny@champion", "--seeds", "1"], "--seeds: two or more"),
        (["interpolate", "faces-gan-tiny@champion", "--seeds", "a"], "--seeds: numbers separated"),
        (["interpolate", "faces-gan-tiny@champion", "--seeds", "1,-2"], "seed: a whole number"),
        (["interpolate", "faces-gan-tiny@champion", "--down", "Male"], "--across: a table has two"),
        (
            ["interpolate", "faces-gan-tiny@champion", "--across", "Male", "--down", "Smiling",
             "--reach", "9"],
            "from -3 to 3 standard",
        ),
        (
            ["interpolate", "faces-cgan-tiny@champion", "--across", "Black_Hair",
             "--down", "Blond_Hair"],
            "was never seen in training",
        ),
        (["interpolate", "horse2zebra-tiny@champion"], "never samples"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_one_line(
    gallery: Store, arguments: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        run(*arguments, "--out", "x.png")
    assert "\n" not in str(caught.value)
    assert not Path("x.png").exists()


def test_a_row_too_long_for_a_webp_is_refused(gallery: Store) -> None:
    with pytest.raises(UserError, match=r"--out: a row of 16,\d+ pixels is too long for a webp"):
        run("interpolate", "faces-gan-tiny@champion", "--steps", "2", "--count", "920",
            "--out", "way.webp")  # fmt: skip
    assert not Path("way.webp").exists()


def test_a_place_that_is_taken_or_of_no_known_form(gallery: Store) -> None:
    Path("grid.png").write_text("mine")
    make = ("edit", "faces-gan-tiny@champion", "--edits", "Male=1", "--out")
    with pytest.raises(UserError, match=r"grid\.png: exists already"):
        run(*make, "grid.png")
    with pytest.raises(UserError, match=r"--out: one of \.png, \.gif, \.webp \(got x\.webm\)"):
        run(*make, "x.webm")
    assert Path("grid.png").read_text() == "mine"
