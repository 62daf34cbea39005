"""DVC's own records, which it writes in place: where a kill left one cut short, no command works.

Whole ones are kept aside before DVC runs. One that is cut short is put back as it was kept; what
has run since, DVC finds in its cache of runs. Where a kill left a folder there and nothing in it,
DVC fails, too ("join() argument must be str"): such folders are removed.
"""

import configparser
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
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
    _remove_empty_runs()
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


def _remove_empty_runs() -> None:
    if any(_empty_runs()):
        time.sleep(WRITING_SECONDS)
        for folder in _empty_runs():
            with suppress(OSError):  # another command fills it, or was faster
                folder.rmdir()


def _empty_runs() -> Iterator[Path]:
    """In runs/<two letters>/<key of what goes in>/, DVC keeps a file for each outcome."""
    folders = (cache_folder() / "runs").glob("*/*")
    return (folder for folder in folders if not any(folder.iterdir()))


def cache_folder() -> Path:
    """`cache.dir` of DVC's local configuration, else .dvc/cache."""
    for file in (Path(".dvc", "config.local"), Path(".dvc", "config")):
        parser = configparser.ConfigParser()
        parser.read(file)
        if found := parser.get("cache", "dir", fallback=None):
            return Path(".dvc") / found  # DVC reads it relative to the file's folder
    return Path(".dvc", "cache")


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
