"""Puts the page together: one HTML file that needs no other, and no network."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from atelier.errors import UserError
from atelier.evaluation.keys import LEFT_OUT, MEMORISATION, SETTINGS
from atelier.operations.reporting import charts, facts, pictures
from atelier.operations.reporting.distances import Distance, distances
from atelier.operations.reporting.facts import Facts
from atelier.operations.reporting.figures import Figure, of_keys, shown
from atelier.operations.reporting.headlines import Headline, between_seeds, headlines
from atelier.operations.reporting.pictures import Picture
from atelier.operations.reporting.registered import lineage
from atelier.operations.reporting.sheets import NEAREST, WORST, Sheet
from atelier.operations.reporting.tables import EDITS, Edit, Table, edits, tables
from atelier.params import listed_experiments
from atelier.schema import unknown

GENERATOR = '<meta name="generator" content="atelier report">'
"""In the page's head: by it a page of ours is known."""
HEAD_BYTES = 1000
STRIP_COLUMNS = 6
"""Pictures in a row of the summary."""


@dataclass(frozen=True)
class Shown:
    """A sheet as it stands in the page, or why it does not."""

    caption: str
    picture: Picture | None
    rows: tuple[str, ...]
    problem: str = ""


@dataclass(frozen=True)
class Section:
    """All of one experiment, ready for the template."""

    facts: Facts
    strip: Shown | None
    headlines: Sequence[Headline]
    seeds: Mapping[str, str]
    """By the key of a figure, what other training seeds make of it."""
    distances: Sequence[tuple[Distance, Markup]]
    sheets: Sequence[Shown]
    champions: Sequence[Shown]
    champions_figures: Mapping[str, Figure]
    tables: Sequence[Table]
    edits: Sequence[Edit]
    bars: Sequence[tuple[str, Markup]]
    losses: Sequence[Markup]
    others: Sequence[Markup]
    judge: str
    left_out: Sequence[tuple[str, str]]
    missed: Sequence[str]
    not_kept: Sequence[str]
    settings: Sequence[tuple[str, str]]
    lineage: Sequence[tuple[str, str]]

    @property
    def version(self) -> str:
        """Whose figures these are."""
        ours = self.facts.registered.ours
        if ours is None:
            return "not registered"
        aliases = " and ".join(ours.aliases)
        return f"{ours}, which is {aliases}" if aliases else f"{ours}, without an alias"


def report(experiments: Sequence[str], scale: str) -> str:
    """The page of these experiments, or of all.

    Raises:
        UserError: an experiment is unknown, there is nothing to show, or a file is cut short.
    """
    listed = listed_experiments()
    for name in experiments:
        if name not in listed:
            raise unknown("experiment", name, listed)
    chosen = {name: listed[name] for name in dict.fromkeys(experiments or listed)}
    with TemporaryDirectory() as aside:
        found = facts.gather(chosen, scale, Path(aside))
        if all(one.is_empty for one in found):
            raise UserError(
                f"artifacts/{scale}", "nothing is made here yet", "Run atelier repro first."
            )
        return render(found, scale)


def is_report(path: Path) -> bool:
    """Whether a file is a page of ours, which the next one may replace."""
    try:
        with path.open("rb") as file:
            return GENERATOR.encode() in file.read(HEAD_BYTES)
    except OSError:
        return False


def render(found: Sequence[Facts], scale: str) -> str:
    """The page, as text: of the same facts the same bytes, without a clock, for it is a stage's."""
    here = Path(__file__).parent
    templates = Environment(
        loader=FileSystemLoader(here),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["shown"] = shown
    count = sum(len(one.sheets) + len(one.registered.champions_sheets) + 1 for one in found)
    most = pictures.budget(count)
    of_one = [one.name for one in found] if len(found) == 1 else []
    return templates.get_template("page.html").render(
        generator=Markup(GENERATOR),
        columns_of_edits=list(EDITS.values()),
        style=Markup((here / "page.css").read_text(encoding="utf-8")),
        title=", ".join(["Atelier report", *of_one, f"scale {scale}"]),
        is_of_several=not of_one,
        scale=scale,
        sections=[_section(one, most) for one in found],
    )


def _section(one: Facts, most_bytes: int) -> Section:
    last = max((images for points in one.curves.values() for images, _ in points), default=0.0)
    drawn = {
        name: charts.curve(points, name, last, one.selected_images)
        for name, points in one.curves.items()
    }
    decided = one.registered.decided
    left_out, missed = one.metrics.get(LEFT_OUT, {}), one.metrics.get("missed", ())
    return Section(
        facts=one,
        strip=_strip(one, most_bytes),
        headlines=list(headlines(one.metrics)),
        seeds=dict(between_seeds(one.spread)),
        distances=[(distance, charts.logarithmic(distance))
                   for distance in distances(one.metrics)],
        sheets=[_shown(sheet, one.name, most_bytes) for sheet in one.sheets],
        champions=[_shown(sheet, f"{one.name}, champion", most_bytes)
                   for sheet in one.registered.champions_sheets],
        champions_figures=of_keys(one.registered.champions_figures),
        tables=tables(one.metrics),
        edits=edits(one.metrics),
        bars=[(name, charts.bars(rows, name)) for name, rows in one.tables.items()],
        losses=[chart for name, chart in drawn.items() if "loss" in name],
        others=[chart for name, chart in drawn.items() if "loss" not in name],
        judge=facts.judge_words(one.judge),
        left_out=_words(left_out) if isinstance(left_out, Mapping) else [("all", str(left_out))],
        missed=[str(bound) for bound in missed],
        not_kept=list(_not_kept(one)),
        settings=_words(one.metrics.get(SETTINGS, {})),
        lineage=lineage(decided) if decided else [],
    )  # fmt: skip


def _not_kept(one: Facts) -> Iterator[str]:
    """Sheets that a reader would look for, and an evaluation of before they were made lacks."""
    there = {sheet.path.stem for sheet in one.sheets}
    if one.side_pixels is None or not there:
        return
    if WORST not in there:
        yield "The worst of what it makes: no sheet is there. atelier repro makes it."
    if NEAREST not in there and MEMORISATION in one.metrics:
        yield "Its nearest training images: no sheet is there. atelier repro makes it."


def _words(values: Mapping[str, object]) -> list[tuple[str, str]]:
    said = {True: "yes", False: "no"}
    return [
        (key, said[value] if isinstance(value, bool) else str(value))
        for key, value in values.items()
    ]


def _shown(
    sheet: Sheet, name: str, most_bytes: int, crop: tuple[int, int] | None = None
) -> Shown:  # fmt: skip
    alt = f"{name}: {sheet.caption}"
    try:
        drawn = pictures.picture(sheet.path, alt, most_bytes, crop)
    except OSError as error:
        problem = f"{sheet.path.name} can't be shown: {error}"
        return Shown(sheet.caption, None, sheet.rows, problem)
    return Shown(sheet.caption, drawn, sheet.rows)


def _strip(one: Facts, most_bytes: int) -> Shown | None:
    """The first pictures of the first sheet."""
    if not one.sheets or one.side_pixels is None:
        return None
    sheet = one.sheets[0]
    crop = pictures.corner(one.side_pixels, STRIP_COLUMNS, sheet.rows_belong)
    return _shown(sheet, one.name, most_bytes // 4, crop)
