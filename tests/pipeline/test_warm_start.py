"""Trainings that begin where others ended, or go on beyond their end."""

import json

import pytest
import torch
import yaml
from safetensors.torch import load_file
from tests.project import BIN, contents, run

pytestmark = pytest.mark.slow
TRAIN = (str(BIN / "atelier"), "train", "faces-gan", "--scale", "tiny")
TRAIN_PLAIN = (str(BIN / "atelier"), "train", "faces-plain", "--scale", "tiny")
RESULT = "artifacts/tiny/faces-gan/train"
FINISHED = ".atelier/finished/tiny-faces-gan"


@pytest.fixture
def change(project):
    """Changes keys of the training; absent ones are added."""
    return _changing(project / "experiments/tiny/faces-gan.yaml")


@pytest.fixture
def change_plain(project):
    """The same of a GAN whose rates stay what they are, which alone can go on beyond its end."""
    new = ("experiment", "new", "faces-plain", "--from", "faces-gan", "--model", "dcgan")
    run(project, "atelier", *new, "--objective", "relativistic")
    write = _changing(project / "experiments/tiny/faces-plain.yaml")
    adam = {"learning_rate": 0.0003, "betas": [0.0, 0.99], "schedule": "constant"}
    write(optimizers={"generator": adam, "discriminator": dict(adam)})
    return write


def _changing(file):
    def write(**keys):
        words = yaml.safe_load(file.read_text())
        words["training"] |= keys
        file.write_text(yaml.safe_dump(words, sort_keys=False))

    return write


def test_raised_images_go_on_to_what_a_longer_plan_gives(project, change_plain):
    snapshots = project / "artifacts/tiny/faces-plain/train/snapshots"
    change_plain(images=512)
    run(project, *TRAIN_PLAIN)
    change_plain(images=1024)
    assert "goes on from 512 images" in run(project, *TRAIN_PLAIN)
    raised = contents(snapshots)
    run(project, "rm", "-r", ".atelier/finished/tiny-faces-plain")
    assert "goes on" not in run(project, *TRAIN_PLAIN)
    assert contents(snapshots) == raised


def test_raised_images_that_cannot_go_on_say_why(project, change):
    change(images=512)
    run(project, *TRAIN)
    change(images=1024)
    said = run(project, *TRAIN)
    assert "so it begins anew: the cosine schedule of encoder has come to its end" in said
    train = json.loads((project / RESULT / "train.json").read_text())
    assert train["images"] == 1024


def test_a_snapshot_that_is_past_can_not_be_taken(project, change_plain):
    change_plain(images=512)
    run(project, *TRAIN_PLAIN)
    change_plain(images=640)
    assert "twice as many images would do" in run(project, *TRAIN_PLAIN)


def test_a_training_starts_from_a_registered_version(project, change):
    """Networks and averages are taken over, and the version says whose they were."""
    change(images=1024, start_from="faces-gan-tiny/1", seed=7)
    before = load_file(project / FINISHED / "networks.safetensors")
    said = run(project, str(BIN / "dvc"), "repro", "register@faces-gan")
    assert "begins with the networks of faces-gan-tiny/1" in said
    train = json.loads((project / RESULT / "train.json").read_text())
    assert train["start"]["found"] == "faces-gan-tiny/1"
    assert len(train["start"]["sha256"]) == 64
    after = load_file(project / FINISHED / "networks.safetensors")
    assert before.keys() == after.keys()
    shown = run(project, "atelier", "registry", "show", "faces-gan-tiny/2")
    assert "faces-gan-tiny/1" in shown


def test_the_average_begins_where_it_ended(project, change):
    """Its half-life counts the images before: one step hardly moves it."""
    change(images=32, batch_size=32, snapshots=1, start_from=FINISHED)
    before = load_file(project / FINISHED / "networks.safetensors")
    run(project, *TRAIN)
    after = load_file(project / FINISHED / "networks.safetensors")
    averages = (key for key in before if key.startswith("averages.") and key.endswith("weight"))
    learnt = [key for key in averages if not torch.equal(before[key], _network(after, key))]
    assert learnt
    for key in learnt:
        moved = (after[key] - before[key]).abs().max()
        kept = before[key].abs().max()
        assert moved < (_network(after, key) - before[key]).abs().max()
        assert moved < 0.5 * kept


def _network(tensors, average):
    """The weight that a weight of an average follows."""
    return tensors[average.replace("averages.", "nets.")]


@pytest.mark.parametrize(
    ("start", "says"),
    [
        ("nowhere.safetensors", "no such file (got nowhere.safetensors)"),
        ("faces-gan-tiny@champ", "no such alias"),
        ("numbers-tiny/1", "another model"),
        ("README.md", "no networks of a training"),
    ],
)
def test_what_can_not_be_started_from_is_one_line(project, change, start, says):
    change(start_from=start)
    said = run(project, *TRAIN, code=2)
    assert says in said
    assert not (project / RESULT).with_suffix(".writing").exists()


def test_a_judge_begins_with_random_weights(project):
    file = project / "experiments/tiny/datasets/celeba.yaml"
    words = yaml.safe_load(file.read_text())
    words["judge"]["training"]["start_from"] = "faces-gan-tiny/1"
    file.write_text(yaml.safe_dump(words, sort_keys=False))
    said = run(project, str(BIN / "atelier"), "judge", "celeba", "--scale", "tiny", code=2)
    assert "a judge begins at random weights" in said
