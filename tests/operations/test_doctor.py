"""What is wrong is found, with its remedy."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tests.project import run

from atelier.operations import doctor
from atelier.operations.dvc import HOLDERS
from atelier.registry.store import DATABASE


@pytest.fixture
def inside(project, monkeypatch):
    monkeypatch.chdir(project)
    monkeypatch.setenv("ATELIER_PREFECT_PORT", "14297")
    monkeypatch.setenv("ATELIER_MLFLOW_PORT", "14298")
    return project


def faults(but=("disk", "memory")):
    """By what was looked at; of this machine's own state nothing is said here."""
    return {one.what: one for one in doctor.examine() if one.wrong and one.what not in but}


def test_a_sound_place_has_no_fault(inside):
    assert faults() == {}
    assert {"python", "packages", "git", "registry", "project"} <= {
        one.what for one in doctor.examine()
    }


def broken_parameters(root):
    (root / "params.yaml").write_text("scale: [")


def left_lock(root):
    process = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                             capture_output=True, text=True, check=True)  # fmt: skip
    entry = {"pid": int(process.stdout), "cmd": "dvc repro"}
    HOLDERS.parent.mkdir(parents=True, exist_ok=True)
    HOLDERS.write_text(json.dumps({"write": {"a": entry}, "read": {"b": [entry]}}))


def broken_lock(root):
    HOLDERS.parent.mkdir(parents=True, exist_ok=True)
    HOLDERS.write_text("{")


def damaged_store(root):
    DATABASE.write_bytes(b"no database" * 1000)


def lost_data(root):
    (root / "data").rename(root / "elsewhere")


def no_git(root):
    (root / ".git").rename(root / "elsewhere")


def moved(root):
    place = root / ".atelier/worktrees/laptop"
    place.mkdir(parents=True)
    (place / "mlruns").symlink_to("/nowhere/mlruns")


@pytest.mark.parametrize(
    ("harm", "what", "remedy"),
    [
        (broken_parameters, "project", "git diff"),
        (left_lock, "dvc's locks", "rm .dvc/tmp/rwlock"),
        (broken_lock, "dvc's locks", "rm .dvc/tmp/rwlock"),
        (damaged_store, "registry", "atelier registry sync"),
        (lost_data, "data", "dvc pull"),
        (no_git, "git", "commit"),
        (moved, "worktree", "rm -r .atelier/worktrees/laptop"),
    ],
)
def test_each_fault_stands_beside_its_remedy(inside, harm, what, remedy):
    harm(inside)
    found = faults()
    assert list(found) == [what]
    assert remedy in found[what].remedy


def test_a_port_that_somebody_else_has(inside, monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setenv("ATELIER_MLFLOW_PORT", str(other.getsockname()[1]))
        assert "ATELIER_MLFLOW_PORT" in faults()["mlflow"].remedy


def test_a_store_that_somebody_writes_to(inside):
    holder = sqlite3.connect(DATABASE)
    holder.execute("BEGIN EXCLUSIVE")
    assert "locked" in faults()["registry"].found
    holder.close()


def test_packages_that_are_not_those_of_the_lock(inside):
    lock = Path("requirements.lock")
    lock.write_text(lock.read_text().replace("numpy==", "numpy==0.", 1))
    assert "numpy" in faults()["packages"].found
    lock.write_text('nosuchthing==1.0 ; sys_platform == "never" \\\n    --hash=sha256:0\n')
    assert "packages" not in faults()


def test_the_command_says_all_and_its_exit_code_whether_any_is_wrong(inside):
    left_lock(inside)
    said = run(inside, "atelier", "doctor", code=1)
    assert "wrong" in said
    assert "rm .dvc/tmp/rwlock" in said


def test_nothing_is_changed(inside):
    before = {path: os.stat(path).st_mtime_ns for path in Path().rglob("*") if path.is_file()}
    doctor.examine()
    after = {path: os.stat(path).st_mtime_ns for path in Path().rglob("*") if path.is_file()}
    assert after == before
