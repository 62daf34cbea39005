"""Who holds the one slot: every deployment once, six at the same moment, and one that is killed."""

import re
from itertools import pairwise

import psutil
import pytest
from tests.project import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.server, pytest.mark.soak]
TRAINED = ("numbers", "faces-gan", "faces-cgan", "black2blond", "faces-ae", "faces-vae")


@pytest.fixture(scope="module")
def six(operator):
    """Six runs that were asked for at once; the first that held the slot was killed with -9."""
    runs = {name: operator.start(f"train/{name}", force=True) for name in TRAINED}
    wait_for(lambda: _holders(operator, runs))
    (killed, *_) = _holders(operator, runs)
    wait_for(lambda: operator.processes("atelier", "repro"))
    (repro, *_) = operator.processes("atelier", "repro")
    psutil.Process(repro.ppid()).kill()
    for run_id in runs.values():
        operator.finish(run_id, 900)
    return runs, killed


def test_the_slot_is_held_by_one_at_a_time(operator, six):
    runs, killed = six
    held = sorted(_held(operator, runs, killed))
    assert len(held) >= 4 * (len(TRAINED) - 1)
    for (_, ends, who), (begins, _, next_one) in pairwise(held):
        assert ends <= begins, f"{who} and {next_one} held the slot together"


def test_the_others_go_on_after_the_lease(operator, six):
    runs, killed = six
    states = {name: operator.state(run_id) for name, run_id in runs.items()}
    assert states.pop(killed) == "CRASHED"
    assert set(states.values()) == {"COMPLETED"}
    assert any("waiting for the slot: held by" in operator.log(runs[name]) for name in states)


@pytest.mark.parametrize("name", ["refresh/refresh", "evaluate/evaluate-again", "watch/watch-data"])
def test_the_other_deployments_run(operator, six, name):
    run_id = operator.start(name)
    assert operator.finish(run_id, 900) == "COMPLETED", operator.log(run_id)


def test_a_refresh_tells_what_was_done(operator, six):
    """One broken experiment does not stop the others."""
    file = operator.project / "experiments/tiny/faces-ae.yaml"
    sound = file.read_text()
    file.write_text(sound.replace("latent_dim: ", "latent_dim: -"))
    run_id = operator.start("refresh/refresh", experiments=["faces-ae", "numbers"], commit=True)
    assert operator.finish(run_id) == "FAILED"
    file.write_text(sound)
    (table,) = _artifacts(operator, run_id, "refresh")
    assert "latent_dim" in table
    assert "numbers-tiny/" in table
    operator.hear(run_id, "atelier/results:")


def test_a_run_shows_what_it_did(operator, six):
    runs, killed = six
    name = next(name for name in TRAINED if name not in (killed, "numbers"))
    run_id = runs[name]
    found = {one["key"]: one for one in _all_artifacts(operator, run_id)}
    for kind in ("stale", "figures", "gate", "pictures"):
        assert f"{kind}-{name}-tiny" in found
    assert found[f"pictures-{name}-tiny"]["data"].startswith("data:image/png;base64,")
    assert found[f"train-{name}"]["type"] == "progress"
    assert "/#/models/" in found[f"gate-{name}-tiny"]["data"]
    assert "/runs/" in found[f"gate-{name}-tiny"]["data"]
    shown = operator.atelier("registry", "show", f"{name}-tiny/1")
    assert shown


def _all_artifacts(operator, run_id):
    wanted = {"flow_run_id": {"any_": [run_id]}}
    return operator.ask("artifacts/filter", artifacts=wanted)


def _artifacts(operator, run_id, key):
    return [str(one["data"]) for one in _all_artifacts(operator, run_id) if one["key"] == key]


def _holders(operator, runs):
    return [name for name in runs if ": holds the slot" in operator.log(runs[name])]


def _held(operator, runs, killed):
    """(since, until, stage) of each time that the slot was held, by the log of each run."""
    for name, run_id in runs.items():
        wanted = {"flow_run_id": {"any_": [run_id]}}
        lines = operator.ask("logs/filter", logs=wanted, sort="TIMESTAMP_ASC")
        since = {}
        for line in lines:
            if found := re.match(r"(\S+): (holds|leaves) the slot", line["message"]):
                if found[2] == "holds":
                    since[found[1]] = line["timestamp"]
                else:
                    yield since.pop(found[1]), line["timestamp"], found[1]
        assert not since or name == killed
