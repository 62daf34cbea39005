"""Each flow claims devices of its own; where all are claimed it waits and says so."""

import threading
from contextlib import ExitStack

import pytest

from atelier.errors import UserError
from atelier.operations.devices import (
    VISIBLE,
    claimed,
    devices_of_a_training,
    places,
    shares_of_machine,
    visible_devices,
)
from atelier.pipeline.processes import PROCESSES


@pytest.fixture
def said(monkeypatch):
    """Two devices, and what a flow that waits for one says."""
    monkeypatch.setenv(VISIBLE, "2, GPU-8f2a")
    return []


def test_two_flows_have_two_devices_and_a_third_waits(said):
    third, has_it = [], threading.Event()

    def claim():
        with claimed(said.append) as variables:
            third.append(variables)
            has_it.set()

    with ExitStack() as first, claimed(said.append) as second_variables:
        first_variables = first.enter_context(claimed(said.append))
        assert {first_variables[VISIBLE], second_variables[VISIBLE]} == {"2", "GPU-8f2a"}
        waiting = threading.Thread(target=claim)
        waiting.start()
        assert not has_it.wait(1.5)
        first.close()
        assert has_it.wait(10)
        waiting.join()
        assert third == [first_variables]
    assert said == ["waiting for a device: 2, GPU-8f2a are claimed by other flows"]


def test_a_failed_flow_gives_its_device_back(said):
    with pytest.raises(ValueError, match="broken"), claimed(said.append):
        raise ValueError("broken")
    with claimed(said.append) as variables:
        assert variables == {VISIBLE: "2"}
    assert said == []


def test_no_device_needs_no_claim(monkeypatch, said):
    monkeypatch.setenv(VISIBLE, "")
    assert visible_devices() == []
    with claimed(said.append) as first, claimed(said.append) as second:
        assert first == second == {}


def test_each_training_side_by_side_has_a_device(said, monkeypatch):
    assert places() == 2
    with shares_of_machine(3) as shares:
        assert [share[VISIBLE] for share in shares] == ["2", "GPU-8f2a", "2"]
    monkeypatch.setenv(VISIBLE, "")
    assert places() in (1, 2)
    with shares_of_machine(2) as shares:
        assert not any(VISIBLE in share for share in shares)


def test_who_wants_two_keeps_none_before_both_are_free(said, monkeypatch):
    """Two that had one each would wait for each other for ever."""
    monkeypatch.setattr("atelier.operations.devices.POLL_SECONDS", 0.05)
    both, has_them = [], threading.Event()

    def claim():
        with claimed(said.append, 2) as variables:
            both.append(variables)
            has_them.set()

    with claimed(said.append):
        waiting = threading.Thread(target=claim)
        waiting.start()
        assert not has_them.wait(0.5)
        with claimed(said.append, 1) as beside:
            assert beside == {VISIBLE: "GPU-8f2a"}
    assert has_them.wait(10)
    waiting.join()
    assert both == [{VISIBLE: "2,GPU-8f2a"}]
    assert said == ["waiting for 2 devices: 2, GPU-8f2a are claimed by other flows"]


def test_a_training_takes_a_gpu_for_each_process(said, monkeypatch):
    assert devices_of_a_training() == 1
    monkeypatch.setenv(PROCESSES, "2")
    assert devices_of_a_training() == 2
    monkeypatch.setenv(VISIBLE, "")
    assert devices_of_a_training() == 1, "a processor is one device for all of them"
    monkeypatch.setenv(VISIBLE, "0")
    with pytest.raises(UserError, match=f"{PROCESSES}: asks for 2 GPUs.* lists 1: 0"):
        devices_of_a_training()


def test_trainings_side_by_side_have_as_many_gpus_as_processes(said, monkeypatch):
    monkeypatch.setenv(VISIBLE, "0,1,2,3,4")
    monkeypatch.setenv(PROCESSES, "2")
    assert places() == 2, "one is left over"
    with shares_of_machine(2) as shares:
        assert [share[VISIBLE] for share in shares] == ["0,1", "2,3"]
