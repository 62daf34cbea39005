"""dvc.yaml, params.yaml and the experiments' files agree, and follow what can change a result."""

import ast
from pathlib import Path

import pytest
import yaml

from atelier import config
from atelier.models import MODELS
from atelier.objectives import OBJECTIVES
from atelier.pipeline.definition import define

LISTED = config.listed_experiments()
SOURCE = Path("src/atelier")
EXCEPTED = {
    "errors.py": "words",
    "schema.py": "reads the file that is itself a param",
    "paths.py": "where files lie, which dvc.yaml says too",
    "commands.py": "what git says of where a run comes from",
    "display.py": "lines and progress bars",
    "files.py": "where outputs appear, not what is in them",
    "config.py": "reads the file that is itself a param; files are complete",
    "models/__init__.py": "a table",
    "objectives/__init__.py": "a table",
    "objectives/phase.py": "types",
    "data/folders.py": "where outputs appear, not what is in them",
    "data/parallel.py": "results do not depend on the workers",
    "data/catalog.py": "read by prepare, which names it; training reads its manifest",
    "data/tables.py": "as catalog.py",
    "data/sheet.py": "how pictures stand side by side",
    "training/checkpoint.py": "a resumed run equals one that was not",
    "training/history.py": "what is written down of a training",
    "training/runtime.py": "the device; what was chosen is recorded",
    "training/stopping.py": "the seed's class",
    "data/twins.py": "read by prepare, which names it; others read its arrays",
    "pipeline/judging.py": "opens the judge that its stage left",
    "registry/gate.py": "asked by register alone",
    "registry/referee.py": "asked by register alone",
    "registry/referee_images.py": "asked by register alone",
    "registry/referee_reconstruction.py": "asked by register alone",
    "registry/referee_translation.py": "asked by register alone",
    "training/__init__.py": "empty",
    "data/__init__.py": "empty",
}


@pytest.mark.parametrize("scale", config.SCALES)
def test_the_mapping_names_exactly_the_files(scale):
    folder = Path("experiments", scale)
    assert {path.stem for path in folder.glob("*.yaml")} == LISTED.keys()
    datasets = yaml.safe_load(Path("params.yaml").read_text())["datasets"]
    assert {path.stem for path in (folder / "datasets").glob("*.yaml")} == datasets.keys()


@pytest.mark.parametrize("scale", config.SCALES)
@pytest.mark.parametrize("name", LISTED)
def test_experiment_files_are_complete_and_agree_with_the_mapping(scale, name):
    experiment = config.load_experiment(scale, name)
    written = yaml.safe_load(config.Paths(scale).experiment_file(name).read_text())
    assert experiment.model_dump(mode="json", exclude_defaults=True) == written
    assert experiment.registered_name == (name if scale == "laptop" else f"{name}-{scale}")
    config.load_dataset(scale, experiment.dataset)


@pytest.mark.parametrize("scale", config.SCALES)
def test_dataset_files_are_complete(scale):
    for path in Path("experiments", scale, "datasets").glob("*.yaml"):
        dataset = config.load_dataset(scale, path.stem)
        assert dataset.model_dump(mode="json", exclude_defaults=True) == yaml.safe_load(
            path.read_text()
        )


@pytest.mark.parametrize("name", LISTED)
def test_train_follows_every_file_that_can_change_its_result(name):
    entry = LISTED[name]
    roots = [
        SOURCE / "training/loop.py",
        SOURCE / "training/setup.py",
        SOURCE / f"models/{entry['model']}.py",
        SOURCE / f"objectives/{entry['objective']}.py",
    ]
    deps = set(define("train", name, "laptop").deps)
    needed = imported(roots)
    assert not {str(path) for path in needed - deps - excepted()}


def test_judge_follows_every_file_that_can_change_its_result():
    deps = set(define("judge", "celeba", "laptop").deps)
    roots = [SOURCE / f"training/{name}.py" for name in ("loop", "setup")]
    roots += [SOURCE / "models/judge.py", SOURCE / "objectives/classification.py"]
    assert not {str(path) for path in imported(roots) - deps - excepted() - {
        SOURCE / "data/numbers.py"}}  # fmt: skip


@pytest.mark.parametrize("stage", ["bundle", "evaluate"])
@pytest.mark.parametrize("name", LISTED)
def test_publishing_follows_every_file_that_can_change_its_result(name, stage):
    deps = set(define(stage, name, "laptop").deps)
    roots = [SOURCE / "pipeline/publishing.py", *(SOURCE / "pipeline/tasks").glob("*.py")]
    needed = {path for path in imported(roots) if not deps.intersection(path.parents)}
    left = needed - deps - excepted()
    if stage == "evaluate":  # what is published is read from the bundle, which is a dep
        left = {path for path in left if path.parent != SOURCE / "registry"}
    assert not {str(path) for path in left}


def test_prepare_follows_every_file_that_can_change_its_result():
    deps = set(define("prepare", "celeba", "laptop").deps)
    assert not {str(path) for path in imported([SOURCE / "data/prepare.py"]) - deps - excepted()}


def test_judging_never_makes_a_trained_model_stale():
    for name in LISTED:
        assert not [dep for dep in define("train", name, "laptop").deps if "evaluation" in str(dep)]


def test_tables_name_existing_files():
    for folder, table in (("models", MODELS), ("objectives", OBJECTIVES)):
        for name in table:
            assert (SOURCE / folder / f"{name}.py").exists()


def excepted():
    return {SOURCE / name for name in EXCEPTED}


def imported(roots):
    """The project's files that these import, and theirs; the tables are not walked through."""
    found, queue = set(), list(roots)
    while queue:
        path = queue.pop()
        if path in found:
            continue
        found.add(path)
        if path.name == "__init__.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("atelier"):
                for alias in node.names:
                    queue += files_of(f"{node.module}.{alias.name}", node.module)
    return found


def files_of(*modules):
    for module in modules:
        path = Path("src", *module.split("."))
        if path.with_suffix(".py").exists():
            return [path.with_suffix(".py")]
        if (path / "__init__.py").exists() and path != SOURCE:
            return [path / "__init__.py"]
    return []
