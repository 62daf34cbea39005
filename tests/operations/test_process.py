"""A stage in a group of its own: stopped with its caller, killed where it does not end."""

import ctypes
import os
import queue
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tests.pipeline.test_killed import RESULT, contents, longer, trainers, wait_for  # noqa: F401
from tests.project import BIN, environment, run

from atelier.errors import AtelierError, UserError
from atelier.operations import process

pytestmark = pytest.mark.slow
CALLER = """
from atelier.operations.process import run_stage
run_stage("train@faces-gan", print)
"""


class Stop(BaseException):
    """As a scheduler's cancellation: no Exception."""


def test_a_stopped_caller_leaves_a_checkpoint_and_nothing_else(longer, monkeypatch):  # noqa: F811
    project, expected = longer
    monkeypatch.chdir(project)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def stop_when_it_learns(line):
        if "images  " in line:
            raise Stop

    with pytest.raises(Stop):
        process.run_stage("train@faces-gan", stop_when_it_learns)
    assert not trainers(project)
    assert list(project.glob(".atelier/checkpoints/*/checkpoint.pt"))
    lines = []
    process.run_stage("train@faces-gan", lines.append)
    assert any("train@faces-gan" in line for line in lines)
    assert contents(project / RESULT) == expected


def test_a_killed_caller_takes_its_stage_along(longer):  # noqa: F811
    project, expected = longer
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER], cwd=project, text=True, stdout=subprocess.PIPE,
        env=environment(),
    )  # fmt: skip
    for line in caller.stdout:
        if "images  " in line:
            break
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    deadline = time.monotonic() + 15
    while trainers(project):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert list(project.glob(".atelier/checkpoints/*/checkpoint.pt"))
    run(project, str(BIN / "dvc"), "repro", "--single-item", "train@faces-gan")
    assert contents(project / RESULT) == expected


def test_a_users_mistake_is_told_from_a_failure(project, monkeypatch):
    monkeypatch.chdir(project)
    file = project / "experiments/tiny/numbers.yaml"
    sound = file.read_text()
    file.write_text(sound.replace("hidden: 128", "hidden: -1"))
    with pytest.raises(UserError, match="hidden"):
        process.run_stage("train@numbers", print)
    file.write_text(sound.replace("hidden: 128", "hidden: 96"))
    shutil.rmtree(".atelier/checkpoints", ignore_errors=True)
    Path(".atelier/checkpoints").write_text("no folder: nothing can be saved")
    with pytest.raises(AtelierError) as failed:
        process.run_stage("train@numbers", print)
    assert not isinstance(failed.value, UserError)


def test_what_does_not_end_is_killed():
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print(1, flush=True); time.sleep(99)"
    )
    stubborn = subprocess.Popen(
        [sys.executable, "-c", deaf], text=True, stdout=subprocess.PIPE, start_new_session=True
    )
    stubborn.stdout.readline()
    process.end(stubborn, grace_seconds=0.5)
    assert stubborn.returncode == -signal.SIGKILL
    assert not psutil.pid_exists(stubborn.pid)


# The leader starts one more, hears that it is ready, and ends.
LEADER = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, text=True)
print(child.pid, child.stdout.readline(), flush=True)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True);"


def leader_of(child):
    """A group whose leader has ended before the other one, and that one's number."""
    leader = subprocess.Popen(
        [sys.executable, "-c", LEADER, child], text=True, stdout=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    return leader, int(leader.stdout.readline().split()[0])


def state(number):
    try:
        return psutil.Process(number).status()
    except psutil.NoSuchProcess:
        return "gone"


def test_whom_the_leader_leaves_behind_has_its_time_and_is_killed_then(tmp_path):
    saved = tmp_path / "saved"
    save = f"time.sleep(1); open({str(saved)!r}, 'w')"
    process.end(leader_of(DEAF + save)[0], grace_seconds=20)
    assert saved.exists()
    leader, left = leader_of(DEAF + "time.sleep(99)")
    process.end(leader, grace_seconds=0.5)
    wait_for(lambda: state(left) in ("gone", psutil.STATUS_ZOMBIE))


@pytest.mark.skipif(sys.platform != "linux", reason="who buries orphans can be chosen on Linux")
def test_an_orphan_that_nobody_buries_is_not_waited_for():
    PR_SET_CHILD_SUBREAPER = 36
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1) == 0
    try:
        leader, left = leader_of("import time; print(1, flush=True); time.sleep(1)")
        wait_for(lambda: state(left) == psutil.STATUS_ZOMBIE)
        os.killpg(leader.pid, 0)  # its group is still there
        lines = queue.SimpleQueue()
        process._drain(leader, lines)
        began = time.monotonic()
        process.end(leader, grace_seconds=20)
        assert time.monotonic() - began < 5
        os.waitpid(left, 0)
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0)
