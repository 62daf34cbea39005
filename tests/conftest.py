"""What every test shares: a clean environment, devices that nobody else trains on, one whole road.

The road is gone once, for all tests that look at what it left. Where several processes run the
tests, one begins with all that need the road, and each file stays in one process with its fixtures.
"""

import os

import pytest
import torch

from atelier.cli import TELEMETRY_OFF
from tests.project import copy_repository, run

torch.set_num_threads(1)  # tests are small: a second thread only waits

OURS = ("MLFLOW_", "PREFECT_", "DVC_", "ATELIER_")


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: "road" not in item.fixturenames)
    for item in items:
        group = "road" if "road" in item.fixturenames else item.path.name
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(autouse=True)
def _clean_environment(tmp_path_factory, monkeypatch):
    for name in [name for name in os.environ if name.startswith(OURS)]:
        monkeypatch.delenv(name)
    for name, value in TELEMETRY_OFF.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ATELIER_DEVICE_LOCKS", str(tmp_path_factory.getbasetemp() / "devices"))


@pytest.fixture(scope="session")
def road(tmp_path_factory):
    """A project after its first `dvc repro` at tiny scale. Leave it as it is."""
    folder = copy_repository(tmp_path_factory.mktemp("road"))
    run(folder, "dvc", "repro")
    return folder


@pytest.fixture
def project(road, tmp_path):
    """A copy of the project on its road, to be changed at will."""
    run(road.parent, "cp", "-r", f"{road}/.", str(tmp_path))
    return tmp_path
