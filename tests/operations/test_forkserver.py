"""The fork server: its commands do and say what they do by themselves.

That they end as those do, tests/pipeline/test_killed.py asks.
"""

import os
import subprocess
import sys

import pytest
from tests.project import BIN, copy_shipped, environment, fork_server

from atelier.operations import forkserver

ATELIER = str(BIN / "atelier")
HEAVY = {"torch", "numpy", "mlflow", "dvc", "typer", "rich", "pydantic", "psutil"}
HEAVY |= {"multiprocessing"}  # which the server needs, and its callers do not


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
    with forkserver.serving(one_stage=True) as server:
        assert server == {}
