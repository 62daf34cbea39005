"""Tells before a training what the memory or the disk can't hold, and what is unlikely to learn."""

import shutil
from math import prod
from pathlib import Path

import numpy as np
from lightning_fabric import Fabric

from atelier.config import Experiment, Judge
from atelier.data.batches import TRAINING, read_manifest
from atelier.data.numbers import DEPTH
from atelier.display import say
from atelier.errors import UserError
from atelier.training import runtime
from atelier.training.cost import batch_memory, room_of

FAMILIAR = 10_000
"""More bytes than our networks keep of a byte of their images: where there is memory for as many,
nobody waits for the seconds that counting takes."""
TIGHT = 0.5
"""Share of the free memory up to which torch's own needs have room beside what is counted."""
HIGH_RATE = 0.01
"""Of Adam, which moves each weight by about its rate in every step."""


def check(
    where: Path, work: Experiment | Judge, prepared: Path, folder: Path, fabric: Fabric,
    precision: str,
) -> None:  # fmt: skip
    """Counts what a training takes, and compares. For whoever holds the device: others have freed
    their memory then.

    Args:
        where: the file that describes it.
        prepared: its dataset.
        folder: of its checkpoint; what lies there already needs no more of the disk.

    Raises:
        UserError: naming what the training takes at the least, what is free, and what to lower.
    """
    _say_high_rates(where, work)
    shape, labels, pixels = _measured(prepared)
    labels = len(getattr(getattr(work, "sampling", None), "attributes", ())) or labels
    room, free = room_of(work, shape, labels), runtime.free_memory(fabric.device)
    if pixels > (most := runtime.room_for_images(fabric.device)):
        say(
            f"{where}: images of {_size(pixels)} are read from the disk as they are drawn: memory "
            f"would hold {_size(most)}"
        )
        pixels = 0
    parts = {"networks": room.memory, "images": pixels, "batch": 0}
    rows = work.training.batch_size // fabric.world_size
    if room.memory + pixels + 4 * rows * prod(shape) * FAMILIAR > free:
        whole = batch_memory(work, shape, labels, precision)
        parts["batch"] = whole // fabric.world_size
    _check_memory(where, parts, free)
    _check_disk(room.disk, folder)


def _say_high_rates(where: Path, work: Experiment | Judge) -> None:
    for network, adam in work.training.optimizers.items():
        if adam.learning_rate > HIGH_RATE:
            say(
                f"{where}: training.optimizers.{network}.learning_rate: {adam.learning_rate} is "
                f"high for Adam, and little is learnt so fast. Usual are 0.0001 to 0.002."
            )


def _measured(prepared: Path) -> tuple[tuple[int, ...], int, int]:
    """(shape of an image or row, number of labels, bytes of all images) of a training split."""
    manifest = read_manifest(prepared)
    if manifest["layout"] == "numbers":
        return (DEPTH,), 0, 0
    pixels = np.load(prepared / TRAINING, mmap_mode="r")
    return pixels.shape[1:], len(manifest["labels"]), pixels.nbytes


def _check_memory(where: Path, parts: dict[str, int], free: int) -> None:
    needed = sum(parts.values())
    counted = ", ".join(f"{name} {_size(part)}" for name, part in parts.items() if part)
    needs = f"training takes at least {_size(needed)} of memory ({counted})"
    if needed > free:
        remedies = {
            "networks": "Lower the widths of the model.",
            "images": "Lower the limit of the dataset.",
            "batch": "Lower training.batch_size, or the widths of the model.",
        }
        remedy = remedies[max(parts, key=lambda name: parts[name])]
        raise UserError(where, f"{needs}, and {_size(free)} are free", remedy)
    if needed > TIGHT * free:
        say(f"{where}: {needs}; of {_size(free)} that are free, torch may want more than is left")


def _check_disk(needed: int, folder: Path) -> None:
    there = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    disk = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    needed, free = needed - there, shutil.disk_usage(disk).free
    if needed > free:
        problem = f"the training writes at least {_size(needed)}, and the disk has {_size(free)}"
        raise UserError(folder, problem, "Make room on it; the same command goes on.")


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
