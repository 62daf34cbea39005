"""`atelier registry`: what is published."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from atelier.cli import published
from atelier.cli.options import AsJson, Experiments, Reference, Scale
from atelier.cli.output import writing
from atelier.display import print_json, print_table
from atelier.errors import UserError

registry = typer.Typer(no_args_is_help=True, help="List, show and restore what is published.")


@registry.command("list")
def list_(as_json: AsJson = False) -> None:
    """List every registered generator and version, newest first."""
    rows = published.rows()
    if as_json:
        print_json(rows)
    elif rows:
        header = (
            "version", "aliases", "registered, UTC", "figure", "what it does", "size",
            "what the gate said",
        )  # fmt: skip
        print_table(header, [published.in_words(row) for row in rows])
    else:
        typer.echo("Nothing is registered yet. Run: atelier repro")


@registry.command()
def show(reference: Reference, as_json: AsJson = False) -> None:
    """Show a version's card (what it is, its figures, how to load it), then its lineage."""
    from atelier.registry import scored
    from atelier.registry.store import need_store, open_store
    from atelier.registry.versions import find

    need_store()
    store = open_store()
    version = find(store, reference)
    figures = scored.figures_of(store, version)
    row = published.row_of(store, version)
    lineage = {
        "registered": version.created,
        "bundle": version.source,
        "run": version.run_id or "",
        **version.plain_tags,
    }
    if as_json:
        row |= {"aliases": ", ".join(version.aliases), "figures": figures}
        print_json({**row, "load": published.load_line(version), **lineage})
        return
    print_table(("card", str(version)), published.card(row, version, figures))
    typer.echo()
    print_table(("fact", "value"), [(key, text or "-") for key, text in lineage.items()])


@registry.command()
def sync(experiments: Experiments = None, scale: Scale = None) -> None:
    """Restore runs and versions that artifacts/ has and the store lacks, without training."""
    from atelier.pipeline import registering

    registering.sync(*_sound(scale, experiments))


@registry.command()
def score(experiments: Experiments = None, scale: Scale = None) -> None:
    """Score the champions again on today's test data, without training."""
    from atelier.pipeline import registering
    from atelier.registry.store import need_store

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
    from atelier.registry.store import need_store, open_store

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
    from atelier.registry.store import need_store, open_store

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
    from atelier.registry.store import need_store, open_store
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
    from atelier.registry.store import need_store, open_store
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
    from atelier.registry.store import need_store, open_store

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
    from atelier.registry.store import need_store, open_store

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
    from atelier.registry.store import need_store, open_store

    need_store()
    store = open_store()
    version = versions.find(store, reference)
    with writing(str(out)):
        copy_out(store, version, out, key or ())
    typer.echo(f"{out}: {version}, verified, and its model card ({CARD})")
