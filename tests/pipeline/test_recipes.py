"""The README's recipes, run in a project; then the fast tests of what came of it."""

import sys

import pytest
from data.samples import numbered, write_pictures
from tests.project import run

PYTEST = (sys.executable, "-m", "pytest", "-n", "logical")
FAST = "not slow and not server and not browser and not gpu"
QUICK = f"{FAST} and not pipeline"
APART = (
    "bundle", "drawing", "editing", "evaluation", "models",
    *(f"cli/test_{name}.py" for name in ("edit", "generate", "given_pictures")),
    *(f"data/test_{name}.py" for name in ("broken_inputs", "drawn", "inputs")),
    "operations/test_dvc.py",
    *(f"registry/test_{name}.py" for name in ("ageing", "lookup", "signing", "turns", "versions")),
    "tasks/test_comparers.py",
)  # fmt: skip
"""Tests that know nothing of what is listed, and pass without it: nothing added reaches them."""
OF_LAPTOP = ("operations/reporting", "registry/test_export.py", "test_figures.py")
"""Tests that read the published figures, which a project at tiny scale has not."""


@pytest.fixture
def extended(project, tmp_path_factory):
    """A project with what the README's recipes add, trained and registered."""
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
    return project


@pytest.mark.slow
def test_the_quick_tests_bear_what_the_readme_adds(extended):
    check(extended, QUICK, *(f"--ignore=tests/{name}" for name in (*APART, *OF_LAPTOP)))


@pytest.mark.slow
@pytest.mark.soak
def test_all_fast_tests_bear_what_the_readme_adds(extended):
    check(extended, FAST, *(f"--ignore=tests/{name}" for name in OF_LAPTOP))


def check(project, which, *options):
    # The package that is installed is another checkout's.
    run(project, *PYTEST, "-m", which, *options, PYTHONPATH=str(project / "src"))
