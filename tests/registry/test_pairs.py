"""Of two registrations at the same moment, each a process, the better is champion in the end.

Some are stopped for a while, and some are killed and run again. Some pairs here; by hand as many
as you like, where one broke again from there:

    ATELIER_PAIRS=200 .venv/bin/python -m pytest tests/registry/test_pairs.py
    ATELIER_PAIRS=1 ATELIER_FIRST_PAIR=17 .venv/bin/python -m pytest tests/registry/test_pairs.py

The server on Postgres finds its driver, which Atelier itself needs not, among what is installed or
in the folder ATELIER_POSTGRES_DRIVER.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from tests.project import forget_connections

from atelier.registry import versions
from atelier.registry.history import KEPT, PROMOTED, history
from atelier.registry.store import open_store
from atelier.registry.versions import Version

from . import pairs
from .pairs import POSTGRES, SILENCE_SECONDS

pytestmark = [pytest.mark.slow, pytest.mark.server]

PAIRS = int(os.environ.get("ATELIER_PAIRS", "4"))
FIRST = int(os.environ.get("ATELIER_FIRST_PAIR", "0"))
"""Its number is the seed of what befalls it."""
DRIVER = os.environ.get("ATELIER_POSTGRES_DRIVER", "")
PAIRS_OF_A_NAME = 8
"""Then another name: its first registration is also one of two at the same moment."""
LATEST_SECONDS = 0.3
TYPICAL_SECONDS = 3.0
END_SECONDS, TRIES = 150, 3


def has_driver() -> bool:
    code, path = "import psycopg2", {"PYTHONPATH": DRIVER}
    return not subprocess.run([sys.executable, "-c", code], env=os.environ | path).returncode


needs_postgres = pytest.mark.skipif(
    not all(map(shutil.which, POSTGRES)) or not has_driver(),
    reason="needs Postgres (initdb and pg_ctl on the path) and psycopg2",
)


@pytest.fixture(params=["database", "server", pytest.param("postgres", marks=needs_postgres)])
def uri(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    new_database: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    """Where both register: a database, or a server before one or before Postgres."""
    with ExitStack() as stack:
        if request.param == "database":
            found = stack.enter_context(pairs.database(tmp_path, new_database))
        elif request.param == "server":
            found = stack.enter_context(pairs.server(tmp_path, "sqlite:///server.db"))
        else:
            cluster = stack.enter_context(pairs.postgres())
            found = stack.enter_context(pairs.server(tmp_path, cluster, PYTHONPATH=DRIVER))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", found)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.chdir(tmp_path)
        forget_connections()
        yield found
        forget_connections()


@pytest.fixture(scope="session")
def processes(
    tmp_path_factory: pytest.TempPathFactory, new_database: Path, number_bundle: Path
) -> None:
    """They can be forked from one that knows what to do."""
    folder = tmp_path_factory.mktemp("rehearsal")
    pairs.make_machine(folder, number_bundle, 10)
    with pairs.database(folder, new_database) as uri:
        pairs.prepare_processes(folder, uri)


@pytest.fixture
def machines(tmp_path: Path, number_bundle: Path) -> tuple[Path, Path]:
    """Two workspaces; those who share a database share its lock, those who share a server none."""
    made = tmp_path / "one", tmp_path / "other"
    for images, folder in enumerate(made, start=1):
        pairs.make_machine(folder, number_bundle, 100 * images)
    return made


@dataclass(frozen=True)
class Pair:
    """Two registrations; all chance in it comes from its number."""

    number: int
    machines: tuple[Path, Path]
    uri: str

    @property
    def name(self) -> str:
        return f"numbers-{self.number // PAIRS_OF_A_NAME}"

    @property
    def qualities(self) -> list[int]:
        return [2 * self.number + 1, 2 * self.number + 2]

    @property
    def said(self) -> list[Path]:
        return [machine.parent / f"{self.number}-{machine.name}.txt" for machine in self.machines]

    def run(self) -> str:
        """Both register, whatever befalls them; who failed runs the same again, as one does."""
        randomly = random.Random(self.number)
        qualities = self.qualities.copy()
        randomly.shuffle(qualities)
        for machine, quality in zip(self.machines, qualities, strict=True):
            pairs.make_bundle(machine, self.name, quality)
        barrier = pairs.FORKED.Barrier(3)
        begun = [self._start(i, barrier, randomly.uniform(0, LATEST_SECONDS)) for i in (0, 1)]
        barrier.wait(pairs.START_SECONDS)
        befell = randomly.choice(BEFALLS)
        befell(randomly, begun)
        for which, process in enumerate(begun):
            process.join(END_SECONDS)
            again = 0
            while process.exitcode and again < TRIES:
                again += 1
                process = self._start(which, None, 0.0)
                process.join(END_SECONDS)
            assert process.exitcode == 0, (self, process.exitcode)
        return befell.__name__

    def _start(self, which: int, barrier: object, delay: float) -> BaseProcess:
        machine, said = self.machines[which], self.said[which]
        return pairs.start(machine, self.uri, self.name, barrier, delay, said)


def nothing(randomly: random.Random, begun: list[BaseProcess]) -> None:
    """They are left alone."""


def one_stopped(randomly: random.Random, begun: list[BaseProcess]) -> None:
    time.sleep(randomly.uniform(0, TYPICAL_SECONDS))
    stopped = randomly.choice(begun)
    send(stopped, signal.SIGSTOP)
    time.sleep(randomly.uniform(0.2, 2 * SILENCE_SECONDS))
    send(stopped, signal.SIGCONT)


def one_killed(randomly: random.Random, begun: list[BaseProcess]) -> None:
    time.sleep(randomly.uniform(0, TYPICAL_SECONDS))
    send(randomly.choice(begun), signal.SIGKILL)


def one_killed_one_stopped(randomly: random.Random, begun: list[BaseProcess]) -> None:
    first, second = randomly.sample(begun, 2)
    time.sleep(randomly.uniform(0, TYPICAL_SECONDS))
    send(first, signal.SIGSTOP)
    time.sleep(randomly.uniform(0, 1))
    send(second, signal.SIGKILL)
    time.sleep(randomly.uniform(0.2, 2 * SILENCE_SECONDS))
    send(first, signal.SIGCONT)


BEFALLS: tuple[Callable[[random.Random, list[BaseProcess]], None], ...] = (
    nothing, nothing, one_stopped, one_killed, one_killed_one_stopped,
)  # fmt: skip


def send(process: BaseProcess, what: signal.Signals) -> None:
    if process.is_alive() and process.pid:
        os.kill(process.pid, what)


def quality(version: Version) -> int:
    return int(version.tags["selected_images"])


def faults(pair: Pair) -> list[str]:
    """The better is champion, each is there once and was decided on once, and nobody broke."""
    there = versions.versions(open_store(), pair.name)
    by_number = {one.number: one for one in there}
    ours = [one for one in there if quality(one) in pair.qualities]
    found = []
    if "champion" not in max(there, key=quality).aliases:
        found.append("the champion is not the best")
    if "challenger" not in there[0].aliases:
        found.append("the challenger is not the newest")
    if sorted(map(quality, ours)) != pair.qualities:
        found.append("not one version each")
    for one in ours:
        decided = [e.what for e in history([one]) if e.what in (PROMOTED, KEPT)]
        if len(decided) != 1:
            found.append(f"{one} was decided on {len(decided)} times")
        if one.tags["gate.promoted"] != str(decided == [PROMOTED]).lower():
            found.append(f"{one}: the decision is not what happened")
        before = one.tags.get("previous_champion")
        if before and quality(by_number[before]) > quality(one):
            found.append(f"{one} took a better one's place")
    if any("Traceback" in file.read_text() for file in pair.said):
        found.append("a traceback")
    told = [(one.number, quality(one), one.aliases, told_of(one)) for one in there]
    return [f"{pair.number}: {one}: {told}" for one in found]


def told_of(version: Version) -> dict[str, str]:
    keys = ("gate.", "previous", "atelier.events")
    return {key: text[:300] for key, text in version.tags.items() if key.startswith(keys)}


@pytest.mark.usefixtures("processes")
def test_the_better_of_two_at_the_same_moment_is_champion(
    uri: str, machines: tuple[Path, Path]
) -> None:
    befell: Counter[str] = Counter()
    broken: list[str] = []
    for number in range(FIRST, FIRST + PAIRS):
        pair = Pair(number, machines, uri)
        began = time.monotonic()
        what = pair.run()
        befell[what] += 1
        broken += (found := faults(pair))
        said = "\n".join(file.read_text() for file in pair.said)
        print(f"{number}: {what}, {time.monotonic() - began:.1f} s\n{said}", *found, flush=True)
    print(dict(befell))
    assert not broken
