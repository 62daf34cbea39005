"""`atelier repro` knows its targets and who else is at work before DVC does."""

import os
import sys

import pytest
from data.samples import tree_digest
from filelock import FileLock, Timeout
from tests.project import copy_shipped

from atelier import config
from atelier.cli.main import main
from atelier.operations import devices, dvc, repro
from atelier.params import default_scale, listed_experiments
from atelier.pipeline.locks import LOCKS_VARIABLE, device_lock, physical


@pytest.fixture
def repository(tmp_path, monkeypatch):
    copy_shipped(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("register@faces-gam", r"register@: unknown (got 'faces-gam'). Did you mean faces-gan? "),
        ("numbers train@celeba", r"train@: unknown (got 'celeba'). One of numbers, faces-gan, "),
        ("prepare@faces-gan", r"prepare@: unknown (got 'faces-gan'). One of numbers, celeba, "),
        ("judge@horse", r"judge@: unknown (got 'horse'). "),
        ("register@faces-gan --scale tinny", r"scale: unknown (got 'tinny'). Did you mean tiny? "),
        ("register@faces-gam --scale tiny", r"register@: unknown (got 'faces-gam')"),
        ("register@faces-gan --jobs 2", r"--jobs: goes with the whole pipeline. Name no stages"),
        ("--single-item --jobs 2 --scale tiny", r"--jobs: goes with the whole pipeline. "),
    ],
)
def test_an_unknown_target_or_scale_changes_nothing(
    repository, monkeypatch, capsys, arguments, says
):
    def no_dvc(runs, one_stage=False):
        raise AssertionError("DVC was started")

    monkeypatch.setattr(dvc, "repro", no_dvc)
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
    monkeypatch.setattr(dvc, "repro", lambda runs, one_stage: started.extend(runs))
    targets = ["draw", "data.dvc", "prepare", "dvc.yaml:train", "register@numbers"]
    repro.reproduce(targets, sync=False, scale="tiny")
    assert started == [targets]
    assert "scale: tiny" in (repository / "params.yaml").read_text()


@pytest.mark.parametrize(
    ("targets", "single_item", "one"),
    [
        (["train@numbers"], True, True),
        (["train@numbers"], False, False),
        (["train@numbers", "bundle@numbers"], True, False),
    ],
)
def test_one_stage_alone_is_known_as_such(repository, monkeypatch, targets, single_item, one):
    told = []
    monkeypatch.setattr(dvc, "repro", lambda runs, one_stage: told.append(one_stage))
    repro.reproduce(targets, single_item=single_item, sync=False)
    assert told == [one]


def test_experiments_share_the_cores_the_longest_first(repository, monkeypatch):
    calls, held = [], []

    def note(runs, places=({},), one_stage=False):
        calls.append((runs, places))
        lock = FileLock(device_lock("cpu"))
        try:
            lock.acquire(timeout=0)
            lock.release()
            held.append(False)
        except Timeout:
            held.append(True)

    monkeypatch.setattr(dvc, "repro", note)
    monkeypatch.setattr(devices, "visible_devices", list)
    monkeypatch.setenv(LOCKS_VARIABLE, str(repository / "locks"))
    repro.reproduce([], force=True, sync=False, jobs=2)
    (shared, _), (runs, places), (rest, _) = calls
    assert (shared, rest) == ([["--force", "prepare", "judge", "judge_b"]], [[]])
    assert held == [False, True, False]
    ours = listed_experiments()
    assert sorted(run[2:] for run in runs) == sorted(
        [f"{stage}@{name}" for stage in ("train", "bundle", "evaluate", "register", "report")]
        for name in ours
    )
    assert all(run[:2] == ["--force", "--single-item"] for run in runs)
    seconds = [
        config.load_experiment(default_scale(), run[2].partition("@")[2]).plan.seconds
        for run in runs
    ]
    assert seconds == sorted(seconds, reverse=True)
    assert [physical_of(place, monkeypatch) for place in places] == ["cpu:0", "cpu:1"]
    cores = len(os.sched_getaffinity(0))
    assert {place["OMP_NUM_THREADS"] for place in places} == {str(max(1, cores // 2))}


def physical_of(place, monkeypatch):
    with monkeypatch.context() as patch:
        for name, value in place.items():
            patch.setenv(name, value)
        return physical("cpu")
