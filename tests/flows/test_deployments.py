"""Deployments follow params.yaml and schedules.yaml; flows stay small, and above the package."""

import ast
import importlib
import json
import shutil
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from tests.project import ROOT, copy_shipped, run

from atelier import params
from atelier.errors import UserError, UserErrors
from atelier.operations import services
from atelier.operations.experiments import new_experiment

FLOWS = sorted(Path("flows").glob("*.py"))
LISTED = params.listed_experiments()
OTHERS = ("refresh", "evaluate-again", "watch-data")
SHOW = """
import json, sys
sys.path.insert(0, "flows")
from deployments import wanted
shown = [(one.model_dump(mode="json", exclude={"storage"}), one.storage) for one in wanted()]
print(json.dumps([one | {"pull": storage.to_pull_step()} for one, storage in shown]))
"""


def deployments(folder, tmp_path):
    """What a deploy in this folder would hand to the server, by name."""
    said = run(folder, sys.executable, "-c", SHOW, PREFECT_HOME=str(tmp_path / "prefect"))
    found = json.loads(said.splitlines()[-1])
    by_name = {one["name"]: one for one in found}
    assert len(by_name) == len(found)
    return by_name


def times(deployment):
    (schedule,) = deployment["schedules"]
    return schedule["schedule"]["cron"], schedule["schedule"]["timezone"], schedule["active"]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    return deployments(ROOT, tmp_path_factory.mktemp("shipped"))


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A copy that a test may change."""
    copy_shipped(tmp_path)
    shutil.copyfile(ROOT / "schedules.yaml", tmp_path / "schedules.yaml")
    for name in ("src", "flows"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def schedules(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "flows")
    return importlib.import_module("schedules")


def edit(name, old, new):
    text = Path(name).read_text()
    assert old in text
    Path(name).write_text(text.replace(old, new))


def test_every_experiment_has_a_deployment_and_nothing_else_trains(shipped):
    training = {name for name, one in shipped.items() if one["flow_name"] == "train"}
    assert training == LISTED.keys()
    assert shipped.keys() == LISTED.keys() | set(OTHERS)


@pytest.mark.parametrize("name", LISTED)
def test_a_new_data_version_starts_what_depends_on_it(shipped, name):
    deployment = shipped[name]
    assert deployment["parameters"] == {"experiment": name}
    assert deployment["tags"] == ["train", LISTED[name].dataset]
    (trigger,) = deployment["triggers"]
    assert trigger["expect"] == ["atelier.data.changed"]
    dataset = trigger["match"]["prefect.resource.id"].removeprefix("atelier.dataset.")
    assert dataset == LISTED[name].dataset


@pytest.mark.parametrize("name", [*LISTED, *OTHERS])
def test_a_deployment_is_complete(shipped, name):
    deployment = shipped[name]
    assert deployment["description"]
    assert deployment["tags"]
    assert deployment["work_pool_name"] == "atelier"
    assert deployment["job_variables"] == {"stream_output": False}
    assert deployment["concurrency_limit"] == 1
    assert deployment["concurrency_options"]["collision_strategy"] == "ENQUEUE"
    ((_, step),) = deployment["pull"].items()
    assert step == {"directory": "{{ $ATELIER_ROOT }}"}
    assert times(deployment)[1:] == ("Etc/UTC", True)


def test_an_experiment_that_is_added_or_removed_is_in_no_other_file(repository, tmp_path_factory):
    """Nobody's place in the night moves but of those that come after the one that is gone."""
    new_experiment("numbers-hinge", "numbers", "hinge")
    listed = params.listed_experiments()
    line = next(
        one for one in Path("params.yaml").read_text().splitlines(True) if "faces-vae:" in one
    )
    edit("params.yaml", line, "")
    edit(
        "schedules.yaml",
        "experiments:\n",
        "experiments:\n"
        '  faces-ae: {cron: "0 22 * * 5", timezone: Europe/Rome}\n'
        "  numbers: {active: false}\n",
    )
    found = deployments(repository, tmp_path_factory.mktemp("changed"))
    assert found.keys() == (listed.keys() - {"faces-vae"}) | set(OTHERS)
    assert found["numbers-hinge"]["tags"] == ["train", "numbers"]
    assert {name: times(found[name]) for name in listed if name in found} == {
        "numbers": ("0 1 * * *", "Etc/UTC", False),
        "faces-gan": ("10 1 * * *", "Etc/UTC", True),
        "faces-cgan": ("20 1 * * *", "Etc/UTC", True),
        "horse2zebra": ("30 1 * * *", "Etc/UTC", True),
        "black2blond": ("40 1 * * *", "Etc/UTC", True),
        "faces-ae": ("0 22 * * 5", "Europe/Rome", True),
        "numbers-hinge": ("0 2 * * *", "Etc/UTC", True),
    }


@pytest.mark.parametrize(
    ("from_hour", "until_hour", "hours"), [(1, 5, 4), (22, 5, 7), (0, 23, 23), (3, 3, 24)]
)
@pytest.mark.parametrize("count", [1, 7, 23, 100, 2000])
def test_the_night_is_shared(schedules, from_hour, until_hour, hours, count):
    names = [f"e{number}" for number in range(count)]
    night = schedules.Night(from_hour=from_hour, until_hour=until_hour, minutes_apart=10)
    crons = night.crons(names)
    assert list(crons) == names
    times = [[int(word) for word in cron.split()[:2]] for cron in crons.values()]
    minutes = [(60 * hour + minute - 60 * from_hour) % 1440 for minute, hour in times]
    assert minutes[0] == 0
    assert minutes[-1] < 60 * hours
    apart = [after - before for before, after in pairwise(minutes)]
    if count * 10 <= 60 * hours:
        assert set(apart) <= {10}
    else:  # as evenly as whole minutes allow, to the end of the night
        assert max(apart) - min(apart) <= 1
        assert minutes[-1] == 60 * hours * (count - 1) // count


def test_one_more_experiment_moves_none_of_the_others(schedules):
    night = schedules.Night(from_hour=1, until_hour=5, minutes_apart=10)
    for count in range(1, 24):
        names = [f"e{number}" for number in range(count)]
        assert night.crons(names).items() < night.crons([*names, "one more"]).items()


REFUSED = [
    ("experiments:\n", "experiments:\n  faces-gam: {active: false}\n",
        r"schedules.yaml: experiments: unknown \(got 'faces-gam'\)\. Did you mean faces-gan\?"),
    ("experiments:\n", "experiments:\n  refresh: {active: false}\n",
        r"experiments: unknown \(got 'refresh'\)\. One of numbers"),
    ("experiments:\n", 'experiments:\n  numbers: {cron: "0 25 * * *"}\n',
        r"schedules.yaml: experiments.numbers.cron: no cron expression \(got '0 25 \* \* \*'\)"),
    ("0 3 * * 0", "every sunday", r"others.refresh.cron: no cron .* day, month, weekday: 0 3"),
    ("0 3 * * 0", "H 3 * * 0", r"others.refresh.cron: no cron expression \(got 'H 3"),
    ('{cron: "0 3 * * 0"}', "{active: false}", r"others.refresh.cron: missing"),
    ('  refresh: {cron: "0 3 * * 0"}\n', "", r"others.refresh: missing\. Add refresh: \{cron"),
    ("  refresh:", "  refrish:", r"others: unknown \(got 'refrish'\)\. Did you mean refresh\?"),
    ('cron: "0 3', 'corn: "0 3', r"others.refresh.corn: unknown key"),
    ("Etc/UTC", "Mars/Olympus", r"timezone: no time zone \(got 'Mars/Olympus'\)"),
    ("until_hour: 5", "until_hour: 24", r"nightly.until_hour: .*less than or equal to 23 \(got 24"),
    ("minutes_apart: 10", "minutes_apart: 0", r"nightly.minutes_apart: .* \(got 0\)"),
    ("nightly:", "nightlies:", r"schedules.yaml: nightlies: unknown key\. Did you mean nightly\?"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected"), REFUSED, ids=[row[2][:60] for row in REFUSED])
def test_a_wrong_table_is_refused(repository, schedules, old, new, expected):
    edit("schedules.yaml", old, new)
    with pytest.raises(UserError, match=expected):
        schedules.read_times(list(LISTED), OTHERS)


MISTAKES = {
    '  refresh: {cron: "0 3 * * 0"}\n': "",
    "0 5 1 * *": "0 5 32 * *",
    "nightly:": "nightlies:",
    "experiments:\n": "experiments:\n  faces-gam: {active: false}\n  numbers: {actif: false}\n",
}


def test_all_mistakes_in_a_table_are_said(repository, monkeypatch):
    """Whether the table's words are wrong or its names; also by `atelier deploy`."""
    for old, new in MISTAKES.items():
        edit("schedules.yaml", old, new)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(UserErrors) as told:
        services._run(*services.SCRIPT, "flows/deployments.py")
    assert sorted(str(told.value).splitlines()) == [
        "schedules.yaml: experiments.numbers.actif: unknown key. Did you mean active?",
        "schedules.yaml: experiments: unknown (got 'faces-gam'). Did you mean faces-gan? "
        f"One of {', '.join(params.listed_experiments())}.",
        "schedules.yaml: nightlies: unknown key. Did you mean nightly?",
        "schedules.yaml: nightly: missing. A file names every key; see its neighbours.",
        "schedules.yaml: others.evaluate-again.cron: no cron expression (got '0 5 32 * *'). "
        "Minute, hour, day, month, weekday: 0 3 * * 0.",
        'schedules.yaml: others.refresh: missing. Add refresh: {cron: "0 3 * * 0"}, and active: '
        "false to start it by hand only.",
    ]


def test_a_wrong_table_is_one_line_before_anything_is_asked_of_a_server(repository):
    edit("schedules.yaml", "0 5 1 * *", "0 5 32 * *")
    nobody = "http://127.0.0.1:9/api"
    said = run(repository, sys.executable, "flows/deployments.py", code=2, PREFECT_API_URL=nobody)
    assert said.startswith("schedules.yaml: others.evaluate-again.cron: no cron expression (got")
    assert said.count("\n") == 1


@pytest.mark.parametrize("file", FLOWS, ids=lambda file: file.name)
def test_flows_are_small(file):
    """What they may import says import-linter's contract, in pyproject.toml."""
    assert len(file.read_text().splitlines()) <= 150


def test_the_package_imports_no_flow():
    """Flows name each other at top level, where import-linter takes them for somebody else's."""
    names = {file.stem for file in FLOWS} | {"flows"}
    importers = [
        file for file in Path("src/atelier").rglob("*.py") if names & top_level_imports(file)
    ]
    assert importers == []
    assert {"stage", "report"} <= top_level_imports(Path("flows/train.py"))


def top_level_imports(file):
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found
