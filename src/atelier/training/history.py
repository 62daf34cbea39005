"""What a training leaves behind as it learns: curves, sample grids, snapshots of the weights.

Nothing here holds a clock or a path, so equal trainings leave equal bytes. A resumed training
first drops what lies beyond its checkpoint and then writes the same again. All is on the disk
before a checkpoint counts on it.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import save as serialized
from torch import Tensor, nn

from atelier.data.images import to_bytes
from atelier.data.sheet import sheet
from atelier.errors import UserError
from atelier.files import flush, write_whole, written_aside
from atelier.objectives.phase import Processes


class History:
    """Writes history.csv, samples/ and snapshots/ in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.table = folder / "history.csv"
        for name in ("samples", "snapshots"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def rewind(self, images: int) -> None:
        """Forgets everything from after `images`."""
        for left in [*self.folder.glob("samples/*"), *self.folder.glob("snapshots/*")]:
            if not left.stem.isdecimal() or int(left.stem) > images:
                left.unlink()
        if not self.table.exists():
            return
        try:
            with self.table.open(newline="") as file:
                header, *rows = list(csv.reader(file)) or [[]]
            # A row that a kill cut short is dropped: its images are beyond the checkpoint anyway.
            kept = [row for row in rows if len(row) == len(header) and int(row[1]) <= images]
        except (ValueError, LookupError, csv.Error) as error:
            remedy = f"Remove {self.folder.parent}: the training then begins anew."
            raise UserError(self.table, f"damaged ({error})", remedy) from None
        with (
            written_aside(self.table, durable=True) as beside,
            beside.open("w", newline="") as file,
        ):
            csv.writer(file, lineterminator="\n").writerows([header, *kept] if kept else [])

    def log(self, step: int, images: int, metrics: dict[str, float]) -> None:
        """Adds a row. Figures that are new, as those of a phase that has begun, are new columns."""
        columns = self._columns()
        new = sorted(metrics.keys() - set(columns))
        row = {"step": str(step), "images": str(images)}
        row |= {name: f"{value:.6g}" for name, value in metrics.items()}
        if not new:
            with self.table.open("a", newline="") as file:
                csv.DictWriter(file, columns, restval="", lineterminator="\n").writerow(row)
            flush(self.table)
            return
        rows = self._rows()
        columns = [*(columns or ["step", "images"]), *new]
        with (
            written_aside(self.table, durable=True) as beside,
            beside.open("w", newline="") as file,
        ):
            writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows([*rows, row])

    def rows(self) -> list[tuple[int, dict[str, float]]]:
        """Of each row so far its images, and its figures."""
        return [
            (int(row["images"]), {name: float(value) for name, value in _figures(row)})
            for row in self._rows()
        ]

    def _columns(self) -> list[str]:
        if not self.table.exists():
            return []
        with self.table.open(newline="") as file:
            return next(csv.reader(file), [])

    def _rows(self) -> list[dict[str, str]]:
        if not self.table.exists():
            return []
        with self.table.open(newline="") as file:
            return list(csv.DictReader(file))

    def sample(self, images: int, pictures: Tensor) -> None:
        """Saves [N, 3, S, S] in [-1, 1] as one grid."""
        grid = Image.fromarray(sheet(to_bytes(pictures.float().cpu()).numpy()))
        path = self.folder / "samples" / f"{images:09d}.png"
        with written_aside(path, durable=True) as beside:
            grid.save(beside, format="PNG")

    def snapshot(self, images: int, averages: nn.ModuleDict) -> None:
        """Saves the averaged weights as safetensors, by the names of their networks."""
        tensors = {k: v.contiguous().cpu() for k, v in averages.state_dict().items()}
        # As bytes: safetensors' own writer has no error of the system for a full disk.
        path = self.folder / "snapshots" / f"{images:09d}.safetensors"
        write_whole(path, serialized(tensors), durable=True)


def long_table(history: Path) -> list[dict[str, str]]:
    """history.csv with a row for each figure: `images`, `figure`, `value`; an empty cell is none.

    One table for all: no plot has to know which figures an objective has.
    """
    with history.open(newline="") as file:
        return [
            {"images": row["images"], "figure": name, "value": value}
            for row in csv.DictReader(file)
            for name, value in _figures(row)
        ]


def _figures(row: dict[str, str]) -> Iterator[tuple[str, str]]:
    """A row without its place; an empty cell is none."""
    return ((k, value) for k, value in row.items() if k not in ("step", "images") and value != "")


class Window:
    """Means of metrics since the last row, kept on the device until they are asked for."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.unshared: set[str] = set()

    def add(self, metrics: dict[str, Tensor], *, shared: bool = True) -> None:
        """`shared`: each process has its own, of its share of the batch."""
        if not shared:
            self.unshared |= metrics.keys()
        for name, value in metrics.items():
            self.sums[name] = self.sums.get(name, torch.zeros((), device=self.device)) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def means(self, processes: Processes) -> dict[str, float]:
        """The means over all processes; what comes next is a new window."""
        self.share(processes)
        means = {name: float(total) / self.counts[name] for name, total in self.sums.items()}
        self.sums, self.counts, self.unshared = {}, {}, set()
        return means

    def share(self, processes: Processes) -> None:
        """Puts in the place of this process's sums the means of all."""
        names = [name for name in self.sums if name not in self.unshared]
        if names and processes.count > 1:
            together = processes.mean(torch.stack([self.sums[name] for name in names]))
            self.sums |= dict(zip(names, together, strict=True))

    def state(self) -> dict[str, object]:
        return {
            "sums": dict(self.sums),
            "counts": dict(self.counts),
            "unshared": sorted(self.unshared),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.sums = dict(state["sums"])
        self.counts = {name: int(count) for name, count in state["counts"].items()}
        self.unshared = set(state["unshared"])
