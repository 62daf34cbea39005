"""Runs cancelled and processes killed: what comes after equals what nobody disturbed."""

import json
import shutil
import time

import psutil
import pytest
from tests.flows.operator import images_shown
from tests.project import contents, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.server, pytest.mark.soak]
NAME = "faces-gan"
DEPLOYMENT = f"train/{NAME}"
RESULT = "artifacts/tiny/faces-gan/train"
IMAGES = 8192
EARLY, MIDDLE, LATE = 0.0, 0.3, 0.8
"""Shares of the planned images."""
MOMENTS = (EARLY, MIDDLE, LATE)


@pytest.fixture(scope="module")
def longer(operator):
    """A training of some seconds, what it makes undisturbed, and a schedule that goes on."""
    file = operator.project / "experiments/tiny/faces-gan.yaml"
    file.write_text(file.read_text().replace("images: 1024", f"images: {IMAGES}"))
    assert operator.finish(operator.start(DEPLOYMENT, force=True)) == "COMPLETED"
    operator.schedule({"numbers": "* * * * *"})
    yield operator, contents(operator.project / RESULT)
    operator.schedule({})


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_training_goes_on_without_its_server(longer, moment):
    """First of all: the cancellations below meet a worker that has lived through a restart."""
    operator, expected = longer
    run_id = _training_at(operator, moment)
    server = _service(operator, "prefect")
    for process in (*server.children(recursive=True), server):
        process.kill()
    wait_for(lambda: not operator.trainers(NAME))
    operator.atelier("up")
    assert operator.finish(run_id) == "COMPLETED", operator.log(run_id)
    assert contents(operator.project / RESULT) == expected
    receipt = json.loads((operator.project / "mlruns/receipts/tiny/faces-gan.json").read_text())
    assert receipt["version"]
    _the_next_schedule_fires(operator)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_cancelled_run_saves_and_leaves_nothing(longer, moment):
    operator, expected = longer
    run_id = _training_at(operator, moment)
    asked = time.time()
    operator.cancel(run_id)
    wait_for(lambda: not operator.processes("faces-gan"), 30, lambda: operator.log(run_id))
    assert max(file.stat().st_mtime for file in _checkpoints(operator)) >= asked
    assert operator.finish(run_id, 60) == "CANCELLED"
    _the_next_run_ends_as_if_undisturbed(operator, expected)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_training_is_tried_again(longer, moment):
    operator, expected = longer
    run_id = _training_at(operator, moment)
    (trainer,) = operator.trainers(NAME)
    trainer.kill()
    assert operator.finish(run_id) == "COMPLETED"
    assert contents(operator.project / RESULT) == expected
    _the_next_schedule_fires(operator)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_flow_takes_its_stage_along(longer, moment):
    operator, expected = longer
    run_id = _training_at(operator, moment)
    _flow_process(operator).kill()
    wait_for(lambda: not operator.trainers(NAME), 15)
    assert _checkpoints(operator)
    assert operator.finish(run_id, 60) == "CRASHED"
    _the_next_run_ends_as_if_undisturbed(operator, expected)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_flow_goes_on_without_its_worker(longer, moment):
    operator, expected = longer
    run_id = _training_at(operator, moment)
    _service(operator, "worker").kill()
    assert operator.finish(run_id) == "COMPLETED"
    assert contents(operator.project / RESULT) == expected
    operator.atelier("up")
    _the_next_schedule_fires(operator)


def test_a_run_without_worker_and_flow_becomes_crashed(longer):
    """Nobody is left to say so but the heartbeat that is missed."""
    operator, _ = longer
    run_id = _training_at(operator, MIDDLE)
    flow = _flow_process(operator)
    _service(operator, "worker").kill()
    flow.kill()
    assert operator.finish(run_id, 240) == "CRASHED"
    operator.atelier("up")
    _the_next_schedule_fires(operator)


def _training_at(operator, moment):
    """Starts a run and returns when this share of the planned images was shown."""
    run_id = operator.start(DEPLOYMENT, force=True)
    reached = lambda: images_shown(operator.project, NAME) >= moment * IMAGES  # noqa: E731
    wait_for(lambda: operator.trainers(NAME) and reached(), said=lambda: operator.log(run_id))
    # Else DVC would take what comes next from the run that nobody disturbed.
    shutil.rmtree(operator.project / ".dvc/cache/runs", ignore_errors=True)
    return run_id


def _checkpoints(operator):
    return [*operator.project.glob(".atelier/checkpoints/tiny-faces-gan-*/checkpoint.pt")]


def _flow_process(operator):
    (repro,) = operator.processes("atelier", "repro", "train@faces-gan")
    return psutil.Process(repro.ppid())


def _service(operator, name):
    record = json.loads((operator.project / f".atelier/services/{name}.json").read_text())
    return psutil.Process(record["pid"])


def _the_next_run_ends_as_if_undisturbed(operator, expected):
    assert operator.finish(operator.start(DEPLOYMENT)) == "COMPLETED"
    assert contents(operator.project / RESULT) == expected
    _the_next_schedule_fires(operator)


def _the_next_schedule_fires(operator):
    """A run that is due after this moment comes to its end."""
    now = time.time()
    wait_for(lambda: _completed_since(operator, now))


def _completed_since(operator, moment):
    found = []
    for one in operator.runs("train/numbers"):
        due = time.strptime(one["expected_start_time"][:19], "%Y-%m-%dT%H:%M:%S")
        late_enough = time.mktime(due) - time.timezone >= moment
        if late_enough and one["state_type"] == "COMPLETED":
            found.append(one)
    return found
