"""A user's own pictures: four commands from a folder to what a generator makes of it."""

import json

import pytest
import yaml
from data.samples import numbered, write_pictures
from PIL import Image
from tests.project import run

pytestmark = pytest.mark.slow


@pytest.fixture
def user(tmp_path_factory):
    """Pictures of any shape, and two folders of other ones."""
    folder = tmp_path_factory.mktemp("user")
    write_pictures(folder / "all" / "wide", [*numbered(60), "a b.png"], width=140, height=90)
    write_pictures(folder / "all" / "high", numbered(60), 100, width=70, height=120)
    write_pictures(folder / "summer", numbered(30), 200, width=100, height=100)
    write_pictures(folder / "winter", numbered(30), 300, width=120, height=80)
    return folder


def ours(project, name):
    return json.loads((project / "artifacts/tiny" / name).read_text())


def check_nothing_is_left_to_do(project, experiment, dataset):
    """DVC has all of it in its lock, git sees the new files, and data stay out of git."""
    assert "up to date" in run(project, "dvc", "status", f"register@{experiment}", "data.dvc")
    assert "Running stage" not in run(project, "dvc", "repro", f"register@{experiment}")
    changed = run(project, "git", "status", "--short", "--untracked-files=all")
    assert f"experiments/tiny/datasets/{dataset}.yaml" in changed
    assert f"experiments/gpu/{experiment}.yaml" in changed
    assert " data/" not in changed
    lock = yaml.safe_load((project / "dvc.lock").read_text())["stages"]
    (pictures,) = [dep for dep in lock[f"prepare@{dataset}"]["deps"] if "data/mine" in dep["path"]]
    assert pictures["path"] == f"data/{dataset}"


def test_plain_pictures_become_a_generator(project, user, tmp_path_factory):
    said = run(project, "atelier", "dataset", "new", "mine", str(user / "all"), "--as", "pictures")
    assert "taken for 121 pictures without labels, in 2 folders" in said
    *_, make, train = said.splitlines()
    run(project, *make.split())
    assert " promoted: " in (found := run(project, *train.split())) or "challenger: " in found
    assert ours(project, "mine/judge-metrics.json") == {"judge": "imagenet"}
    figures = ours(project, "mine-gan/metrics.json")
    assert figures["settings"]["chosen_by"] == "imagenet"
    assert figures["settings"]["dataset"] == "mine"
    assert "judge" not in figures
    assert "no labels" in figures["left_out"]["judge"]
    assert {"kid", "kid_ceiling", "diversity_share"} <= figures["witness"].keys()
    assert "kid" in figures["imagenet"]
    assert "no labels" in figures["editing"]["left_out"]
    decided = json.loads((project / "mlruns/decisions/mine-gan-tiny/1.json").read_text())
    assert decided["decision"]["reason"] in found
    grid = tmp_path_factory.mktemp("out") / "grid.png"
    run(project, "atelier", "generate", "mine-gan-tiny/1", "--count", "16", "--out", str(grid))
    with Image.open(grid) as image:
        assert image.size == (4 * 32 + 5 * 2, 4 * 32 + 5 * 2)
    check_nothing_is_left_to_do(project, "mine-gan", "mine")


def test_two_folders_become_a_translation(project, user, tmp_path_factory):
    pair = ("--a", str(user / "summer"), "--b", str(user / "winter"), "--fit", "pad")
    said = run(project, "atelier", "dataset", "new", "mine", *pair)
    assert "taken for a pair of folders (A: summer 30, B: winter 30)" in said
    *_, make, train = said.splitlines()
    run(project, *make.split())
    run(project, *train.split())
    figures = ours(project, "mine-pair/metrics.json")
    assert "untrusted_labels" in ours(project, "mine/judge-metrics.json")
    assert {"A2B", "B2A"} <= figures.keys()
    out = tmp_path_factory.mktemp("out") / "winters"
    command = ("atelier", "translate", "mine-pair-tiny/1", "--direction", "A2B")
    run(project, *command, str(user / "summer"), "--out", str(out))
    assert len(list(out.iterdir())) == 30
    check_nothing_is_left_to_do(project, "mine-pair", "mine")
