"""A toy task, all of it: grey pictures in, colour pictures out.

What docs/extending.md names as a task's rows, module and class, in the least of code; `joined` puts
it into the house's tables.
"""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from atelier import task
from atelier.bundle import bundle_model
from atelier.bundle.bundle_model import Bundle, Plan
from atelier.bundle.card import Card
from atelier.bundle.comparison import Comparer
from atelier.bundle.pack import grid
from atelier.bundle.pack import pack as pack_bundle
from atelier.data.images import channels_last, to_bytes, to_float
from atelier.evaluation import report
from atelier.evaluation.estimate import Estimate
from atelier.evaluation.features import Images, WitnessFeatures
from atelier.evaluation.keys import SETTINGS, WITNESS
from atelier.evaluation.reconstruction import reconstruction_figures, squared_errors
from atelier.models import MODELS, Model
from atelier.objectives import OBJECTIVES, Loss
from atelier.objectives.phase import Batch, Phase, Randomness
from atelier.schema import Strict
from atelier.task import Task
from atelier.tasks import MODULES
from atelier.tasks.comparing import ErrorComparer, Errors, digests
from atelier.tasks.context import TRAINING, Context
from atelier.tasks.pictures import made_from, preview_data, preview_pairs, reconstructed
from atelier.training.health import Made, Preview
from atelier.training.setup import Learner

NAME = "colourisation"
NETWORK = "colouriser"
TASK = Task(NAME, {NETWORK: ("image",)}, "pictures")


class Config(Strict):
    name: Literal["colouriser"]


class ObjectiveConfig(Strict):
    name: Literal["colour"]


class Colouriser(nn.Module):
    """[B, 3, S, S] -> [B, 3, S, S], of its brightness alone; untrained it leaves it grey."""

    def __init__(self) -> None:
        super().__init__()
        self.colour = nn.Conv2d(1, 3, 1)
        nn.init.ones_(self.colour.weight)
        self.colour.bias.data.zero_()  # type: ignore[union-attr]

    def forward(self, images: Tensor) -> Tensor:
        made: Tensor = self.colour(images.mean(1, keepdim=True))
        return made


class Objective:
    phases = (Phase("colour", trains=(NETWORK,)),)
    memory = None

    def optimizer_ratio(self, network: str) -> float:
        return 1.0

    def loss(
        self, phase: Phase, nets: nn.ModuleDict, batch: Batch, rng: Randomness
    ) -> tuple[Tensor, dict[str, Tensor]]:
        loss = (nets[NETWORK](batch.real) - batch.real).abs().mean()
        return loss, {"absolute_error": loss.detach()}


class ColourisationBundle(Bundle):
    NETWORKS: Mapping[str, tuple[str, ...]] = {NETWORK: ("image",)}

    @classmethod
    def columns(cls, manifest: Mapping[str, Any]) -> dict[str, Any]:
        return {"image_base64": None}

    def plan(self, row: Mapping[str, Any], place: int, pixels_left: int) -> Plan:
        picture = bundle_model._read_image(row["image_base64"], pixels_left)
        made = self.reconstruct(self.to_square(picture)[None])
        return Plan(lambda: iter([({"index": place}, made[0])]), 1, picture[..., 0].size)

    def reconstruct(self, pictures: np.ndarray, shift: np.ndarray | None = None) -> np.ndarray:
        return self._published(self._in_chunks(NETWORK, self._checked(pictures)))


def preview(learner: Learner) -> Preview:
    images = preview_data(learner)["real"][:4]
    made = learner.averages[NETWORK](images)
    return Preview(preview_pairs(images, made), (Made(NETWORK, made, images),))


def figure(networks: nn.ModuleDict, context: Context) -> Estimate:
    images = np.array(context.images())
    made = made_from(networks[NETWORK], to_float(torch.from_numpy(images)))
    return Estimate(float(squared_errors(images, to_bytes(made).numpy()).mean()))


def pack(networks: nn.ModuleDict, context: Context, out: Path, images: int) -> None:
    shown = channels_last(np.array(context.images()[:4]))
    card = Card("Colours grey pictures.", '{"image_base64": picture}', ())
    described = context.describe(images)
    pack_bundle(
        out, dict(networks.items()), described, card, lambda one: grid(one.reconstruct(shown))
    )


def score(bundle: Bundle, context: Context, folder: Path) -> dict[str, Any]:
    images = np.array(context.images())
    made = reconstructed(bundle, images)
    report.write_grid(folder / "grid.png", made)
    figures = reconstruction_figures(images, made)
    return {NAME: figures, SETTINGS: context.settings(len(images))}


def errors(bundle: Bundle, images: Images) -> Errors:
    return squared_errors(images, reconstructed(bundle, images))


def comparer(context: Context) -> Comparer:
    images = np.array(context.images())
    grey = images.mean(1, keepdims=True).round().astype(np.uint8).repeat(3, 1)
    left_grey = squared_errors(images, grey).mean()

    def floors(bundle: Bundle) -> list[str]:
        return [] if errors(bundle, images).mean() < left_grey else ["leaves pictures grey"]

    further = {WITNESS: WitnessFeatures(context.images(TRAINING))}
    rests_on = digests(context.prepared, None)
    return ErrorComparer(
        images, reconstructed, errors, lambda bundle: 1.0, floors, further, rests_on
    )


def joined(tables: pytest.MonkeyPatch) -> None:
    """Enters the toy in every table that names tasks, models or objectives."""
    model = Model(TASK, Config, lambda *_: nn.ModuleDict({NETWORK: Colouriser()}))
    loss = Loss((TASK,), ObjectiveConfig, lambda *_: Objective())
    functions = (preview, figure, pack, score, comparer)
    module = SimpleNamespace(**{function.__name__: function for function in functions})
    for table, key, row in (
        (task.TASKS, NAME, TASK),
        (MODELS, NETWORK, model),
        (OBJECTIVES, "colour", loss),
        (MODULES, NAME, module),
        (bundle_model.TASKS, NAME, ColourisationBundle),
    ):
        tables.setitem(table, key, row)  # type: ignore[arg-type]
