"""prefect.yaml and flows/ agree with the experiments, and hold no logic of their own."""

import ast
from pathlib import Path

import pytest
import yaml

from atelier import params
from atelier.operations import datasets

FLOWS = sorted(Path("flows").glob("*.py"))
DEPLOYMENTS = yaml.safe_load(Path("prefect.yaml").read_text())["deployments"]
BY_NAME = {deployment["name"]: deployment for deployment in DEPLOYMENTS}
LISTED = params.listed_experiments()


def test_every_experiment_has_a_deployment_and_nothing_else_trains():
    training = {name for name, one in BY_NAME.items() if "train.py" in one["entrypoint"]}
    assert training == LISTED.keys()
    assert len(BY_NAME) == len(DEPLOYMENTS)


@pytest.mark.parametrize("name", LISTED)
def test_a_new_data_version_starts_what_depends_on_it(name):
    deployment = BY_NAME[name]
    assert deployment["parameters"]["experiment"] == name
    (trigger,) = deployment["triggers"]
    assert trigger["expect"] == ["atelier.data.changed"]
    dataset = trigger["match"]["prefect.resource.id"].removeprefix("atelier.dataset.")
    assert name in datasets.users_of(dataset)


@pytest.mark.parametrize("name", BY_NAME)
def test_a_deployment_is_complete(name):
    deployment = BY_NAME[name]
    assert deployment["description"]
    assert deployment["tags"]
    assert deployment["work_pool"]["name"] == "atelier"
    assert deployment["concurrency_limit"]["limit"] == 1
    (schedule,) = deployment["schedules"]
    assert schedule.keys() == {"cron", "timezone"}
    file, _, flow = deployment["entrypoint"].partition(":")
    names = {
        node.name for node in ast.parse(Path(file).read_text()).body
        if isinstance(node, ast.FunctionDef)
    }  # fmt: skip
    assert flow in names


@pytest.mark.parametrize("file", FLOWS, ids=lambda file: file.name)
def test_flows_hold_no_logic(file):
    """No process, no torch, no DVC or MLflow of their own: all that is atelier.pipeline."""
    tree = ast.parse(file.read_text())
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert not imported & {"subprocess", "torch", "torchvision", "dvc", "mlflow", "psutil"}
    assert len(file.read_text().splitlines()) <= 150
