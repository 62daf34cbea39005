"""`atelier fidelity` and `export`: figures with what they rest on, and the same pictures as files.

The one slow test holds both to torch-fidelity's own command line.
"""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from tests import prepared
from tests.inception import random_weights
from tests.invoking import invoke
from tests.project import BIN, ROOT, environment

from atelier.cli.fidelity import export, fidelity
from atelier.commands import run as run_program
from atelier.errors import UserError
from atelier.evaluation.features import Images
from atelier.operations import inception
from atelier.operations.inception import FIGURES, InceptionFeatures
from atelier.registry import loading
from atelier.registry.store import Store

app = typer.Typer()
for command in (export, fidelity):
    app.command()(command)
FACES = "faces-gan-tiny@champion"
TEST = prepared.COUNTS["test"]


def run(*arguments: str) -> str:
    return invoke(app, *arguments)


class Colours:
    """In Inception's place: the mean of each channel."""

    looked_at = 0

    def __init__(self, weights: Path | None) -> None:
        self.weights = weights

    def features(self, blocks: Iterable[Images], advance: Any) -> InceptionFeatures:
        images = np.concatenate(list(blocks))
        Colours.looked_at += len(images)
        means = torch.from_numpy(images.mean((2, 3)).astype(np.float32))
        return InceptionFeatures(means, means)


@pytest.fixture
def workplace(gallery: Store) -> Path:
    """Champions of all toys, and the faces that they learnt."""
    shutil.copy(ROOT / "params.yaml", ".")
    shutil.copytree(ROOT / "experiments/tiny", "experiments/tiny")
    return prepared.lay_out(Path())


@pytest.fixture
def colours(monkeypatch: pytest.MonkeyPatch) -> type[Colours]:
    monkeypatch.setattr(inception, "Inception", Colours)
    monkeypatch.setattr(Colours, "looked_at", 0)
    return Colours


def pixels(folder: str) -> np.ndarray:
    return np.stack([np.asarray(Image.open(path)) for path in sorted(Path(folder).iterdir())])


def test_both_sets_are_exported_as_they_are_compared(workplace: Path) -> None:
    said = run("export", FACES, "--out", "sets", "--seed", "7")
    assert said.splitlines() == [
        "sets/samples: 30 pictures",
        "sets/reals: 30 pictures",
        "celeba, split test, 16 px, fit crop, crop_share 1.0; seed 7",
    ]
    expected = loading.load(FACES).sample(TEST, seed=7)
    np.testing.assert_array_equal(pixels("sets/samples"), expected)
    reals = np.load(workplace / "test.npy").transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(pixels("sets/reals"), reals)
    names = sorted(path.name for path in Path("sets/reals").iterdir())
    assert names == [f"{number:05d}.png" for number in range(TEST)]
    words = json.loads(Path("sets/sets.json").read_text())
    assert words["version"] == "faces-gan-tiny/1"
    assert words["sets"] == {"samples": {"made": 30, "held_to": "reals", "reals": 30}}


def test_a_set_that_several_are_held_to_is_exported_once(workplace: Path) -> None:
    run("export", "faces-vae-tiny@champion", "--out", "sets", "--count", "10")
    found = {path.name for path in Path("sets").iterdir()}
    assert found == {"reconstructions", "normal", "mixture", "reals", "sets.json"}
    assert len(pixels("sets/mixture")) == 10


def test_another_split_is_exported_where_it_is_asked_for(workplace: Path) -> None:
    said = run("export", FACES, "--out", "sets", "--split", "training")
    assert "sets/samples: 40 pictures" in said
    assert "split training" in said


def test_a_folder_that_is_there_is_left_alone(workplace: Path) -> None:
    Path("sets").mkdir()
    Path("sets/mine.txt").write_text("mine")
    with pytest.raises(UserError, match=r"sets: exists already\. Choose a new folder\."):
        run("export", FACES, "--out", "sets")
    assert [path.name for path in Path("sets").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("words", [{"size_pixels": 32}, {"crop": 0.787}, {"dataset": "paintings"}])
def test_pictures_of_another_kind_are_not_compared(
    gallery: Store, workplace: Path, words: dict[str, Any]
) -> None:
    shutil.rmtree(workplace)
    prepared.lay_out(Path(), **words)
    with pytest.raises(UserError, match=r"learnt celeba, 16 px, crop 1\.0; .* holds "):
        run("export", FACES, "--out", "sets")
    assert not Path("sets").exists()


def test_figures_say_of_how_many_and_which_pictures_they_are(
    workplace: Path, colours: type[Colours]
) -> None:
    said = run("fidelity", FACES, "--weights", "some.pth").splitlines()
    figures = [line.split()[:2] for line in said[: said.index(next(f for f in said if ":" in f))]]
    named = [key for key in FIGURES if not key.endswith("_deviation")]
    assert figures == [["samples", f"inception/{key}"] for key in named]
    assert "30 pictures, held to 30 real ones (reals); KID over 100 subsets of 30" in said[-4]
    assert said[-3] == "celeba, split test, 16 px, fit crop, crop_share 1.0; seed 0"
    assert said[-2].startswith("FID is biased: fewer pictures make it larger.")
    assert said[-1] == "No snapshot is chosen by these figures, and the gate does not know them."


def test_drawn_pictures_stand_beside_no_published_figure(
    workplace: Path, colours: type[Colours]
) -> None:
    drawn = "These pictures are drawn: nobody has published figures of them."
    assert drawn not in run("fidelity", FACES)
    shutil.rmtree(workplace)
    prepared.lay_out(Path(), drawn=True)
    assert drawn in run("fidelity", FACES)


def test_the_same_for_programs(workplace: Path, colours: type[Colours]) -> None:
    said = json.loads(run("fidelity", "faces-vae-tiny@champion", "--json"))
    assert said["version"] == "faces-vae-tiny/1"
    assert said["settings"] == {
        "dataset": "celeba", "drawn": False, "size_pixels": 16, "fit": "crop", "crop_share": 1.0,
        "split": "test", "seed": 0,
    }  # fmt: skip
    assert list(said["sets"]) == ["reconstructions", "normal", "mixture"]
    for found in said["sets"].values():
        assert (found["made"], found["reals"], found["kid_subset"]) == (TEST, TEST, 30)
        assert found["inception"].keys() == FIGURES.keys()
    # Three sets that were made, and the reals once.
    assert colours.looked_at == 4 * TEST


def test_without_the_weights_nothing_is_made(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", "empty")
    with pytest.raises(UserError, match=r"6726825d\.pth: no such file\. Download https:"):
        run("fidelity", FACES)


def test_numbers_have_no_such_figures(workplace: Path) -> None:
    with pytest.raises(UserError, match="numbers: papers compare nothing of its kind"):
        run("fidelity", "numbers-tiny@champion")


def test_each_figure_is_explained() -> None:
    page = (ROOT / "docs/judging.md").read_text()
    assert not [key for key in FIGURES if f"`inception/{key}`" not in page]


@pytest.mark.slow
def test_torch_fidelitys_own_command_says_the_same_of_the_exported_folders(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program, on files: its order, its loading and its figures are not ours."""
    monkeypatch.setattr(inception, "DIGEST", random_weights(Path("random.pth")))
    reals = np.load(workplace / "test.npy")
    # Half of them as it makes them, so that no share is 0 or 1 by itself.
    reals[: TEST // 2] = loading.load(FACES).sample(TEST // 2, seed=8).transpose(0, 3, 1, 2)
    np.save(workplace / "test.npy", reals)
    asked = (FACES, "--count", "12", "--seed", "7")
    run("export", *asked, "--out", "sets")
    ours = json.loads(run("fidelity", *asked, "--weights", "random.pth", "--json"))
    theirs = json.loads(
        run_program(
            str(BIN / "fidelity"), "--input1", "sets/samples", "--input2", "sets/reals",
            "--isc", "--fid", "--kid", "--prc", "--kid-subset-size", "12",
            "--feature-extractor", "inception-v3-compat",
            "--feature-extractor-weights-path", "random.pth",
            "--cpu", "--no-cache", "--save-cpu-ram", "--silent", "--json",
            variables=environment(),
        )
    )  # fmt: skip
    figures = ours["sets"]["samples"]["inception"]
    for name, key in FIGURES.items():
        assert figures[name] == pytest.approx(theirs[key], rel=1e-6, abs=1e-6), name
    # Figures that could have differed.
    assert figures["fid"] > 0.01
    assert figures["score"] > 1.001
    assert 0 < figures["recall"] < 1
