"""A training of several processes holds as many slots as it takes GPUs.

The two GPUs here are names alone: the training itself finds none, and takes the processor.
"""

import json
import sys

import pytest
from tests.project import PATIENCE, run, start, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.server]
STAGE = "train@faces-vae"
FLOW = (sys.executable, "-c", f"import prefect, stage; prefect.flow(stage.run)('{STAGE}', True)")


def test_a_training_holds_a_slot_for_each_of_its_gpus(operator):
    project = operator.project
    kept = (project / "dvc.lock").read_bytes()
    two = operator.variables | {
        "PYTHONPATH": f"{project / 'src'}:{project / 'flows'}",
        "PREFECT_API_URL": f"{operator.prefect}/api", "ATELIER_PROCESSES": "2",
        "CUDA_VISIBLE_DEVICES": "4,7", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1",
    }  # fmt: skip
    refused = run(project, *FLOW, code=1, **two)
    assert "atelier-device: has fewer slots than the 2 devices" in refused
    operator.atelier("deploy", "--slots", "2")
    flow = start(project, *FLOW, **two)
    wait_for(lambda: _held(operator) == 2)
    said, _ = flow.communicate(timeout=PATIENCE)
    assert flow.returncode == 0, said
    facts = (project / "artifacts/tiny/faces-vae/train/train.json").read_text()
    assert json.loads(facts)["processes"] == 2
    assert _held(operator) == 0
    operator.atelier("deploy", "--slots", "1")
    (project / "dvc.lock").write_bytes(kept)
    run(project, "dvc", "checkout", STAGE)


def _held(operator):
    return operator.get("v2/concurrency_limits/atelier-device")["active_slots"]
