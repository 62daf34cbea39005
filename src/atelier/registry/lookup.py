"""What stands in a store on disk, asked of its database alone.

MLflow takes two to three seconds to import and to open, and whoever draws a picture, or looks what
there is, needs some rows of it. The tables are MLflow's own, which it offers no smaller door to;
tests compare with what MLflow says. What is not found here, or stands otherwise in the tables, is
for MLflow to find, or to explain.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from atelier.registry.store import BUSY_SECONDS
from atelier.registry.versions import Version, version_of

OF_ALIAS = "SELECT version FROM registered_model_aliases WHERE name = ? AND alias = ?"
ALIASES = """
SELECT name, version, alias FROM registered_model_aliases WHERE name = ifnull(?, name)
ORDER BY alias
"""
TAGS = "SELECT name, version, key, value FROM model_version_tags WHERE name = ifnull(?, name)"
VERSIONS = """
SELECT workspace, name, version, source, run_id, creation_time AS creation_timestamp, description
FROM model_versions WHERE current_stage != 'Deleted_Internal' AND name = ifnull(?, name)
ORDER BY name, version DESC
"""


def look_up(database: Path, reference: str) -> Version | None:
    """The version that `name@alias` or `name/number` names; None where it takes MLflow to say."""
    name, at, alias = reference.partition("@")
    try:
        with _opened(database) as connection:
            if at:
                given = connection.execute(OF_ALIAS, (name, alias)).fetchall()
                number = str(given[0]["version"]) if len(given) == 1 else ""
            else:
                name, _, number = reference.partition("/")
            found = [one for one in _versions(connection, name) if one.number == number]
    except sqlite3.Error:
        return None
    return found[0] if len(found) == 1 else None


def look_over(database: Path) -> list[Version] | None:
    """All versions by name, the newest first; None where it takes MLflow to say."""
    try:
        with _opened(database) as connection:
            return list(_versions(connection))
    except sqlite3.Error:
        return None


@contextmanager
def _opened(database: Path) -> Iterator[sqlite3.Connection]:
    """To be read."""
    address = f"{database.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, BUSY_SECONDS, uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


def _versions(connection: sqlite3.Connection, name: str | None = None) -> Iterator[Version]:
    """Of one name, or of all."""
    tags: dict[tuple[Any, ...], dict[str, str]] = {}
    for row in connection.execute(TAGS, (name,)):
        tags.setdefault((row["name"], row["version"]), {})[row["key"]] = row["value"]
    aliases: dict[tuple[Any, ...], list[str]] = {}
    for row in connection.execute(ALIASES, (name,)):
        aliases.setdefault((row["name"], row["version"]), []).append(row["alias"])
    for row in connection.execute(VERSIONS, (name,)):
        key = (row["name"], row["version"])
        yield version_of(dict(row), tags.get(key, {}), tuple(aliases.get(key, ())))
