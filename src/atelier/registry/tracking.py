"""Sends what a training wrote, history.csv and samples/, to an MLflow run: each figure once.

Training never speaks to MLflow. Its own files are the truth, and a run is a copy of them that can
be made at any time: while it trains (follower.py), or from artifacts/ after mlruns/ was deleted
(sync.py). What a run already holds is asked of the store, so nothing is sent twice, whoever sends.
MLflow's step is the count of training images.
"""

import csv
import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from atelier.paths import REPORT
from atelier.registry.history import user
from atelier.registry.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run

HISTORY = "history.csv"
SAMPLES = "samples"
PATCH = "uncommitted.patch"
"""Below a run: what its source had that its commit has not."""
EVALUATION_FOLDER = "evaluation"
"""Below a run: metrics.json, tables and sheets of what it published."""
REPORT_TAG = "atelier.report"
"""Of a run: the digest of the report in its evaluation's folder."""
NETWORKS_FOLDER = "training"
"""Below a run: the networks that other trainings may begin with."""
KEY_TAG = "atelier.key"
HISTORY_TAG = "atelier.history"
USER_TAG = "mlflow.user"
SOURCE_TAG, SOURCE_TYPE_TAG = "mlflow.source.name", "mlflow.source.type"
LOCAL = "LOCAL"
"""Of MLflow's types of sources: a command on this machine."""
METRICS_PER_CALL = 1000
PARAMS_PER_CALL = 100
LONGEST_PARAM = 6000


@dataclass(frozen=True)
class RunDescription:
    """What an MLflow run says of a training, beside its figures."""

    experiment: str
    """MLflow's experiment: the registered name, which tells scales apart."""
    name: str
    key: str
    """Tells this training from every other: the hash of its parameters and code."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Nested as in the experiment's file."""
    tags: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    """Kept as artifacts: the experiment's file and the like."""
    patch: str = ""
    """What the working tree had changed since its commit."""


def find_or_create(store: Store, description: RunDescription) -> str:
    """The id of the run of this very training; made, with all it says, where there is none."""
    experiment = store.experiment(description.experiment)
    with store.locked():
        if found := find_run(store, experiment, KEY_TAG, description.key):
            return str(found.info.run_id)
        started = started_by(f"train@{description.name}")
        tags = {**started, **description.tags, KEY_TAG: description.key}
        run = store.client.create_run(experiment, run_name=description.name, tags=tags)
    run_id = str(run.info.run_id)
    _log_params(store, run_id, flatten(description.params))
    for file in description.files:
        store.client.log_artifact(run_id, str(file))
    if description.patch:
        store.client.log_text(run_id, description.patch, PATCH)
    return run_id


def started_by(source: str) -> dict[str, str]:
    """Who and what made a run, under the keys that MLflow's pages show: a user and a DVC stage."""
    return {USER_TAG: user(), SOURCE_TAG: source, SOURCE_TYPE_TAG: LOCAL}


def find_run(store: Store, experiment: str, tag: str, value: str) -> "Run | None":
    """The newest run of an MLflow experiment with a tag of that value."""
    query = f"tags.`{tag}` = '{value}'"
    found = store.client.search_runs([experiment], query, max_results=1)
    return found[0] if found else None


def _log_params(store: Store, run_id: str, params: dict[str, str]) -> None:
    from mlflow.entities import Param

    entries = [Param(key, value[:LONGEST_PARAM]) for key, value in params.items()]
    for start in range(0, len(entries), PARAMS_PER_CALL):
        store.client.log_batch(run_id, params=entries[start : start + PARAMS_PER_CALL])


def flatten(words: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """{"a": {"b": 1}} -> {"a.b": "1"}, as `dvc exp run -S` names them."""
    flat: dict[str, str] = {}
    for key, value in words.items():
        name = f"{before}.{key}" if before else str(key)
        flat |= flatten(value, name) if isinstance(value, Mapping) else {name: str(value)}
    return flat


def read_history(folder: Path) -> list[dict[str, str]]:
    """The complete rows of history.csv; a row that is being written is left for the next time."""
    path = folder / HISTORY
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    rows = list(csv.reader(text[: text.rfind("\n") + 1].splitlines()))
    header, rows = (rows[0], rows[1:]) if rows else ([], [])
    return [dict(zip(header, row, strict=True)) for row in rows if len(row) == len(header)]


def figures(row: Mapping[str, str]) -> dict[str, float]:
    """A row's metrics; an empty cell is none."""
    return {k: float(v) for k, v in row.items() if k not in ("step", "images") and v != ""}


class Sender:
    """Brings one run up to date with the files of one training."""

    def __init__(self, store: Store, run_id: str, folder: Path) -> None:
        self.store, self.run_id, self.folder = store, run_id, folder
        self._sent: set[tuple[str, int]] | None = None
        self._seen: dict[int, int] = {}

    def send(self) -> int:
        """Sends what the run does not hold yet; returns how many figures and pictures that was.

        After a failure, what arrived is asked of the store again, and a figure keeps the time it
        was first seen at: MLflow adds nothing for the same figure at the same time.
        """
        rows = read_history(self.folder)
        sent = self._sent if self._sent is not None else self._ask(rows)
        self._sent = None
        count = self._send_figures(rows, sent) + self._send_samples(sent)
        self._sent = sent
        return count

    def finish(self) -> None:
        """Marks the run as the finished copy of this very history."""
        self.store.client.set_tag(self.run_id, HISTORY_TAG, history_digest(self.folder))
        self.store.client.set_terminated(self.run_id, "FINISHED")

    def _ask(self, rows: list[dict[str, str]]) -> set[tuple[str, int]]:
        keys = {key for row in rows for key in figures(row)}
        client = self.store.client
        sent = {
            (key, metric.step)
            for key in keys
            for metric in client.get_metric_history(self.run_id, key)
        }
        for artifact in client.list_artifacts(self.run_id, "images"):
            if found := re.search(rf"/{SAMPLES}\Wstep\W(\d+)\W", artifact.path):
                sent.add((SAMPLES, int(found[1])))
        return sent

    def _send_figures(self, rows: list[dict[str, str]], sent: set[tuple[str, int]]) -> int:
        from mlflow.entities import Metric

        fresh = [
            Metric(key, value, self._time(int(row["images"])), int(row["images"]))
            for row in rows
            for key, value in figures(row).items()
            if (key, int(row["images"])) not in sent
        ]
        for start in range(0, len(fresh), METRICS_PER_CALL):
            batch = fresh[start : start + METRICS_PER_CALL]
            self.store.client.log_batch(self.run_id, metrics=batch)
            sent |= {(metric.key, metric.step) for metric in batch}
        return len(fresh)

    def _send_samples(self, sent: set[tuple[str, int]]) -> int:
        paths = sorted((self.folder / SAMPLES).glob("*.png"))
        fresh = [path for path in paths if (SAMPLES, int(path.stem)) not in sent]
        for path in fresh:
            images = int(path.stem)
            with Image.open(path) as picture:
                self.store.client.log_image(
                    self.run_id, picture, key=SAMPLES, step=images, timestamp=self._time(images)
                )
            sent.add((SAMPLES, images))
        return len(fresh)

    def _time(self, images: int) -> int:
        """Milliseconds at which these images were first seen here."""
        return self._seen.setdefault(images, time.time_ns() // 1_000_000)


def history_digest(folder: Path) -> str:
    return hashlib.sha256((folder / HISTORY).read_bytes()).hexdigest()


def finished_run(store: Store, experiment: str, folder: Path) -> str | None:
    """The id of the run that says it is the copy of this very history."""
    found = find_run(store, store.experiment(experiment), HISTORY_TAG, history_digest(folder))
    return str(found.info.run_id) if found else None


def run_at(store: Store, run_id: str | None) -> "Run | None":
    """A run by its id; None where it was deleted and collected: a version outlives its run."""
    from mlflow.exceptions import MlflowException

    try:
        return store.client.get_run(run_id) if run_id else None
    except MlflowException:
        return None


def keep_report(store: Store, run_id: str, page: Path) -> None:
    """Keeps an experiment's page beside what its training's evaluation wrote; a newer one in place
    of an older."""
    digest = hashlib.sha256(page.read_bytes()).hexdigest()
    if store.client.get_run(run_id).data.tags.get(REPORT_TAG) != digest:
        store.client.log_artifact(run_id, str(page), EVALUATION_FOLDER)
        store.client.set_tag(run_id, REPORT_TAG, digest)


def report_link(run: "Run | None") -> str:
    """To the report that is kept below a run, from any page of the same server; empty if none."""
    if run is None or REPORT_TAG not in run.data.tags:
        return ""
    return f"{run_link(run)}/artifacts/{EVALUATION_FOLDER}/{REPORT}"


def run_link(run: "Run") -> str:
    """To a run's page, from any page of the same server."""
    return f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"


def restore(store: Store, description: RunDescription, folder: Path) -> tuple[str, int]:
    """Makes or completes the run of a finished training; returns (run id, how much was sent).

    The run is the one that says it holds this history; else one that is still open and whose
    figures are all from it, left by a training whose store was away at the end; else a new one.
    """
    if found := finished_run(store, description.experiment, folder):
        return found, 0
    experiment = store.experiment(description.experiment)
    rows = read_history(folder)
    unfinished = store.client.search_runs([experiment], "attributes.status = 'RUNNING'")
    begun = [run for run in unfinished if _is_copy_of(store, run.info.run_id, rows)]
    run_id = begun[0].info.run_id if begun else find_or_create(store, description)
    sender = Sender(store, run_id, folder)
    count = sender.send()
    sender.finish()
    return run_id, count


def _is_copy_of(store: Store, run_id: str, rows: list[dict[str, str]]) -> bool:
    """Whether the run holds figures, and each is this history's."""
    known = {(key, int(row["images"]), v) for row in rows for key, v in figures(row).items()}
    held = {
        (key, metric.step, metric.value)
        for key in {key for key, _, _ in known}
        for metric in store.client.get_metric_history(run_id, key)
    }
    return bool(held) and held <= known
