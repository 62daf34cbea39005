"""`make` in a folder that was moved: its environment's commands lead to the old place."""

import shutil
import subprocess

import pytest

from tests.project import ROOT


@pytest.fixture
def folder(tmp_path):
    """A repository whose environment is complete, as far as make can see."""
    found = tmp_path.resolve() / "here"
    (found / ".venv/bin").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", found)
    for name in ("requirements.lock", "pyproject.toml"):
        (found / name).touch()
    command = found / ".venv/bin/atelier"
    command.write_text("#!/bin/sh\necho ran $*\n")
    command.chmod(0o755)
    (found / ".venv/.complete").write_text(f"{found}/.venv\n")
    return found


def test_one_that_several_working_trees_share_is_where_it_was(folder):
    other = folder.with_name("other")
    other.mkdir()
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(folder / name, other)
    (folder / ".venv/.complete").touch()
    (other / ".venv").symlink_to(folder / ".venv")
    assert "ran up" in make(other, "up").stdout


def make(folder, *goals):
    return subprocess.run(["make", *goals], cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("marked", [True, False])
def test_an_environment_in_its_place_is_used(folder, marked):
    """One that was made before environments were marked counts as in its place."""
    if not marked:
        (folder / ".venv/.complete").write_text("")
    assert "ran up" in make(folder, "up").stdout


@pytest.mark.parametrize("how", [shutil.move, shutil.copytree])
@pytest.mark.parametrize("goal", ["repro", "setup"])
def test_another_places_is_refused(folder, how, goal):
    there = folder.with_name("there")
    how(folder, there)
    done = make(there, goal)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == (
        f".venv: was made as {folder}/.venv, and moved or copied since. "
        "Run make clean, then make setup."
    )
    assert "ran" not in done.stdout
    assert make(there, "clean").returncode == 0
    assert not (there / ".venv").exists()
