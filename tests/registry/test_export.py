"""A version as a folder for a hub: what was published, verified, and its model card."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from tests.invoking import invoke
from tests.toys import TOYS

from atelier.cli.registry import registry
from atelier.errors import UserError
from atelier.evaluation.report import flatten
from atelier.registry import completing, export, loading, versions
from atelier.registry.datasets import Split
from atelier.registry.headline import headlines
from atelier.registry.hub_fields import Known, front_matter
from atelier.registry.model_card import model_card
from atelier.registry.store import Store
from atelier.task import CLASSIFICATION, TASKS

ROOT = Path(__file__).parents[2]
FRONT_MATTER = re.compile(r"^(\s*---\n)([\S\s]*?)(\n---[ \t]*(\n|$))")
"""The hub's own pattern of it."""
SECTIONS = [
    "Model details",
    "Intended use",
    "How to use it",
    "Training data",
    "Evaluation",
    "Limitations",
    "Lineage",
]
HUB_TASKS = {
    "numbers": "other",
    "unconditional": "unconditional-image-generation",
    "conditional": "unconditional-image-generation",
    "translation": "image-to-image",
    "reconstruction": "image-to-image",
    "classification": "image-classification",
}
METRICS = {
    "numbers": "numbers",
    "unconditional": "faces-gan",
    "conditional": "faces-cgan",
    "translation": "horse2zebra",
    "autoencoder": "faces-ae",
    "vae": "faces-vae",
}
"""The experiment whose figures a toy is given."""


def metrics_of(toy: str) -> dict[str, Any]:
    file = ROOT / "artifacts" / "laptop" / METRICS[toy] / "metrics.json"
    words: dict[str, Any] = json.loads(file.read_text())
    return words


def evaluated(store: Store, toy: str) -> versions.Version:
    """A toy's champion with figures of a real evaluation."""
    description = TOYS[toy].description
    version = versions.find(store, f"{description.registered_name}@champion")
    splits = [Split(description.dataset, "c" * 36, "test", 1000)]
    with store.locked():
        completing.complete(store, version, None, metrics_of(toy), splits)
    return versions.find(store, f"{description.registered_name}@champion")


def known(store: Store, toy: str) -> Known:
    version = evaluated(store, toy)
    return export.known_of(store, version, loading.fetch(store, version))


def parts(card: str) -> tuple[dict[str, Any], str]:
    """The fields of a card, and its text."""
    found = FRONT_MATTER.match(card)
    assert found
    return yaml.safe_load(found[2]), card[found.end() :]


@pytest.mark.parametrize("name", TOYS)
def test_a_card_has_a_hubs_fields_the_usual_sections_and_the_figures_of_metrics_json(
    gallery: Store, repository: Path, name: str
) -> None:
    version = evaluated(gallery, name)
    export.export(gallery, version, Path("out"))
    card = Path("out", "README.md").read_text()
    fields, text = parts(card)
    description, figures = TOYS[name].description, flatten(metrics_of(name))
    assert fields["license"] == "apache-2.0"
    assert fields["library_name"] == "mlflow"
    assert fields["pipeline_tag"] == HUB_TASKS[description.task]
    assert description.task in fields["tags"]
    (dataset,) = fields["datasets"]
    assert dataset in (f"{description.dataset}-drawn", f"{description.dataset}-computed")

    (index,) = fields["model-index"]
    (results,) = index["results"]
    assert index["name"] == description.registered_name
    assert results["task"] == {"type": fields["pipeline_tag"], "name": description.task}
    assert (results["dataset"]["type"], dataset) == (dataset, fields["datasets"][0])
    assert results["dataset"]["args"]["seed"] == 100
    assert {one["type"]: one["value"] for one in results["metrics"]} == {
        one.key: figures[one.key] for one in headlines(figures)
    }
    assert [one["type"] for one in results["metrics"]] == fields["metrics"] != []
    assert all(one["name"] and one["verified"] is False for one in results["metrics"])
    for one in headlines(figures):
        assert f"| {one.measured} |" in text
        assert one.held_to.removeprefix("; ") in text

    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    assert f"# {description.registered_name}, version 1\n" in text
    assert version.digest in text
    assert 'mlflow.pyfunc.load_model(".")' in text
    assert ("drawings" in text) == (description.task != "numbers")
    for path in (str(repository), str(ROOT), str(Path.home()) + "/", "file:", "mlruns"):
        assert path not in card


@pytest.mark.parametrize("task", [*TASKS.values(), CLASSIFICATION])
def test_every_task_has_a_hubs_name(task: Any) -> None:
    assert task.hub_task == HUB_TASKS[task.name]


def test_a_figure_stands_with_its_interval(gallery: Store) -> None:
    figures = {"judge/kid": 0.0302, "judge/kid_standard_error": 0.0041}
    held = {"judge/kid_ceiling": 0.001, "judge/kid_ceiling_standard_error": 0.002}
    held["judge/of_the_way"] = 0.94
    card = model_card(replace(known(gallery, "unconditional"), figures=figures | held))
    row = "| KID (judge) | 0.0302 ± 0.0041 = 94% of the way | 0.0220 to 0.0384 | ceiling of "
    assert row in card
    assert "Of the way: from the best of the sets that are known to be wrong" in card


@pytest.mark.parametrize(
    ("drawn", "dataset", "words"),
    [
        (True, "celeba-drawn", "drawn by a program of this project"),
        (False, "celeba-imported", "imported from elsewhere"),
        (None, "celeba-unknown", "is not recorded"),
    ],
)
def test_a_card_claims_no_licence_of_pictures_that_are_not_the_projects_own(
    gallery: Store, drawn: bool | None, dataset: str, words: str
) -> None:
    settings = {"samples": 10} | ({} if drawn is None else {"drawn": drawn})
    given = replace(known(gallery, "unconditional"), settings=settings)
    fields, text = parts(model_card(given))
    assert fields["datasets"] == [dataset]
    assert words in text
    assert (fields["license"] == "apache-2.0") == bool(drawn)
    assert ("license_name" in fields) == (not drawn)
    assert ("non-commercial" in text) == (not drawn)


def test_what_began_with_anothers_networks_has_no_licence_of_its_own(gallery: Store) -> None:
    given = known(gallery, "unconditional")
    assert front_matter(given)["license"] == "apache-2.0"
    began = replace(given.version, tags=given.version.tags | {"atelier.start.found": "/my/place"})
    fields, text = parts(model_card(replace(given, version=began)))
    assert fields["license"] == "other"
    assert "began with the networks of another" in text
    assert "/my/place" not in text


def test_without_figures_a_card_has_none_and_says_so(gallery: Store) -> None:
    fields, text = parts(model_card(replace(known(gallery, "unconditional"), figures={})))
    assert not fields.keys() & {"metrics", "model-index"}
    assert "No test figures are kept." in text


def test_the_folder_is_what_was_published_and_the_card_and_answers_alike(
    gallery: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import pyfunc

    version = evaluated(gallery, "numbers")
    published, before = Path(version.source).absolute(), contents(Path(version.source))
    app = typer.Typer()
    app.add_typer(registry)
    said = invoke(app, "export", f"{version.name}@champion", "--out", "to/hand/on")
    assert said == f"to/hand/on: {version}, verified, and its model card (README.md)\n"
    there = contents(Path("to/hand/on"))
    assert there.pop("README.md")
    assert there == before == contents(published)
    rows = pyfunc.load_model(str(published)).predict([{"count": 4, "seed": 7}])
    monkeypatch.chdir("to/hand/on")
    assert pyfunc.load_model(".").predict([{"count": 4, "seed": 7}]) == rows


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def other_weights(model: Path) -> None:
    next(model.rglob("generator.pt2")).write_bytes(b"other")


def other_code(model: Path) -> None:
    (model / "bundle_model.py").write_text("print('ran')\n")


def alone(model: Path) -> None:
    bundle = shutil.move(model / "artifacts" / "bundle", model.parent / "aside")
    shutil.rmtree(model)
    shutil.move(bundle, model)


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (other_weights, "not the file that was packed"),
        (other_code, "that MLflow runs is not the bundle's"),
        (alone, "no model folder of MLflow's around it"),
    ],
)
def test_what_is_not_as_it_was_packed_is_not_handed_on(
    published: Store, harm: Callable[[Path], None], problem: str
) -> None:
    version = versions.find(published, "faces-gan-tiny@champion")
    harm(Path(version.source))
    before = sorted(Path().iterdir())
    with pytest.raises(UserError, match=problem):
        export.export(published, version, Path("out"))
    assert sorted(Path().iterdir()) == before


def test_a_key_that_has_not_signed_it_stops_it_and_nothing_is_replaced(published: Store) -> None:
    version = versions.find(published, "faces-gan-tiny@champion")
    Path("key.pub").write_text(
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHAG0QVYo4uYIgNtRnQG1nCVr0SkW4y3Zk5bXW2jPzfp\n"
    )
    with pytest.raises(UserError, match="is not signed"):
        export.export(published, version, Path("out"), [Path("key.pub")])
    Path("out").mkdir()
    Path("out", "mine").touch()
    with pytest.raises(UserError, match="--out: out exists already"):
        export.export(published, version, Path("out"))
    assert [path.name for path in Path("out").iterdir()] == ["mine"]
