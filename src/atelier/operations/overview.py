"""What there is of each experiment, what goes on now, and how much disk it takes."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from atelier.evaluation.keys import ACCURACY, KID, MINIMUM, MULTIPLES_SHARE, PSNR_DB
from atelier.evaluation.report import flatten
from atelier.operations.dvc import busy
from atelier.operations.services import WORKER, running, services
from atelier.operations.staleness import Step, steps_of_all
from atelier.operations.status import champions
from atelier.params import listed_experiments
from atelier.paths import Paths
from atelier.pipeline.definition import CHECKPOINTS, FINISHED
from atelier.pipeline.locks import holder_of, is_held

HEADLINES = {
    "numbers": (f"numbers/{MULTIPLES_SHARE}",),
    "unconditional": (f"judge/{KID}", f"imagenet/{KID}"),
    "conditional": (f"{ACCURACY}/{MINIMUM}", f"judge/{KID}"),
    "translation": ("A2B/verdict", "B2A/verdict"),
    "reconstruction": (f"reconstruction/{PSNR_DB}",),
}
"""By task, what stands for all figures of metrics.json, where it is there."""
PLACES = ("artifacts", "data", ".dvc/cache", "mlruns", ".atelier")
"""What grows."""


@dataclass(frozen=True)
class Overview:
    """An experiment at a scale."""

    experiment: str
    champion: str
    """A version such as faces-gan/3; empty where there is none."""
    stale: tuple[Step, ...]
    """Stages that are not up to date, in order."""
    figures: dict[str, float]
    """Of the bundle that artifacts/ holds, on the test split."""
    disk_bytes: int
    """Its artifacts, checkpoint and last training; a link counts as nothing."""

    @property
    def pipeline(self) -> str:
        """The first stage to run and why, in words."""
        if not self.stale:
            return "up to date"
        first, later = self.stale[0], len(self.stale) - 1
        return f"{first}" + (f" (and {later} after it)" if later else "")


def overviews(experiments: Sequence[str], scale: str) -> list[Overview]:
    """Of each of these experiments.

    Raises:
        AtelierError: DVC can't say what is stale.
    """
    steps, now = steps_of_all(experiments, scale), champions(experiments, scale)
    return [
        Overview(
            experiment=name,
            champion=now[name],
            stale=tuple(step for step in steps[name] if step.stale),
            figures=_figures(name, scale),
            disk_bytes=sum(map(bytes_below, _folders(name, scale))),
        )
        for name in experiments
    ]


def at_work() -> list[str]:
    """Stages, pipelines and services that run now, a line each."""
    return [*_stages(), *(f"dvc: {who}" for who in busy()), *_services()]


def disk() -> dict[str, int]:
    """Bytes by place, and those that are free."""
    taken = {place: bytes_below(Path(place)) for place in PLACES}
    return taken | {"free": shutil.disk_usage(".").free}


def bytes_below(path: Path) -> int:
    """Of a file or of all files in a folder. A link counts as nothing: what it leads to lies
    elsewhere; files that vanish meanwhile, too."""
    if path.is_symlink():
        return 0
    if path.is_dir():
        return sum(map(bytes_below, path.iterdir()))
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _folders(name: str, scale: str) -> Iterator[Path]:
    yield Paths(scale).train(name).parent
    yield FINISHED / f"{scale}-{name}"
    yield from CHECKPOINTS.glob(f"{scale}-{name}-{'[0-9a-f]' * 16}")


def _figures(name: str, scale: str) -> dict[str, float]:
    file = Paths(scale).metrics(name)
    if not file.exists():
        return {}
    found = flatten(json.loads(file.read_text(encoding="utf-8")))
    wanted = HEADLINES.get(listed_experiments()[name].task, ())
    return {key: found[key] for key in wanted if key in found}


def _stages() -> Iterator[str]:
    """Those that hold a checkpoint's lock."""
    for path in filter(is_held, sorted(CHECKPOINTS.glob("*.lock"))):
        yield f"{path.stem}: {holder_of(path)}"


def _services() -> Iterator[str]:
    for service in (*services(), WORKER):
        if process := running(service):
            yield f"{service.name}: process {process.pid}"
