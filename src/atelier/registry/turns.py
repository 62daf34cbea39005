"""Versions of a name are decided on one after another, in the order of their numbers, wherever.

On one machine a lock would do; between machines that share a server there is none, and MLflow has
no compare-and-set. But it gives numbers one by one. So a version waits until each earlier one of
its name has been decided on: then the champion that it is compared with is the last one's, and two
that were registered at the same moment never both take over from the same champion. Who is being
decided on says so again and again; who has fallen silent is not waited for, and is passed over by
all who come later.

Who was passed over may come back: stopped and gone on, or run again after it was killed. It takes a
turn anew, in which it waits for later ones, too, where they decide already. So each first says that
it decides and then looks at the others, as in Lamport's bakery: of two, one sees the other.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from atelier.display import say
from atelier.errors import UserError
from atelier.registry import versions
from atelier.registry.store import Store, database_of
from atelier.registry.versions import Version

BEAT_TAG = "gate.deciding"
"""What somebody does with the version, and a number that grows for as long as he does; then
ENDED."""
WAITS, DECIDES, ENDED = "waits", "decides", "ended"
PASSED_OVER_TAG = "gate.passed_over"
"""Who waited in vain for it to be decided on."""
BEAT_SECONDS = 5.0
SILENCE_SECONDS = 60.0
"""After so long without a beat nobody is deciding."""


@dataclass(frozen=True)
class Turn:
    """A version's turn to be decided on, which whoever is silent for too long loses."""

    passed_over_by: str = ""
    """The number of the version that took its turn before, while it was silent."""
    is_lost: Callable[[], bool] = lambda: False


@contextmanager
def turn(store: Store, version: Version, tell: Callable[[str], None] = say) -> Iterator[Turn]:
    """Holds a version's turn to be decided on, once it has come.

    The lock of a store on this machine is taken by those who decide, so here it is nobody's turn.
    """
    if database_of(store.uri) is not None:
        yield Turn()
        return
    with _Beating(store, version) as beating:
        before = _passed_over(store, version)
        if before:
            store.client.delete_model_version_tag(version.name, version.number, PASSED_OVER_TAG)
        _wait_until_it_has_come(store, version, beating, tell)
        yield Turn(before, lambda: bool(_passed_over(store, version)))


def _wait_until_it_has_come(
    store: Store, version: Version, beating: "_Beating", tell: Callable[[str], None]
) -> None:
    while True:
        earlier, _ = _others(store, version)
        for other in earlier:
            _wait_for(store, other, version, _waits, tell)
        beating.say(DECIDES)
        earlier, later = _others(store, version)
        while later and not earlier:
            for other in later:
                _wait_for(store, other, version, _decides, tell)
            earlier, later = _others(store, version)
        if not earlier:
            return
        beating.say(WAITS)


class _Beating:
    """Says what a version's process does, for as long as it does it."""

    def __init__(self, store: Store, version: Version) -> None:
        self._store, self._version = store, version
        self._word, self._count = WAITS, 0
        self._ended, self._lock = threading.Event(), threading.Lock()
        name = f"deciding on {version}"
        self._thread = threading.Thread(target=self._beat, name=name, daemon=True)

    def __enter__(self) -> "_Beating":
        self.say(WAITS)
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._ended.set()
        self._thread.join()
        _tag(self._store, self._version, BEAT_TAG, ENDED)

    def say(self, word: str) -> None:
        """Others have heard it when this returns."""
        with self._lock:
            self._word = word
            self._set()

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            # A beat that an outage swallows is followed by others.
            with self._lock, suppress(UserError):
                self._set()

    def _set(self) -> None:
        self._count += 1
        words = f"{self._word} {self._count}"
        name, number = self._version.name, self._version.number
        self._store.client.set_model_version_tag(name, number, BEAT_TAG, words)


def _passed_over(store: Store, version: Version) -> str:
    """The number of the version that passed it over, if any did."""
    now = versions.version(store, version.name, version.number)
    return now.tags.get(PASSED_OVER_TAG, "").rpartition("/")[2]


def _tag(store: Store, version: Version, key: str, text: str) -> None:
    """Where an outage swallows it, others find out by waiting."""
    with suppress(UserError):
        store.client.set_model_version_tag(version.name, version.number, key, text)


def _others(store: Store, version: Version) -> tuple[list[Version], list[Version]]:
    """Earlier versions of its name that are still to be decided on, the first one first; and later
    ones whose turn it is already."""
    found = sorted(versions.versions(store, version.name), key=lambda one: int(one.number))
    number = int(version.number)
    earlier = [one for one in found if int(one.number) < number and _waits(one)]
    return earlier, [one for one in found if int(one.number) > number and _decides(one)]


def _waits(version: Version) -> bool:
    """Whether it is, or is to be, decided on."""
    if PASSED_OVER_TAG in version.tags:
        return False
    if (beat := version.tags.get(BEAT_TAG)) is not None:
        return beat != ENDED
    return not version.is_decided


def _decides(version: Version) -> bool:
    return _waits(version) and version.tags.get(BEAT_TAG, "").startswith(DECIDES)


def _wait_for(
    store: Store,
    other: Version,
    us: Version,
    still: Callable[[Version], bool],
    tell: Callable[[str], None],
) -> None:
    told, silence = False, 0.0
    beat, pause = other.tags.get(BEAT_TAG), min(BEAT_SECONDS, SILENCE_SECONDS) / 5
    while True:
        now = versions.version(store, other.name, other.number)
        if not still(now):
            return
        if now.tags.get(BEAT_TAG) != beat:
            beat, silence = now.tags.get(BEAT_TAG), 0.0
        if silence > SILENCE_SECONDS:
            tell(f"{us}: nobody decides on {other}, which is passed over")
            _tag(store, other, PASSED_OVER_TAG, str(us))
            return
        if not told:
            tell(f"{us}: waits until {other} has been decided on")
            told = True
        time.sleep(pause)
        # What the clock says would count an outage of the server, or a process of ours that was
        # held, as silence of the other's; in either we have only not listened.
        silence += pause
