"""Two machines that share a server decide one after another, and nobody waits for the dead."""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.toys import BETTER, GOOD

from atelier.registry import champions, turns, versions
from atelier.registry.gate import Decision, decide
from atelier.registry.store import Store
from atelier.registry.versions import Version

from .test_sync import NUMBERS, pack, patterned_numbers

PAIRS = 5
COMPARING_SECONDS = 0.4


@pytest.fixture
def shared(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store as another machine sees it: it may be changed, and no lock of ours holds there."""
    monkeypatch.setattr(turns, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(turns, "SILENCE_SECONDS", 1.0)
    return replace(store, uri="http://server")


@pytest.fixture
def register(store: Store, tmp_path: Path) -> Callable[[], Version]:
    """Makes one more version, each another model."""
    count = 0

    def one() -> Version:
        nonlocal count
        count += 1
        pack(tmp_path / f"{count}", {"generator": patterned_numbers(count)}, NUMBERS)
        return versions.register(store, tmp_path / f"{count}")[0]

    return one


def submit(
    store: Store,
    ours: Version,
    scores: dict[str, float],
    slowly: float,
    turn: Callable[[Store, Version], AbstractContextManager[None]],
) -> None:
    """As sync.submit does between machines: what it finds out about the champion may be stale."""
    with turn(store, ours):
        champion = versions.champion(store, ours.name)
        time.sleep(slowly)
        decision = decide(GOOD, None)
        if champion is not None:
            better = scores[ours.number] < scores[champion.number]
            found = BETTER if better else replace(BETTER, difference=0.0)
            decision = decide(GOOD, GOOD, [[found], [found]])
        champions.record(store, ours, decision)


@pytest.mark.parametrize("taking", [turns.turn, lambda store, version: nullcontext()])
def test_of_two_at_the_same_moment_the_better_is_champion(
    store: Store, shared: Store, register: Callable[[], Version], taking: Any
) -> None:
    scores: dict[str, float] = {}
    first = register()
    scores[first.number] = 100.0
    champions.record(store, first, decide(GOOD, None))
    wrong = 0
    for pair in range(PAIRS):
        better, worse = register(), register()
        scores[better.number], scores[worse.number] = 90.0 - 2 * pair, 91.0 - 2 * pair
        # The worse is slower, so that it is the last to move the alias.
        work = [(better, 0.0), (worse, COMPARING_SECONDS)]
        threads = [
            threading.Thread(target=submit, args=(shared, one, scores, seconds, taking))
            for one, seconds in work
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        champion = versions.champion(store, first.name)
        assert champion is not None
        wrong += champion.number != better.number
    assert wrong == (0 if taking is turns.turn else PAIRS)


def test_who_has_fallen_silent_is_passed_over_once(
    store: Store,
    shared: Store,
    register: Callable[[], Version],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dead, second, third = register(), register(), register()
    told: list[str] = []
    with turns.turn(shared, second, told.append):
        pass
    assert told == [
        f"{second}: waits until {dead} has been decided on",
        f"{second}: nobody decides on {dead}, which is passed over",
    ]
    champions.record(store, second, Decision(False, "worse", GOOD, GOOD))
    told.clear()
    with turns.turn(shared, third, told.append):
        pass
    assert not told


def test_who_takes_long_is_waited_for(
    store: Store, shared: Store, register: Callable[[], Version]
) -> None:
    slow, second = register(), register()
    began, order = threading.Event(), []

    def decide_slowly() -> None:
        with turns.turn(shared, slow):
            began.set()
            time.sleep(2.5 * turns.SILENCE_SECONDS)
            champions.record(store, slow, decide(GOOD, None))
            order.append(slow.number)

    thread = threading.Thread(target=decide_slowly)
    thread.start()
    began.wait()
    with turns.turn(shared, second):
        order.append(second.number)
    thread.join()
    assert order == [slow.number, second.number]


def test_who_has_not_listened_passes_nobody_over(
    store: Store,
    shared: Store,
    register: Callable[[], Version],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = register(), register()
    look, looks, told = versions.version, 0, []

    def look_through_an_outage(store: Store, name: str, number: str) -> Version:
        nonlocal looks
        looks += 1
        if looks == 2:
            time.sleep(1.5 * turns.SILENCE_SECONDS)
        if looks == 4:
            store.client.set_model_version_tag(name, number, turns.BEAT_TAG, turns.ENDED)
        return look(store, name, number)

    with monkeypatch.context() as patch:
        patch.setattr(versions, "version", look_through_an_outage)
        turns._wait_for(shared, first, second, turns._waits, told.append)
    assert told == [f"{second}: waits until {first} has been decided on"]


def test_who_comes_back_waits_for_a_later_one_that_decides(
    store: Store, shared: Store, register: Callable[[], Version]
) -> None:
    back, second = register(), register()
    order: list[str] = []

    def come_back() -> None:
        with turns.turn(shared, back):
            order.append(back.number)

    thread = threading.Thread(target=come_back)
    with turns.turn(shared, second):
        thread.start()
        time.sleep(COMPARING_SECONDS)
        order.append(second.number)
    thread.join()
    assert order == [second.number, back.number]


def test_a_turn_is_lost_to_whoever_passes_it_over(
    store: Store, shared: Store, register: Callable[[], Version]
) -> None:
    one = register()
    with turns.turn(shared, one) as held:
        assert not held.is_lost()
        store.client.set_model_version_tag(one.name, one.number, turns.PASSED_OVER_TAG, "numbers/7")
        assert held.is_lost()
    with turns.turn(shared, one) as held:
        assert (held.passed_over_by, held.is_lost()) == ("7", False)


def test_on_one_machine_the_lock_is_enough(store: Store, register: Callable[[], Version]) -> None:
    register()
    second = register()
    with turns.turn(store, second):
        assert turns.BEAT_TAG not in versions.version(store, second.name, second.number).tags
