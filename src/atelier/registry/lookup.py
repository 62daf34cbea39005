"""What a reference names in a store on disk, asked of its database alone.

MLflow takes two seconds to import and to open, and whoever draws a picture needs one row of it. The
tables are MLflow's own, which it offers no smaller door to; a test compares with what MLflow says.
What is not found here, or stands otherwise in the tables, is for MLflow to find, or to explain.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from atelier.registry.store import BUSY_SECONDS
from atelier.registry.versions import Version, version_of

OF_ALIAS = "SELECT version FROM registered_model_aliases WHERE name = ? AND alias = ?"
ALIASES = "SELECT alias FROM registered_model_aliases WHERE name = ? AND version = ? ORDER BY alias"
TAGS = "SELECT key, value FROM model_version_tags WHERE name = ? AND version = ?"
VERSION = """
SELECT name, version, source, run_id, creation_time AS creation_timestamp, description
FROM model_versions WHERE name = ? AND version = ? AND current_stage != 'Deleted_Internal'
"""


def look_up(database: Path, reference: str) -> Version | None:
    """The version that `name@alias` or `name/number` names; None where it takes MLflow to say."""
    name, at, alias = reference.partition("@")
    if not at:
        name, _, number = reference.partition("/")
    try:
        opened = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", BUSY_SECONDS, uri=True)
        with closing(opened) as connection:
            connection.row_factory = sqlite3.Row
            if at:
                given = connection.execute(OF_ALIAS, (name, alias)).fetchall()
                number = str(given[0]["version"]) if len(given) == 1 else ""
            found = connection.execute(VERSION, (name, number)).fetchall()
            if len(found) != 1:
                return None
            tags = {row["key"]: row["value"] for row in connection.execute(TAGS, (name, number))}
            aliases = tuple(row["alias"] for row in connection.execute(ALIASES, (name, number)))
            return version_of(dict(found[0]), tags, aliases)
    except sqlite3.Error:
        return None
