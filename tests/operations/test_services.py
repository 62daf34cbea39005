"""What `atelier up` starts and refuses, and what `atelier down` leaves alone."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from http.server import HTTPServer, SimpleHTTPRequestHandler

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
    """A process that carries a word, as a service does."""
    process = subprocess.Popen(SLEEP, env=os.environ | {services.CARRIED: "ours"})
    known = psutil.Process(process.pid)
    while not known.environ():  # which the system shows a moment after the start
        time.sleep(0.01)
    yield known
    process.kill()
    process.wait()


def record(service, process, carries="ours"):
    service.record.write_text(json.dumps({"pid": process.pid, "carries": carries}))


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


@pytest.mark.parametrize("there", [None, False, True])
def test_a_pool_that_is_there_stays_as_it_is(monkeypatch, capsys, there):
    """Made anew, it would lose what an operator has set: that it is paused, or its template."""
    made = []

    def run(*command):
        if "work-pool" in command and "inspect" in command:
            if there is None:
                raise AtelierError("prefect: no such pool")
            return json.dumps({"name": services.POOL, "is_paused": there}, indent=2)
        made.extend([command] if "work-pool" in command else [])
        return ""

    monkeypatch.setattr(services, "_run", run)
    services.apply()
    assert len(made) == (there is None)
    assert ("paused in Prefect; left so" in capsys.readouterr().err) == (there is True)


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


def test_what_was_started_is_known_at_once(place, monkeypatch):
    """Even where the system is slow to show the environment of a process."""
    unseen, seen = iter(range(3)), psutil.Process.environ
    monkeypatch.setattr(
        psutil.Process,
        "environ",
        lambda process: {} if next(unseen, None) is not None else seen(process),
    )
    slow = services.Service("slow", SLEEP, "")
    services._start(slow, os.environ)
    process = services.running(slow)
    assert process is not None
    services._end(process)
    assert not process.is_running()


def test_down_ends_it_after_the_clock_was_set(place, somebody, monkeypatch):
    record(services.WORKER, somebody)
    created = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: created(process) + 10)
    services.down()
    assert not somebody.is_running()


def test_down_leaves_a_stranger_with_the_same_number(place, somebody, capsys):
    """The service ended long ago, and its number is another process's now."""
    record(services.WORKER, somebody, carries="another")
    services.down()
    assert "worker: had ended already" in capsys.readouterr().err
    assert somebody.is_running()
    assert not services.WORKER.record.exists()


@pytest.mark.parametrize("words", ["", "{}", "[1]", '{"pid": 1}', '{"pid": "x", "carries": ""}'])
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


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_no_proxy_stands_before_our_own_servers(monkeypatch, name):
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv(name, "intranet")
    found = services.environment()
    assert found["no_proxy"] == found["NO_PROXY"] == "intranet,127.0.0.1,localhost"


def test_a_service_is_asked_past_a_proxy(monkeypatch):
    """Nobody listens where the proxy should be."""
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert services._answers(f"http://127.0.0.1:{server.server_port}/")
        thread.join()
