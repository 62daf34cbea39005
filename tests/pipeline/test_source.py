"""A stage refuses to run another folder's source than that which its lock and lineage name."""

import shutil
import sys
from pathlib import Path

import pytest

import atelier
from atelier.cli.main import main
from atelier.errors import UserError
from atelier.pipeline.source import refuse_another_source

RUNS = Path(atelier.__file__).parent
OBJECTIVE = Path("objectives/elbo.py")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the repository's source, in which DVC runs a stage."""
    shutil.copytree(RUNS, tmp_path / "src/atelier", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "train@numbers")
    return tmp_path / "src/atelier"


def change(folder):
    (folder / OBJECTIVE).write_text((folder / OBJECTIVE).read_text() + "# another line\n")


def add(folder):
    (folder / "objectives/new.py").touch()


def remove(folder):
    (folder / OBJECTIVE).unlink()


@pytest.mark.parametrize("differs", [change, add, remove])
def test_a_file_that_differs_is_named(folder, differs):
    refuse_another_source()
    differs(folder)
    told = r"^src/atelier/objectives/\w+\.py: is not what runs here \(got /.*\.py\)\. Run"
    with pytest.raises(UserError, match=told):
        refuse_another_source()


def test_only_a_stage_refuses(folder, monkeypatch):
    change(folder)
    monkeypatch.delenv("DVC_STAGE")
    refuse_another_source()


def test_where_there_is_no_source_any_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "train@numbers")
    refuse_another_source()


def test_a_stage_is_one_line(folder, monkeypatch, capsys):
    change(folder)
    monkeypatch.setattr(sys, "argv", ["atelier", "train", "numbers", "--scale", "tiny"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
