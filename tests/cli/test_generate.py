"""`atelier generate` and `registry`: what is asked for appears whole, or one line says why."""

import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from tests.invoking import invoke

from atelier.cli.generate import generate
from atelier.cli.published import human
from atelier.cli.registry import registry
from atelier.errors import UserError
from atelier.registry import loading as generator
from atelier.registry import versions
from atelier.registry.store import Store

app = typer.Typer()
app.add_typer(registry, name="registry")
app.command()(generate)


def run(*arguments: str) -> str:
    return invoke(app, *arguments)


def test_a_grid_and_single_pictures(published: Store) -> None:
    said = run("generate", "faces-gan-tiny@champion", "--count", "5", "--seed", "7",
               "--out", "made/grid.png")  # fmt: skip
    assert "5 from faces-gan-tiny/2, seed 7: made/grid.png" in said
    assert Image.open("made/grid.png").size == (3 * 18 + 2, 2 * 18 + 2)
    run("generate", "faces-gan-tiny@champion", "--count", "5", "--seed", "7", "--out", "single/")
    assert sorted(p.name for p in Path("single").iterdir()) == [f"{k:04d}.png" for k in range(5)]
    expected = generator.load("faces-gan-tiny@champion").sample(5, seed=7)
    np.testing.assert_array_equal(np.asarray(Image.open("single/0003.png")), expected[3])


def test_numbers_are_printed(published: Store) -> None:
    printed = run("generate", "numbers-tiny@champion", "--count", "10")
    expected = generator.load("numbers-tiny@champion").sample(10)
    assert printed.split() == [str(number) for number in expected]
    run("generate", "numbers-tiny@champion", "--count", "10", "--out", "numbers.txt")
    assert Path("numbers.txt").read_text().split() == printed.split()


def test_nothing_is_replaced_without_being_told(published: Store) -> None:
    Path("grid.png").write_text("mine")
    make = ("generate", "faces-gan-tiny@champion", "--count", "2", "--out", "grid.png")
    with pytest.raises(UserError, match=r"grid\.png: exists already\. Choose another, or --over"):
        run(*make)
    assert Path("grid.png").read_text() == "mine"
    run(*make, "--overwrite")
    assert Image.open("grid.png").format == "PNG"
    Path("folder").mkdir()
    Path("folder/0001.png").write_text("mine")
    with pytest.raises(UserError, match=r"folder/0001\.png: exists already\."):
        run("generate", "faces-gan-tiny@champion", "--count", "2", "--out", "folder/")
    assert [path.name for path in Path("folder").iterdir()] == ["0001.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["faces-gan-tiny@champion"], "--out: pictures need a place"),
        (["faces-gan-tiny@champion", "--out", "a.jpg"], r"neither a \.png file nor a folder"),
        (["numbers-tiny@champion", "--out", "a/"], "numbers go to one file"),
        (["faces-gan-tiny@champion", "--out", "a.png", "--count", "0"], "count: a whole number"),
        (["numbers-tiny@champion", "--count", "10001"], "count: a whole number"),
        (["numbers-tiny@champion", "--seed", "-1"], "seed: a whole number"),
        (["numbers-tiny@champion", "--truncation", "nan"], "truncation: above 0"),
        (["faces-gun-tiny@champion", "--out", "a.png"], r"Did you mean faces-gan-tiny\?"),
    ],
)
def test_what_cannot_be_made_is_one_line(
    published: Store, arguments: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        run("generate", *arguments)
    assert not list(Path().glob("a*"))


def test_list_show_and_rollback(published: Store) -> None:
    listed = run("registry", "list")
    assert "faces-gan-tiny/2" in listed
    assert "challenger, champion" in listed
    shown = run("registry", "show", "faces-gan-tiny@champion")
    assert "gate.reason" in shown
    assert "previous_champion" in shown
    said = run("registry", "rollback", "faces-gan-tiny")
    assert (
        said == "faces-gan-tiny@champion is faces-gan-tiny/1 again, instead of faces-gan-tiny/2\n"
    )


def test_a_champion_by_hand_takes_force_and_a_reason(published: Store) -> None:
    command = ("registry", "promote", "faces-gan-tiny/1", "--reason")
    with pytest.raises(UserError, match=r"the gate decides .* say --force"):
        run(*command, "older hair")
    with pytest.raises(UserError, match="--reason: says nothing"):
        run(*command, " ", "--force")
    assert "faces-gan-tiny@champion is faces-gan-tiny/1" in run(*command, "older hair", "--force")
    assert "promoted against the gate: older hair" in run("registry", "list")
    told = run("registry", "history", "faces-gan-tiny").splitlines()
    assert "older hair" in told[-1]
    assert "promoted" in told[1]


def test_a_version_whose_bundle_is_gone_is_not_promoted(published: Store) -> None:
    shutil.rmtree(versions.version(published, "faces-gan-tiny", "1").source)
    with pytest.raises(UserError, match="the bundle of faces-gan-tiny/1 is missing"):
        run("registry", "promote", "faces-gan-tiny/1", "--force", "--reason", "older hair")
    assert versions.find(published, "faces-gan-tiny@champion").number == "2"


def test_the_same_for_programs(published: Store) -> None:
    first, second = (versions.version(published, "faces-gan-tiny", one) for one in "12")
    listed = {one["version"]: one for one in json.loads(run("registry", "list", "--json"))}
    assert listed[str(second)] == {
        "version": str(second),
        "aliases": ["challenger", "champion"],
        "created": second.created,
        "figure": "score 0.1",
        "makes": "Makes toys",
        "bytes": sum(file.stat().st_size for file in bundle_of(second).iterdir()),
        "gate": second.tags["gate.reason"],
    }
    assert abs(datetime.fromisoformat(f"{second.created}+00:00") - datetime.now(UTC)).days == 0
    shown = json.loads(run("registry", "show", str(second), "--json"))
    assert shown["bundle_digest"] == second.digest
    told = json.loads(run("registry", "history", "faces-gan-tiny", "--json"))
    assert [one["version"] for one in told] == [str(first), str(second)]
    assert told[1]["why"] == second.tags["gate.reason"]


def bundle_of(version: versions.Version) -> Path:
    return Path(version.source) / "artifacts/bundle"


def test_a_version_is_a_row_that_says_what_it_is(published: Store) -> None:
    published.client.set_model_version_tag("faces-gan-tiny", "2", "figure", "KID 0.030 ± 0.004")
    reason = "worse (round 1: +0.3 +- 0.1, p = 0.99, witness says worse, recall 0.16 -> 0.08)"
    published.client.set_model_version_tag("faces-gan-tiny", "1", "gate.reason", reason)
    first, second = (
        next(line for line in run("registry", "list").splitlines() if name in line)
        for name in ("faces-gan-tiny/1", "faces-gan-tiny/2")
    )
    assert "KID 0.030 ± 0.004  Makes toys" in second
    assert re.search(r" kB +better in each of 2 rounds", second)
    assert first.endswith("worse (round 1: +0.3 +- 0.1, p = 0.99, witness says worse, …")
    listed = json.loads(run("registry", "list", "--json"))
    assert {one["gate"] for one in listed if one["version"] == "faces-gan-tiny/1"} == {reason}


def test_show_begins_with_a_card(published: Store) -> None:
    shown = run("registry", "show", "faces-gan-tiny@champion").splitlines()
    card, lineage = shown[: shown.index("")], shown[shown.index("") + 1 :]
    facts = {line.split()[0]: line.partition(" ")[2].strip() for line in card}
    assert facts["version"] == "faces-gan-tiny/2"
    assert facts["makes"] == "Makes toys"
    assert facts["figure"] == "score 0.1"
    assert facts["gate"].startswith("better in each of 2 rounds")
    assert facts["load"] == 'mlflow.pyfunc.load_model("models:/faces-gan-tiny@champion")'
    assert any(line.startswith("bundle_digest") for line in lineage)
    shown = json.loads(run("registry", "show", "faces-gan-tiny/1", "--json"))
    assert shown["load"] == 'mlflow.pyfunc.load_model("models:/faces-gan-tiny/1")'
    assert shown["figures"] == {}


@pytest.mark.parametrize(
    ("size", "words"),
    [(None, ""), (0, "0 B"), (999, "999 B"), (1000, "1 kB"), (364_123, "364 kB"),
     (1_020_000, "1.02 MB"), (10**17, "1e+05 TB")],
)  # fmt: skip
def test_a_size_is_read_by_people(size: int | None, words: str) -> None:
    assert human(size) == words


def test_an_empty_registry_lists_what_to_run(store: Store) -> None:
    assert run("registry", "list") == "Nothing is registered yet. Run: atelier repro\n"
    assert run("registry", "list", "--json") == "[]\n"
