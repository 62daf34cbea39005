"""Compares the store with artifacts/ and restores what it lacks: runs, versions, the champion.

The register stage does this for its experiment, `atelier registry sync` for all. Nothing is
trained, and what is there already is not made again.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from atelier.bundle.bundle_model import Bundle, OtherFormat, Refused, open_bundle
from atelier.bundle.comparison import Comparer, ComparerFactory, Figures
from atelier.config import Experiment
from atelier.device import visible
from atelier.display import say
from atelier.errors import UserError
from atelier.files import write_whole
from atelier.paths import Paths
from atelier.registry import champions, completing, datasets, loading, versions
from atelier.registry.gate import (
    Decision,
    broken_floors,
    check_comparable,
    decide,
    take_over,
)
from atelier.registry.lineage import Lineage, lineage_of
from atelier.registry.store import Store
from atelier.registry.tags import WARNINGS_TAG
from atelier.registry.tracking import (
    EVALUATION_FOLDER,
    HISTORY,
    RunDescription,
    finished_run,
    history_digest,
    keep_report,
    restore,
    run_at,
)
from atelier.registry.turns import Turn, turn
from atelier.registry.versions import RUN_TAG, START_TAGS, Version

TRAINED_TAGS = "atelier.trained."
RAN_ON = ("device", "instruction_set", "precision", "threads", "processes", "torch")
"""What of train.json decides the last bits of what was trained, beside source and data."""
AGAIN_TAG = "gate.scored_again"
"""The champion's figures on later data or with a later judge."""


@dataclass(frozen=True)
class Synced:
    """What was done for one experiment."""

    experiment: str
    run_id: str | None
    version: Version | None
    is_new: bool
    promoted: bool
    reason: str

    def __str__(self) -> str:
        if self.version is None:
            return f"{self.experiment}: {self.reason or 'nothing to register yet'}"
        if not self.is_new and not self.reason:
            return f"{self.experiment}: {self.version} is there already"
        verb = "promoted" if self.promoted else "kept as challenger"
        return f"{self.experiment}: {self.version} {verb}: {self.reason}"


def describe(experiment: Experiment, scale: str, lineage: Lineage, key: str = "") -> RunDescription:
    """What the MLflow run of a training says. `key` is the training's checkpoint key.

    Without a key the history names the training: the run is made from finished artifacts.
    """
    paths = Paths(scale)
    key = key or f"{scale}-{experiment.name}-{history_digest(paths.train(experiment.name))[:16]}"
    tags = {
        "atelier.experiment": experiment.name,
        "atelier.scale": scale,
        "atelier.dataset": experiment.dataset,
        "atelier.model": experiment.model.name,
        "atelier.objective": experiment.objective.name,
    }
    files = [paths.experiment_file(experiment.name), paths.dataset_file(experiment.dataset)]
    return RunDescription(
        experiment=experiment.registered_name,
        name=experiment.name,
        key=key,
        params=experiment.model_dump(mode="json"),
        tags=tags | lineage.tags(),
        files=tuple(file for file in files if file.exists()),
        patch=lineage.patch,
    )


def sync(
    store: Store, experiment: Experiment, scale: str, lineage: Lineage, comparer: ComparerFactory
) -> Synced:
    """Brings the store up to date with one experiment's artifacts.

    The run is restored where there is a finished training, the version where its bundle was
    evaluated; a version that the gate has not seen is decided on. `lineage` is the working tree's:
    what was made before has its own (see `lineage_of`).

    Raises:
        UserError: the bundle was changed after it was packed, or cannot be compared with the
            champion.
    """
    paths = Paths(scale)
    run_id = None
    if (paths.train(experiment.name) / HISTORY).exists():
        run_id = _run_of_training(store, experiment, scale, lineage)
    folder, metrics = paths.bundle(experiment.name), paths.metrics(experiment.name)
    if not folder.is_dir() or not metrics.exists():
        return Synced(experiment.name, run_id, None, False, False, "")
    if run_id is not None:
        _keep_evaluation(store, run_id, metrics, paths.evaluation(experiment.name))
        if (page := paths.report(experiment.name)).exists():
            keep_report(store, run_id, page)
    words = json.loads(metrics.read_text(encoding="utf-8"))

    def origin() -> dict[str, str]:
        made_by = completing.figure_of(words) | lineage_of(folder, lineage).tags()
        return made_by | {RUN_TAG: run_id or ""} | _training_tags(paths.train(experiment.name))

    version, is_new = versions.register(store, folder, run_id, origin)
    if run_id and run_at(store, version.training_run) is None:
        store.client.set_model_version_tag(version.name, version.number, RUN_TAG, run_id)
        version = versions.version(store, version.name, version.number)
    with store.locked():
        splits = datasets.splits(paths, experiment.dataset)
        completing.complete(store, version, run_id, words, splits)
        completing.complete_others(store, version.name)
        if version.is_decided:
            versions.describe(store, version)
    if version.is_decided:
        return Synced(experiment.name, run_id, version, is_new, False, "")
    decision = submit(store, version, folder, comparer)
    version = versions.version(store, version.name, version.number)
    return Synced(experiment.name, run_id, version, is_new, decision.promote, decision.reason)


def _run_of_training(store: Store, experiment: Experiment, scale: str, lineage: Lineage) -> str:
    folder = Paths(scale).train(experiment.name)
    if found := finished_run(store, experiment.registered_name, folder):
        return found
    described = describe(experiment, scale, lineage_of(folder, lineage))
    return restore(store, described, folder)[0]


def submit(
    store: Store, challenger: Version, folder: Path, open_comparer: ComparerFactory
) -> Decision:
    """Lets the gate decide on a registered bundle, and writes the decision down.

    A champion whose figures rest on other data or another judge is scored again first; one that is
    the same model with older code gives way without a contest. A better model takes over whatever
    its code, and where that is older, the reason says so. Where another has become champion while
    the two were compared, the challenger is held to that one.
    """
    while True:
        with turn(store, challenger) as held:
            decision = _decide_in_turn(store, challenger, folder, open_comparer, held)
        if decision:
            return decision
        say(f"{challenger}: was silent for too long, and waits for its turn again")


def _decide_in_turn(
    store: Store, challenger: Version, folder: Path, open_comparer: ComparerFactory, held: Turn
) -> Decision | None:
    """The decision, written down; None where the turn was lost meanwhile."""
    while True:
        with store.locked():
            if decided := _carried_out(store, challenger, held):
                return decided
        champion = versions.champion(store, challenger.name)
        decision = _decide(store, challenger, champion, folder, open_comparer)
        with store.locked():
            if decided := _carried_out(store, challenger, held):
                return decided
            if held.is_lost():
                return None
            now = versions.champion(store, challenger.name)
            if str(now) == str(champion):
                counts = champions.record(store, challenger, decision, held.is_lost)
                return decision if counts else None
        say(f"{challenger}: {now} has become champion meanwhile, and is compared with it")


def _carried_out(store: Store, challenger: Version, held: Turn) -> Decision | None:
    """What was decided before: by another process that was asked for the same version, or by one
    that was killed or lost its turn once the alias had moved.

    Where others had been promoted by then, they have the alias again, and are compared with.
    """
    found = versions.version(store, challenger.name, challenger.number)
    if not (words := found.decision) or challenger.is_decided:
        return None
    decision = Decision(words["promote"], words["reason"], None, None)
    if found.is_decided:
        return decision
    if versions.CHAMPION not in found.aliases:
        return None
    if overwritten := champions.promoted_beside(store, found, held.passed_over_by):
        champions.set_champion(store, overwritten)
        return None
    champions.finish(store, found, decision.promote, decision.reason)
    return decision


def _decide(
    store: Store,
    challenger: Version,
    champion: Version | None,
    folder: Path,
    open_comparer: ComparerFactory,
) -> Decision:
    if champion is None or champion.number == challenger.number:
        return decide(open_comparer().figures(_open(folder)), None)
    is_older = versions.has_older_code(store, challenger, champion)
    if champion.digest == challenger.digest:
        return take_over(_recorded(champion), str(champion), is_older)
    decision = _contest(store, folder, champion, open_comparer())
    if decision.promote and is_older:
        reason = f"{decision.reason}; with older code than the champion {champion} had"
        return replace(decision, reason=reason)
    return decision


def _contest(store: Store, folder: Path, champion: Version, comparer: Comparer) -> Decision:
    ours = _open(folder)
    try:
        theirs = open_bundle(loading.fetch(store, champion)).to(visible())
    except loading.BundleGone:
        return _floors_alone(
            comparer.figures(ours), f"the bundle of the champion {champion} is gone"
        )
    except OtherFormat as refusal:
        return _floors_alone(
            comparer.figures(ours), f"the champion {champion} has {refusal.problem}"
        )
    except Refused as refusal:
        raise UserError(champion, str(refusal), "Roll it back, or run its bundle stage.") from None
    figures, before = comparer.figures(ours), _recorded(champion)
    if before is None or not _still_stands(figures, before):
        before = comparer.figures(theirs)
    check_comparable(figures, before)
    return decide(figures, before, comparer.compare(ours, theirs))


def _floors_alone(figures: Figures, problem: str) -> Decision:
    """Where nobody can be served by the champion, and so nothing can be compared."""
    alone, because = decide(figures, None), f"held to the floors alone: {problem}"
    return replace(alone, reason=because if alone.promote else f"{alone.reason}; {because}")


def score_again(store: Store, experiment: Experiment, comparer: ComparerFactory) -> str:
    """Scores the champion, from its bundle, on today's test split; returns what was found.

    Nothing is trained and no alias moves: the figures become a tag of the version, and the gate
    compares the next challenger with them.
    """
    champion = versions.champion(store, experiment.registered_name)
    if champion is None:
        return f"{experiment.name}: no champion yet"
    figures = comparer().figures(_open(loading.fetch(store, champion)))
    before = _recorded(champion)
    words = json.dumps(asdict(figures), sort_keys=True)
    store.client.set_model_version_tag(champion.name, champion.number, AGAIN_TAG, words)
    stands = before is not None and _still_stands(figures, before)
    rests = "the same data and judge" if stands else "other data or another judge"
    then = f", {before.score:.4g} when it was let in" if before else ""
    floors = "; ".join(broken_floors(figures))
    verdict = f"; breaks a floor: {floors}" if floors else ""
    return f"{champion}: score {figures.score:.4g}{then} ({rests}){verdict}"


def _training_tags(training: Path) -> dict[str, str]:
    """What it ran on, whose networks it began with, if any, and what looked ill."""
    file = training / "train.json"
    facts = json.loads(file.read_text()) if file.exists() else {}
    tags = {f"{TRAINED_TAGS}{key}": str(facts[key]) for key in RAN_ON if key in facts}
    tags |= {f"{START_TAGS}{key}": value for key, value in facts.get("start", {}).items()}
    if warnings := facts.get("warnings"):
        tags[WARNINGS_TAG] = " ".join(warnings)
    return tags


def _recorded(champion: Version) -> Figures | None:
    """The newest figures that are known of it: scored again, or those that let it pass."""
    if again := champion.tags.get(AGAIN_TAG):
        words = json.loads(again)
    else:
        words = champion.decision.get("challenger")
    if words is None:
        return None
    shape, floors = tuple(words.pop("output_shape")), tuple(words.pop("broken_floors"))
    return Figures(**words, output_shape=shape, broken_floors=floors)


def _still_stands(now: Figures, before: Figures) -> bool:
    same_data = now.data_digest == before.data_digest
    return same_data and now.judge_digest == before.judge_digest


def _open(folder: Path) -> Bundle:
    try:
        return open_bundle(folder).to(visible())
    except Refused as refusal:
        raise UserError(folder, str(refusal), "Run the bundle stage again.") from None


def _keep_evaluation(store: Store, run_id: str, metrics: Path, plots: Path) -> None:
    """What the evaluation wrote, tables and pictures too, beside the training; once."""
    kept = {Path(file.path).name for file in store.client.list_artifacts(run_id, EVALUATION_FOLDER)}
    if metrics.name in kept:
        return
    if plots.is_dir():
        store.client.log_artifacts(run_id, str(plots), EVALUATION_FOLDER)
    store.client.log_artifact(run_id, str(metrics), EVALUATION_FOLDER)


def write_receipt(synced: Synced, scale: str) -> Path:
    """The register stage's one output."""
    path = Paths(scale).receipt(synced.experiment)
    words = {
        "experiment": synced.experiment,
        "version": str(synced.version) if synced.version else None,
        "digest": synced.version.digest if synced.version else None,
    }
    write_whole(path, json.dumps(words, indent=2, sort_keys=True) + "\n")
    return path
