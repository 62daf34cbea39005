"""What `atelier registry list` and `show` say of a version."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atelier.registry.store import Store
    from atelier.registry.versions import Version

LONGEST_MAKES, LONGEST_VERDICT = 45, 60
"""Characters of what a version makes and of what the gate said, in `list`; `show` has all."""
UNITS = ("B", "kB", "MB", "GB", "TB")


def rows() -> list[dict[str, Any]]:
    """All versions by name, the newest first.

    Of a store on disk by its database alone, unless its versions do not say all of it.
    """
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
    return [row_of(store, one) for name in names(store) for one in versions(store, name)]


def row_of(store: "Store", version: "Version") -> dict[str, Any]:
    """What `list` says of a version."""
    from atelier.registry import packaging, pages

    size = packaging.size_of(store, version.source, version.tags.get(pages.SIZE))
    return _row(version, pages.makes(store, version), size)


def _row(version: "Version", makes: str, size: int | None) -> dict[str, Any]:
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


def in_words(row: dict[str, Any]) -> tuple[str, ...]:
    """A row as a line of `list`'s table."""
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
    decided = version.decision.get("challenger")
    return f"score {decided['score']:.3g}" if decided else ""


def human(size: int | None) -> str:
    """`4.3 MB`; empty if unknown."""
    if size is None:
        return ""
    power = min(max(0, len(str(size)) - 1) // 3, len(UNITS) - 1)
    value = size / 1000**power
    return f"{value:.0f} B" if not power else f"{value:.3g} {UNITS[power]}"


def card(
    row: dict[str, Any], version: "Version", figures: dict[str, float]
) -> list[tuple[str, str]]:
    """What `show` says first: of its row, and of the figures that it was registered with."""
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
    return [*lines, ("gate", row["gate"]), ("load", load_line(version))]


def load_line(version: "Version") -> str:
    """How Python loads it through MLflow."""
    from atelier.registry.versions import CHAMPION

    named = f"{version.name}/{version.number}"
    if CHAMPION in version.aliases:
        named = f"{version.name}@{CHAMPION}"
    return f'mlflow.pyfunc.load_model("models:/{named}")'
