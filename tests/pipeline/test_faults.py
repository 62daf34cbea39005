"""A full disk, a limit of the shell, damaged files, two at once: a training's commands say so in a
line, lose nothing, and go on afterwards to what an undisturbed one makes."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from tests.project import PATIENCE, contents, copy_repository
from tests.training.test_checkpoint import files_of_at_most

from atelier.errors import UserError, fault_of_machine
from atelier.pipeline import room, stages, warm_start
from atelier.pipeline.definition import checkpoint_folder
from atelier.training import checkpoint, runtime

FILE = Path("experiments/tiny/numbers.yaml")
RESULT = Path("artifacts/tiny/numbers/train")
FINISHED = Path(".atelier/finished/tiny-numbers")
CHECKPOINTS = Path(".atelier/checkpoints")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A project with one small experiment, whose training can go on beyond its end."""
    folder = copy_repository(tmp_path_factory.mktemp("faults"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        length = {"images": 512, "batch_size": 128, "log_every_images": 256}
        change(training=length | {"early_stopping": None})
        stages.prepare("numbers", "tiny")
    return folder


@pytest.fixture
def project(prepared, tmp_path, monkeypatch):
    subprocess.run(["cp", "-r", f"{prepared}/.", str(tmp_path)], check=True)
    monkeypatch.chdir(tmp_path)


def change(**blocks):
    """Changes keys in blocks of the experiment's file."""
    words = yaml.safe_load(FILE.read_text())
    for block, keys in blocks.items():
        words[block] |= keys
    FILE.write_text(yaml.safe_dump(words, sort_keys=False))


def train():
    """Trains; returns what it leaves, but for where it is said to have begun."""
    stages.train("numbers", "tiny")
    return contents(RESULT)


def undisturbed(**training):
    """What a training makes that knows of none before."""
    change(training=training)
    subprocess.run(["rm", "-rf", str(FINISHED), str(RESULT)], check=True)
    expected = train()
    subprocess.run(["rm", "-rf", str(FINISHED), str(RESULT)], check=True)
    return expected


def test_a_disk_that_is_full_once_while_it_goes_on_from_a_finished_one(project, capsys):
    expected = undisturbed(images=1024)
    change(training={"images": 512})
    train()
    finished = contents(FINISHED)
    change(training={"images": 1024})
    with files_of_at_most(50_000), pytest.raises(OSError) as refused:  # noqa: PT011
        train()
    assert "larger than a file may be" in str(fault_of_machine(refused.value))
    assert contents(FINISHED) == finished
    assert not list(CHECKPOINTS.glob("*/*")), "half a copy is left"
    assert train() == expected
    assert "goes on from 512 images" in capsys.readouterr().err


def test_half_a_copy_that_lies_there_already_is_passed_over(project, capsys):
    """As an earlier version left it."""
    expected = undisturbed(images=1024)
    change(training={"images": 512})
    train()
    change(training={"images": 1024})
    folder = checkpoint_folder("train", "numbers", "tiny")
    folder.mkdir(parents=True)
    half = (FINISHED / checkpoint.FILE).read_bytes()[:50_000]
    (folder / checkpoint.FILE).write_bytes(half)
    assert train() == expected
    assert "goes on from 512 images" in capsys.readouterr().err


@pytest.mark.parametrize("size", [0, 40, 4000])
def test_a_disk_that_is_full_at_a_checkpoint_or_a_snapshot(size, project):
    """At once, at the history's first row, at the first checkpoint."""
    expected = undisturbed(images=1024)
    with files_of_at_most(size), pytest.raises(OSError, match="too large"):
        train()
    assert not RESULT.exists()
    assert train() == expected


DAMAGED = {
    "cut short": lambda content: content[:20],
    "empty": lambda content: b"",
    "no text": lambda content: b"\xff\x00" * 50,
    "a list": lambda content: b"[" * 10_000,
    "without a key": lambda content: b'{"images": 512}',
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_note_of_a_finished_training_counts_for_nothing(damage, project, capsys):
    expected = undisturbed(images=1024)
    change(training={"images": 512})
    train()
    change(training={"images": 1024})
    note = FINISHED / warm_start.FACTS
    note.write_bytes(damage(note.read_bytes()))
    assert train() == expected
    said = capsys.readouterr().err
    assert f"{note}: cut short or changed, so it counts for nothing" in said
    assert "goes on" not in said
    assert json.loads(note.read_text())["images"] == 1024


def test_a_damaged_checkpoint_of_a_finished_training_is_not_gone_on_from(project, capsys):
    expected = undisturbed(images=1024)
    change(training={"images": 512})
    train()
    change(training={"images": 1024})
    os.truncate(FINISHED / checkpoint.FILE, 1000)
    assert train() == expected
    assert "so it begins anew: its checkpoint is gone" in capsys.readouterr().err


def test_a_finished_training_that_a_kill_left_half_removed(project):
    """All that may be missing, is."""
    expected = undisturbed(images=1024)
    change(training={"images": 512})
    train()
    change(training={"images": 1024})
    for name in (warm_start.NETWORKS, checkpoint.FILE, "output/snapshots"):
        subprocess.run(["rm", "-r", str(FINISHED / name)], check=True)
    assert train() == expected


def test_a_training_killed_before_its_first_checkpoint_still_starts_from_its_networks(project):
    """Its note alone says nothing: what it started from was in the killed process."""
    train()
    start = Path("start.safetensors")
    start.write_bytes((FINISHED / warm_start.NETWORKS).read_bytes())
    expected = undisturbed(images=256, start_from=str(start))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("atelier.training.loop.train", killed)
        with pytest.raises(KeyboardInterrupt):
            train()
    assert list(CHECKPOINTS.glob(f"*/{warm_start.START}"))
    assert train() == expected
    assert load_file(start).keys() == load_file(FINISHED / warm_start.NETWORKS).keys()


def killed(*_, **__):
    raise KeyboardInterrupt


def test_a_start_that_is_not_known_any_more_begins_anew(project, capsys):
    train()
    start = Path("start.safetensors")
    start.write_bytes((FINISHED / warm_start.NETWORKS).read_bytes())
    expected = undisturbed(images=256, start_from=str(start))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("atelier.pipeline.training.built_aside", killed)
        with pytest.raises(KeyboardInterrupt):
            train()
    (note,) = CHECKPOINTS.glob(f"*/{warm_start.START}")
    note.write_text('{"asked": "sta')
    assert train() == expected
    assert "what it started from is not known" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "training", "says"),
    [
        ({"hidden": 10**9}, {}, r"numbers.yaml: training takes at least .* GB .*widths of the m"),
        ({}, {"images": 10**10, "batch_size": 10**9}, r"batch .*Lower training.batch_size"),
    ],
)
def test_what_the_memory_can_not_hold_is_told_before(model, training, says, project):
    change(model=model, training=training)
    with pytest.raises(UserError, match=says):
        train()
    assert not list(CHECKPOINTS.glob("*/*"))


def test_what_is_tight_is_said_and_trained(project, monkeypatch, capsys):
    monkeypatch.setattr(runtime, "free_memory", lambda device: 1_200_000)
    train()
    said = capsys.readouterr().err
    assert "training takes at least 0.8 MB of memory (networks 0.4 MB, batch 0.4 MB)" in said
    assert "of 1.2 MB that are free" in said


def test_free_memory_is_within_the_limit_of_the_shell():
    free = runtime.free_memory(CPU)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    within = 50_000_000
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + within, hard))
    try:
        assert runtime.free_memory(CPU) <= within < free
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_free_memory_is_within_the_limit_of_the_container(tmp_path, monkeypatch):
    free = runtime.free_memory(CPU)
    first, second = tmp_path / "memory.max", tmp_path / "memory.limit_in_bytes"
    monkeypatch.setattr(runtime, "CONTAINER_LIMITS", (first, second))
    first.write_text("max\n")
    assert runtime.free_memory(CPU) > 0.5 * free
    second.write_text("50000000\n")
    assert runtime.free_memory(CPU) == 50_000_000


def test_what_the_disk_can_not_hold_is_told_before(project, monkeypatch):
    usage = room.shutil.disk_usage(".")
    monkeypatch.setattr(room.shutil, "disk_usage", lambda path: usage._replace(free=100_000))
    with pytest.raises(UserError, match=r"writes at least 1.2 MB, and the disk has 0.1 MB\. Make"):
        train()
    monkeypatch.undo()


def test_a_high_rate_is_said(project, capsys):
    words = yaml.safe_load(FILE.read_text())["training"]["optimizers"]
    words["generator"]["learning_rate"] = 0.05
    change(training={"optimizers": words})
    train()
    said = capsys.readouterr().err
    assert f"{FILE}: training.optimizers.generator.learning_rate: 0.05 is high for Adam" in said
    assert "optimizers.discriminator" not in said


BUILDING = """
import sys
from pathlib import Path
from atelier.data.folders import built_aside
from atelier.pipeline.locks import alone
with alone("x", "tiny", "bundle", "evaluate"), built_aside(Path("out")) as building:
    print("builds", flush=True)
    sys.stdin.readline()
    (building / "figures").write_text(sys.argv[1])
"""


def test_two_at_once_wait_for_each_other(tmp_path):
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)

    def start(number):
        command = [sys.executable, "-c", BUILDING, number]
        return subprocess.Popen(command, cwd=tmp_path, text=True, **pipes)

    first = start("1")
    assert first.stdout.readline() == "builds\n"
    second = start("2")
    said = second.stderr.readline()
    assert said.startswith(f"waiting for bundle@x: held by process {first.pid}")
    for process in (first, second):
        process.communicate("go on\n", timeout=PATIENCE)
    assert (first.returncode, second.returncode) == (0, 0)
    assert contents(tmp_path / "out") == {Path("figures"): b"2"}
