"""Registered versions: registering a bundle once, naming it, and finding it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atelier.bundle.bundle_model import code_digest_of
from atelier.errors import UserError
from atelier.registry import history, packaging, pages, scored
from atelier.registry.lineage import COMMIT_TAG, UNKNOWN, is_before
from atelier.registry.store import Store, made_already_is_well
from atelier.registry.tags import CODE_TAG, DIGEST_TAG, PROMOTED_TAG, packed, unpacked

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

CHAMPION = "champion"
CHALLENGER = "challenger"
RUN_TAG = "atelier.run"
DECIDED_TAG = "gate.decision"
"""Figures and rounds that the gate decided on, as JSON."""
PROMOTED_WORDS = {"true": True, "false": False}
START_TAGS = "atelier.start."
"""How the tags begin that say whose networks a version began with."""


@dataclass(frozen=True)
class Version:
    """A registered version of a generator; `tags` are MLflow's, all text, each by its name."""

    name: str
    number: str
    aliases: tuple[str, ...]
    tags: dict[str, str]
    source: str
    run_id: str | None
    created: str
    """When it was registered: UTC, to the second, as ISO 8601 has it."""
    description: str = field(default="", compare=False)
    """Its page in MLflow: Markdown."""

    @property
    def digest(self) -> str:
        """Of the model: its weights, programs, arrays and words."""
        return self.tags.get(DIGEST_TAG, "")

    @property
    def code_digest(self) -> str:
        """Of the one code file that ships with it."""
        return self.tags.get(CODE_TAG, "")

    @property
    def digests(self) -> tuple[str, str]:
        """Of the model, and of the code that ships with it."""
        return self.digest, self.code_digest

    @property
    def is_decided(self) -> bool:
        """Whether the gate's decision was carried out to its end: what was cut short is none."""
        return DECIDED_TAG in self.tags and self.tags.get(PROMOTED_TAG) in PROMOTED_WORDS

    @property
    def decision(self) -> dict[str, Any]:
        """What the gate found and decided (`Decision.to_dict`); empty before it did."""
        decision: dict[str, Any] = json.loads(self.tags.get(DECIDED_TAG, "{}"))
        return decision

    @property
    def plain_tags(self) -> dict[str, str]:
        """By name: all but the JSON of `decision` and of the events, which `history` tells."""
        told_better = (DECIDED_TAG, history.EVENTS_TAG)
        return {key: text for key, text in sorted(self.tags.items()) if key not in told_better}

    @property
    def training_run(self) -> str | None:
        """The id of the MLflow run of its training: what it was registered with, or its copy,
        restored after that one was deleted."""
        return self.tags.get(RUN_TAG) or self.run_id

    @property
    def commit(self) -> str:
        """Of the source that made it; empty where that is unknown."""
        return self.tags.get(COMMIT_TAG, "").replace(UNKNOWN, "")

    def __str__(self) -> str:
        return f"{self.name}/{self.number}"


def register(
    store: Store,
    folder: Path,
    run_id: str | None = None,
    origin: Callable[[], Mapping[str, str]] = dict,
) -> tuple[Version, bool]:
    """Registers a bundle and makes it the challenger; says whether the version is new.

    A bundle whose model and code a version already has makes no second one, and is put back where
    the store has lost it; the same model with other code is a new version. A server needs `run_id`,
    and keeps the bundle with the version's LoggedModel.

    Args:
        origin: called for a new version: the tags that say where it came from.

    Raises:
        UserError: there is no bundle at `folder`, or it was changed after it was packed.
    """
    from atelier.bundle.pack import read  # brings torch along, which takes seconds

    manifest = read(folder)
    name = manifest["registered_name"]
    digest, code = digests = manifest["digest"], code_digest_of(manifest)
    with store.locked():
        if found := find_bundle(store, name, *digests):
            if not packaging.is_kept(store, folder, found.source):
                packaging.put(store, folder, digests, found.source)
            _set_challenger(store, name)  # where its registration was cut short
            return version(store, name, found.number), False
        if store.is_server and run_id is None:
            problem = "a version on a server needs the run of its training, and there is none"
            raise UserError(store.uri, problem)
        model = scored.make_model(store, manifest, digests, run_id)
        # A database's bundles lie in mlruns/, by their digests; a server's with its LoggedModel.
        local = packaging.place_of(*digests).as_posix()
        source = str(model.artifact_location) if store.is_server else local
        packaging.put(store, folder, digests, source)
        if name not in names(store):
            with made_already_is_well():
                store.client.create_registered_model(name)
        facts = _facts(manifest) | pages.facts_of(folder) | dict(origin())
        facts |= {DIGEST_TAG: digest, CODE_TAG: code, scored.MODEL_TAG: model.model_id}
        # Without a run, MLflow would look for the model's in the store of its own default.
        model_id = model.model_id if run_id else None
        made = store.client.create_model_version(
            name, source, run_id=run_id, tags=packed(facts), model_id=model_id
        )
        _set_challenger(store, name)
        found = version(store, name, str(made.version))
        scored.tie(store, found, store.client.get_logged_model(model.model_id), folder)
    return found, True


def _set_challenger(store: Store, name: str) -> None:
    """The newest version's alias: another machine may register one at the same moment."""
    while CHALLENGER not in (newest := versions(store, name)[0]).aliases:
        store.client.set_registered_model_alias(name, CHALLENGER, newest.number)


def _facts(manifest: Mapping[str, Any]) -> dict[str, str]:
    words = ("experiment", "scale", "dataset", "task", "selected_images", "torch")
    shape = json.dumps(manifest["output_shape"])
    return {word: str(manifest[word]) for word in words} | {"output_shape": shape}


def names(store: Store) -> list[str]:
    """All registered names, in order."""
    return sorted(model.name for model in store.client.search_registered_models(max_results=1000))


def versions(store: Store, name: str) -> list[Version]:
    """All versions of a name, newest first.

    Raises:
        UserError: nothing is registered under that name.
    """
    aliases = _aliases(store, name)
    found = store.client.search_model_versions(f"name='{name}'", max_results=1000)
    ordered = sorted(found, key=lambda one: int(one.version), reverse=True)
    return [_version(one, aliases) for one in ordered]


def version(store: Store, name: str, number: str) -> Version:
    """One version by its number.

    Raises:
        UserError: unknown name or number.
    """
    from mlflow.exceptions import MlflowException

    aliases = _aliases(store, name)
    try:
        return _version(store.client.get_model_version(name, number), aliases)
    except MlflowException:
        there = ", ".join(one.number for one in versions(store, name)) or "none"
        raise UserError(f"{name}/{number}", "no such version", f"There is {there}.") from None


def find(store: Store, reference: str) -> Version:
    """The version that `name@alias` or `name/number` names.

    Raises:
        UserError: unknown name, alias or number, with the nearest that there is.
    """
    name, mark, alias = reference.partition("@")
    if not mark:
        name, mark, number = reference.partition("/")
        if mark and number:
            return version(store, name, number)
        raise UserError(reference, "no version named", f"Write {name}@{CHAMPION} or {name}/1.")
    aliases = _aliases(store, name)
    for number, given in aliases.items():
        if alias in given:
            return version(store, name, number)
    known = sorted({one for given in aliases.values() for one in given})
    near = get_close_matches(alias, known, 1)
    hint = f"Did you mean {name}@{near[0]}?" if near else f"There is {', '.join(known) or 'none'}."
    raise UserError(reference, "no such alias", hint)


def find_bundle(store: Store, name: str, digest: str, code: str) -> Version | None:
    """The version that holds this very model with this very code."""
    query = f"name='{name}' AND tags.{DIGEST_TAG}='{digest}' AND tags.{CODE_TAG}='{code}'"
    found = store.client.search_model_versions(query)
    return _version(found[0], _aliases(store, name)) if found else None


def has_older_code(store: Store, ours: Version, theirs: Version) -> bool:
    """Whether the code of a version is older than that of another of its name.

    By their commits, where git knows that one was built on the other; else by which code was
    registered first under this name.
    """
    if ours.code_digest == theirs.code_digest:
        return False
    if is_before(theirs.commit, ours.commit):
        return False
    if is_before(ours.commit, theirs.commit):
        return True
    first = {one.code_digest: int(one.number) for one in versions(store, ours.name)}
    return first[ours.code_digest] < first[theirs.code_digest]


def champion(store: Store, name: str) -> Version | None:
    """The version with the alias champion, if any."""
    if name not in names(store):
        return None
    for number, given in _aliases(store, name).items():
        if CHAMPION in given:
            return version(store, name, number)
    return None


def describe(store: Store, *changed: Version) -> None:
    """Writes MLflow's pages of these versions, of one name, and of their model anew."""
    anew = [version(store, one.name, one.number) for one in changed]
    for one in anew:
        pages.describe_version(store, one)
    pages.describe_model(store, anew[0], champion(store, anew[0].name))


def _aliases(store: Store, name: str) -> dict[str, tuple[str, ...]]:
    """Aliases by version number; a search for versions does not show them."""
    from mlflow.exceptions import MlflowException

    try:
        pairs = dict(store.client.get_registered_model(name).aliases)
    except MlflowException:
        known = names(store)
        near = get_close_matches(name, known, 1)
        there = f"There is {', '.join(known)}." if known else "Run dvc repro to make one."
        hint = f"Did you mean {near[0]}?" if near else there
        raise UserError(name, "no such registered generator", hint) from None
    numbers = {str(number) for number in pairs.values()}
    return {
        number: tuple(sorted(alias for alias, of in pairs.items() if str(of) == number))
        for number in numbers
    }


def _version(found: "ModelVersion", aliases: dict[str, tuple[str, ...]]) -> Version:
    return version_of(dict(found), found.tags, aliases.get(str(found.version), ()))


def version_of(
    facts: Mapping[str, Any], tags: Mapping[str, str], aliases: tuple[str, ...]
) -> Version:
    """From the fields of MLflow's ModelVersion."""
    return Version(
        name=facts["name"],
        number=str(facts["version"]),
        aliases=aliases,
        tags=unpacked(tags),
        source=str(facts["source"]),
        run_id=facts["run_id"] or None,
        created=history.as_utc(datetime.fromtimestamp(facts["creation_timestamp"] / 1000, UTC)),
        description=str(facts["description"] or ""),
    )
