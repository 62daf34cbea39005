"""What a run tells of an experiment after its pipeline was run once."""

import pytest
from tests.project import run

from atelier.operations.status import (
    MLFLOW_URL,
    champion_of,
    figures_beside_champion,
    latest_pictures,
    status_of,
)
from atelier.registry.tags import REASON_TAG, UNDECIDED


@pytest.mark.parametrize("name", ["numbers", "faces-gan", "horse2zebra"])
def test_a_registered_version_stands_with_its_reason(in_pipeline, name):
    found = status_of(name, "tiny")
    assert found.latest == f"{name}-tiny/1"
    assert found.reason not in ("", UNDECIDED[REASON_TAG])
    assert found.champion == (found.latest if found.promoted else "")
    assert champion_of(name, "tiny") == found.champion
    assert found.links == ()


def test_links_lead_to_the_pages_that_are_served(in_pipeline, monkeypatch):
    monkeypatch.setenv(MLFLOW_URL, "http://127.0.0.1:5000")
    links = dict(status_of("numbers", "tiny").links)
    assert list(links) == ["model numbers-tiny/1", "MLflow run"]
    page, _ = links.values()
    assert page == "http://127.0.0.1:5000/#/models/numbers-tiny/versions/1"


def test_a_report_that_is_kept_is_linked(in_project, monkeypatch):
    run(in_project, "atelier", "registry", "sync", "numbers", "--scale", "tiny")
    monkeypatch.setenv(MLFLOW_URL, "http://127.0.0.1:5000")
    _, training, report = (url for _, url in status_of("numbers", "tiny").links)
    assert report == f"{training}/artifacts/evaluation/report.html"


def test_figures_stand_beside_the_champions(in_pipeline):
    for name in ("numbers", "faces-gan"):
        rows = figures_beside_champion(name, "tiny")
        assert rows
        theirs = {row["champion"] for row in rows}
        if champion_of(name, "tiny"):
            assert all(row["now"] == row["champion"] for row in rows if row["champion"])
            assert theirs != {""}
        else:
            assert theirs == {""}


def test_the_latest_pictures_are_of_the_finished_training(in_pipeline):
    found = latest_pictures("faces-gan", "tiny")
    assert found
    assert found.parent.parts[:4] == ("artifacts", "tiny", "faces-gan", "train")
    assert latest_pictures("numbers", "tiny") is None


def test_nothing_registered_is_said(tmp_path, in_pipeline, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/empty.db")
    found = status_of("numbers", "tiny")
    assert (found.champion, found.latest, found.reason) == ("", "", "nothing is registered yet")
