"""MLflow's server goes away in the middle of a training, and comes back."""

import csv

import pytest
from mlflow import MlflowClient
from tests.flows.operator import ATELIER, images_shown
from tests.project import BIN, PATIENCE, free_port, run, start, wait_for
from tests.registry import test_server as mlflow_server

pytestmark = [pytest.mark.slow, pytest.mark.server]
IMAGES = 16384


def test_a_training_never_waits_and_its_run_has_every_figure_once(project, tmp_path_factory):
    """The middle third of the training has no server; afterwards nothing is missing or doubled."""
    file = project / "experiments/tiny/faces-gan.yaml"
    file.write_text(file.read_text().replace("images: 1024", f"images: {IMAGES}"))
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    address = f"http://127.0.0.1:{port}"
    variables = {"MLFLOW_TRACKING_URI": address, "NO_PROXY": "127.0.0.1"}
    server = mlflow_server.start(folder, port)
    try:
        training = start(project, ATELIER, "train", "faces-gan", "--scale", "tiny", **variables)
        wait_for(lambda: images_shown(project, "faces-gan") >= IMAGES / 3)
        mlflow_server.stop(server)
        wait_for(lambda: images_shown(project, "faces-gan") >= 2 * IMAGES / 3)
        server = mlflow_server.start(folder, port)
        said, _ = training.communicate(timeout=PATIENCE)
        assert training.returncode == 0, said
        run(project, str(BIN / "atelier"), "registry", "sync", "faces-gan", **variables)
        _has_every_figure_once(MlflowClient(address), project)
    finally:
        mlflow_server.stop(server)


def _has_every_figure_once(client, project):
    with (project / "artifacts/tiny/faces-gan/train/history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 20
    (experiment,) = [one for one in client.search_experiments() if one.name == "faces-gan-tiny"]
    trained = "tags.`atelier.history` != ''"
    (found,) = client.search_runs([experiment.experiment_id], trained)
    for name in rows[0].keys() - {"step", "images"}:
        expected = [(int(row["images"]), float(row[name])) for row in rows if row[name]]
        history = client.get_metric_history(found.info.run_id, name)
        assert sorted((one.step, one.value) for one in history) == expected
