"""The README's recipes, run in a project; then the fast tests of what came of it."""

import sys

import pytest
from data.samples import numbered, write_pictures
from tests.project import run

FAST = "not slow and not server and not browser and not gpu"
SEE_ADDED_ONES = (
    "tests/benchmarks/test_linear_baseline.py",
    "tests/flows/test_deployments.py",
    "tests/operations/test_experiments.py",
    "tests/operations/test_own_datasets.py",
    "tests/operations/test_repro.py",
    "tests/operations/test_workspace.py",
    "tests/pipeline/test_definition.py",
    "tests/test_broken_config.py",
    "tests/test_readme.py",
    "tests/test_rewriting.py",
    "tests/training/test_cost.py",
    "tests/training/test_table.py",
)
"""Those that go over params.yaml, the experiments' files or the pages. Left out are those that read
none of them (drawing, layouts, networks, losses, bundles), and those that would run a whole
pipeline inside this one."""
RUNS_A_PIPELINE = "test_the_pictures_are_what_they_say"


@pytest.mark.slow
def test_the_fast_tests_bear_what_the_readme_adds(project, tmp_path_factory):
    user = tmp_path_factory.mktemp("user")
    write_pictures(user / "mine", [*numbered(60), "a b.png"], width=140, height=90)
    lines = (project / "README.md").read_text().splitlines()
    (hinge,) = [one for one in lines if one.startswith("atelier experiment new faces-hinge ")]
    run(project, *hinge.split())
    said = run(project, "atelier", "dataset", "new", "mine", str(user / "mine"))
    *_, make, train = said.splitlines()
    run(project, *make.split())
    run(project, *train.split(), "register@faces-hinge")
    listed = run(project, "atelier", "registry", "list")
    assert "mine-gan-tiny/1" in listed
    assert "faces-hinge-tiny/1" in listed
    run(
        project, sys.executable, "-m", "pytest", "-m", FAST, "-k", f"not {RUNS_A_PIPELINE}",
        *SEE_ADDED_ONES, PYTHONPATH=str(project / "src"),
    )  # fmt: skip
