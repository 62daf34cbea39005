"""`atelier registry`: what is published."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atelier.cli.output import writing
from atelier.display import print_json, print_table
from atelier.errors import UserError

if TYPE_CHECKING:
    from atelier.registry.store import Store
    from atelier.registry.versions import Version

registry = typer.Typer(no_args_is_help=True, help="List, show and restore what is published.")

TOLD_BETTER = ("gate.decision", "atelier.events")
"""Tags that are JSON: `list` and `history` have what they say."""
LONGEST_MAKES, LONGEST_VERDICT = 45, 60
"""Characters of what a version makes and of what the gate said, in `list`; `show` has all."""
UNITS = ("B", "kB", "MB", "GB", "TB")
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Device = Annotated[str, typer.Option(help="Where to run it: cpu, cuda or cuda:1.")]
Reference = Annotated[str, typer.Argument(help="NAME@champion, another alias, or NAME/VERSION.")]


@registry.command("list")
def list_(as_json: AsJson = False) -> None:
    """List every registered generator and version, newest first."""
    rows = _rows()
    if as_json:
        print_json(rows)
    elif rows:
        header = (
            "version", "aliases", "registered, UTC", "figure", "what it does", "size",
            "what the gate said",
        )  # fmt: skip
        print_table(header, [_in_words(row) for row in rows])
    else:
        typer.echo("Nothing is registered yet. Run: atelier repro")


def _rows() -> list[dict[str, Any]]:
    """Of a store on disk by its database alone, unless its versions do not say all of it."""
    from atelier.registry import pages
    from atelier.registry.lookup import look_over
    from atelier.registry.store import has_store, on_disk, open_store
    from atelier.registry.versions import names, versions

    if not has_store():
        return []
    found = look_over(kept[0]) if (kept := on_disk()) else None
    if found is not None and all({pages.MAKES, pages.SIZE} <= one.tags.keys() for one in found):
        return [_row(one, one.tags[pages.MAKES], int(one.tags[pages.SIZE])) for one in found]
    store = open_store()
    return [_row_of(store, one) for name in names(store) for one in versions(store, name)]


def _row_of(store: "Store", version: "Version") -> dict[str, Any]:
    from atelier.registry import packaging, pages

    size = packaging.size_of(store, version.source, version.tags.get(pages.SIZE))
    return _row(version, pages.makes(store, version), size)


def _row(version: "Version", makes: str, size: int | None) -> dict[str, Any]:
    """What `list` says of a version."""
    from atelier.registry import pages

    return {
        "version": str(version),
        "aliases": list(version.aliases),
        "created": version.created,
        "figure": _figure(version),
        "makes": makes,
        "bytes": size,
        "gate": pages.verdict(version),
    }


def _in_words(row: dict[str, Any]) -> tuple[str, ...]:
    aliases, makes = ", ".join(row["aliases"]), _cut(row["makes"], LONGEST_MAKES)
    said = _cut(row["gate"], LONGEST_VERDICT)
    cells = (row["version"], aliases, row["created"], row["figure"], makes, human(row["bytes"]))
    return (*(cell or "-" for cell in cells), said)


def _cut(text: str, longest: int) -> str:
    """Whole words of it, and a sign that there are more."""
    return text if len(text) <= longest else f"{text[:longest].rpartition(' ')[0]} …"


def _figure(version: "Version") -> str:
    """What the gate compares by: with its error from the evaluation, else as the gate found it."""
    from atelier.registry.tags import FIGURE_TAG

    if known := version.tags.get(FIGURE_TAG):
        return known
    decided = json.loads(version.tags.get("gate.decision", "{}")).get("challenger")
    return f"score {decided['score']:.3g}" if decided else ""


def human(size: int | None) -> str:
    """`4.3 MB`; empty if unknown."""
    if size is None:
        return ""
    power = min(max(0, len(str(size)) - 1) // 3, len(UNITS) - 1)
    value = size / 1000**power
    return f"{value:.0f} B" if not power else f"{value:.3g} {UNITS[power]}"


@registry.command()
def show(reference: Reference, as_json: AsJson = False) -> None:
    """Show a version's card (what it is, its figures, how to load it), then its lineage."""
    from atelier.registry import scored
    from atelier.registry.store import open_store
    from atelier.registry.versions import find

    need_store()
    store = open_store()
    version = find(store, reference)
    figures = scored.figures_of(store, version)
    row = _row_of(store, version)
    lineage = {
        "registered": version.created,
        "bundle": version.source,
        "run": version.run_id or "",
        **{key: text for key, text in sorted(version.tags.items()) if key not in TOLD_BETTER},
    }
    if as_json:
        row |= {"aliases": ", ".join(version.aliases), "figures": figures}
        print_json({**row, "load": _load(version), **lineage})
        return
    print_table(("card", str(version)), _card(row, version, figures))
    typer.echo()
    print_table(("fact", "value"), [(key, text or "-") for key, text in lineage.items()])


def _card(
    row: dict[str, Any], version: "Version", figures: dict[str, float]
) -> list[tuple[str, str]]:
    from atelier.registry.headline import headlines

    tags = version.tags
    of = f"{tags.get('experiment')} at scale {tags.get('scale')}, dataset {tags.get('dataset')}"
    lines = [
        ("version", str(version)),
        ("aliases", ", ".join(version.aliases) or "-"),
        ("makes", row["makes"] or "-"),
        ("experiment", of),
        ("size", human(row["bytes"]) or "-"),
    ]
    found = headlines(figures)
    lines += [("figure", f"{one}{one.held_to}") for one in found]
    if not found:
        lines.append(("figure", row["figure"] or "-"))
    return [*lines, ("gate", row["gate"]), ("load", _load(version))]


def _load(version: "Version") -> str:
    from atelier.registry.versions import CHAMPION

    named = f"{version.name}/{version.number}"
    if CHAMPION in version.aliases:
        named = f"{version.name}@{CHAMPION}"
    return f'mlflow.pyfunc.load_model("models:/{named}")'


Experiments = Annotated[
    list[str] | None, typer.Argument(help="Experiments of params.yaml; default: all.")
]
Scale = Annotated[
    str | None, typer.Option(help="tiny, laptop or gpu; default: what params.yaml names.")
]


@registry.command()
def sync(experiments: Experiments = None, scale: Scale = None) -> None:
    """Restore runs and versions that artifacts/ has and the store lacks, without training."""
    from atelier.pipeline import registering

    registering.sync(*_sound(scale, experiments))


@registry.command()
def score(experiments: Experiments = None, scale: Scale = None) -> None:
    """Score the champions again on today's test data, without training."""
    from atelier.pipeline import registering

    need_store()
    registering.score_again(*_sound(scale, experiments))


def _sound(scale: str | None, experiments: list[str] | None) -> tuple[str, list[str]]:
    """The scale and experiments that are meant; all of them sound, before the first is touched."""
    from atelier.config import load_experiment
    from atelier.params import listed_experiments
    from atelier.pipeline.stages import scale_or_default

    scale, chosen = scale_or_default(scale), experiments or list(listed_experiments())
    for name in chosen:
        load_experiment(scale, name)
    return scale, chosen


@registry.command()
def rollback(
    name: Annotated[str, typer.Argument(help="A registered name, such as faces-gan.")],
) -> None:
    """Give the alias champion back to the version that had it before."""
    from atelier.registry import champions
    from atelier.registry.store import open_store

    need_store()
    now, before = champions.rollback(open_store(), name)
    typer.echo(f"{name}@champion is {now} again, instead of {before}")


@registry.command()
def promote(
    reference: Reference,
    reason: Annotated[str, typer.Option(help="Why; it stays in the version's history.")],
    force: Annotated[bool, typer.Option("--force", help="Against what the gate said.")] = False,
) -> None:
    """Make a version champion by hand: the gate's part, so it takes --force."""
    from atelier.registry import champions, loading, versions
    from atelier.registry.store import open_store

    need_store()
    if not force:
        remedy = "atelier repro asks it; to overrule it, say --force."
        raise UserError("promote", "the gate decides who becomes champion", remedy)
    if not reason.strip():
        raise UserError("--reason", "says nothing")
    store = open_store()
    version = versions.find(store, reference)
    loading.fetch(store, version)  # whose bundle is gone can serve nobody
    champions.promote(store, version, reason)
    typer.echo(f"{version.name}@champion is {version}: {reason}")


@registry.command()
def history(
    name: Annotated[str, typer.Argument(help="A registered name, such as faces-gan.")],
    as_json: AsJson = False,
) -> None:
    """Tell what became of each version of a name, and when, the latest last."""
    from atelier.registry.history import history as told
    from atelier.registry.store import open_store
    from atelier.registry.versions import versions

    need_store()
    events = told(versions(open_store(), name))
    if as_json:
        print_json([asdict(event) for event in events])
        return
    rows = [(one.at.partition(".")[0], one.version, one.what, one.who, one.why) for one in events]
    print_table(("UTC", "version", "what", "by", "why"), rows)


@registry.command()
def reproduce(reference: Reference) -> None:
    """Rebuild a version from its commit, data and settings, and say whether it is the same.

    Takes as long as its training; nothing of yours is changed. Exit code 1: it is another.
    """
    from atelier.operations.reproduction import reproduce as rebuild
    from atelier.registry.store import open_store
    from atelier.registry.versions import find

    need_store()
    store = open_store()
    found = rebuild(store, find(store, reference))
    for line in found.lines():
        typer.echo(line)
    if not found.holds:
        raise typer.Exit(1)


Key = Annotated[Path, typer.Option(help="A key as ssh-keygen -t ed25519 makes it.")]


@registry.command()
def sign(reference: Reference, key: Key) -> None:
    """Sign a version with the team's private key, once it is found to be what was packed."""
    from atelier.registry import signing, versions
    from atelier.registry.store import open_store

    need_store()
    store = open_store()
    version = versions.find(store, reference)
    signing.sign(store, version, key)
    typer.echo(f"{version}: signed with {key}")


@registry.command()
def verify(
    reference: Reference,
    key: Annotated[
        list[Path] | None, typer.Option(help="A public key; one of them must have signed it.")
    ] = None,
) -> None:
    """Look whether a version is what was packed, without running anything of it."""
    from atelier.registry import signing, versions
    from atelier.registry.store import open_store

    need_store()
    store = open_store()
    version = versions.find(store, reference)
    found = signing.verify(store, version, key or ())
    code = "that of this Atelier" if found.code_is_ours else "of another Atelier: read it first"
    facts = {
        "version": f"{version}, every byte as it was packed",
        "model": found.digest,
        "code": f"{found.code_digest} ({code})",
        "signature": found.signed_by or ("there, no --key to hold it to"
                                         if signing.SIGNATURE_TAG in version.tags else "none"),
    }  # fmt: skip
    print_table(("fact", "value"), list(facts.items()))


@registry.command()
def export(
    reference: Reference,
    out: Annotated[Path, typer.Option(help="A new folder.")],
    key: Annotated[
        list[Path] | None, typer.Option(help="A public key; one of them must have signed it.")
    ] = None,
) -> None:
    """Verify a version, then copy it to a folder, with its model card as README.md.

    The folder is one that MLflow loads, and one that a hub takes as it is.
    """
    from atelier.registry import versions
    from atelier.registry.export import CARD
    from atelier.registry.export import export as copy_out
    from atelier.registry.store import open_store

    need_store()
    store = open_store()
    version = versions.find(store, reference)
    with writing(str(out)):
        copy_out(store, version, out, key or ())
    typer.echo(f"{out}: {version}, verified, and its model card ({CARD})")


def need_store() -> None:
    """Raises a UserError where there is no registry to read."""
    from atelier.registry.store import ADDRESS, has_store

    if not has_store():
        where = os.environ.get(ADDRESS) or "mlruns"
        remedy = f"Run atelier repro in the repository's root, or set {ADDRESS}."
        raise UserError(where, "nothing is registered here", remedy)
