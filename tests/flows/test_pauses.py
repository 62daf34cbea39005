"""What a person has switched in Prefect since the last deploy stays so; the server is a fake.

With a real one: test_schedules.py.
"""

import importlib
from types import SimpleNamespace as Fake

import pytest
from prefect.exceptions import ObjectNotFound
from prefect.schedules import Cron
from tests.project import ROOT


@pytest.fixture
def pauses(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "flows")
    return importlib.import_module("pauses")


class Wanted:
    """A deployment as the table has it."""

    full_name = "train/numbers"

    def __init__(self, active):
        self.paused, self.applied = False, 0
        self.schedules = [Fake(active=active)]
        self.triggers = [Fake(name="numbers__automation_1", enabled=True)]

    def apply(self):
        self.applied += 1


class Server:
    """What is there: the table once said `was`, since then a person has switched it to `now`."""

    def __init__(self, pauses, was=True, now=True, paused=False, trigger=True):
        self.tags = pauses.tags_of(Cron("0 1 * * *", active=was))
        self.schedules, self.paused, self.trigger = [Fake(active=now)], paused, trigger

    def read_deployment_by_name(self, name):
        assert name == "train/numbers"
        return self

    def read_automations_by_name(self, name):
        assert name == "numbers__automation_1"
        return [Fake(enabled=self.trigger)]


@pytest.mark.parametrize(
    ("was", "now", "table", "becomes", "said"),
    [
        (True, True, True, True, ""),
        (True, True, False, False, ""),
        (False, False, True, True, ""),
        (False, False, False, False, ""),
        (True, False, True, False, "its schedule was paused in Prefect; left so"),
        (True, False, False, False, ""),
        (False, True, False, True, "its schedule was resumed in Prefect; left so"),
        (False, True, True, True, ""),
    ],
)
def test_a_schedule_is_the_tables_unless_a_person_switched_it(
    pauses, capsys, was, now, table, becomes, said
):
    wanted = Wanted(table)
    pauses.apply(wanted, Server(pauses, was, now))
    assert wanted.schedules[0].active == becomes
    assert wanted.applied == 1
    assert capsys.readouterr().out == (f"train/numbers: {said}\n" if said else "")


def test_a_paused_deployment_and_its_trigger_stay_so(pauses, capsys):
    wanted = Wanted(True)
    pauses.apply(wanted, Server(pauses, paused=True, trigger=False))
    assert (wanted.paused, wanted.triggers[0].enabled, wanted.applied) == (True, False, 1)
    assert capsys.readouterr().out == (
        "train/numbers: paused in Prefect; left so\n"
        "train/numbers: its trigger was switched off in Prefect; left so\n"
    )


def test_a_new_deployment_is_as_the_table_says(pauses, capsys):
    def nobody(name):
        raise ObjectNotFound(None)

    wanted = Wanted(False)
    pauses.apply(wanted, Fake(read_deployment_by_name=nobody))
    assert (wanted.schedules[0].active, wanted.applied) == (False, 1)
    assert capsys.readouterr().out == ""
