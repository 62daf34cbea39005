"""Schedules and events with the real server, worker and clock."""

import re
import shutil
import time

import pytest
from tests.flows.operator import HTTP
from tests.project import run, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.server]
EACH_MINUTE = "* * * * *"


def test_a_schedule_trains_only_what_changed(operator):
    """Nothing is stale: it says so. One line changed: the next run trains that experiment alone."""
    earlier = {one["id"] for one in operator.runs()}
    operator.schedule({"numbers": EACH_MINUTE, "faces-ae": EACH_MINUTE})
    for name in ("numbers", "faces-ae"):
        wait_for(lambda name=name: _completed(operator, name, but=earlier))
        first = _completed(operator, name, but=earlier)[0]
        operator.hear(first["id"], f"{name}: nothing is stale")
        assert re.fullmatch(rf"{name} tiny #\d+ data [0-9a-f]{{4}}", first["name"])
    file = operator.project / "experiments/tiny/numbers.yaml"
    file.write_text(file.read_text().replace("hidden: 128", "hidden: 96"))
    before = {one["id"] for one in operator.runs()}
    wait_for(lambda: _completed(operator, "numbers", but=before))
    said = operator.hear(
        _completed(operator, "numbers", but=before)[0]["id"],
        "numbers: stale: train@numbers, bundle@numbers, evaluate@numbers",
    )
    assert "Running stage 'train@numbers'" in said
    for one in _completed(operator, "faces-ae", but=earlier):
        assert "Running stage" not in operator.log(one["id"])
    assert "numbers-tiny/2" in operator.atelier("registry", "list")
    operator.schedule({})


@pytest.mark.soak
def test_a_new_data_version_starts_what_depends_on_it(operator):
    operator.schedule({"watch-data": EACH_MINUTE})
    wait_for(lambda: _completed(operator, "watch-data", "watch"))  # has seen the data
    before = {one["id"] for one in operator.runs(begun=False)}
    first, second = sorted((operator.project / "data/horse2zebra/trainA").iterdir())[:2]
    shutil.copy(second, first)
    run(operator.project, "dvc", "add", "data")
    wait_for(lambda: _completed(operator, "horse2zebra"))
    time.sleep(15)  # others would have come by now
    started = [one for one in operator.runs(begun=False) if one["id"] not in before]
    trained = {one["name"].split()[0] for one in started if one["start_time"]} - {"watch"}
    assert trained == {"horse2zebra"}
    operator.hear(operator.runs("train/horse2zebra")[0]["id"], "Running stage 'train@horse2zebra'")
    operator.schedule({})


def test_a_changed_file_changes_the_deployment_and_doubles_nothing(operator):
    names = [one["name"] for one in operator.ask("deployments/filter")]
    operator.schedule({"numbers": "5 4 * * *"})
    assert sorted(names) == sorted(one["name"] for one in operator.ask("deployments/filter"))
    (schedule,) = operator.get("deployments/name/train/numbers")["schedules"]
    assert schedule["schedule"]["cron"] == "5 4 * * *"
    automations = [one["name"] for one in operator.ask("automations/filter")]
    assert len(automations) == len(set(automations))


def test_what_a_person_paused_stays_paused(operator):
    """In Prefect's pages: a schedule, a deployment, what its data start, an alarm, all work."""
    numbers = operator.get("deployments/name/train/numbers")
    others = operator.get("deployments/name/train/faces-gan")
    schedule = f"{operator.prefect}/api/deployments/{numbers['id']}/schedules"
    HTTP.patch(f"{schedule}/{numbers['schedules'][0]['id']}", json={"active": False}, timeout=60)
    operator.ask(f"deployments/{others['id']}/pause_deployment")
    automations = {one["name"]: one["id"] for one in operator.ask("automations/filter")}
    off = ("numbers__automation_1", "atelier: a run without heartbeat has crashed")
    _switch(operator, [automations[name] for name in off], enabled=False)
    HTTP.patch(f"{operator.prefect}/api/work_pools/atelier", json={"is_paused": True}, timeout=60)
    for _ in range(2):
        said = operator.atelier("deploy")
        for line in (
            "train/numbers: its schedule was paused in Prefect; left so",
            "train/numbers: its trigger was switched off in Prefect; left so",
            "train/faces-gan: paused in Prefect; left so",
            f"{off[1]}: switched off in Prefect; left so",
            "work pool atelier: paused in Prefect; left so",
        ):
            assert line in said
        assert not operator.get("deployments/name/train/numbers")["schedules"][0]["active"]
        assert operator.get("deployments/name/train/faces-gan")["paused"]
        assert operator.get("work_pools/atelier")["is_paused"]
        found = {one["name"]: one for one in operator.ask("automations/filter")}
        assert {name for name, one in found.items() if not one["enabled"]} == set(off)
    changed = f"{schedule}/{operator.get('deployments/name/train/numbers')['schedules'][0]['id']}"
    HTTP.patch(changed, json={"active": True}, timeout=60)
    operator.ask(f"deployments/{others['id']}/resume_deployment")
    _switch(operator, [found[name]["id"] for name in off], enabled=True)
    HTTP.patch(f"{operator.prefect}/api/work_pools/atelier", json={"is_paused": False}, timeout=60)
    assert "left so" not in operator.atelier("deploy")


def _switch(operator, automations, enabled):
    for one in automations:
        place = f"{operator.prefect}/api/automations/{one}"
        HTTP.patch(place, json={"enabled": enabled}, timeout=60).raise_for_status()


def test_experiments_come_and_go_with_their_deployments(operator):
    """The table can name it; an operator's own deployment of the same flow is left alone."""
    params, table = operator.project / "params.yaml", operator.project / "schedules.yaml"
    listed, times = params.read_text(), table.read_text()
    before = {one["name"] for one in operator.ask("deployments/filter")}
    hinge = ("--from", "numbers", "--objective", "hinge")
    operator.atelier("experiment", "new", "numbers-hinge", *hinge)
    assert "train/numbers-hinge: new" in operator.atelier("deploy")
    made = operator.get("deployments/name/train/numbers-hinge")
    assert made["parameters"] == {"experiment": "numbers-hinge"}
    assert _times(made) == [("10 2 * * *", "Etc/UTC", True)]

    line = '  numbers-hinge: {cron: "0 22 * * 5", timezone: Europe/Rome, active: false}\n'
    table.write_text(times.replace("experiments:\n", f"experiments:\n{line}"))
    assert "new" not in operator.atelier("deploy")
    renewed = operator.get("deployments/name/train/numbers-hinge")
    assert renewed["id"] == made["id"]
    assert _times(renewed) == [("0 22 * * 5", "Europe/Rome", False)]

    own = {key: made[key] for key in ("flow_id", "entrypoint", "parameters", "tags")}
    operator.ask("deployments/", name="by-hand", **own)
    params.write_text(listed)
    table.write_text(times)
    for file in operator.project.glob("experiments/*/numbers-hinge.yaml"):
        file.unlink()
    assert "train/numbers-hinge: removed" in operator.atelier("deploy")
    left = {one["name"] for one in operator.ask("deployments/filter")}
    assert left == before | {"by-hand"}
    automations = {one["name"] for one in operator.ask("automations/filter")}
    assert "numbers__automation_1" in automations
    assert not [name for name in automations if name.startswith("numbers-hinge")]


def _times(deployment):
    found = [(one["schedule"], one["active"]) for one in deployment["schedules"]]
    return [(schedule["cron"], schedule["timezone"], active) for schedule, active in found]


def _completed(operator, name, flow="train", but=()):
    """The completed runs of a deployment, the oldest first, without some."""
    found = operator.runs(f"{flow}/{name}")
    return [one for one in found if one["state_type"] == "COMPLETED" and one["id"] not in but]
