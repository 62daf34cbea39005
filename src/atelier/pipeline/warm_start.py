"""Where a training begins, if not at zero: at networks that were trained before.

Every finished training leaves its last state in .atelier/finished/<scale>-<name>/: all networks and
averages as safetensors, from which another training may start (`training.start_from`), and the
whole checkpoint, from which the same one goes on where only its planned images were raised. What is
registered takes its networks along, below its MLflow run.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as serialized

from atelier.config import Experiment, Judge
from atelier.data.folders import built_aside, put
from atelier.display import say
from atelier.errors import UserError
from atelier.files import write_whole
from atelier.pipeline.definition import FINISHED, same_but_images
from atelier.registry.tracking import NETWORKS_FOLDER, history_digest
from atelier.schema import Positive, Strict
from atelier.training import checkpoint
from atelier.training.loop import snapshot_marks
from atelier.training.setup import Learner

NETWORKS = "networks.safetensors"
FACTS = "finished.json"
START = "start.json"
Known = TypeVar("Known", bound=Strict)


class Start(Strict):
    """What a training began with: as it was asked for, the version or file, the file's hash."""

    asked: str
    found: str
    sha256: str


class Finished(Strict):
    """What is known of a training that came to its end."""

    images: Positive
    history: str
    """The digest of its history."""
    same_but_images: str


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
        facts = _read(self.folder / FACTS, Finished)
        return self.folder / NETWORKS if facts and facts.history == history else None

    def go_on(self, work: Experiment, folder: Path) -> None:
        """Continues it, where its planned images alone were raised and that is sound.

        It is where the result is the one of a training that was planned so long from the start:
        each rate and weight constant, and every snapshot still ahead. Else the reason is said, and
        the training begins anew.
        """
        if checkpoint.sound(folder / checkpoint.FILE):
            return
        if (facts := _read(self.folder / FACTS, Finished)) is None:
            return
        done, planned = facts.images, work.training.images
        if facts.same_but_images != self._same_but_images() or planned <= done:
            return
        reason = _why_not(work, done)
        if not reason and not checkpoint.sound(self.folder / checkpoint.FILE):
            reason = "its checkpoint is gone"
        if reason:
            say(f"{done:,} images can't go on to {planned:,}, so it begins anew: {reason}")
            return
        # All but what only a finished one has, and snapshots, of which none is in the second half.
        left_out = shutil.ignore_patterns(NETWORKS, FACTS, "snapshots")
        with built_aside(folder, durable=True) as building:
            shutil.copytree(self.folder, building, ignore=left_out, dirs_exist_ok=True)
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
        write_whole(folder / NETWORKS, serialized(tensors, {"images": seen}), durable=True)
        facts = Finished(
            images=images,
            history=history_digest(folder / "output"),
            same_but_images=self._same_but_images(),
        )
        _write(folder / FACTS, facts)
        (folder / checkpoint.BEFORE).unlink(missing_ok=True)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        put(folder, self.folder)

    def _same_but_images(self) -> str:
        return same_but_images(self.stage, self.name, self.scale)


def begin(work: Experiment | Judge, learner: Learner, folder: Path) -> Start | None:
    """Puts the networks of `training.start_from` into a learner that has not begun.

    A training with a checkpoint has begun: what it started from is in its folder, and a champion
    that was replaced meanwhile changes nothing.

    Raises:
        UserError: nothing there by that name, or networks of another shape.
    """
    asked, note = work.training.start_from, folder / START
    if asked is None:
        return None
    if checkpoint.sound(folder / checkpoint.FILE):
        if (start := _read(note, Start)) is not None:
            return start
        say(f"{folder}: what it started from is not known, so the training begins anew")
        shutil.rmtree(folder)
    with _networks(asked) as (file, found):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        start = Start(asked=asked, found=found, sha256=digest)
        learner.images_before = _load(file, asked, learner)
    _write(note, start)
    say(f"begins with the networks of {found}")
    return start


def _read(path: Path, kind: type[Known]) -> Known | None:
    """What a note says; None where there is none, or, said, where it is damaged."""
    if not path.exists():
        return None
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError:
        say(f"{path}: cut short or changed, so it counts for nothing")
        return None


def _write(path: Path, note: Strict) -> None:
    write_whole(path, note.model_dump_json(indent=2) + "\n", durable=True)


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
        artifact = f"{NETWORKS_FOLDER}/{NETWORKS}"
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
