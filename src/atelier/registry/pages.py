"""What MLflow's pages say in words: of a registered model, each version, and the experiment.

The words on what a version makes and how it is asked are its bundle's own card; here figures and
the gate's verdict come beside them. They are written when the gate has decided, and again whenever
that changes; what stands there already is left alone.
"""

import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from atelier.registry import packaging
from atelier.registry.headline import Headline, headlines
from atelier.registry.history import FORCED, RESTORED, ROLLED_BACK, history
from atelier.registry.scored import MODEL_TAG, figures_of, model_of
from atelier.registry.store import KIND, KIND_TAG, Store
from atelier.registry.tags import FIGURE_TAG, REASON_TAG, UNDECIDED
from atelier.registry.tracking import report_link, run_at

if TYPE_CHECKING:
    from atelier.registry.versions import Version

CARD = "model_card.md"
SHEETS = ("example.png", "example.json")
NOTE_TAG = "mlflow.note.content"
"""Of an MLflow experiment or LoggedModel: its description, in Markdown."""
LONGEST = 5000
"""Characters of a description in MLflow's database."""
BY_ALIAS = "@champion"
MAKES, SIZE = "makes", "bundle_bytes"
"""Among a version's tags."""


@dataclass(frozen=True)
class CardParts:
    """The card of a bundle, taken apart."""

    makes: str
    """Its first paragraph: what it makes, and of what it was trained."""
    request: str
    """Python that loads the champion and asks it for something."""
    notes: str
    """All else."""
    sheet: str = ""
    """Where what it makes can be seen, in the version's folder; empty if unknown."""


def verdict(version: "Version") -> str:
    """What the gate said, and who overruled it."""
    said = version.tags.get(REASON_TAG, UNDECIDED[REASON_TAG])
    if forced := [event for event in history([version]) if event.what == FORCED]:
        return f"{FORCED}: {forced[-1].why} (the gate said: {said})"
    return said


def since(version: "Version") -> str:
    """What became of it, where that is not what the gate said."""
    told = history([version])
    if not told or told[-1].what not in (ROLLED_BACK, RESTORED):
        return ""
    return f"**Since then:** {told[-1].what} {told[-1].why}, {told[-1].at.partition('T')[0]}."


def describe_version(store: Store, version: "Version") -> None:
    """Writes a version's page."""
    card, figures = card_of(store, version), figures_of(store, version)
    model = model_of(store, version.tags.get(MODEL_TAG, ""))
    link = f"#/experiments/{model.experiment_id}/models/{model.model_id}" if model else ""
    report = report_link(run_at(store, version.training_run))
    words = version_page(version, card, figures, link, report)
    if words != version.description:
        store.client.update_model_version(version.name, version.number, words)
    if model and model.tags.get(NOTE_TAG) != card.makes:
        store.client.set_logged_model_tags(model.model_id, {NOTE_TAG: card.makes})


def describe_model(store: Store, version: "Version", champion: "Version | None") -> None:
    """Writes the pages of a registered model and of its MLflow experiment.

    Args:
        version: one of its versions, which says what it makes.
        champion: if there is one.
    """
    words = model_page(champion or version, champion, card_of(store, champion or version))
    if words != store.client.get_registered_model(version.name).description:
        store.client.update_registered_model(version.name, words)
    if (there := store.client.get_experiment_by_name(version.name)) is None:
        return
    note = f"Trainings and evaluations of [{version.name}](#/models/{version.name}).\n\n{words}"
    for key, text in {KIND_TAG: KIND, NOTE_TAG: note}.items():
        if there.tags.get(key) != text:
            store.client.set_experiment_tag(there.experiment_id, key, text)


def version_page(
    version: "Version", card: CardParts, figures: Mapping[str, float], link: str, report: str
) -> str:
    """Markdown, with the card's notes where there is room.

    Args:
        link: to the page of its LoggedModel, from any page of the same server; empty if unknown.
        report: to its report, likewise.
    """
    at = f", and on [its logged model's page]({link}/artifacts)" if link else ""
    sheet = f"A sheet of what it makes: `{card.sheet}` in the version's folder{at}."
    parts = [
        card.makes,
        _list(headlines(figures)) or version.tags.get(FIGURE_TAG, ""),
        f"[All {len(figures)} test figures]({link})" if link and figures else "",
        f"[Its report]({report}): sheets, figures, curves and the gate's reasons" if report else "",
        f"**The gate:** {verdict(version)}.",
        since(version),
        _code(_by_number(card.request, version)),
        sheet if card.sheet else "",
    ]
    whole = _joined([*parts, card.notes])
    return whole if len(whole) <= LONGEST else _joined(parts)[:LONGEST]


def model_page(version: "Version", champion: "Version | None", card: CardParts) -> str:
    """Markdown: what it makes, of what it was trained, who is champion, how to load it."""
    if champion is None:
        now = "**There is no champion:** no version has passed the gate yet."
        request = _by_number(card.request, version)
    else:
        figure = champion.tags.get(FIGURE_TAG, "")
        figure = f" with {figure}" if figure else ""
        now = f"**Champion:** version {champion.number}{figure}: {verdict(champion)}."
        request = card.request
    return _joined([card.makes, now, _code(request)])


def card_of(store: Store, version: "Version") -> CardParts:
    """From the bundle's card, wherever the bundle is; else from the version's tags."""
    place = packaging.place_of(*version.digests) if store.is_server else Path(version.source)
    file = store.root / place / packaging.INSIDE / CARD
    if file.exists():
        return _parts(file.read_text(encoding="utf-8"), {one.name for one in file.parent.iterdir()})
    if store.is_server:
        kept = store.artifacts(version.source)
        names = {Path(one.path).name for one in kept.list_artifacts(packaging.INSIDE)}
        if CARD in names:
            with tempfile.TemporaryDirectory() as folder:
                fetched = kept.download_artifacts(f"{packaging.INSIDE}/{CARD}", folder)
                return _parts(Path(fetched).read_text(encoding="utf-8"), names)
    return _without_card(version)


def _parts(text: str, beside: Collection[str] = ()) -> CardParts:
    """A card is a title, a paragraph, Python, and notes."""
    before, _, rest = text.partition("```python\n")
    request, _, notes = rest.partition("```")
    makes = " ".join(line for line in before.splitlines() if not line.startswith("#"))
    sheets = [f"{packaging.INSIDE}/{name}" for name in SHEETS if name in beside]
    return CardParts(makes.strip(), request.strip(), notes.strip(), *sheets[:1])


def _without_card(version: "Version") -> CardParts:
    experiment, scale, dataset = (
        version.tags.get(word, "unknown") for word in ("experiment", "scale", "dataset")
    )
    makes = f"Trained by the experiment `{experiment}` at scale `{scale}` on `{dataset}`."
    load = f'model = mlflow.pyfunc.load_model("models:/{version.name}{BY_ALIAS}")'
    return CardParts(makes, f"import mlflow\n\n{load}", "")


def _by_number(request: str, version: "Version") -> str:
    """Python that asks for this version, whoever is champion."""
    return request.replace(f"{version.name}{BY_ALIAS}", f"{version.name}/{version.number}")


def makes(store: Store, version: "Version") -> str:
    """What a version makes, in words: the first sentence of its card, else its task."""
    if known := version.tags.get(MAKES):
        return known
    card = card_of(store, version)
    return first_sentence(card.makes) if card.notes else version.tags.get("task", "")


def first_sentence(text: str) -> str:
    return text.partition(". ")[0].removesuffix(".")


def facts_of(bundle: Path) -> dict[str, str]:
    """What is told of a version beside its manifest: what it makes, and how large it is."""
    card = bundle / CARD
    words = _parts(card.read_text(encoding="utf-8")).makes if card.exists() else ""
    size = sum(file.stat().st_size for file in bundle.iterdir() if file.is_file())
    return {MAKES: first_sentence(words), SIZE: str(size)}


def _list(found: list[Headline]) -> str:
    """A list, for MLflow draws a table without lines or space between its columns."""
    return "\n".join(f"- {one.title}: **{one.measured}**{one.held_to}" for one in found)


def _code(python: str) -> str:
    return f"```python\n{python}\n```"


def _joined(parts: list[str]) -> str:
    return "\n\n".join(part for part in parts if part)
