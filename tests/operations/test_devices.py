"""Each flow claims a device of its own; where all are claimed it waits and says so."""

import threading
from contextlib import ExitStack

import pytest

from atelier.operations.devices import (
    VISIBLE,
    claimed,
    places,
    shares_of_machine,
    visible_devices,
)


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
