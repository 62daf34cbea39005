"""Real commands under real limits: a disk that fills up, a shell's limits, no home, another user.

Each says in a line what is wrong; afterwards the same command makes what it would have made.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest
from tests.project import BIN, PATIENCE, contents, copy_repository, environment, start

pytestmark = pytest.mark.slow
PREPARE = (str(BIN / "atelier"), "prepare", "numbers", "--scale", "tiny")
TRAIN = (str(BIN / "atelier"), "train", "numbers", "--scale", "tiny")
RESULT = "artifacts/tiny/numbers/train"
SMALL = 3_000_000
"""Bytes of a disk that has room for the training, and for little else."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A project with a small experiment whose images are prepared, and what its training makes."""
    folder = copy_repository(tmp_path_factory.mktemp("limits"))
    assert limited(folder, PREPARE)[0] == 0
    code, said = limited(folder, TRAIN)
    assert code == 0, said
    expected = contents(folder / RESULT)
    shutil.rmtree(folder / RESULT)
    shutil.rmtree(folder / ".atelier")
    return folder, expected


@pytest.fixture
def project(prepared, tmp_path):
    subprocess.run(["cp", "-r", f"{prepared[0]}/.", str(tmp_path)], check=True)
    return tmp_path


def limited(folder, command, limits="", **variables):
    """Runs a command after a shell's `ulimit`s; returns (exit code, what it said)."""
    shell = ("sh", "-c", f'{limits}\nexec "$@"', "sh", *command)
    process = start(folder, *shell, **variables)
    said, _ = process.communicate(timeout=120)
    return process.returncode, said


def last_line(said):
    assert "Traceback" not in said, said
    return said.splitlines()[-1]


def goes_on(folder, prepared):
    code, said = limited(folder, TRAIN)
    assert code == 0, said
    assert contents(folder / RESULT) == prepared[1]


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ("ulimit -f 8", "larger than a file may be here. Raise the limit"),
        ("ulimit -n 6", "too many open files. Raise the limit, as with: ulimit -n 4096"),
    ],
    ids=["size of files", "open files"],
)
def test_a_limit_of_the_shell_is_a_line(limits, says, project, prepared):
    code, said = limited(project, TRAIN, limits)
    assert (code, says in last_line(said)) == (2, True), said
    assert not (project / RESULT).exists()
    goes_on(project, prepared)


@pytest.fixture
def small_disk(project):
    """`.atelier` on a disk of its own, where the tests may mount one."""
    place = project / ".atelier"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(place)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a disk")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_disk_that_is_full_from_the_start_is_told_before(small_disk, project, prepared):
    (small_disk / "films").write_bytes(bytes(SMALL - 500_000))
    code, said = limited(project, TRAIN)
    assert code == 2
    assert "the training writes at least 1.2 MB, and the disk has 0.5 MB" in last_line(said)
    (small_disk / "films").unlink()
    goes_on(project, prepared)


def test_a_disk_that_fills_up_meanwhile(small_disk, project, prepared):
    process = start(project, *TRAIN, ATELIER_SAVE_EVERY_SECONDS="0.1")
    end = time.monotonic() + 60
    while not list(small_disk.glob("checkpoints/*/checkpoint.pt")):
        assert time.monotonic() < end
        time.sleep(0.01)
    with suppress(OSError), (small_disk / "films").open("wb", 0) as film:
        while True:
            film.write(bytes(4096))
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2, said
    assert "the disk is full. Make room on it; the same command goes on." in last_line(said)
    assert not (project / RESULT).exists()
    (small_disk / "films").unlink()
    goes_on(project, prepared)


@pytest.mark.parametrize("home", ["/nowhere", "/proc"], ids=["absent", "read-only"])
def test_no_home_is_needed(home, project, prepared):
    code, said = limited(project, TRAIN, HOME=home)
    assert code == 0, said
    assert contents(project / RESULT) == prepared[1]


def test_another_umask_changes_no_byte(project, prepared):
    code, said = limited(project, TRAIN, "umask 077")
    assert code == 0, said
    assert contents(project / RESULT) == prepared[1]


def test_a_folder_of_another_user_is_a_line(project, prepared):
    """And a user of whom the machine knows a number and no name."""
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("may not be another user")
    nobody = ("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups")
    reachable = subprocess.run([*nobody, *TRAIN[:1], "--help"], capture_output=True, check=False)
    if reachable.returncode:
        pytest.skip("another user can't reach the interpreter")
    command = (*nobody, *TRAIN)
    code, said = limited(project, command)
    assert code == 2, said
    assert "permission denied. Look whose it is" in last_line(said)
    goes_on(project, prepared)


@pytest.mark.parametrize("stage", ["evaluate", "bundle"])
def test_two_of_one_stage_at_once(stage, pipeline, tmp_path):
    """The second waits for the first; both end well, and nothing else is left."""
    subprocess.run(["cp", "-r", f"{pipeline}/.", str(tmp_path)], check=True)
    folder = tmp_path / "artifacts" / "tiny" / "numbers"
    before = contents(folder)
    command = (str(BIN / "atelier"), stage, "numbers", "--scale", "tiny")
    both = [start(tmp_path, *command) for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert contents(folder) == before


def test_what_a_stage_is_made_from_is_not_made_anew_meanwhile(pipeline, tmp_path):
    """Bundles again and again, evaluations beside them: each finds a whole bundle."""
    subprocess.run(["cp", "-r", f"{pipeline}/.", str(tmp_path)], check=True)
    folder = tmp_path / "artifacts" / "tiny" / "numbers"
    before = contents(folder)
    stages = ["bundle", "evaluate", "register"] * 2
    commands = [(str(BIN / "atelier"), stage, "numbers", "--scale", "tiny") for stage in stages]
    at_once = [start(tmp_path, *command) for command in commands]
    said = [process.communicate(timeout=240)[0] for process in at_once]
    assert [process.returncode for process in at_once] == [0] * len(stages), said
    assert contents(folder) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_waits_for_a_stage_can_be_stopped(number, project):
    hold = (
        "import sys, time\nfrom atelier.pipeline.locks import alone\n"
        "with alone('numbers', 'tiny', 'train'):\n    print('held', flush=True)\n    time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold], cwd=project, env=environment(), stdout=subprocess.PIPE
    )
    assert holder.stdout.readline() == b"held\n"
    waiting = start(project, *TRAIN)
    assert "waiting for train@numbers: held by process" in waiting.stdout.readline()
    waiting.send_signal(number)
    said, _ = waiting.communicate(timeout=PATIENCE)
    assert waiting.returncode == 75, said
    holder.kill()
    holder.communicate()
