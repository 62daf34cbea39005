"""Contracts over every task: its row, its module, its class in the file that ships, its card."""

import inspect
import json
import re
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from tests.toys import ATTRIBUTES, SEEN, SIZE, TOYS, directions
from torch import nn

from atelier.bundle import bundle_model
from atelier.bundle.bundle_model import MANIFEST
from atelier.bundle.card import Card
from atelier.bundle.pack import BundleDescription
from atelier.bundle.pack import pack as pack_bundle
from atelier.config import load_experiment
from atelier.models import MODELS
from atelier.paths import Paths
from atelier.task import CLASSIFICATION, TASKS
from atelier.tasks import MODULES, TaskModule
from atelier.tasks.context import Context
from atelier.tasks.directions import Found

OFFERED = [name for name in vars(TaskModule) if not name.startswith("_")]


def test_a_task_stands_in_every_table() -> None:
    assert MODULES.keys() == TASKS.keys() == bundle_model.TASKS.keys()
    assert [task.name for task in TASKS.values()] == list(TASKS)
    assert {toy.description.task for toy in TOYS.values()} == TASKS.keys()
    assert {model.task.name for model in MODELS.values()} - {CLASSIFICATION.name} == TASKS.keys()


@pytest.mark.parametrize("name", TASKS)
def test_the_class_that_ships_agrees_with_the_row(name: str) -> None:
    task, ships = TASKS[name], bundle_model.TASKS[name]
    assert dict(ships.NETWORKS) == dict(task.networks)
    assert list(ships.NETWORKS) == list(task.networks)
    assert ships.takes_attributes() == task.takes_attributes
    assert (task.makes == "numbers") == ships.MAKES_NUMBERS
    assert task.needs_labels or not task.takes_attributes


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("function", OFFERED)
def test_a_module_offers_what_every_task_has(name: str, function: str) -> None:
    """By names and order, too: they are called by place, and read beside each other."""
    offered = inspect.signature(getattr(MODULES[name], function))
    _, *wanted = inspect.signature(getattr(TaskModule, function)).parameters
    assert list(offered.parameters) == wanted
    assert getattr(MODULES[name], function).__module__ == f"atelier.tasks.{name}"


class ToyContext(Context):
    """Of a tiny experiment, with the toys' sides and pictures."""

    manifest: ClassVar = {"labels": ["Smiling", "Male"]}
    judge = None

    @property
    def shape(self) -> tuple[int, ...]:
        return (100,) if self.experiment.task.makes == "numbers" else (3, SIZE, SIZE)

    def images(self, split: str | None = None) -> np.ndarray:
        return np.random.default_rng(0).integers(0, 256, (64, 3, SIZE, SIZE), np.uint8)

    def labels(self, split: str | None = None) -> np.ndarray:
        return np.zeros((64, 2), np.uint8)

    def conditions(self, split: str | None = None) -> np.ndarray:
        return SEEN


@dataclass(frozen=True)
class Packed:
    """What a task's own `pack` made of a toy."""

    manifest: dict[str, Any]
    card: str


OF = {
    "numbers": "numbers",
    "unconditional": "faces-gan",
    "conditional": "faces-cgan",
    "translation": "black2blond",
    "autoencoder": "faces-ae",
    "vae": "faces-vae",
}
"""The experiment whose context a toy is packed in."""


def toy_context(name: str) -> Context:
    experiment = load_experiment("tiny", OF[name])
    changes: dict[str, Any] = {}
    if TOYS[name].description.latent_dim:
        changes["model"] = experiment.model.model_copy(update={"latent_dim": 8})
    if name == "conditional":
        changes["sampling"] = experiment.sampling.model_copy(update={"attributes": ATTRIBUTES})
    return ToyContext(experiment.model_copy(update=changes), Paths("tiny"), "validation")


def reads_no_data(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a module finds out of prepared data and a judge is given here."""
    found = Found(("Smiling", "Male"), {}, {"directions": directions()})
    given: dict[str, Any] = {
        "directions_of": lambda *_: found,
        "directions_of_samples": lambda *_: found,
        "seen_combinations": lambda *_: SEEN,
        "open_both": lambda *_: SimpleNamespace(of={}),
    }
    for name in given.keys() & vars(module).keys():
        monkeypatch.setattr(module, name, given[name])


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Packed]:
    """By toy; only the example is the toys' own."""
    made = {}
    for name, toy in TOYS.items():
        module: Any = MODULES[toy.description.task]
        out = tmp_path_factory.mktemp(name) / "bundle"

        def pack_toy(
            out: Path, networks: Any, description: BundleDescription, card: Card, example: Any,
            arrays: Any = None, toy: Any = toy,
        ) -> str:  # fmt: skip
            return pack_bundle(out, networks, description, card, toy.example, arrays)

        with pytest.MonkeyPatch.context() as monkeypatch:
            reads_no_data(module, monkeypatch)
            monkeypatch.setattr(module, "pack_bundle", pack_toy)
            # As `bundle` hands them over, and a copy: other tests pack the same toys.
            networks = nn.ModuleDict(deepcopy(toy.networks)).eval()
            module.pack(networks, toy_context(name), out, 1000)
        words = json.loads((out / MANIFEST).read_text())
        made[name] = Packed(words, (out / "model_card.md").read_text())
    return made


@pytest.mark.parametrize("name", TOYS)
def test_a_bundle_says_what_its_experiment_is(packed: dict[str, Packed], name: str) -> None:
    words, experiment = packed[name].manifest, load_experiment("tiny", OF[name])
    assert words["task"] == experiment.task.name == TOYS[name].description.task
    assert words["registered_name"] == experiment.registered_name
    assert words["selected_images"] == 1000


@pytest.mark.parametrize("name", TOYS)
def test_a_card_says_what_it_is_of_and_how_to_load_it(packed: dict[str, Packed], name: str) -> None:
    card, experiment = packed[name].card, load_experiment("tiny", OF[name])
    assert f'mlflow.pyfunc.load_model("models:/{experiment.registered_name}@champion")' in card
    assert f"`{experiment.name}` at scale `tiny` on the dataset `{experiment.dataset}`" in card
    assert "1,000 training images" in card
    assert (f"{SIZE} x {SIZE} pixels" in card) == (experiment.task.makes == "pictures")


REQUESTED = ("count", "seed", "truncation", "sampler", "attributes", "allow_unseen", "edits",
             "image_base64", "direction")  # fmt: skip
"""All that a request of any task can hold."""


@pytest.mark.parametrize("name", TOYS)
def test_a_card_names_what_can_be_asked_of_it_and_nothing_of_other_tasks(
    packed: dict[str, Packed], name: str
) -> None:
    words, card = packed[name].manifest, packed[name].card
    assert set(bundle_model.columns(words)) <= set(REQUESTED)
    named = {word for word in REQUESTED if re.search(rf'[`"]{word}[`"]', card)}
    assert named == bundle_model.columns(words).keys()
    assert ("attributes" in card) == ("attributes" in named)
    assert all(attribute in card for attribute in words["attributes"])
    assert ("A2B" in card) == ("B2A" in card) == ("direction" in named)
    assert ("numbers from 0 to 99" in card) == (words["task"] == "numbers")


@pytest.mark.parametrize("name", TOYS)
def test_the_request_on_a_card_is_one_that_its_bundle_takes(
    packed: dict[str, Packed], name: str
) -> None:
    found = re.search(r"predict\(\[(.*)\]\)", packed[name].card)
    assert found
    row = eval(found[1], {"picture": "a picture"})
    columns = bundle_model.columns(packed[name].manifest)
    assert row.keys() <= columns.keys()
    if "image_base64" not in columns or "count" not in columns:
        assert row.keys() >= {column for column, without in columns.items() if without is None}


@pytest.mark.parametrize("name", ["unconditional", "conditional", "vae"])
def test_a_card_names_the_directions_of_edits(packed: dict[str, Packed], name: str) -> None:
    assert packed[name].manifest["directions"] == ["Smiling", "Male"]
    assert "steps along Smiling, Male" in packed[name].card


def test_a_card_says_what_the_domains_are(packed: dict[str, Packed]) -> None:
    card = " ".join(packed["translation"].card.split())
    assert "domain A are the dataset's pictures with Black_Hair = 1 and Blond_Hair = 0" in card
    assert "domain B those with Blond_Hair = 1 and Black_Hair = 0" in card
