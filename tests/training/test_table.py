"""A contract over the table of experiments: each learns, averages, is killed and goes on bit-equal.

A new line of params.yaml is tested here without a new test.
"""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.project import contents

from atelier import config, params
from atelier.errors import Interrupted
from atelier.models import MODELS
from atelier.training import loop, setup

LISTED = params.listed_experiments()
STEPS = 6
PICTURES = 64
SIDE = 32


def attributes(rng):
    """The labels that any experiment names, as 0 and 1; black hair is not blond."""
    names = {"Male", "Young"}
    for name in LISTED:
        sampling = config.load_experiment("tiny", name).sampling
        names |= set(getattr(sampling, "attributes", ())) | set(getattr(sampling, "balance", ()))
        names |= set(getattr(sampling, "a", ())) | set(getattr(sampling, "b", ()))
    names = sorted(names - {"domain_b"})
    labels = rng.integers(0, 2, (PICTURES, len(names)), dtype=np.uint8)
    if {"Black_Hair", "Blond_Hair"} <= set(names):
        black = labels[:, names.index("Black_Hair")]
        labels[:, names.index("Blond_Hair")] = 1 - black
    return names, labels


def prepare(folder, layout):
    """A prepared dataset of that layout, of smooth pictures where it has pictures."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    manifest = {"layout": layout, "dataset": layout, "shape": [100]}
    if layout != "numbers":
        pair = (["domain_b"], (np.arange(PICTURES, dtype=np.uint8) % 2)[:, None])
        manifest["labels"], labels = pair if layout == "pairs" else attributes(rng)
        small = rng.integers(0, 256, (PICTURES, 3, 4, 4), dtype=np.uint8)
        np.save(folder / "training.npy", small.repeat(SIDE // 4, 2).repeat(SIDE // 4, 3))
        np.save(folder / "training_labels.npy", labels)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def shortened(name, steps=STEPS, most=8):
    """An experiment of `tiny` with its own settings, and few steps of small batches."""
    body = config.load_experiment("tiny", name).model_dump()
    batch = min(body["training"]["batch_size"], most)
    body["training"] |= {
        "images": steps * batch, "batch_size": batch, "snapshots": 2, "precision": "fp32",
        "log_every_images": 2 * batch, "sample_every_images": 3 * batch,
    }  # fmt: skip
    return config.Experiment.model_validate(body)


@pytest.mark.parametrize("name", LISTED)
def test_every_experiment_goes_on_bit_for_bit(name, fabric, tmp_path):
    work = shortened(name)
    layout = config.load_dataset("tiny", work.dataset).data.layout
    prepared = prepare(tmp_path / "prepared", layout)

    def run(folder, **options):
        learner = setup.build(work, prepared, fabric)
        loop.train(name, work, learner, folder, **options)
        return learner

    learner = run(tmp_path / "whole")
    for stop_at in (1, 3):
        steps = iter([False] * (stop_at - 1) + [True])
        with pytest.raises(Interrupted, match="saved"):
            run(tmp_path / "parts", should_stop=lambda steps=steps: next(steps))
    run(tmp_path / "parts")
    made = contents(tmp_path / "whole" / "output")
    assert contents(tmp_path / "parts" / "output") == made

    published = MODELS[work.model.name].task.networks
    assert set(published) <= set(learner.averages)
    last = max((tmp_path / "whole" / "output" / "snapshots").iterdir())
    saved = load_file(last)
    assert {key.split(".")[0] for key in saved} == set(published)
    if work.training.ema_share and not work.training.early_stopping:
        trained = learner.nets.state_dict()
        averages = learner.averages.state_dict()
        assert all(torch.equal(tensor, averages[key]) for key, tensor in saved.items())
        assert any(not torch.equal(tensor, trained[key]) for key, tensor in saved.items())
