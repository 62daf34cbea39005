"""A training of several processes holds as many slots as it takes GPUs.

The two GPUs here are names alone: the training itself finds none, and takes the processor.
"""

import json
import sys

import pytest
from tests.flows.operator import wait_for
from tests.project import run, start

pytestmark = [pytest.mark.slow, pytest.mark.server]
FLOW = (sys.executable, "flows/train.py", "numbers")


def test_a_training_holds_a_slot_for_each_of_its_gpus(operator):
    file = operator.project / "experiments/tiny/numbers.yaml"
    sound = file.read_text()
    file.write_text(sound.replace("hidden: 128", "hidden: 80"))
    two = operator.variables | {
        "PREFECT_API_URL": f"{operator.prefect}/api", "ATELIER_PROCESSES": "2",
        "CUDA_VISIBLE_DEVICES": "4,7", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1",
    }  # fmt: skip
    refused = run(operator.project, *FLOW, code=2, **two)
    assert "atelier-device: has fewer slots than the 2 devices" in refused
    operator.atelier("deploy", "--slots", "2")
    flow = start(operator.project, *FLOW, **two)
    wait_for(lambda: _held(operator) == 2)
    said, _ = flow.communicate(timeout=300)
    assert flow.returncode == 0, said
    facts = (operator.project / "artifacts/tiny/numbers/train/train.json").read_text()
    assert json.loads(facts)["processes"] == 2
    assert _held(operator) == 0
    operator.atelier("deploy", "--slots", "1")
    file.write_text(sound)


def _held(operator):
    return operator.get("v2/concurrency_limits/atelier-device")["active_slots"]
