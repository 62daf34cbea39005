"""What the registry says of an experiment: who is champion, by what figures, and why."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from atelier.bundle.pack import EXAMPLE_SEED
from atelier.config import Experiment
from atelier.errors import UserError
from atelier.operations.reporting.reading import read_json
from atelier.operations.reporting.sheets import REALS, Sheet, sheets_in
from atelier.registry import history, loading, pages, scored, versions
from atelier.registry.store import Store, has_store, open_store
from atelier.registry.tracking import EVALUATION_FOLDER
from atelier.registry.versions import CHALLENGER, CHAMPION, Version


@dataclass(frozen=True)
class Compared:
    """One part of one round, as the gate weighed it."""

    round: int
    part: str
    difference: float
    standard_error: float
    p_value: float
    level: float
    objections: tuple[str, ...]


@dataclass(frozen=True)
class Registered:
    """What the registry says of an experiment's name."""

    ours: Version | None = None
    """The version that holds the very bundle that artifacts/ has."""
    champion: Version | None = None
    challenger: Version | None = None
    decided: Version | None = None
    """The version that the reason is about: ours, else the latest."""
    reason: str = ""
    """Why the gate decided on the latest version as it did, or why the alias was moved by hand."""
    floors: tuple[str, ...] = ()
    compared: tuple[Compared, ...] = ()
    events: tuple[history.Event, ...] = ()
    champions_figures: Mapping[str, float] = field(default_factory=dict)
    """Empty where the champion is what artifacts/ has."""
    champions_sheets: tuple[Sheet, ...] = ()
    why_none: str = ""
    """Why there is nothing to say."""
    is_unknown: bool = False
    """Whether there is a registry, and nobody can read it."""

    @property
    def published(self) -> str:
        """Who is champion, in words."""
        if self.is_unknown:
            return "not known"
        return str(self.champion or "none")

    @property
    def rivals(self) -> bool:
        """Whether artifacts/ has another model than the champion is."""
        return self.champion is not None and str(self.champion) != str(self.ours)


def open_or_why() -> tuple[Store | None, Registered]:
    """The registry, or what is to be said in its place: a page is worth reading without one."""
    if not has_store():
        return None, Registered(why_none="nothing is registered here yet; atelier repro registers")
    try:
        return open_store(), Registered()
    except UserError as error:
        return None, _unreadable(error)


def _unreadable(error: UserError) -> Registered:
    return Registered(why_none=f"the registry can't be read: {error}", is_unknown=True)


def registered(
    store: Store, experiment: Experiment, manifest: Mapping[str, Any], aside: Path
) -> Registered:
    """What the registry says of the name of an experiment.

    Args:
        manifest: of the bundle in artifacts/; empty where there is none.
        aside: a folder for what is fetched.
    """
    name = experiment.registered_name
    try:
        if name not in versions.names(store):
            return Registered(why_none=f"nothing is registered under {name} yet")
        if not (found := versions.versions(store, name)):
            return Registered(why_none=f"no version of {name} is left")
        told = _told(found, manifest.get("digest", ""))
        if told.champion is None or not told.rivals:
            return told
        return replace(
            told,
            champions_figures=scored.figures_of(store, told.champion),
            champions_sheets=_champions_sheets(store, told.champion, aside, experiment),
        )
    except UserError as error:
        return _unreadable(error)


def _told(found: Sequence[Version], digest: str) -> Registered:
    """Of all versions of a name, the newest first."""
    by_alias = {alias: one for one in found for alias in one.aliases}
    ours = next((one for one in found if digest and one.digest == digest), None)
    decided = ours or found[0]
    decision = decided.decision
    return Registered(
        ours=ours,
        champion=by_alias.get(CHAMPION),
        challenger=by_alias.get(CHALLENGER),
        decided=decided,
        reason=pages.verdict(decided),
        floors=tuple((decision.get("challenger") or {}).get("broken_floors", ())),
        compared=_compared(decision),
        events=tuple(history.history(found)),
    )


def _compared(decision: Mapping[str, Any]) -> tuple[Compared, ...]:
    return tuple(
        Compared(
            round=number,
            part=part.get("part", ""),
            difference=part["difference"],
            standard_error=part["standard_error"],
            p_value=part["p_value"],
            level=part.get("level", math.nan),
            objections=tuple(part.get("objections", ())),
        )
        for number, parts in enumerate(decision.get("rounds", ()), start=1)
        for part in parts
    )


def _champions_sheets(
    store: Store, champion: Version, aside: Path, experiment: Experiment
) -> tuple[Sheet, ...]:
    """Those of its own evaluation; else the example that its bundle has."""
    aside.mkdir(parents=True, exist_ok=True)
    folder = loading.fetch_of_run(store, champion, EVALUATION_FOLDER, str(aside))
    if folder and (sheets := sheets_in(folder, read_json(folder / "metrics.json"), experiment)):
        return tuple(sheet for sheet in sheets if sheet.path.stem != REALS)
    try:
        example = loading.fetch(store, champion) / "example.png"
    except UserError:
        return ()
    words = f"The example in its bundle, from seed {EXAMPLE_SEED}"
    return (Sheet(example, words),) if example.exists() else ()


def lineage(version: Version) -> list[tuple[str, str]]:
    """Where a version comes from: the tags that the page does not tell in another place."""
    first = [("version", str(version)), ("aliases", ", ".join(version.aliases) or "none")]
    tags = [(key, text) for key, text in version.plain_tags.items() if text]
    return [*first, ("registered, UTC", version.created), *tags]
