"""DVC's own records, which it writes in place: where a kill left one cut short, no command works.

Whole ones are kept aside before DVC runs. One that is cut short is put back as it was kept; what
has run since, DVC finds in its cache of runs.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from atelier.display import say
from atelier.files import write_whole

RECORDS = (Path("dvc.lock"), Path("data.dvc"))
KEPT = Path(".atelier", "records")
WRITING_SECONDS = 1.0
"""Longer than DVC takes to write one: what is cut short for so long, nobody is writing."""


def keep_or_put_back() -> None:
    """Call it before DVC reads them."""
    for record in RECORDS:
        if not record.exists():
            continue
        kept = KEPT / record.name
        if not is_whole(content := record.read_bytes()):
            time.sleep(WRITING_SECONDS)
            content = record.read_bytes()
        if is_whole(content):
            if not kept.exists() or kept.read_bytes() != content:
                write_whole(kept, content)
        elif kept.exists():
            write_whole(record, kept.read_bytes())
            say(f"{record}: was cut short, as a kill leaves it; it is put back as it was before")
        else:
            say(f"{record}: is cut short, and none was kept. Put it back: git checkout {record}")


def is_whole(content: bytes) -> bool:
    """Whether every entry names its path; one whose last entries are missing is whole: they are
    made again."""
    try:
        words = yaml.load(content, yaml.CSafeLoader)
    except yaml.YAMLError:
        return False
    if not isinstance(words, dict):
        return False
    stages = words.get("stages", {"itself": words})
    return isinstance(stages, dict) and all(map(_names_paths, stages.values()))


def _names_paths(stage: Any) -> bool:
    if not isinstance(stage, Mapping):
        return False
    for kind in ("deps", "outs"):
        entries = stage.get(kind, [])
        if not isinstance(entries, list):
            return False
        if not all(isinstance(one, dict) and isinstance(one.get("path"), str) for one in entries):
            return False
    return True
