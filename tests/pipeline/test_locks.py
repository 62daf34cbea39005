"""Locks that name their holder, and stop requests from signals and from a parent's death."""

import os
import signal
import subprocess
import sys
import time

import pytest

from atelier.errors import Interrupted
from atelier.pipeline.interruption import stop_requests
from atelier.pipeline.locks import device_lock, held

HOLD = """
import sys, time
from pathlib import Path
from atelier.pipeline.locks import held
with held(Path(sys.argv[1]), "the test", lambda: False):
    print("held", flush=True)
    time.sleep(60)
"""
WATCH = """
import sys, time
from atelier.pipeline.interruption import stop_requests
with stop_requests() as should_stop:
    print("watching", flush=True)
    while not should_stop():
        time.sleep(0.05)
    print(should_stop.reason, flush=True)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "some.lock")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_waiting_process_says_for_whom_and_can_be_stopped(holder, tmp_path, capsys):
    with (
        pytest.raises(Interrupted, match="stopped while waiting for the device"),
        held(tmp_path / "some.lock", "the device", lambda: True),
    ):
        pass
    said = capsys.readouterr().err
    assert f"waiting for the device: held by process {holder.pid}" in said


def test_a_killed_holders_lock_is_free(holder, tmp_path):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with held(tmp_path / "some.lock", "the device", lambda: True):
        assert (tmp_path / "some.holder.json").exists()
    assert not (tmp_path / "some.holder.json").exists()


def test_devices_have_locks_of_their_own():
    assert device_lock("cpu") != device_lock("cuda:0") != device_lock("cuda:1")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_to_stop_and_handlers_come_back(number):
    before = signal.getsignal(number)
    with stop_requests() as should_stop:
        assert not should_stop()
        os.kill(os.getpid(), number)
        assert should_stop()
        assert should_stop.reason == signal.Signals(number).name
    assert signal.getsignal(number) == before


def test_an_orphan_of_dvc_stops(tmp_path):
    """The parent without DVC's mark stands for dvc; a shell may stand between."""
    out = tmp_path / "said"
    command = f"DVC_STAGE=train@x sh -c '{sys.executable} -c \"$WATCH\" > {out}; true'"
    parent = subprocess.Popen(["sh", "-c", f"{command} & wait"], env=os.environ | {"WATCH": WATCH})
    end = time.monotonic() + 30
    while not (out.exists() and "watching" in out.read_text()):
        assert time.monotonic() < end
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    while "gone" not in out.read_text():
        assert time.monotonic() < end, "the orphan lives on"
        time.sleep(0.05)
