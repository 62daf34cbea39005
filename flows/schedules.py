"""When each deployment runs: the table schedules.yaml, and the night that experiments share."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import available_timezones

from prefect.schedules import Cron, Schedule
from pydantic import AfterValidator, Field

from atelier.errors import UserError, UserErrors
from atelier.schema import Positive, Strict, check, read_yaml, unknown

TABLE = Path("schedules.yaml")


def _known_cron(words: str) -> str:
    try:
        Cron(words)
    except ValueError:
        raise ValueError(
            f"no cron expression (got {words!r}). Minute, hour, day, month, weekday: 0 3 * * 0"
        ) from None
    return words


def _known_timezone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"no time zone (got {name!r}). One of IANA's, such as Europe/Rome")
    return name


CronWords = Annotated[str, AfterValidator(_known_cron)]
Timezone = Annotated[str, AfterValidator(_known_timezone)]
Hour = Annotated[int, Field(ge=0, le=23)]


class Line(Strict):
    """What the table says of one deployment; null means as for all."""

    cron: CronWords | None = None
    timezone: Timezone | None = None
    active: bool = True


class Timed(Line):
    """A line for what no rule gives a time."""

    cron: CronWords


class Night(Strict):
    """The hours that experiments share; from an hour to the same is a whole day."""

    from_hour: Hour
    until_hour: Hour
    minutes_apart: Positive

    def crons(self, names: Sequence[str]) -> dict[str, str]:
        """A cron expression for each; one more at the end moves none before it, while all fit."""
        window = 60 * ((self.until_hour - self.from_hour - 1) % 24 + 1)
        apart = min(self.minutes_apart, window / max(len(names), 1))
        minutes = [60 * self.from_hour + int(place * apart) for place in range(len(names))]
        return {
            name: f"{minute % 60} {minute // 60 % 24} * * *"
            for name, minute in zip(names, minutes, strict=True)
        }


class Table(Strict):
    """schedules.yaml."""

    timezone: Timezone
    nightly: Night
    experiments: dict[str, Line] | None
    others: dict[str, Timed]

    def schedule(self, line: Line, nightly: str = "") -> Schedule:
        zone = line.timezone or self.timezone
        return Cron(line.cron or nightly, timezone=zone, active=line.active)


@dataclass(frozen=True)
class Times:
    """The schedule of each deployment by its name."""

    experiments: Mapping[str, Schedule]
    others: Mapping[str, Schedule]


def read_times(experiments: Sequence[str], others: Collection[str]) -> Times:
    """An experiment's own line's, or its place in the night; of the others each has a line.

    Raises:
        UserErrors: a line for each mistake in the table, and for each name that is none of these or
            is missing.
    """
    words = read_yaml(TABLE)
    mistakes = _mistaken_names(words, experiments, others)
    try:
        table = check(words, Table, TABLE)
    except UserErrors as error:
        raise UserErrors([*error.errors, *mistakes]) from None
    if mistakes:
        raise UserErrors(mistakes)
    lines, nightly = table.experiments or {}, table.nightly.crons(experiments)
    return Times(
        {name: table.schedule(lines.get(name, Line()), nightly[name]) for name in experiments},
        {name: table.schedule(table.others[name]) for name in others},
    )


def _mistaken_names(
    words: Any, experiments: Collection[str], others: Collection[str]
) -> list[UserError]:
    """Of each block that is one."""
    known = {"experiments": experiments, "others": others}
    blocks = {name: words.get(name) for name in known} if isinstance(words, dict) else {}
    found = [
        unknown(f"{TABLE}: {block}", name, known[block])
        for block, lines in blocks.items()
        if isinstance(lines, dict)
        for name in lines
        if name not in known[block]
    ]
    if isinstance(lines := blocks.get("others"), dict):
        hint = '{cron: "0 3 * * 0"}, and active: false to start it by hand only.'
        found += [
            UserError(f"{TABLE}: others.{name}", "missing", f"Add {name}: {hint}")
            for name in others
            if name not in lines
        ]
    return found
