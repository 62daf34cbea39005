"""What there is to say of an experiment that is registered: who is champion, by what figures."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from atelier.config import load_experiment
from atelier.evaluation.keys import SETTINGS
from atelier.evaluation.report import flatten
from atelier.paths import Paths
from atelier.pipeline.definition import CHECKPOINTS
from atelier.registry import versions
from atelier.registry.lookup import look_over
from atelier.registry.scored import figures_of
from atelier.registry.store import has_store, on_disk, open_store
from atelier.registry.tags import PROMOTED_TAG, REASON_TAG, UNDECIDED
from atelier.registry.tracking import report_link, run_at, run_link

MLFLOW_URL = "ATELIER_MLFLOW_URL"
"""Where MLflow's pages are served, if the store itself is no server."""


@dataclass(frozen=True)
class Status:
    """`champion` and `latest` are versions such as faces-gan/3; empty where there is none."""

    experiment: str
    champion: str
    latest: str
    reason: str
    """Why the gate decided on the latest as it did."""
    promoted: bool
    links: tuple[tuple[str, str], ...]
    """(what, URL) of MLflow's pages; empty where nothing serves them."""


def champion_of(experiment: str, scale: str) -> str:
    """The champion's version, without opening a store that is not there yet."""
    return champions([experiment], scale)[experiment]


def champions(experiments: Sequence[str], scale: str) -> dict[str, str]:
    """`champion_of` each experiment. Of a store on disk its database says it, without MLflow."""
    if not has_store():
        return dict.fromkeys(experiments, "")
    registered = {name: load_experiment(scale, name).registered_name for name in experiments}
    if (kept := on_disk()) and (known := look_over(kept[0])) is not None:
        now = {one.name: str(one) for one in known if versions.CHAMPION in one.aliases}
        return {name: now.get(of, "") for name, of in registered.items()}
    store = open_store()
    return {name: str(versions.champion(store, of) or "") for name, of in registered.items()}


def status_of(experiment: str, scale: str) -> Status:
    """Asks the registry."""
    name, store = load_experiment(scale, experiment).registered_name, open_store()
    if name not in versions.names(store):
        return Status(experiment, "", "", "nothing is registered yet", False, ())
    latest, champion = versions.versions(store, name)[0], versions.champion(store, name)
    served = store.uri if store.is_server else os.environ.get(MLFLOW_URL, "")
    links: list[tuple[str, str]] = []
    if served:
        links.append((f"model {latest}", f"{served}/#/models/{name}/versions/{latest.number}"))
        if run := run_at(store, latest.training_run):
            links.append(("MLflow run", f"{served}/{run_link(run)}"))
            if report := report_link(run):
                links.append(("report", f"{served}/{report}"))
    return Status(
        experiment=experiment,
        champion=str(champion or ""),
        latest=str(latest),
        reason=latest.tags.get(REASON_TAG, UNDECIDED[REASON_TAG]),
        promoted=latest.tags.get(PROMOTED_TAG) == "true",
        links=tuple(links),
    )


def figures_beside_champion(experiment: str, scale: str) -> list[dict[str, str]]:
    """Rows of figure, this bundle's and the champion's: from metrics.json and the gate's words."""
    file = Paths(scale).metrics(experiment)
    ours = flatten(json.loads(file.read_text())) if file.exists() else {}
    theirs = _champions_figures(experiment, scale)
    return [
        {"figure": key, "now": f"{value:.4g}", "champion": theirs.get(key, "")}
        for key, value in ours.items()
        if not key.startswith(f"{SETTINGS}/")
    ]


def _champions_figures(experiment: str, scale: str) -> dict[str, str]:
    """The champion's test figures, as the registry has them."""
    name, store = load_experiment(scale, experiment).registered_name, open_store()
    champion = versions.champion(store, name)
    found = figures_of(store, champion) if champion else {}
    return {key: f"{value:.4g}" for key, value in found.items()}


def latest_pictures(experiment: str, scale: str) -> Path | None:
    """The newest sample grid: of the training under way, else of the finished one."""
    checkpoints = CHECKPOINTS.glob(f"{scale}-{experiment}-*/output/samples/*.png")
    finished = (Paths(scale).train(experiment) / "samples").glob("*.png")
    found = [*checkpoints] or [*finished]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)
