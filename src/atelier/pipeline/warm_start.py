"""Where a training begins, if not at zero: at networks that were trained before.

Every finished training leaves its last state in .atelier/finished/<scale>-<name>/: all networks and
averages as safetensors, from which another training may start (`training.start_from`), and the
whole checkpoint, from which the same one goes on where only its planned images were raised. What is
registered takes its networks along, below its MLflow run.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from atelier.config import Experiment, Judge
from atelier.display import say
from atelier.errors import UserError
from atelier.pipeline.definition import same_but_images
from atelier.registry.tracking import history_digest
from atelier.training.loop import snapshot_marks
from atelier.training.setup import Learner

FINISHED = Path(".atelier", "finished")
NETWORKS = "networks.safetensors"
FACTS = "finished.json"
ARTIFACT_FOLDER = "training"
"""Below an MLflow run."""


@dataclass(frozen=True)
class Start:
    """What a training began with: as it was asked for, the version or file, the file's hash."""

    asked: str
    found: str
    sha256: str


@dataclass(frozen=True)
class Before:
    """The last training of an experiment that came to its end."""

    stage: str
    name: str
    scale: str

    @property
    def folder(self) -> Path:
        return FINISHED / f"{self.scale}-{self.name}"

    def networks_of(self, history: str) -> Path | None:
        """Its networks, if it is the training that has this history."""
        if not (self.folder / FACTS).exists():
            return None
        facts = json.loads((self.folder / FACTS).read_text())
        return self.folder / NETWORKS if facts["history"] == history else None

    def go_on(self, work: Experiment, folder: Path) -> None:
        """Continues it, where its planned images alone were raised and that is sound.

        It is where the result is the one of a training that was planned so long from the start:
        each rate and weight constant, and every snapshot still ahead. Else the reason is said, and
        the training begins anew.
        """
        if (folder / "checkpoint.pt").exists() or not (self.folder / FACTS).exists():
            return
        facts = json.loads((self.folder / FACTS).read_text())
        done, planned = facts["images"], work.training.images
        if facts["same_but_images"] != self._same_but_images() or planned <= done:
            return
        if reason := _why_not(work, done):
            say(f"{done:,} images can't go on to {planned:,}, so it begins anew: {reason}")
            return
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder, folder)
        for name in (NETWORKS, FACTS):
            (folder / name).unlink()
        shutil.rmtree(folder / "output" / "snapshots")  # all from before the new second half
        say(f"goes on from {done:,} images")

    def keep(self, folder: Path, learner: Learner, images: int) -> None:
        """Puts the folder of a training that has just come to its end in its place."""
        state = {"nets": learner.nets, "averages": learner.averages}
        tensors = {
            f"{kind}.{key}": value.detach().cpu().contiguous().clone()
            for kind, networks in state.items()
            for key, value in networks.state_dict().items()
        }
        seen = str(learner.images_before + images)
        save_file(tensors, folder / NETWORKS, metadata={"images": seen})
        facts = {
            "images": images,
            "history": history_digest(folder / "output"),
            "same_but_images": self._same_but_images(),
        }
        (folder / FACTS).write_text(json.dumps(facts, indent=2) + "\n")
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        folder.rename(self.folder)

    def _same_but_images(self) -> str:
        return same_but_images(self.stage, self.name, self.scale)


def begin(work: Experiment | Judge, learner: Learner, folder: Path) -> Start | None:
    """Puts the networks of `training.start_from` into a learner that has not begun.

    A training with a checkpoint has begun: what it started from is in its folder, and a champion
    that was replaced meanwhile changes nothing.

    Raises:
        UserError: nothing there by that name, or networks of another shape.
    """
    asked, note = work.training.start_from, folder / "start.json"
    if asked is None:
        return None
    if note.exists():
        return Start(**json.loads(note.read_text()))
    with _networks(asked) as (file, found):
        start = Start(asked, found, hashlib.sha256(file.read_bytes()).hexdigest())
        learner.images_before = _load(file, asked, learner)
    folder.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(vars(start)) + "\n")
    say(f"begins with the networks of {found}")
    return start


def _why_not(work: Experiment, done: int) -> str:
    settings, objective = work.training, work.objective
    for name, adam in settings.optimizers.items():
        if adam.schedule != "constant":
            return f"the {adam.schedule} schedule of {name} has come to its end"
    if settings.early_stopping is not None:
        return "early stopping ended it"
    for key in ("warm_up_share", "identity_until", "reconstruct_until"):
        if getattr(objective, key, 0):
            return f"objective.{key} is a share of the planned images"
    if (first := min(snapshot_marks(settings))) <= done:
        return f"the snapshot at {first:,} images is past; twice as many images would do"
    return ""


@contextmanager
def _networks(asked: str) -> Iterator[tuple[Path, str]]:
    """(file, what it is) of networks that a path or the registry names."""
    path = Path(asked)
    if path.exists():
        file = path / NETWORKS if path.is_dir() else path
        if not file.exists():
            raise UserError(f"training.start_from: {asked}", f"holds no {NETWORKS}")
        yield file, str(file)
        return
    if "@" not in asked and asked.count("/") != 1:
        raise UserError("training.start_from", f"no such file (got {asked})", "Or NAME@champion.")
    from atelier.registry import loading, store, versions

    opened = store.open_store()
    version = versions.find(opened, asked)
    with tempfile.TemporaryDirectory() as scratch:
        artifact = f"{ARTIFACT_FOLDER}/{NETWORKS}"
        if (fetched := loading.fetch_of_run(opened, version, artifact, scratch)) is None:
            problem = f"{version} took no networks along"
            remedy = "It was trained elsewhere or before they were kept: name a file."
            raise UserError("training.start_from", problem, remedy)
        yield fetched, str(version)


def _load(file: Path, asked: str, learner: Learner) -> int:
    """Fills networks and averages; returns how many images they have seen."""
    try:
        tensors = load_file(file)
        with safe_open(file, "pt") as opened:
            seen = int((opened.metadata() or {}).get("images", 0))
    except (SafetensorError, ValueError):
        raise UserError(f"training.start_from: {asked}", "no networks of a training") from None
    wanted = {"nets": learner.nets, "averages": learner.averages}
    ours = {f"{k}.{key}": v for k, net in wanted.items() for key, v in net.state_dict().items()}
    for key in sorted(ours.keys() | tensors.keys()):
        here, there = _shape(ours, key), _shape(tensors, key)
        if here != there:
            raise UserError(
                f"training.start_from: {asked}",
                f"another model: {key} is {there} there and {here} here",
                "Networks of the same model and sizes only.",
            )
    with torch.no_grad():
        for key, value in ours.items():
            value.copy_(tensors[key])
    return seen


def _shape(tensors: dict[str, torch.Tensor], key: str) -> str:
    return str(list(tensors[key].shape)) if key in tensors else "missing"
