"""What every test shares: a clean environment, devices that nobody else trains on, one whole run.

The pipeline is run once, for all tests that look at what it left. Where several processes run the
tests (`pytest -n`), one begins with those and the others end with theirs, and each file stays in
one process with its fixtures.
"""

import os
import shutil

import pytest
import torch
from filelock import FileLock
from xdist.scheduler import LoadScopeScheduling

from atelier.cli.main import TELEMETRY_OFF
from tests.bundles import (  # noqa: F401
    copied,
    gallery,
    gallery_folder,
    image_bundle,
    new_database,
    number_bundle,
    other_bundle,
    packed,
    published,
    published_folder,
    repository,
    sign,
    store,
)
from tests.project import copy_project, copy_repository, run

torch.set_num_threads(1)  # tests are small: a second thread only waits

OURS = ("MLFLOW_", "PREFECT_", "DVC_", "ATELIER_")
PIPELINE = "the pipeline"
ON_THE_PIPELINE = {
    "tests/operations/test_doctor.py",
    "tests/operations/test_overview.py",
    "tests/operations/test_records.py",
    "tests/operations/test_staleness.py",
    "tests/operations/test_status.py",
    "tests/operations/test_tidying.py",
    "tests/pipeline/test_plots.py",
    "tests/pipeline/test_pipeline.py",
}
"""Fast tests that look at it; another process would have to wait for it."""


class Schedule(LoadScopeScheduling):
    """Hands whole files to the processes, and all that look at the pipeline to one."""

    def _split_scope(self, nodeid):
        return unit(nodeid)


def unit(nodeid):
    file = nodeid.partition("::")[0]
    return PIPELINE if file in ON_THE_PIPELINE else file


def pytest_xdist_make_scheduler(config, log):
    config.option.loadscopereorder = False  # the pipeline takes longest, though it has few tests
    return Schedule(config, log)


def pytest_collection_modifyitems(items):
    for item in items:
        if "pipeline" in item.fixturenames:
            item.add_marker("pipeline")
            if unit(item.nodeid) != PIPELINE and not item.get_closest_marker("slow"):
                raise pytest.UsageError(f"{item.nodeid}: is fast; name its file in ON_THE_PIPELINE")
    looks = {unit(item.nodeid) for item in items if item.get_closest_marker("pipeline")}

    def turn(item):
        of = unit(item.nodeid)
        return 0 if of == PIPELINE else 2 if of in looks else 1

    items.sort(key=turn)


@pytest.fixture(scope="session", autouse=True)
def _clean_environment_of_shared_fixtures(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        clean(monkeypatch, tmp_path_factory)
        yield


@pytest.fixture(autouse=True)
def _clean_environment(tmp_path_factory, monkeypatch):
    clean(monkeypatch, tmp_path_factory)
    # A training in this process makes it take the smallest numbers for nothing; others want them.
    torch.set_flush_denormal(False)


def clean(monkeypatch, tmp_path_factory):
    """Nothing of the user's is read or sent, and no test waits for a training on this machine."""
    for name in [name for name in os.environ if name.startswith(OURS)]:
        monkeypatch.delenv(name)
    for name, value in TELEMETRY_OFF.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ATELIER_DEVICE_LOCKS", str(tmp_path_factory.getbasetemp() / "devices"))


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory, worker_id):
    """A project after its first `dvc repro` at tiny scale; all processes that run the tests have
    the same. Leave it as it is."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "pipeline"
    complete = folder.with_suffix(".complete")
    with FileLock(folder.with_suffix(".lock")):
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)
            run(copy_repository(folder), "dvc", "repro")
            complete.touch()
    return folder


@pytest.fixture
def project(pipeline, tmp_path):
    """A copy of the project after its pipeline ran, to be changed at will."""
    copy_project(pipeline, tmp_path)
    return tmp_path
