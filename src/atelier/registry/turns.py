"""Versions of a name are decided on one after another, in the order of their numbers, wherever.

On one machine a lock would do; between machines that share a server there is none, and MLflow has
no compare-and-set. But it gives numbers one by one. So a version waits until each earlier one of
its name has been decided on: then the champion that it is compared with is the last one's, and two
that were registered at the same moment never both take over from the same champion. Who is being
decided on says so again and again; who has fallen silent is not waited for, and is passed over by
all who come later.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from atelier.display import say
from atelier.errors import UserError
from atelier.registry import versions
from atelier.registry.store import Store, database_of
from atelier.registry.versions import DECIDED_TAG, Version

BEAT_TAG = "gate.deciding"
"""A number that grows for as long as somebody decides on the version; then ENDED."""
ENDED = "ended"
PASSED_OVER_TAG = "gate.passed_over"
"""Who waited in vain for it to be decided on."""
BEAT_SECONDS = 5.0
SILENCE_SECONDS = 60.0
"""After so long without a beat nobody is deciding: an outage of the server counts as none, for in
it the one who waits hears nothing, either."""


@contextmanager
def turn(store: Store, version: Version, tell: Callable[[str], None] = say) -> Iterator[None]:
    """Holds a version's turn to be decided on, once it has come.

    The lock of a store on this machine is taken by those who decide, so here it is nobody's turn.
    """
    if database_of(store.uri) is not None:
        yield
        return
    with _beating(store, version):
        for earlier in _undecided_before(store, version):
            _wait_for(store, earlier, version, tell)
        yield


@contextmanager
def _beating(store: Store, version: Version) -> Iterator[None]:
    ended = threading.Event()

    def beat() -> None:
        count = 0
        while True:
            count += 1
            _tag(store, version, BEAT_TAG, str(count))
            if ended.wait(BEAT_SECONDS):
                return

    thread = threading.Thread(target=beat, name=f"deciding on {version}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        _tag(store, version, BEAT_TAG, ENDED)


def _tag(store: Store, version: Version, key: str, text: str) -> None:
    """A beat that an outage swallows is followed by others."""
    try:
        store.client.set_model_version_tag(version.name, version.number, key, text)
    except UserError:
        return


def _undecided_before(store: Store, version: Version) -> list[Version]:
    """Earlier versions of its name that are still to be decided on, the first one first."""
    found = [one for one in versions.versions(store, version.name) if _waits(one)]
    earlier = [one for one in found if int(one.number) < int(version.number)]
    return sorted(earlier, key=lambda one: int(one.number))


def _waits(version: Version) -> bool:
    """Whether it is, or is to be, decided on. The decision is written before the alias moves, so
    its tag alone does not end a turn."""
    if PASSED_OVER_TAG in version.tags:
        return False
    if (beat := version.tags.get(BEAT_TAG)) is not None:
        return beat != ENDED
    return DECIDED_TAG not in version.tags


def _wait_for(store: Store, earlier: Version, us: Version, tell: Callable[[str], None]) -> None:
    told, heard = False, time.monotonic()
    beat = earlier.tags.get(BEAT_TAG)
    while True:
        now = versions.version(store, earlier.name, earlier.number)
        if not _waits(now):
            return
        if now.tags.get(BEAT_TAG) != beat:
            beat, heard = now.tags.get(BEAT_TAG), time.monotonic()
        if time.monotonic() - heard > SILENCE_SECONDS:
            tell(f"{us}: nobody decides on {earlier}, which is passed over")
            _tag(store, earlier, PASSED_OVER_TAG, str(us))
            return
        if not told:
            tell(f"{us}: waits until {earlier} has been decided on")
            told = True
        time.sleep(min(BEAT_SECONDS, SILENCE_SECONDS) / 5)
