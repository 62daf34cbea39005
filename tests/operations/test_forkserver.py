"""The fork server: its commands do and say what they do by themselves, and end like those."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest
from tests.project import BIN, contents, copy_shipped, environment, fork_server, run, start

from atelier.errors import Interrupted
from atelier.operations import forkserver

ATELIER = str(BIN / "atelier")
HEAVY = {
    "torch",
    "numpy",
    "mlflow",
    "dvc",
    "typer",
    "rich",
    "pydantic",
    "psutil",
    "multiprocessing",
}
CHECKPOINT = ".atelier/checkpoints/*/checkpoint.pt"
OFTEN = {"ATELIER_SAVE_EVERY_SECONDS": "0.5"}


def result(folder, *words, **variables):
    """(exit code, stdout, stderr) of `atelier`, with no input."""
    done = subprocess.run(
        [ATELIER, *words], cwd=folder, env=environment(**variables), text=True, capture_output=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [("--help", 0), ("prepare numbrs", 2), ("train faces-gan --scale tiny", 2), ("prepare", 2)],
)
def test_a_fork_says_and_returns_what_the_command_does(words, code, tmp_path):
    alone = result(copy_shipped(tmp_path), *words.split())
    assert result(tmp_path, *words.split(), **fork_server()) == alone
    assert alone[0] == code


def test_a_caller_imports_next_to_nothing():
    """It is started for each of some fifty stages."""
    program = "import sys, atelier.__main__; print(*sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not HEAVY & {name.partition(".")[0] for name in said.stdout.split()}


@pytest.mark.parametrize(
    "variables",
    [
        {forkserver.ADDRESS: "/nowhere"},
        {forkserver.ADDRESS: os.devnull},
        {"ATELIER_PROCESSES": "2"},
    ],
)
def test_a_command_that_finds_no_server_runs_by_itself(variables, monkeypatch):
    for name, value in (fork_server() | variables).items():
        monkeypatch.setenv(name, value)
    assert forkserver.ask(["--help"]) is None


def test_a_command_runs_by_itself_when_the_source_was_changed(monkeypatch, capfd):
    with forkserver.serving() as server:
        for name, value in server.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(forkserver, "SOURCE", forkserver.SOURCE / "cli")
        assert forkserver.ask(["--help"]) is None
    assert not capfd.readouterr().out


def test_a_socket_has_a_path_too_long(tmp_path, monkeypatch):
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with forkserver.serving() as server:
        assert server == {}


def test_only_its_user_may_enter_the_sockets_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with forkserver.serving():
        (folder,) = tmp_path.iterdir()
        assert folder.stat().st_mode & 0o077 == 0
    assert not list(tmp_path.iterdir())


def test_one_stage_starts_no_server():
    with forkserver.serving(worth_it=False) as server:
        assert server == {}


@pytest.fixture
def longer(project):
    """A training of some seconds."""
    file = project / "experiments/tiny/faces-gan.yaml"
    file.write_text(file.read_text().replace("images: 1024", "images: 8192"))
    return project


@pytest.mark.slow
@pytest.mark.parametrize(("number", "to"), [(signal.SIGINT, os.killpg), (signal.SIGTERM, os.kill)])
def test_who_interrupts_a_repro_interrupts_its_forks_and_leaves_a_checkpoint(longer, number, to):
    """As a terminal does, which reaches all, and as who stops a service, which reaches one."""
    several = ("train@faces-gan", "train@faces-vae")
    repro = start(longer, ATELIER, "repro", "--no-sync", *several, **OFTEN)
    while not any(longer.glob(CHECKPOINT)):
        assert repro.poll() is None, repro.stdout.read()
        time.sleep(0.05)
    assert any("forkserver" in " ".join(process.cmdline()) for process in session(repro))
    to(repro.pid, number)
    said, _ = repro.communicate(timeout=60)
    assert repro.returncode == Interrupted.exit_code, said
    assert any(longer.glob(CHECKPOINT))
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


@pytest.mark.slow
def test_a_fork_ends_with_its_caller_and_learns_bit_for_bit_the_same(longer):
    project = longer
    words = [ATELIER, "train", "faces-gan", "--scale", "tiny"]
    out = project / "artifacts/tiny/faces-gan/train"
    to_the_end(start(project, *words))
    expected = contents(out)
    run(project, "rm", "-r", str(out))
    for number in (signal.SIGKILL, signal.SIGTERM):
        caller = start(project, *words, **OFTEN, **fork_server())
        fork = fork_of(caller, project)
        caller.send_signal(number)
        fork.wait(timeout=60)
        caller.wait()
        assert any(project.glob(CHECKPOINT))
        assert not out.exists()
    to_the_end(start(project, *words, **fork_server()))
    assert contents(out) == expected


def to_the_end(process):
    said, _ = process.communicate()
    assert process.returncode == 0, said


def fork_of(caller, project):
    """The process that trains in the caller's place, once it has the device."""
    while True:
        assert caller.poll() is None, caller.stdout.read()
        time.sleep(0.05)
        with suppress(FileNotFoundError, ValueError):
            (device,) = project.glob(".atelier/checkpoints/*.holder.json")
            fork = psutil.Process(json.loads(device.read_text())["pid"])
            if fork.is_running() and fork.pid != caller.pid and any(project.glob(CHECKPOINT)):
                return fork
