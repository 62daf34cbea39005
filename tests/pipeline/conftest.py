"""One small whole road, gone once for all tests that look at what it left."""

import pytest
from tests.project import copy_repository, run


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
