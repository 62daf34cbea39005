"""What every test shares: a clean environment, and devices that nobody else is training on."""

import os

import pytest
import torch

from atelier.cli import TELEMETRY_OFF

torch.set_num_threads(1)  # tests are small: a second thread only waits

OURS = ("MLFLOW_", "PREFECT_", "DVC_", "ATELIER_")


@pytest.fixture(autouse=True)
def _clean_environment(tmp_path_factory, monkeypatch):
    for name in [name for name in os.environ if name.startswith(OURS)]:
        monkeypatch.delenv(name)
    for name, value in TELEMETRY_OFF.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ATELIER_DEVICE_LOCKS", str(tmp_path_factory.getbasetemp() / "devices"))
