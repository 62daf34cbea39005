"""`dvc repro` side by side: places, failures, those who hold a path, and being stopped."""

import json
import os
import signal
import sys
import threading
import time

import pytest
from dvc.fs import LocalFileSystem
from dvc.rwlock import rwlock

from atelier.errors import AtelierError, Interrupted
from atelier.operations import dvc

DVC = """
import json, os, signal, sys, time
name, what = sys.argv[1:3]
def note(event):
    with open("events", "a") as events:
        events.write(json.dumps([event, name, os.environ.get("PLACE"), time.monotonic()]) + "\\n")
note("begins")
print(f"{name} speaks", flush=True)
if what == "interrupted":
    signal.signal(signal.SIGINT, lambda *_: (note("interrupted"), sys.exit(1)))
    note("listens")
    time.sleep(60)
if what == "holds":
    os.makedirs(".dvc/tmp")
    with open(".dvc/tmp/rwlock", "w") as record:
        json.dump({"write": {"a": {"pid": os.getpid(), "cmd": "dvc repro"}}}, record)
time.sleep(float(sys.argv[3]))
note("ends")
sys.exit(1 if what == "fails" or what == "meets" and not os.path.exists("free") else 0)
"""
PLACES = ({"PLACE": "a"}, {"PLACE": "b"})


@pytest.fixture(autouse=True)
def repository(tmp_path, monkeypatch):
    (tmp_path / "dvc.py").write_text(DVC)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dvc, "COMMAND", (sys.executable, "dvc.py"))
    return tmp_path


def events(kind):
    with open("events") as lines:
        return [row[1:] for row in map(json.loads, lines) if row[0] == kind]


def names(kind):
    return [name for name, _, _ in events(kind)]


def test_as_many_run_at_once_as_there_are_places(capfd):
    dvc.repro([[str(run), "works", "0.3"] for run in range(5)], PLACES)
    assert sorted(names("ends")) == ["0", "1", "2", "3", "4"]
    ended = {name: when for name, _, when in events("ends")}
    begun = {name: (place, when) for name, place, when in events("begins")}
    at_once = []
    for _, when in begun.values():
        beside = [each for each, (_, other) in begun.items() if other <= when < ended[each]]
        assert len({begun[each][0] for each in beside}) == len(beside)
        at_once.append(len(beside))
    assert max(at_once) == 2
    assert {place for place, _ in begun.values()} == {"a", "b"}
    said = capfd.readouterr()
    assert sorted(said.err.splitlines()) == [f"{run} speaks" for run in range(5)]
    assert said.out == ""


def test_one_alone_has_the_terminal(capfd):
    dvc.repro([["0", "works", "0"]])
    assert capfd.readouterr().out == "0 speaks\n"


def test_after_a_failure_nothing_starts_and_what_runs_ends():
    runs = [["0", "fails", "0"], ["1", "works", "1.5"], ["2", "works", "0"]]
    with pytest.raises(AtelierError, match="a stage failed"):
        dvc.repro(runs, PLACES)
    assert names("begins") == ["0", "1"] or names("begins") == ["1", "0"]
    assert sorted(names("ends")) == ["0", "1"]


def test_a_neighbours_paths_are_no_reason_to_try_again():
    with pytest.raises(AtelierError, match="a stage failed"):
        dvc.repro([["0", "holds", "3"], ["1", "fails", "1"]], PLACES)
    assert sorted(names("begins")) == ["0", "1"]


@pytest.mark.parametrize("places", [({},), PLACES])
def test_one_that_meets_others_waits_for_them(repository, capsys, places):
    folder = repository / ".dvc" / "tmp"
    folder.mkdir(parents=True)
    held = {"read": [], "write": [str(repository / "data")]}
    begun = threading.Event()

    def hold():
        with rwlock(str(folder), LocalFileSystem(), "another", **held, hardlink=False):
            begun.set()
            time.sleep(2)
        (repository / "free").touch()

    other = threading.Thread(target=hold)
    other.start()
    begun.wait()
    dvc.repro([["0", "meets", "0"]], places)
    other.join()
    assert len(names("begins")) >= 2
    assert f"waiting for process {os.getpid()} (another)" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_all(number):
    def stop():
        while not os.path.exists("events") or len(events("listens")) < 2:
            time.sleep(0.05)
        if number == signal.SIGINT:  # a terminal tells the whole group
            for run in runs.running:
                run.dvc.send_signal(number)
        os.kill(os.getpid(), number)

    runs = dvc._Runs([[str(run), "interrupted"] for run in range(3)], PLACES)
    before = signal.getsignal(number)
    threading.Thread(target=stop).start()
    with runs.listening():
        runs.to_the_end()
    assert runs.stopped.is_set()
    assert sorted(names("interrupted")) == ["0", "1"]
    assert signal.getsignal(number) == before


@pytest.mark.parametrize("kind", ["read", "write"])
def test_who_holds_a_path_is_found_in_dvcs_own_record(repository, kind):
    folder = repository / ".dvc" / "tmp"
    folder.mkdir(parents=True)
    held = {"read": [], "write": [], kind: [str(repository / "data")]}
    with rwlock(str(folder), LocalFileSystem(), "dvc repro", **held, hardlink=False):
        assert dvc.busy() == [f"process {os.getpid()} (dvc repro)"]
        assert dvc.busy(but=[os.getpid()]) == []
    assert dvc.busy() == []


def test_who_has_died_holds_nothing(repository):
    file = repository / dvc.HOLDERS
    file.parent.mkdir(parents=True)
    entry = {"pid": 2**22 + 1, "cmd": "dvc repro"}  # above Linux's largest number
    file.write_text(json.dumps({"write": {"a": entry}, "read": {"b": [entry]}}))
    assert dvc.busy() == []


def test_being_stopped_is_told(monkeypatch):
    monkeypatch.setattr(dvc._Runs, "to_the_end", lambda runs: runs.stopped.set())
    with pytest.raises(Interrupted, match="the same command goes on"):
        dvc.repro([["0", "works", "0"]])
