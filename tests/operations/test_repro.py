"""`atelier repro` knows its targets and who else is at work before DVC does."""

import json
import os
import sys

import pytest
from data.samples import tree_digest
from dvc.fs import LocalFileSystem
from dvc.rwlock import rwlock
from tests.project import copy_shipped

from atelier.cli.main import main
from atelier.operations import repro


@pytest.fixture
def repository(tmp_path, monkeypatch):
    copy_shipped(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", ["read", "write"])
def test_who_holds_a_path_is_found_in_dvcs_own_record(repository, kind):
    folder = repository / ".dvc" / "tmp"
    folder.mkdir(parents=True)
    held = {"read": [], "write": [], kind: [str(repository / "data")]}
    with rwlock(str(folder), LocalFileSystem(), "dvc repro", **held, hardlink=False):
        assert repro.busy() == [f"process {os.getpid()} (dvc repro)"]
        assert repro.busy(but=os.getpid()) == []
    assert repro.busy() == []


def test_who_has_died_holds_nothing(repository):
    file = repository / repro.HOLDERS
    file.parent.mkdir(parents=True)
    entry = {"pid": 2**22 + 1, "cmd": "dvc repro"}  # above Linux's largest number
    file.write_text(json.dumps({"write": {"a": entry}, "read": {"b": [entry]}}))
    assert repro.busy() == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("register@faces-gam", r"register@: unknown (got 'faces-gam'). Did you mean faces-gan? "),
        ("numbers train@celeba", r"train@: unknown (got 'celeba'). One of numbers, faces-gan, "),
        ("prepare@faces-gan", r"prepare@: unknown (got 'faces-gan'). One of numbers, celeba, "),
        ("judge@horse", r"judge@: unknown (got 'horse'). "),
        ("register@faces-gan --scale tinny", r"scale: unknown (got 'tinny'). Did you mean tiny? "),
        ("register@faces-gam --scale tiny", r"register@: unknown (got 'faces-gam')"),
    ],
)
def test_an_unknown_target_or_scale_changes_nothing(
    repository, monkeypatch, capsys, arguments, says
):
    def no_dvc(command):
        raise AssertionError("DVC was started")

    monkeypatch.setattr(repro, "_run", no_dvc)
    before = tree_digest(repository)
    monkeypatch.setattr(sys, "argv", ["atelier", "repro", *arguments.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(says)
    assert len(said.splitlines()) == 1
    assert tree_digest(repository) == before


def test_targets_that_dvc_knows_are_left_to_it(repository, monkeypatch):
    started = []
    monkeypatch.setattr(repro, "_run", lambda command: started.append(command) or (0, False))
    targets = ["draw", "data.dvc", "prepare", "dvc.yaml:train", "register@numbers"]
    repro.reproduce(targets, sync=False, scale="tiny")
    assert started[0][-len(targets) :] == targets
    assert "scale: tiny" in (repository / "params.yaml").read_text()
