"""A project whose pipeline was run, as working directory."""

import pytest
from tests.project import forget_connections


def inside(folder, monkeypatch):
    monkeypatch.chdir(folder)
    forget_connections()
    yield folder
    forget_connections()


@pytest.fixture
def in_pipeline(pipeline, monkeypatch):
    """One that all tests share."""
    yield from inside(pipeline, monkeypatch)


@pytest.fixture
def in_project(project, monkeypatch):
    """A copy for each test."""
    yield from inside(project, monkeypatch)
