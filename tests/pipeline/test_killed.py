"""Trainings killed for real: what comes after equals what was never killed."""

import json
import os
import random
import signal
import time
from contextlib import suppress

import psutil
import pytest
import torch
from tests.project import BIN, PATIENCE, contents, fork_server, run, start, wait_for

from atelier.errors import Interrupted

pytestmark = pytest.mark.slow
OFTEN = {"ATELIER_SAVE_EVERY_SECONDS": "0.5"}
TRAIN = (str(BIN / "atelier"), "train", "faces-gan", "--scale", "tiny")
RESULT = "artifacts/tiny/faces-gan/train"


@pytest.fixture
def longer(project):
    """A training of some seconds, and what it makes when nobody disturbs it."""
    file = project / "experiments/tiny/faces-gan.yaml"
    file.write_text(file.read_text().replace("images: 1024", "images: 8192"))
    run(project, *TRAIN)
    expected = contents(project / RESULT)
    run(project, "rm", "-r", RESULT)
    return project, expected


def trainers(project):
    """Processes that train in this project."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        line = process.info["cmdline"] or []
        ours = process.info["cwd"] == str(project) and "train" in line
        if ours and any(word.endswith("atelier") for word in line):
            found.append(process)
    return found


def wait_until_it_learns(project):
    wait_for(lambda: checkpoints(project))


def checkpoints(project):
    return list(project.glob(".atelier/checkpoints/*/checkpoint.pt"))


def test_killed_trainings_go_on_bit_for_bit(longer):
    project, expected = longer
    randomly = random.Random(1)
    for _ in range(4):
        process = start(project, *TRAIN, **OFTEN)
        wait_until_it_learns(project)
        time.sleep(randomly.uniform(0, 2.5))
        process.kill()
        process.wait()
        assert not (project / RESULT).exists() or process.returncode == 0
    run(project, *TRAIN)
    assert contents(project / RESULT) == expected


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_training_saves_and_says_75(longer, number):
    project, expected = longer
    process = start(project, *TRAIN, ATELIER_SAVE_EVERY_SECONDS="600")
    wait_for(lambda: list(project.glob(".atelier/checkpoints/*/output/history.csv")))
    process.send_signal(number)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 75, said
    assert not (project / RESULT).exists()
    assert list(project.glob(".atelier/checkpoints/*/checkpoint.pt"))
    run(project, *TRAIN)
    assert contents(project / RESULT) == expected


def test_two_processes_of_a_stage_stop_together_and_go_on(longer):
    project, expected = longer
    process = start(project, *TRAIN, ATELIER_PROCESSES="2", ATELIER_SAVE_EVERY_SECONDS="600")
    wait_for(lambda: list(project.glob(".atelier/checkpoints/*/output/history.csv")))
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0, said
    assert said.count("saved.") == 2, said
    assert not (project / RESULT).exists()
    assert not trainers(project)
    (checkpoint,) = project.glob(".atelier/checkpoints/*/checkpoint.pt")
    stopped_at = torch.load(checkpoint, weights_only=True)["step"]
    assert 0 < stopped_at < 8192 // 32
    run(project, *TRAIN, ATELIER_PROCESSES="2")
    facts = json.loads((project / RESULT / "train.json").read_text())
    assert (facts["processes"], facts["images"]) == (2, 8192)
    assert contents(project / RESULT).keys() == expected.keys()


def test_a_killed_dvc_leaves_no_second_trainer(longer):
    project, expected = longer
    most = 0
    for _ in range(2):
        dvc = start(project, str(BIN / "dvc"), "repro", "train@faces-gan", **OFTEN)
        # Not before its own trainer is at work: where DVC is killed while it writes its record of
        # busy paths, the next one reads none.
        family = psutil.Process(dvc.pid)
        wait_for(lambda: any(map(holds_the_device, family.children(recursive=True))))  # noqa: B023
        wait_until_it_learns(project)
        time.sleep(0.7)
        dvc.kill()
        dvc.wait()
    last = start(project, str(BIN / "dvc"), "repro", "train@faces-gan", **OFTEN)
    while last.poll() is None:
        learning = [p for p in trainers(project) if holds_the_device(p)]
        most = max(most, len(learning))
        time.sleep(0.2)
    said = last.stdout.read()
    assert last.returncode == 0, said
    assert most <= 1
    assert not trainers(project)
    assert contents(project / RESULT) == expected


def holds_the_device(process):
    """One that trains, not one that waits for its turn: torch's threads are many."""
    try:
        return any("cpu.lock" in file.path for file in process.open_files())
    except psutil.Error:
        return False


@pytest.mark.parametrize(("number", "to"), [(signal.SIGINT, os.killpg), (signal.SIGTERM, os.kill)])
def test_who_interrupts_a_repro_interrupts_its_forks_and_leaves_a_checkpoint(longer, number, to):
    """As a terminal does, which reaches all, and as who stops a service, which reaches one."""
    project, _ = longer
    several = ("train@faces-gan", "train@faces-vae")
    repro = start(project, str(BIN / "atelier"), "repro", "--no-sync", *several, **OFTEN)
    wait_until_it_learns(project)
    assert any("forkserver" in " ".join(process.cmdline()) for process in session(repro))
    to(repro.pid, number)
    said, _ = repro.communicate(timeout=PATIENCE)
    assert repro.returncode == Interrupted.exit_code, said
    assert checkpoints(project)
    assert not psutil.wait_procs(session(repro), timeout=30)[1]


def session(leader):
    """The processes of a command's session that have not ended."""
    return [
        process
        for process in psutil.process_iter(["status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE and session_of(process) == leader.pid
    ]


def session_of(process):
    with suppress(ProcessLookupError):
        return os.getsid(process.pid)


def test_a_fork_ends_with_its_caller_and_another_goes_on_bit_for_bit(longer):
    project, expected = longer
    for number in (signal.SIGKILL, signal.SIGTERM):
        caller = start(project, *TRAIN, **OFTEN, **fork_server())
        wait_for(lambda: at_work(caller, project))  # noqa: B023
        fork = fork_of(caller, project)
        caller.send_signal(number)
        fork.wait(timeout=PATIENCE)
        caller.wait()
        assert checkpoints(project)
        assert not (project / RESULT).exists()
    run(project, *TRAIN)
    assert contents(project / RESULT) == expected


def at_work(caller, project):
    """Whether a fork trains in the caller's place and has saved; one that ended fails the test."""
    assert caller.poll() is None, caller.stdout.read()
    return fork_of(caller, project) and checkpoints(project)


def fork_of(caller, project):
    """The process that has the checkpoint in the caller's place, if it does already."""
    with suppress(FileNotFoundError, ValueError, psutil.NoSuchProcess):
        (holder,) = project.glob(".atelier/checkpoints/*.holder.json")
        fork = psutil.Process(json.loads(holder.read_text())["pid"])
        return fork if fork.pid != caller.pid else None
