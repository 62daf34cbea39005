"""One project with its services for all tests: they start once."""

import pytest
from tests.flows.operator import begin
from tests.project import copy_project, wait_for


@pytest.fixture(scope="session")
def operator(pipeline, tmp_path_factory):
    """A copy of the project after its pipeline ran, with server, worker and MLflow's pages."""
    project = tmp_path_factory.mktemp("operator")
    copy_project(pipeline, project)
    found = begin(project)
    yield found
    found.atelier("down")
    # A stage that was just being started notices the end of its flow by itself.
    wait_for(lambda: not found.processes(), 20, lambda: str(found.processes()))
