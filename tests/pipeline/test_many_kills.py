"""Killed at any moment, half of the times with a full disk: the next run makes what one that was
never disturbed makes.

Some kills here; by hand as many as you like:

    ATELIER_KILLS=200 .venv/bin/python -m pytest tests/pipeline/test_many_kills.py
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.project import ROOT, contents, run, start

pytestmark = [pytest.mark.slow, pytest.mark.soak]

KILLS = int(os.environ.get("ATELIER_KILLS", "8"))
FIRST = int(os.environ.get("ATELIER_FIRST_KILL", "0"))
"""Its number is the seed of its moment: where an earlier round found something, go on there."""
KILLS_OF_A_BUILD = 10
LONGEST_SECONDS = 15.0
"""From a command's start to its kill: as long as most stages take at this scale."""
DISK_MB = 2_000
LEFT_MB = (0, 1, 5, 30)
"""What a full disk may still have."""
NAMES = ("numbers", "faces-gan")
ASK = """
import json, re
from atelier.registry import store, versions
opened = store.open_store()
print(json.dumps([
    # Without its figures: the gate draws anew each time.
    [str(v), v.aliases, v.digest, re.sub("[0-9.]+", "", v.tags["gate.reason"])]
    for name in versions.names(opened) for v in versions.versions(opened, name)
]))
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own, where the system lets us have one; else the test is without."""
    place = tmp_path / "disk"
    place.mkdir()
    size = f"size={DISK_MB}m"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(place)], check=False)
    yield place
    if mounted.returncode == 0:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def build(pipeline: Path, disk: Path) -> Path:
    """A project with its data and nothing made of them."""
    root = disk / "project"
    shutil.copytree(pipeline, root, symlinks=True)
    forget(root)
    return root


def forget(root: Path) -> None:
    """All that the pipeline made, in DVC's memory, too."""
    shutil.rmtree(root / "artifacts" / "tiny", ignore_errors=True)
    shutil.rmtree(root / ".atelier", ignore_errors=True)
    shutil.rmtree(root / ".dvc" / "cache" / "runs", ignore_errors=True)
    for path in (root / "mlruns").iterdir():
        if path.name != "README.md":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (root / "dvc.lock").unlink(missing_ok=True)


def command() -> list[str]:
    return ["atelier", "repro", *(f"register@{name}" for name in NAMES)]


def outcome(root: Path) -> tuple[dict[Path, bytes], list[object]]:
    """Artifacts, byte by byte, and what the registry says of its versions."""
    made = contents(root / "artifacts")
    said = run(root, sys.executable, "-c", ASK, PYTHONPATH=str(ROOT / "src"))
    return made, json.loads(said.strip().splitlines()[-1])


@contextmanager
def full(disk: Path, randomly: random.Random) -> Iterator[None]:
    """The disk with next to nothing left, where it is one of its own."""
    ballast = disk / "ballast"
    usage = shutil.disk_usage(disk)
    if usage.total <= DISK_MB * 2**20:
        size = max(usage.free - randomly.choice(LEFT_MB) * 2**20, 0)
        with ballast.open("wb") as file, suppress(OSError):  # others write meanwhile
            os.posix_fallocate(file.fileno(), 0, max(size, 1))
    try:
        yield
    finally:
        ballast.unlink(missing_ok=True)


def disturbed(root: Path, disk: Path, randomly: random.Random) -> str:
    """One command, killed with all its children; what it had said."""
    what = randomly.choices(
        [command(), ["atelier", "registry", "sync"], ["atelier", "tidy", "--remove"]],
        [8, 1, 1],
    )[0]
    process = start(root, *what, ATELIER_SAVE_EVERY_SECONDS="1")
    time.sleep(randomly.uniform(0.2, LONGEST_SECONDS))
    if randomly.random() < 0.5:
        with full(disk, randomly):
            time.sleep(randomly.uniform(0.2, 3))
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    else:
        os.killpg(process.pid, signal.SIGKILL)
    said, _ = process.communicate()
    return str(said)


def test_after_any_kill_the_next_run_makes_the_same(build: Path, disk: Path) -> None:
    run(build, *command())
    expected, registered = outcome(build)
    done, last = FIRST, FIRST + KILLS
    while done < last:
        randomly = random.Random(done)
        forget(build)
        told: list[str] = []
        for _ in range(min(KILLS_OF_A_BUILD, last - done)):
            told.append(disturbed(build, disk, randomly))
            done += 1
        said = run(build, *command())
        found, versions = outcome(build)
        different = sorted(
            str(path)
            for path in found.keys() | expected.keys()
            if found.get(path) != expected.get(path)
        )
        assert not different, (done, different, told, said[-2000:])
        assert versions == registered, (done, told)
        assert not any("Traceback" in words for words in told), (done, told)
