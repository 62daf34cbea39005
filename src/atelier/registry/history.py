"""What became of each version, and when: kept with the version, so that a registry tells it all."""

import getpass
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from atelier.registry.store import Store

if TYPE_CHECKING:
    from atelier.registry.versions import Version

EVENTS_TAG = "atelier.events"
PROMOTED, KEPT = "promoted", "kept as challenger"
FORCED = "promoted against the gate"
ROLLED_BACK, RESTORED = "rolled back", "champion again"


@dataclass(frozen=True)
class Event:
    """One thing that happened to a version."""

    at: str
    """UTC, as ISO 8601 has it; to the millisecond, for one thing often follows another at once."""
    version: str
    what: str
    who: str
    """The user whose process it was."""
    why: str


def note(store: Store, version: "Version", what: str, why: str) -> None:
    """Adds an event to a version. The caller holds the store's lock."""
    found = store.client.get_model_version(version.name, version.number).tags.get(EVENTS_TAG)
    now = as_utc(datetime.now(UTC), "milliseconds")
    events = [*json.loads(found or "[]"), {"at": now, "what": what, "who": user(), "why": why}]
    words = json.dumps(events, sort_keys=True)
    store.client.set_model_version_tag(version.name, version.number, EVENTS_TAG, words)


def history(versions: Iterable["Version"]) -> list[Event]:
    """All that happened to these versions, the latest last."""
    events = [
        Event(version=str(version), **words)
        for version in sorted(versions, key=lambda one: int(one.number))
        for words in json.loads(version.tags.get(EVENTS_TAG, "[]"))
    ]
    return sorted(events, key=lambda event: event.at)


def as_utc(moment: datetime, to_the: str = "seconds") -> str:
    """As ISO 8601 has it, without the zone: all of ours are UTC."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=to_the)


def user() -> str:
    """Whose process this is."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # in a container, a user may have no name
        return str(os.getuid())
