"""What there is of an experiment: its files under artifacts/, and what the registry says of it.

What lacks is a line for the reader; a file that is there and can't be read is the user's to mend.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atelier.bundle.bundle_model import MANIFEST
from atelier.config import Experiment, load_experiment
from atelier.evaluation import judge as exam
from atelier.operations.reporting.reading import Rows, read_curves, read_json, read_tables
from atelier.operations.reporting.registered import Registered, open_or_why, registered
from atelier.operations.reporting.sheets import Sheet, sheets_in
from atelier.params import Listed
from atelier.paths import Paths
from atelier.spread import Spread, spread_of


@dataclass(frozen=True)
class Facts:
    """All that the page says of one experiment."""

    name: str
    listed: Listed
    registered_name: str
    metrics: Mapping[str, Any]
    sheets: tuple[Sheet, ...]
    tables: Mapping[str, Rows]
    """Tables of the evaluation that are drawn as bars."""
    curves: Mapping[str, list[tuple[float, float]]]
    """By figure: (training images, value)."""
    selected_images: int | None
    side_pixels: int | None
    training: Mapping[str, Any]
    judge: Mapping[str, Any]
    spread: Spread | None
    """What other training seeds make of its figures, where that is known of today's."""
    registered: Registered
    lacks: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.metrics or self.curves or self.sheets or self.registered.champion)


def gather(names: Mapping[str, Listed], scale: str, aside: Path) -> list[Facts]:
    """Of each of these experiments.

    Args:
        aside: a folder for what is fetched from the registry; it has to stay until pictures are
            read.

    Raises:
        UserError: an experiment's file is wrong, or a file under artifacts/ is cut short.
    """
    store, instead = open_or_why()
    found = []
    for name, listed in names.items():
        experiment = load_experiment(scale, name)
        manifest = read_json(Paths(scale).bundle(name) / MANIFEST)
        told = registered(store, experiment, manifest, aside / name) if store else instead
        found.append(_facts(experiment, listed, scale, manifest, told))
    return found


def _facts(
    experiment: Experiment,
    listed: Listed,
    scale: str,
    manifest: Mapping[str, Any],
    told: Registered,
) -> Facts:
    paths, name = Paths(scale), experiment.name
    metrics = read_json(paths.metrics(name))
    sheets = sheets_in(paths.evaluation(name), metrics, experiment)
    curves = read_curves(paths.curves(name))
    tables = read_tables(paths.evaluation(name))
    shape = manifest.get("output_shape", ())
    lacks = []
    if not metrics:
        lacks.append(f"No figures: {paths.metrics(name)} is not there. Run atelier repro.")
    if not paths.evaluation(name).is_dir():
        lacks.append(
            f"No sheets: {paths.evaluation(name)} is not there. "
            "Run dvc pull, or dvc checkout, or atelier repro."
        )
    if not curves:
        lacks.append(f"No curves: {paths.curves(name)} is not there, or is empty.")
    return Facts(
        name=name,
        listed=listed,
        registered_name=experiment.registered_name,
        metrics=metrics,
        sheets=sheets,
        tables=tables,
        curves=curves,
        selected_images=manifest.get("selected_images"),
        side_pixels=shape[-1] if len(shape) == 3 else None,
        training=read_json(paths.train(name) / "train.json"),
        judge=read_json(paths.judge_metrics(experiment.dataset)),
        spread=spread_of(name, scale),
        registered=told,
        lacks=tuple(lacks),
    )


def judge_words(judge: Mapping[str, Any]) -> str:
    """What the judge's own exam says of its word, in one sentence."""
    if not judge:
        return "There is no exam of the judge: judge-metrics.json is not there."
    if exam.ACCURACY not in judge:
        reason = judge.get("reason")
        return f"Instead of a judge: {judge.get('judge')}." + (f" {reason}." if reason else "")
    floor, untrusted = judge.get("floor"), judge.get(exam.UNTRUSTED, [])
    worth = f"balanced accuracy of at least {floor} on the test split"
    if not untrusted:
        return f"The judge keeps its bound on every label that is used: {worth}."
    return f"The judge's word is not to be trusted on {', '.join(untrusted)}: {worth} is asked."
