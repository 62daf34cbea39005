"""Who is champion: by the gate's decision, by hand against it, and back to the one before."""

import json
from collections.abc import Callable

from atelier.errors import UserError
from atelier.files import write_whole
from atelier.registry import history
from atelier.registry.gate import Decision
from atelier.registry.store import FOLDER, Store
from atelier.registry.tags import PROMOTED_TAG, REASON_TAG
from atelier.registry.versions import (
    CHAMPION,
    DECIDED_TAG,
    PROMOTED_WORDS,
    Version,
    champion,
    describe,
    version,
    versions,
)

PREVIOUS_TAG = "previous_champion"
HELD_TO_TAG = "gate.champion"
"""The number of the champion that it was compared with."""


def record(
    store: Store,
    challenger: Version,
    decision: Decision,
    is_lost: Callable[[], bool] = lambda: False,
) -> bool:
    """Writes a decision of the gate down, as tags and as a file, and promotes where it says so.

    Args:
        is_lost: asked once the alias has moved: whether somebody else decided meanwhile.

    Returns:
        Whether the decision counts; one that was lost is left unfinished.
    """
    with store.locked():
        before = champion(store, challenger.name)
        tags = {DECIDED_TAG: json.dumps(decision.to_dict(), sort_keys=True)}
        if before:
            tags[HELD_TO_TAG] = before.number
        if decision.promote and before and before.number != challenger.number:
            tags[PREVIOUS_TAG] = before.number
        for key, value in tags.items():
            store.client.set_model_version_tag(challenger.name, challenger.number, key, value)
        path = store.root / FOLDER / "decisions" / challenger.name / f"{challenger.number}.json"
        words = {
            "challenger": str(challenger),
            "champion": str(before) if before else None,
            "decision": decision.to_dict(),
        }
        write_whole(path, json.dumps(words, indent=2, sort_keys=True) + "\n")
        if decision.promote:
            set_champion(store, challenger)
            if is_lost():
                return False
        finish(store, challenger, decision.promote, decision.reason)
    return True


def finish(store: Store, challenger: Version, promoted: bool, reason: str) -> None:
    """Says what became of a version, once its alias is where the decision wants it.

    The tag that makes the decision count is the last: until then, who was killed decides anew.
    """
    what = history.PROMOTED if promoted else history.KEPT
    with store.locked():
        told = history.history([version(store, challenger.name, challenger.number)])
        if not any((event.what, event.why) == (what, reason) for event in told):
            history.note(store, challenger, what, reason)
        for key, text in {REASON_TAG: reason, PROMOTED_TAG: str(promoted).lower()}.items():
            store.client.set_model_version_tag(challenger.name, challenger.number, key, text)
        describe(store, challenger)


def promoted_beside(store: Store, ours: Version, number: str) -> Version | None:
    """Whoever is champion by right, where the one of this number took over while we were silent.

    One that was held to us, or that was not promoted, took nothing from us.
    """
    promoted = {
        one.number: one
        for one in versions(store, ours.name)
        if one.is_decided and PROMOTED_WORDS[one.tags[PROMOTED_TAG]]
    }
    last = promoted.get(number)
    if last is None or last.tags.get(HELD_TO_TAG) == ours.number:
        return None
    while after := [one for one in promoted.values() if one.tags.get(PREVIOUS_TAG) == last.number]:
        last = after[0]
    return last


def promote(store: Store, chosen: Version, reason: str) -> None:
    """Makes a version champion against the gate, which says so ever after.

    Raises:
        UserError: it is champion already.
    """
    with store.locked():
        before = champion(store, chosen.name)
        if before and before.number == chosen.number:
            raise UserError(str(chosen), "is champion already")
        if before:
            store.client.set_model_version_tag(
                chosen.name, chosen.number, PREVIOUS_TAG, before.number
            )
        history.note(store, chosen, history.FORCED, reason)
        set_champion(store, chosen)
        describe(store, chosen)


def rollback(store: Store, name: str) -> tuple[Version, Version]:
    """Gives the alias champion back to the one before; returns (now champion, no longer it).

    Raises:
        UserError: there is no champion, or none was there before it.
    """
    with store.locked():
        versions(store, name)  # raises where nothing is registered under the name
        now = champion(store, name)
        if now is None:
            raise UserError(f"{name}@{CHAMPION}", "there is none to roll back")
        if not (number := now.tags.get(PREVIOUS_TAG)):
            raise UserError(str(now), "was the first champion; there is none before it")
        before = version(store, name, number)
        history.note(store, now, history.ROLLED_BACK, f"to {before}")
        history.note(store, before, history.RESTORED, f"instead of {now}")
        set_champion(store, before)
        describe(store, before, now)
    return version(store, name, number), version(store, name, now.number)


def set_champion(store: Store, chosen: Version) -> None:
    """Moves the alias, and says so nowhere."""
    store.client.set_registered_model_alias(chosen.name, CHAMPION, chosen.number)
