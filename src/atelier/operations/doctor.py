"""What is wrong with this place, and the remedy: environment, repository, data, locks, stores."""

import json
import os
import re
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil
from packaging.markers import Marker
from packaging.version import Version

from atelier.commands import CommandFailed, run
from atelier.errors import UserError
from atelier.operations.dvc import HOLDERS, entries
from atelier.operations.services import PORTS, running, services, taken
from atelier.operations.workspace import WORKTREES
from atelier.params import load_parameters
from atelier.registry.store import ADDRESS, DATABASE

LEAST_FREE_BYTES = 5_000_000_000
"""What a whole run at `laptop` writes, artifacts, cache and registry together, and some more."""
LEAST_MEMORY_BYTES = 4_000_000_000
LOCK = Path("requirements.lock")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `remedy` is empty where nothing is wrong."""

    what: str
    found: str
    remedy: str = ""

    @property
    def wrong(self) -> bool:
        return bool(self.remedy)


def examine() -> list[Finding]:
    """Looks at everything, changes nothing; a check that itself fails is a finding, too."""
    found: list[Finding] = []
    for check in CHECKS:
        what = check.__name__.strip("_").replace("_", " ")
        try:
            found += check()
        except Exception as error:  # a border: what is broken may break in any way
            found.append(Finding(what, f"cannot be looked at ({error})", "See the message."))
    return found


def _project() -> Iterator[Finding]:
    try:
        parameters = load_parameters()
    except UserError as error:
        yield Finding("project", str(error), "Mend it; `git diff` shows what was changed.")
        return
    count = len(parameters.experiments)
    yield Finding("project", f"{count} experiments at scale {parameters.scale}")


def _environment() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("python", f"{version}, {sys.executable}")
    script = Path(sys.prefix, "bin", "atelier")
    with suppress(OSError, UnicodeDecodeError):
        first = script.read_text(encoding="utf-8").splitlines()[0]
        if first.startswith("#!/") and not Path(first[2:].split()[0]).exists():
            remedy = "The folder was moved: make clean setup"
            yield Finding("environment", f"made for {first[2:]}, which is not there", remedy)
    others = list(_other_versions())
    if others:
        shown = ", ".join(others[:5]) + (f" and {len(others) - 5} more" if others[5:] else "")
        yield Finding("packages", f"not as {LOCK} has them: {shown}", "make clean setup")
    elif LOCK.exists():
        yield Finding("packages", f"as {LOCK} has them")


def _other_versions() -> Iterator[str]:
    """Packages of the lock that are missing or of another version."""
    if not LOCK.exists():
        return
    for line in LOCK.read_text(encoding="utf-8").splitlines():
        if not (pinned := re.match(r"([\w.-]+)(?:\[.*\])?==([^\s;\\]+)\s*(?:;([^\\]*))?", line)):
            continue
        name, version, marker = pinned.groups()
        if marker and not Marker(marker.strip()).evaluate():
            continue
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed = "missing"
        if installed == "missing" or Version(installed) != Version(version):
            yield f"{name} {installed} instead of {version}"


def _machine() -> Iterator[Finding]:
    free = shutil.disk_usage(".").free
    remedy = "Make room: atelier tidy" if free < LEAST_FREE_BYTES else ""
    yield Finding("disk", f"{free / 1e9:.1f} GB free", remedy)
    memory = psutil.virtual_memory().available
    remedy = "End what takes it, or train one experiment at a time."
    remedy = remedy if memory < LEAST_MEMORY_BYTES else ""
    yield Finding("memory", f"{memory / 1e9:.1f} GB available", remedy)
    for what, folder in (("home", Path.home()), ("temporary folder", Path(tempfile.gettempdir()))):
        if not os.access(folder, os.W_OK):
            variable = "HOME" if what == "home" else "TMPDIR"
            yield Finding(what, f"{folder} cannot be written", f"Set {variable} to one that can.")


def _git() -> Iterator[Finding]:
    try:
        head = run("git", "rev-parse", "--short", "HEAD").strip()
    except CommandFailed as failed:
        remedy = "Versions say no commit without it; `git config --global safe.directory` if it is "
        yield Finding("git", failed.last, f"{remedy}another user's.")
        return
    yield Finding("git", f"commit {head}")


def _data() -> Iterator[Finding]:
    if Path("data.dvc").exists() and not Path("data").is_dir():
        yield Finding("data", "data.dvc names data that are not here", "dvc pull, or atelier repro")


def _locks() -> Iterator[Finding]:
    """Records of DVC's whose processes are gone: another may get their number, and seem at work."""
    try:
        record = json.loads(HOLDERS.read_text(encoding="utf-8"))
    except OSError:
        return
    except ValueError:
        yield Finding("dvc's locks", f"{HOLDERS} cannot be read", f"rm {HOLDERS}")
        return
    numbers = {holder["pid"] for _, _, holder in entries(record)}
    dead = sorted(number for number in numbers if not psutil.pid_exists(number))
    if dead:
        shown = ", ".join(map(str, dead))
        yield Finding("dvc's locks", f"left by processes that ended ({shown})", f"rm {HOLDERS}")
    elif numbers:
        yield Finding("dvc's locks", f"held by {', '.join(map(str, sorted(numbers)))}")


def _registry() -> Iterator[Finding]:
    if server := os.environ.get(ADDRESS):
        yield Finding("registry", f"at {server}")
        return
    if not DATABASE.exists():
        yield Finding("registry", "nothing is registered yet")
        return
    try:
        with closing(sqlite3.connect(f"file:{DATABASE}?mode=ro", uri=True, timeout=2)) as opened:
            (sound,) = opened.execute("PRAGMA quick_check").fetchone()
            (count,) = opened.execute("SELECT count(*) FROM model_versions").fetchone()
    except sqlite3.Error as error:
        remedy = "Wait for who holds it, or restore the file; atelier registry sync fills a new one"
        yield Finding("registry", f"{DATABASE}: {error}", remedy)
        return
    if sound != "ok":
        remedy = f"Move {DATABASE} away, then: atelier registry sync"
        yield Finding("registry", f"{DATABASE} is damaged ({sound})", remedy)
        return
    remedy = "" if os.access(DATABASE, os.W_OK) else "It can be read, and nothing registered."
    yield Finding("registry", f"{count} versions", remedy)


def _services() -> Iterator[Finding]:
    for service in services():
        process = running(service)
        if process is not None:
            yield Finding(service.name, f"runs, process {process.pid}")
        elif taken(service.name):
            variable, _ = PORTS[service.name]
            remedy = f"Set {variable} to a free port before atelier up."
            yield Finding(service.name, "its port is taken by somebody else", remedy)
        else:
            yield Finding(service.name, "does not run, and its port is free")


def _worktrees() -> Iterator[Finding]:
    """Links into a place that the repository was moved from."""
    for place in sorted(WORKTREES.glob("*/")):
        lost = [str(link) for link in _links(place) if not link.exists()]
        if lost:
            remedy = f"The next flow at its scale renews it; where none is to come: rm -r {place}"
            yield Finding("worktree", f"{lost[0]} leads nowhere", remedy)


def _links(place: Path) -> Iterator[Path]:
    for folder in (place, place / ".atelier"):
        if folder.is_dir():
            yield from (path for path in folder.iterdir() if path.is_symlink())


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _project,
    _environment,
    _machine,
    _git,
    _data,
    _locks,
    _registry,
    _services,
    _worktrees,
)
