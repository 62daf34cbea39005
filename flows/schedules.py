"""When each deployment runs: the table schedules.yaml, and the night that experiments share."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated
from zoneinfo import available_timezones

from prefect.schedules import Cron, Schedule
from pydantic import AfterValidator, Field

from atelier.errors import UserError
from atelier.schema import Positive, Strict, load, unknown

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


def of_experiments(names: Sequence[str]) -> dict[str, Schedule]:
    """The schedule of each experiment: its own line's, or its place in the night.

    Raises:
        UserError: the table is wrong, or names an experiment that is none of `names`.
    """
    table = load(TABLE, Table)
    lines = table.experiments or {}
    _refuse_unknown("experiments", lines, names)
    nightly = table.nightly.crons(names)
    return {name: table.schedule(lines.get(name, Line()), nightly[name]) for name in names}


def of_others(names: Collection[str]) -> dict[str, Schedule]:
    """The schedule of each deployment that is no experiment's.

    Raises:
        UserError: the table is wrong, or has other lines than `names`.
    """
    table = load(TABLE, Table)
    _refuse_unknown("others", table.others, names)
    for name in names:
        if name not in table.others:
            hint = f'Add {name}: {{cron: "0 3 * * 0"}}, and active: false to start it by hand only.'
            raise UserError(f"{TABLE}: others.{name}", "missing", hint)
    return {name: table.schedule(table.others[name]) for name in names}


def _refuse_unknown(block: str, lines: Mapping[str, Line], names: Collection[str]) -> None:
    for name in lines:
        if name not in names:
            raise unknown(f"{TABLE}: {block}", name, names)
