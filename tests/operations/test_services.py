"""What `atelier up` starts and refuses, and what `atelier down` leaves alone."""

import json
import socket
import subprocess
import sys

import psutil
import pytest

from atelier.errors import AtelierError, UserError
from atelier.operations import services

SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    services.STATE.mkdir(parents=True)
    return tmp_path


@pytest.fixture
def somebody():
    """A process that nobody here started as a service."""
    process = subprocess.Popen(SLEEP)
    yield psutil.Process(process.pid)
    process.kill()
    process.wait()


def record(service, process, created=None):
    known = {"pid": process.pid, "created": created or process.create_time()}
    service.record.write_text(json.dumps(known))


def test_a_port_where_somebody_listens_is_refused(place, monkeypatch):
    """Whatever it speaks: here, nothing at all."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        monkeypatch.setenv("ATELIER_PREFECT_PORT", str(port))
        with pytest.raises(UserError, match=rf"127.0.0.1:{port}.*Set ATELIER_PREFECT_PORT"):
            services.up()
    assert list(services.STATE.iterdir()) == []


@pytest.mark.parametrize(
    ("there", "asked", "expected"),
    [
        (False, None, ["create", "atelier-device", "--limit", "1"]),
        (False, 2, ["create", "atelier-device", "--limit", "2"]),
        (True, 2, ["update", "atelier-device", "--limit", "2"]),
        (True, None, []),
    ],
)
def test_slots_stay_as_many_as_they_were_unless_told(monkeypatch, there, asked, expected):
    limits = []

    def run(*command):
        if command[-2:] == ("inspect", services.LIMIT) and not there:
            raise AtelierError("prefect: no such limit")
        if "gcl" in command and "inspect" not in command:
            limits.extend(command[command.index("gcl") + 1 :])
        return ""

    monkeypatch.setattr(services, "_run", run)
    services.apply(asked)
    assert limits == expected


@pytest.mark.parametrize("port", ["", "http", "0", "65536", "-1"])
def test_what_is_no_port_is_refused(monkeypatch, port):
    monkeypatch.setenv("ATELIER_MLFLOW_PORT", port)
    with pytest.raises(UserError, match="ATELIER_MLFLOW_PORT: no port"):
        services.services()


def test_down_ends_what_was_started(place, somebody):
    record(services.WORKER, somebody)
    assert services.running(services.WORKER) == somebody
    services.down()
    assert services.running(services.WORKER) is None
    assert not services.WORKER.record.exists()
    assert not somebody.is_running()


def test_down_leaves_a_stranger_with_the_same_number(place, somebody):
    """The service ended long ago, and its number is another process's now."""
    record(services.WORKER, somebody, created=somebody.create_time() - 3600)
    services.down()
    assert somebody.is_running()
    assert not services.WORKER.record.exists()


@pytest.mark.parametrize("words", ["", "{}", "[1]", '{"pid": 1}', '{"pid": "x", "created": 0}'])
def test_a_broken_record_is_no_service(place, words):
    services.WORKER.record.write_text(words)
    assert services.running(services.WORKER) is None


def test_a_team_has_its_servers_already(monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://server:4200/api")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
    assert services.services() == []
    assert services.environment()["PREFECT_API_URL"] == "http://server:4200/api"


def test_everything_listens_on_loopback_and_tells_nobody():
    for service in services.services():
        assert service.command[service.command.index("--host") + 1] == "127.0.0.1"
    assert services.environment()["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
