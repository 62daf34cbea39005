"""Each version's LoggedModel, and its test figures there: MLflow's table on the model's page.

MLflow logs a figure of a model through a run, in which the figure appears, too. So that the page of
a training shows curves, the figures go through a run of their own, the evaluation, a child of the
training's. There their step is 0, by which MLflow draws a bar and no curve of one point. The
training's run has the few `headlines` alone, also as bars: by them its runs are sorted, filtered
and compared, and MLflow does that by what is in a run.

A registry in SQL does not keep the `model_id` that it is given with a version (MLflow 3.17). So a
tag of the version names its model, and MLflow's own tag of the model its version.
"""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atelier.evaluation import report
from atelier.evaluation.keys import SETTINGS
from atelier.registry.datasets import TEST, Split, lacking
from atelier.registry.headline import headlines
from atelier.registry.store import Store
from atelier.registry.tags import CODE_TAG, DIGEST_TAG
from atelier.registry.tracking import (
    METRICS_PER_CALL,
    SOURCE_TAG,
    SOURCE_TYPE_TAG,
    flatten,
    run_at,
    started_by,
)

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel

    from atelier.registry.versions import Version

MODEL_TAG = "atelier.model"
"""Of a version: the id of its LoggedModel. Of an evaluation's run: of the model it scored."""
VERSIONS_TAG = "mlflow.modelVersions"
"""Of a LoggedModel: its versions, to which MLflow's page leads. A server sets it itself."""
PARENT_TAG = "mlflow.parentRunId"
PREFIX = f"{TEST}/"
"""How the names of figures on the test split begin."""
PARAMS = ("dataset", "scale", "selected_images", "output_shape", "torch")
"""Of a LoggedModel, by which MLflow compares them beside their figures."""
FINAL = 0
"""The step of a figure that belongs to no moment of a training."""
BESIDE = ("model_card.md", "example.png", "example.json")
"""Of a bundle: what the model's page shows where the bundle itself lies elsewhere."""


def model_of(store: Store, model_id: str) -> "LoggedModel | None":
    """A LoggedModel by its id; None where there is none, or it was deleted."""
    from mlflow.exceptions import MlflowException

    try:
        return store.client.get_logged_model(model_id) if model_id else None
    except MlflowException:
        return None


def make_model(
    store: Store, manifest: Mapping[str, Any], digests: tuple[str, str], run_id: str | None
) -> "LoggedModel":
    """The LoggedModel of a bundle, made where no registration of it that was cut short left one.

    The caller holds the store's lock.
    """
    run, name = run_at(store, run_id), str(manifest["registered_name"])
    experiment = str(run.info.experiment_id) if run else store.experiment(name)
    query = f"tags.{DIGEST_TAG}='{digests[0]}' AND tags.{CODE_TAG}='{digests[1]}'"
    if found := store.client.search_logged_models([experiment], query, max_results=1):
        return found[0]
    words = [word for word in PARAMS if word in manifest]
    tags = started_by(f"register@{manifest.get('experiment', name)}")
    tags |= {DIGEST_TAG: digests[0], CODE_TAG: digests[1]}
    made = store.client.create_logged_model(
        experiment,
        name=name,
        source_run_id=run_id,
        tags=tags,
        params={word: str(manifest[word]) for word in words},
        model_type=str(manifest["task"]),
    )
    return store.client.finalize_logged_model(made.model_id, "READY")


def tie(store: Store, version: "Version", model: "LoggedModel", bundle: Path | None) -> None:
    """Version and LoggedModel name each other, and the model's page shows what it makes."""
    if version.tags.get(MODEL_TAG) != model.model_id:
        store.client.set_model_version_tag(version.name, version.number, MODEL_TAG, model.model_id)
    named = json.loads(model.tags.get(VERSIONS_TAG, "[]"))
    if not any(str(one["version"]) == version.number for one in named):
        named.append({"name": version.name, "version": version.number})
        store.client.set_logged_model_tags(model.model_id, {VERSIONS_TAG: json.dumps(named)})
    if store.is_server or bundle is None:
        return  # a server keeps the whole bundle there
    place = store.artifacts(str(model.artifact_location))
    kept = {file.path for file in place.list_artifacts()}
    for name in BESIDE:
        if name not in kept and (bundle / name).exists():
            place.log_artifact(str(bundle / name))


def figures_of(store: Store, version: "Version") -> dict[str, float]:
    """All test figures of a version, by their keys in metrics.json.

    Those of a version that was registered before it had a LoggedModel are its training's.
    """
    if model := model_of(store, version.tags.get(MODEL_TAG, "")):
        latest = sorted(model.metrics or [], key=lambda metric: metric.timestamp)
        found = {metric.key: float(metric.value) for metric in latest}
    else:
        run = run_at(store, version.training_run)
        found = run.data.metrics if run else {}
    return on_test(found)


def on_test(metrics: Mapping[str, float]) -> dict[str, float]:
    """Those of the test split among MLflow's metrics, by their keys in metrics.json."""
    return {
        key.removeprefix(PREFIX): value for key, value in metrics.items() if key.startswith(PREFIX)
    }


def log_figures(
    store: Store,
    version: "Version",
    words: Mapping[str, Any],
    splits: Sequence[Split],
) -> None:
    """Brings a version's LoggedModel up to date with what is known of it on the test split.

    The caller holds the store's lock.

    Args:
        words: as metrics.json has them.
        splits: of the dataset; the last is what it was scored on.
    """
    from mlflow.entities import Metric

    model = model_of(store, version.tags[MODEL_TAG])
    if model is None:
        return
    known = {(metric.key, metric.value) for metric in model.metrics or []}
    found = {
        f"{PREFIX}{key}": value
        for key, value in report.flatten(words).items()
        if SETTINGS not in key.split("/")
    }
    fresh = {key: value for key, value in found.items() if (key, value) not in known}
    if not fresh:
        return
    scored_on = splits[-1:]
    run_id, now = _evaluation(store, version, model, words, scored_on), _now()
    tested = {"model_id": model.model_id}
    for split in scored_on:
        tested |= {"dataset_name": split.dataset, "dataset_digest": split.digest}
    metrics = [Metric(key, value, now, FINAL, **tested) for key, value in fresh.items()]
    for start in range(0, len(metrics), METRICS_PER_CALL):
        store.client.log_batch(run_id, metrics=metrics[start : start + METRICS_PER_CALL])


def _evaluation(
    store: Store,
    version: "Version",
    model: "LoggedModel",
    words: Mapping[str, Any],
    scored_on: Sequence[Split],
) -> str:
    """The id of the run through which a version's figures are logged; made where there is none."""
    from mlflow.entities import LoggedModelInput, Param

    experiment = str(model.experiment_id)
    query = f"tags.`{MODEL_TAG}` = '{model.model_id}'"
    if found := store.client.search_runs([experiment], query, max_results=1):
        run = store.client.get_run(found[0].info.run_id)  # a search leaves models out
    else:
        tags = started_by(f"evaluate@{version.tags.get('experiment', version.name)}")
        tags |= {MODEL_TAG: model.model_id}
        if parent := run_at(store, version.training_run):
            tags[PARENT_TAG] = parent.info.run_id
        name = f"{version} on {TEST} data"
        run = store.client.create_run(experiment, run_name=name, tags=tags)
    run_id = str(run.info.run_id)
    settings = flatten(words.get(SETTINGS, {}))
    if lacks := [Param(key, one) for key, one in settings.items() if key not in run.data.params]:
        store.client.log_batch(run_id, params=lacks)
    inputs = lacking(run, scored_on)
    models = [] if run.inputs and run.inputs.model_inputs else [LoggedModelInput(model.model_id)]
    if inputs or models:
        store.client.log_inputs(run_id, inputs, models)
    if run.info.status != "FINISHED":
        store.client.set_terminated(run_id, "FINISHED")
    return run_id


def complete_run(
    store: Store, run_id: str, version: "Version", words: Mapping[str, Any], splits: Sequence[Split]
) -> None:
    """The training's run says what it was given, what came out, and its headlines; each once.

    The caller holds the store's lock.
    """
    from mlflow.entities import LoggedModelOutput, Metric

    run = store.client.get_run(run_id)
    if inputs := lacking(run, splits):
        store.client.log_inputs(run_id, inputs)
    model_id = version.tags[MODEL_TAG]
    put_out = run.outputs.model_outputs if run.outputs else []
    if model_id not in {one.model_id for one in put_out}:
        images = int(version.tags.get("selected_images", 0))
        store.client.log_outputs(run_id, [LoggedModelOutput(model_id, step=images)])
    made_by = started_by(f"train@{run.info.run_name}")
    for key in (SOURCE_TAG, SOURCE_TYPE_TAG):  # by whom, nobody knows any more
        if key not in run.data.tags:
            store.client.set_tag(run_id, key, made_by[key])
    first = {f"{PREFIX}{one.key}": one.value for one in headlines(report.flatten(words))}
    fresh = [
        Metric(key, value, _now(), FINAL)
        for key, value in first.items()
        if key not in run.data.metrics
    ]
    if fresh:
        store.client.log_batch(run_id, metrics=fresh)


def _now() -> int:
    return time.time_ns() // 1_000_000
