"""A conditional generator in the one loop: every loss, resumed bit for bit, and it obeys."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from pydantic import ValidationError
from tests.project import contents
from tests.tables import fits, plain_conditional, plain_gan

from atelier import config
from atelier.errors import Interrupted
from atelier.objectives import OBJECTIVES
from atelier.schema import read_yaml
from atelier.tasks.conditional import preview
from atelier.tasks.pictures import PREVIEWED
from atelier.training import loop, setup
from atelier.training.cost import gflop_per_image

TINY = read_yaml(Path("experiments/tiny/faces-cgan.yaml"))
PLAIN = plain_conditional()
OPTIONS = {
    "wgan_gp": {"gradient_penalty": 10.0, "critic_steps": 2},
    "relativistic": {"gamma": 0.1, "penalty_every": 4},
    "relativistic_ac": {
        "gamma": 0.1,
        "penalty_every": 4,
        "real_label_weight": 1.0,
        "fake_label_weight": 0.5,
    },
}
LOSSES = [name for name in OBJECTIVES if fits(name, "cdcgan")]
ATTRIBUTES = ["Bright", "Warm"]
"""Of images, as we make them; in another order than the labels."""


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """96 smooth pictures, 16 pixels wide: bright or dark, and red or blue."""
    folder = tmp_path_factory.mktemp("prepared")
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (96, 3), dtype=np.uint8)
    level = 60 + 110 * labels[:, 2, None] + 40 * np.outer(2.0 * labels[:, 0] - 1, [1, 0, -1])
    small = level[:, :, None, None] + rng.normal(0, 10, (96, 3, 4, 4))
    np.save(folder / "training.npy", small.clip(0, 255).astype(np.uint8).repeat(4, 2).repeat(4, 3))
    np.save(folder / "training_labels.npy", labels)
    names = ["Warm", "Other", "Bright"]
    manifest = {"dataset": "celeba", "layout": "attributes", "labels": names}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def experiment(objective="relativistic", model=None, **training):
    body = json.loads(json.dumps(TINY if objective == "cvaegan" else PLAIN))
    if objective != "cvaegan":
        body["objective"] = {"name": objective} | OPTIONS.get(objective, {})
        body["model"] |= {"generator_width": 4, "discriminator_width": 4}
    body["sampling"]["attributes"] = ATTRIBUTES
    body["training"] |= {
        "images": 160, "batch_size": 16, "log_every_images": 48, "sample_every_images": 96,
    } | training  # fmt: skip
    body["model"] |= model or {}
    return config.Experiment.model_validate(body)


def run(work, prepared, folder, fabric, **options):
    learner = setup.build(work, prepared, fabric)
    return loop.train("faces-cgan", work, learner, folder, **options), learner


@pytest.mark.parametrize("objective", [*LOSSES, "cvaegan"])
def test_a_resumed_run_equals_an_uninterrupted_one(objective, faces, fabric, tmp_path):
    work = experiment(objective)
    run(work, faces, tmp_path / "whole", fabric)
    steps = iter([False] * 4 + [True] + [False] * 99)
    with pytest.raises(Interrupted, match="saved"):
        run(work, faces, tmp_path / "parts", fabric, should_stop=lambda: next(steps))
    summary, learner = run(work, faces, tmp_path / "parts", fabric)
    assert summary.images == 160
    assert contents(tmp_path / "parts" / "output") == contents(tmp_path / "whole" / "output")
    assert all(torch.isfinite(weights).all() for weights in learner.nets.state_dict().values())


def test_it_learns_to_make_what_is_asked_for(faces, fabric, tmp_path):
    """The same noise, asked to be bright and dark, warm and cold."""
    adam = {"learning_rate": 0.003, "betas": [0.0, 0.99], "schedule": "constant"}
    both = {"generator": adam, "discriminator": adam}
    work = experiment(images=1600, ema_share=0.05, optimizers=both, augmentation=None)
    _, learner = run(work, faces, tmp_path, fabric)
    noise = torch.randn(32, work.model.latent_dim, generator=torch.Generator().manual_seed(1))

    def made(bright, warm):
        conditions = torch.tensor([[bright, warm]]).repeat(32, 1)
        with torch.inference_mode():
            return learner.averages["generator"](noise, conditions).mean((0, 2, 3))  # [3]

    brighter = made(1.0, 0.0).mean() - made(0.0, 0.0).mean()
    warmer = made(0.0, 1.0)[0] - made(0.0, 1.0)[2] - (made(0.0, 0.0)[0] - made(0.0, 0.0)[2])
    # In the data: 110 / 127.5 and 160 / 127.5.
    assert brighter > 0.4
    assert warmer > 0.5
    half = made(0.5, 0.0).mean()
    assert made(0.0, 0.0).mean() < half < made(1.0, 0.0).mean()


def test_the_preview_asks_for_what_training_images_have(faces, fabric):
    learner = setup.build(experiment(), faces, fabric)
    assert learner.batches.label_names == tuple(ATTRIBUTES)
    with torch.inference_mode():
        first, second = preview(learner).pictures, preview(learner).pictures
    assert first.shape == (PREVIEWED, 3, 16, 16)
    assert torch.equal(first, second)


@pytest.mark.parametrize("objective", ["wgan_gp", "relativistic", "relativistic_ac"])
def test_batch_norm_under_a_penalty_is_refused(objective):
    with pytest.raises(ValidationError, match="BatchNorm mixes the images whose gradients"):
        experiment(objective, {"discriminator_norm": "batch"})
    assert experiment("hinge", {"discriminator_norm": "batch"}).model.discriminator_norm == "batch"


def test_uniform_sampling_is_refused():
    body = json.loads(json.dumps(TINY)) | {"sampling": {"name": "uniform"}}
    with pytest.raises(ValidationError, match="model cvaegan takes balanced"):
        config.Experiment.model_validate(body)


def test_the_cost_of_telling_attributes_is_small():
    plain = config.Experiment.model_validate(yaml.safe_load(plain_gan()))
    told = config.Experiment.model_validate(PLAIN)
    shape = (3, 32, 32)
    without, cost = gflop_per_image(plain, shape, 40), gflop_per_image(told, shape, 5)
    assert without < cost < 1.1 * without
