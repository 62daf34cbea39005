"""The project whose pipeline was run, as working directory."""

import pytest
from tests.project import forget_connections


@pytest.fixture
def in_pipeline(pipeline, monkeypatch):
    monkeypatch.chdir(pipeline)
    forget_connections()
    yield pipeline
    forget_connections()
