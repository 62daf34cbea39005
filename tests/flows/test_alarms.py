"""Alarms reach the notification block that the operator made: here a receiver on this machine."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import psutil
import pytest
from tests.project import run, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.server]
MAKE_BLOCK = """
import sys
from prefect.blocks.notifications import CustomWebhookNotificationBlock as Block
words = {"subject": "{{subject}}", "body": "{{body}}"}
Block(name="ops", url=sys.argv[1], json_data=words).save("ops", overwrite=True)
"""
TELL_CHAMPION = """
import sys
sys.path.insert(0, "flows")
from atelier.operations.status import Status
from report import tell_champion
found = Status("faces-gan", "faces-gan/9", "faces-gan/9", "closer", True, ())
tell_champion(found, "faces-gan/8")
"""


@pytest.fixture(scope="module")
def received(operator):
    """What the block sent. A deploy that names it makes its automations, one that names none leaves
    them, one that names "" takes them back."""
    messages = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers["Content-Length"])
            messages.append(json.loads(self.rfile.read(length)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            """Silent."""

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    _python(operator, MAKE_BLOCK, f"http://127.0.0.1:{server.server_port}/")
    variables = operator.variables | {"ATELIER_ALARM_BLOCK": "custom-webhook/ops"}
    deploy = (operator.project, sys.executable, "-m", "atelier", "deploy")
    run(*deploy, **variables)
    operator.atelier("deploy")
    yield messages
    run(*deploy, **variables | {"ATELIER_ALARM_BLOCK": ""})
    server.shutdown()


def test_a_failed_run_is_told(operator, received):
    file = operator.project / "experiments/tiny/faces-ae.yaml"
    sound = file.read_text()
    file.write_text(sound.replace("latent_dim: ", "latent_dim: -"))
    run_id = operator.start("train/faces-ae")
    assert operator.finish(run_id) == "FAILED"
    file.write_text(sound)
    wait_for(lambda: _about(received, "faces-ae"))
    assert any("Failed" in one["subject"] for one in _about(received, "faces-ae"))


def test_a_replaced_champion_is_told(operator, received):
    _python(operator, TELL_CHAMPION)
    wait_for(lambda: _about(received, "faces-gan/9 is champion"))
    (told,) = _about(received, "faces-gan/9 is champion")
    assert "faces-gan/8" in told["body"]
    assert "closer" in told["body"]


@pytest.mark.soak
def test_a_missed_schedule_is_told(operator, received):
    record = json.loads((operator.project / ".atelier/services/worker.json").read_text())
    psutil.Process(record["pid"]).kill()
    operator.start("train/numbers")
    wait_for(lambda: _about(received, " is late"))
    operator.atelier("up")


def test_an_unknown_block_is_one_line(operator):
    variables = operator.variables | {"ATELIER_ALARM_BLOCK": "custom-webhook/nobody"}
    said = run(operator.project, sys.executable, "-m", "atelier", "deploy", code=2, **variables)
    assert "no such block (got custom-webhook/nobody)" in said


def _about(received, words):
    return [one for one in received if words in one["subject"]]


def _python(operator, code, *arguments):
    home = operator.project / ".atelier/services/prefect"
    variables = {"PREFECT_API_URL": f"{operator.prefect}/api", "PREFECT_HOME": str(home)}
    variables["PYTHONPATH"] = str(operator.project / "src")
    run(operator.project, sys.executable, "-c", code, *arguments, **variables)
