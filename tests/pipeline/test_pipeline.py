"""From raw pictures to a generator fetched from the registry, by `dvc repro`."""

import json
import shutil
import sys

import pytest
import yaml
from tests.project import carried, copy_repository, run

from atelier import config
from atelier.evaluation.keys import EXTRACTORS
from atelier.params import STAGES_OF_DATASET, STAGES_OF_EXPERIMENT

CARRIED = carried()
EXPERIMENTS = {name: f"{name}-tiny" for name in CARRIED.experiments}
DATASETS = CARRIED.datasets


def test_every_stage_left_what_it_promises(pipeline):
    lock = yaml.safe_load((pipeline / "dvc.lock").read_text())["stages"]
    for stage in STAGES_OF_EXPERIMENT:
        assert {f"{stage}@{name}" for name in EXPERIMENTS} <= lock.keys()
    for stage in STAGES_OF_DATASET:
        assert {f"{stage}@{name}" for name in DATASETS} <= lock.keys()
    metrics = json.loads((pipeline / "artifacts/tiny/faces-gan/metrics.json").read_text())
    for extractor in EXTRACTORS:
        assert {"kid", "kid_ceiling", "kid_blurred", "kid_shuffled"} <= metrics[extractor].keys()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_figures_say_what_they_rest_on(pipeline, name):
    metrics = (pipeline / f"artifacts/tiny/{name}/metrics.json").read_text()
    settings = json.loads(metrics)["settings"]
    experiment = config.load_experiment("tiny", name)
    assert settings["seed"] == experiment.evaluation.seed
    assert settings["samples"] > 1
    if experiment.task.makes != "numbers":
        assert settings["split"] == "test"
        assert settings["dataset"] == experiment.dataset


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_bundle_comes_from_the_registry_as_it_was_packed(pipeline, name):
    """Each is registered once, decided on, and its task and program are those of its experiment."""
    listed = run(pipeline, "atelier", "registry", "list").splitlines()
    (line,) = [line for line in listed if line.startswith(f"{EXPERIMENTS[name]}/")]
    assert line.startswith(f"{EXPERIMENTS[name]}/1")
    packed = json.loads((pipeline / f"artifacts/tiny/{name}/bundle/bundle.json").read_text())
    said = run(pipeline, "atelier", "registry", "show", f"{EXPERIMENTS[name]}/1", "--json")
    assert json.loads(said)["bundle_digest"] == packed["digest"]
    assert packed["task"] == config.load_experiment("tiny", name).task.name
    decision = json.loads((pipeline / f"mlruns/decisions/{EXPERIMENTS[name]}/1.json").read_text())
    assert ("champion" in line) is decision["decision"]["promote"]


def test_a_second_repro_does_nothing(pipeline):
    said = run(pipeline, "dvc", "repro")
    assert "Running stage" not in said
    assert "Data and pipelines are up to date." in said


def test_git_sees_only_what_it_should(pipeline):
    status = run(pipeline, "git", "status", "--short", "--untracked-files=all").split("\n")
    changed = {line[3:] for line in status if line}
    figures = {path for path in changed if path.endswith("metrics.json")}
    assert changed - figures == {"data.dvc", "dvc.lock"}
    assert {f"artifacts/tiny/{name}/metrics.json" for name in EXPERIMENTS} <= figures


def test_outputs_hold_no_path(pipeline):
    for path in (pipeline / "artifacts").rglob("*"):
        if path.is_file():
            assert str(pipeline).encode() not in path.read_bytes(), path


def test_the_registry_answers_and_generates(pipeline, tmp_path):
    listed = run(pipeline, "atelier", "registry", "list")
    for name in EXPERIMENTS.values():
        assert f"{name}/1" in listed
    grid = tmp_path / "grid.png"
    run(pipeline, "atelier", "generate", "faces-gan-tiny/1", "--count", "4", "--out", str(grid))
    assert grid.read_bytes().startswith(b"\x89PNG")
    numbers = run(pipeline, "atelier", "generate", "numbers-tiny/1", "--count", "20").split()
    assert len([word for word in numbers if word.isdigit()]) == 20


@pytest.mark.slow
def test_a_deleted_mlruns_is_restored_without_training(project):
    before = run(project, "atelier", "registry", "list")
    shutil.rmtree(project / "mlruns")
    said = run(project, "dvc", "repro")
    assert "Running stage 'register@numbers'" in said
    assert "Running stage 'train" not in said
    after = run(project, "atelier", "registry", "list")
    assert [line.split()[0] for line in after.splitlines()] == [
        line.split()[0] for line in before.splitlines()
    ]


@pytest.mark.slow
def test_registering_again_makes_no_second_version(project):
    (project / "mlruns/receipts/tiny/numbers.json").unlink()
    run(project, "dvc", "repro", "register@numbers")
    assert "numbers-tiny/2" not in run(project, "atelier", "registry", "list")


def test_a_changed_line_reruns_its_experiment_alone(project):
    file = project / "experiments/tiny/numbers.yaml"
    file.write_text(file.read_text().replace("hidden: 128", "hidden: 96"))
    said = run(project, "dvc", "repro")
    assert "Running stage 'train@numbers'" in said
    assert "Running stage 'train@faces-gan'" not in said
    assert "numbers-tiny/2" in run(project, "atelier", "registry", "list")


@pytest.mark.slow
def test_pulled_data_is_not_drawn_again(project, tmp_path_factory):
    """With a remote: a fresh clone pulls, and draw touches nothing."""
    remote = tmp_path_factory.mktemp("remote")
    run(project, "dvc", "remote", "add", "--default", "store", str(remote))
    run(project, "dvc", "push", "data.dvc")
    for name in ("data", "artifacts", ".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(project / name)
    before = (project / "data.dvc").read_text()
    run(project, "dvc", "pull", "data.dvc")
    times = {p: p.stat().st_mtime_ns for p in (project / "data").rglob("*") if p.is_file()}
    run(project, "dvc", "repro", "prepare")
    assert (project / "data.dvc").read_text() == before
    assert {p: p.stat().st_mtime_ns for p in times} == times


@pytest.mark.slow
def test_a_fresh_clone_draws_the_same_bytes(project):
    """Without a remote and a cache: `data.dvc` is unchanged after `dvc repro`."""
    before = (project / "data.dvc").read_text()
    for name in ("data", "artifacts", ".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(project / name)
    run(project, "dvc", "repro", "data.dvc")
    assert (project / "data.dvc").read_text() == before
    assert "up to date" in run(project, "dvc", "status", "data.dvc")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("train", "faces-gam"), "Did you mean experiments/tiny/faces-gan.yaml?"),
        (("train", "numbers", "--scale", "tinny"), "Did you mean tiny?"),
        (("generate", "faces-gan-tiny@champ", "--out", "x.png"), "champ"),
        (("generate", "faces@champion", "--out", "x.png"), "faces-gan-tiny"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(pipeline, command, says):
    said = run(pipeline, "atelier", *command, code=2)
    assert says in said
    assert len(said.strip().splitlines()) == 1


def registered(project):
    receipts = (project / "mlruns/receipts/tiny").iterdir()
    return {json.loads(receipt.read_text())["version"] for receipt in receipts}


@pytest.mark.slow
def test_experiments_side_by_side_leave_what_they_leave_one_by_one(pipeline, tmp_path):
    folder = copy_repository(tmp_path)
    run(folder, "atelier", "repro", "--jobs", "2")
    assert "Running stage" not in run(folder, "dvc", "repro")
    assert registered(folder) == registered(pipeline)


def test_the_pictures_of_the_readme_are_what_they_say(pipeline):
    """The script that a person runs after `make repro`, on what a small pipeline drew."""
    program = """
import sys
sys.path.insert(0, "docs")
import pictures
print(pictures.faces().shape, pictures.animals().shape[1:])
"""
    said = run(pipeline, sys.executable, "-c", program)
    assert "(48, 3, 64, 64) (3, 64, 64)" in said
