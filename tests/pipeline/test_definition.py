"""dvc.yaml, params.yaml and the experiments' files agree, and follow what can change a result."""

import ast
import shutil
from pathlib import Path

import pytest
import yaml
from tests.project import ROOT, git

from atelier import config, params, paths
from atelier.config import Dataset, Experiment
from atelier.models import MODELS
from atelier.objectives import OBJECTIVES
from atelier.params import STAGES_OF_DATASET
from atelier.pipeline import definition
from atelier.pipeline.definition import define
from atelier.task import TASKS
from atelier.tasks import MODULES

LISTED = params.listed_experiments()
SOURCE = Path("src/atelier")
EXCEPTED = {
    "errors.py": "words",
    "schema.py": "reads the blocks that are themselves params",
    "paths.py": "where files lie, which dvc.yaml says too",
    "params.py": "reads the mapping that dvc.yaml fills itself in from",
    "task.py": "a table",
    "commands.py": "what git says of where a run comes from",
    "device.py": "the device, on each of which networks run in single precision",
    "display.py": "lines and progress bars",
    "files.py": "where outputs appear, not what is in them",
    "config.py": "reads the blocks that are themselves params; files are complete",
    "models/__init__.py": "a table",
    "objectives/__init__.py": "a table",
    "tasks/__init__.py": "a table",
    "bundle/comparison.py": "types of what register alone asks for",
    "data/folders.py": "where outputs appear, not what is in them",
    "data/parallel.py": "results do not depend on the workers",
    "data/catalog.py": "read by prepare, which names it; training reads its manifest",
    "data/names.py": "as catalog.py",
    "data/plain.py": "as catalog.py",
    "data/tables.py": "as catalog.py",
    "data/sheet.py": "how pictures stand side by side",
    "evaluation/keys.py": "what figures are called",
    "data/twins.py": "read by prepare, which names it; others read its arrays",
    "training/batch_norm.py": "several processes, whose results are those of one",
    "training/checkpoint.py": "a resumed run equals one that was not",
    "training/health.py": "what is told of a training; one that it ends leaves nothing",
    "training/history.py": "what is written down of a training",
    "training/runtime.py": "the device; what was chosen is recorded",
    **{f"{room}/__init__.py": "empty" for room in ("training", "data", "evaluation", "bundle")},
}
"""Files that a stage imports and that can't change its result, and why."""
NOT_DECIDING = {
    "train": {
        "name": "what it is called",
        "registered_name": "what it is called in the registry",
        "plan": "what it is expected to cost",
        "evaluation": "how it is scored afterwards",
    },
    "bundle": {
        "objective": "what it was trained with, which the snapshots hold",
        "training": "as objective",
        "plan": "what it is expected to cost",
    },
    "evaluate": {
        "objective": "as of bundle",
        "training": "as of bundle",
        "plan": "what it is expected to cost",
    },
    "prepare": {
        "name": "what it is called",
        "judge": "trained on what prepare makes",
        "judge_b": "as judge",
    },
    "judge": {
        "name": "what it is called",
        "data": "in the prepared folder, a dep",
        "judge_b": "a judge of its own",
    },
    "judge_b": {
        "name": "what it is called",
        "data": "in the prepared folder, a dep",
        "judge": "a judge of its own",
    },
}
"""Blocks of an experiment's or a dataset's file that can't change a stage's result, and why."""
ROOTS = {
    "prepare": ["data/prepare.py"],
    "judge": [
        "training/loop.py",
        "training/setup.py",
        "models/judge.py",
        "objectives/classification.py",
        "pipeline/judging.py",
    ],
    "judge_b": [
        "training/loop.py",
        "training/setup.py",
        "models/judge_b.py",
        "objectives/classification.py",
        "pipeline/judging.py",
    ],
    "train": ["training/loop.py", "training/setup.py"],
    "bundle": ["pipeline/bundling.py"],
    "evaluate": ["pipeline/bundling.py"],
}
"""Where what decides a stage's result begins."""


@pytest.mark.parametrize("scale", paths.SCALES)
def test_the_mapping_names_exactly_the_files(scale):
    folder = Path("experiments", scale)
    assert {path.stem for path in folder.glob("*.yaml")} == LISTED.keys()
    datasets = yaml.safe_load(Path("params.yaml").read_text())["datasets"]
    assert {path.stem for path in (folder / "datasets").glob("*.yaml")} == datasets.keys()


@pytest.mark.parametrize("scale", paths.SCALES)
@pytest.mark.parametrize("name", LISTED)
def test_experiment_files_are_complete_and_agree_with_the_mapping(scale, name):
    experiment = config.load_experiment(scale, name)
    written = yaml.safe_load(paths.Paths(scale).experiment_file(name).read_text())
    assert experiment.model_dump(mode="json", exclude_defaults=True) == written
    assert experiment.registered_name == (name if scale == "laptop" else f"{name}-{scale}")
    config.load_dataset(scale, experiment.dataset)


@pytest.mark.parametrize("scale", paths.SCALES)
def test_dataset_files_are_complete(scale):
    for path in Path("experiments", scale, "datasets").glob("*.yaml"):
        dataset = config.load_dataset(scale, path.stem)
        assert dataset.model_dump(mode="json", exclude_defaults=True) == yaml.safe_load(
            path.read_text()
        )


def roots_of(stage, name):
    found = [SOURCE / file for file in ROOTS[stage]]
    if name in LISTED:
        entry = LISTED[name]
        found += [
            SOURCE / f"models/{entry.model}.py",
            *([SOURCE / f"objectives/{entry.objective}.py"] if stage == "train" else []),
            *([SOURCE / f"tasks/{entry.task}.py"] if stage in ("bundle", "evaluate") else []),
        ]
    return found


EXTRACTING = ("feature_cache", "features", "imagenet", "report", "witness")
"""Beside what runs a judge over images, in the files that it is read from."""
STAGES = [
    ("prepare", "celeba"),
    ("judge", "celeba"),
    ("judge_b", "celeba"),
    *((stage, name) for stage in ("train", "bundle", "evaluate") for name in LISTED),
]


@pytest.mark.parametrize(("stage", "name"), STAGES)
def test_a_stage_follows_every_file_that_can_change_its_result(stage, name):
    deps = set(define(stage, name, "laptop").deps)
    needed = {
        path for path in imported(roots_of(stage, name)) if not deps.intersection(path.parents)
    }
    left = needed - deps - excepted()
    if stage in ("bundle", "evaluate"):  # which take its types alone
        left -= {SOURCE / "objectives/phase.py"}
    if stage == "evaluate":  # what is published is read from the bundle, which is a dep
        left = {path for path in left if path.parent.name not in ("bundle", "models")}
    if stage in ("judge", "judge_b"):  # of pictures alone, run over its images batch by batch
        left -= {SOURCE / "evaluation" / f"{name}.py" for name in EXTRACTING}
        left -= {SOURCE / "data/numbers.py"}
    assert not {str(path) for path in left}


@pytest.mark.parametrize(("stage", "name"), STAGES)
def test_a_stage_follows_every_block_that_can_change_its_result(stage, name):
    """All of the file's blocks but those that can't, so that a new one is never forgotten."""
    file = Dataset if stage in STAGES_OF_DATASET else Experiment
    ((_, blocks),) = define(stage, name, "laptop").params.items()
    assert set(blocks) == file.model_fields.keys() - NOT_DECIDING[stage].keys()


@pytest.mark.parametrize(("stage", "name"), STAGES)
def test_no_file_of_a_stage_reads_a_block_that_it_does_not_follow(stage, name):
    """The reasons of NOT_DECIDING, held to the code: `experiment.plan` would be found."""
    read = {
        node.attr
        for path in imported(roots_of(stage, name)) - excepted()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name | ast.Attribute)
        and getattr(node.value, "id", getattr(node.value, "attr", "")) in WORKS
    }
    assert not read & (NOT_DECIDING[stage].keys() - {"name"})


WORKS = ("experiment", "work", "dataset")
"""What an experiment or a dataset is called where it is used."""


@pytest.mark.parametrize("name", LISTED)
def test_no_room_above_the_training_makes_it_stale(name):
    """Judging, publishing, pictures, other tasks: retrained for none of them."""
    rooms = {dep.relative_to(SOURCE).parts[0] for dep in define("train", name, "laptop").deps
             if dep.is_relative_to(SOURCE)}  # fmt: skip
    assert rooms == {"data", "models", "objectives", "training"}


@pytest.mark.parametrize("stage", ["bundle", "evaluate"])
def test_another_tasks_module_makes_no_bundle_stale(stage):
    for name, entry in LISTED.items():
        followed = {
            dep.stem for dep in define(stage, name, "laptop").deps if dep.parent.name == "tasks"
        }
        assert followed & TASKS.keys() == {entry.task}


def test_tables_name_existing_files():
    for folder, table in (("models", MODELS), ("objectives", OBJECTIVES), ("tasks", MODULES)):
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
        for node in ast.walk(running(path)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("atelier"):
                for alias in node.names:
                    queue += files_of(f"{node.module}.{alias.name}", node.module)
    return found


def running(path):
    """A file's code without what only a type checker imports."""
    tree = ast.parse(path.read_text())
    tree.body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING")
    ]
    return tree


def files_of(*modules):
    for module in modules:
        path = Path("src", *module.split("."))
        if path.with_suffix(".py").exists():
            return [path.with_suffix(".py")]
        if (path / "__init__.py").exists() and path != SOURCE:
            return [path / "__init__.py"]
    return []


@pytest.mark.parametrize("wanted", ["core.autocrlf=true", "core.eol=crlf"])
def test_a_clone_that_wants_other_line_ends_has_the_same_bytes(wanted, tmp_path):
    """Else every stage would be stale there."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    files = (".gitattributes", "dvc.yaml", "src/atelier/training/loop.py")
    for name in files:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, here / name)
    git(here, "init", "--quiet")
    git(here, "add", "--all")
    git(here, "commit", "--quiet", "-m", "t")
    git(tmp_path, "clone", "--quiet", "-c", wanted, str(here), str(there))
    for name in files:
        assert (there / name).read_bytes() == (ROOT / name).read_bytes()


def test_a_trial_keeps_its_checkpoint_where_it_was_started(tmp_path, monkeypatch):
    """DVC removes a trial's own folder, also where it was interrupted."""
    monkeypatch.setattr(definition, "define", lambda *_: definition.Definition((), {}))
    folders = []
    for folder in (tmp_path, tmp_path / ".dvc/tmp/exps/standalone/tmp1"):
        folder.mkdir(parents=True, exist_ok=True)
        monkeypatch.chdir(folder)
        folders.append(definition.checkpoint_folder("train", "numbers", "laptop").resolve())
    assert folders[0] == folders[1]
    assert folders[0].parent == tmp_path / ".atelier/checkpoints"
