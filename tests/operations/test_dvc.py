"""`dvc repro` side by side: places, failures, those who hold a path, and being stopped."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import psutil
import pytest

from atelier.errors import AtelierError, Interrupted
from atelier.operations import dvc, staleness

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
HOLDER = """
import os, sys, time
from dvc.fs import LocalFileSystem
from dvc.rwlock import rwlock
held = {"read": [], "write": [], sys.argv[1]: [os.path.abspath("data")]}
with rwlock(".dvc/tmp", LocalFileSystem(), "dvc repro", **held, hardlink=False):
    print("holds", flush=True)
    sys.stdin.read()
"""
PLACES = ({"PLACE": "a"}, {"PLACE": "b"})


@pytest.fixture(autouse=True)
def repository(tmp_path, monkeypatch):
    """Both programs are called dvc: by that name a process is known to be DVC."""
    (tmp_path / "dvc").write_text(DVC)
    (tmp_path / "another").mkdir()
    (tmp_path / "another/dvc").write_text(HOLDER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dvc, "COMMAND", (sys.executable, "dvc"))
    monkeypatch.setattr(dvc, "REPRO", ())
    return tmp_path


@contextmanager
def holder(kind="write"):
    """DVC's own lock on a path, held by a process."""
    dvc.HOLDERS.parent.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(
        [sys.executable, "another/dvc", kind],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == "holds\n"
        yield process
        process.stdin.close()


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
    with holder() as other:

        def leave():
            other.stdin.close()
            other.wait()
            (repository / "free").touch()

        threading.Timer(2, leave).start()
        dvc.repro([["0", "meets", "0"]], places)
    assert len(names("begins")) >= 2
    assert f"waiting for process {other.pid} (dvc repro)" in capsys.readouterr().err


@pytest.mark.parametrize("places", [({},), PLACES])
def test_nobody_waits_for_ever(monkeypatch, places):
    monkeypatch.setattr(dvc, "PATIENCE_SECONDS", 1.0)
    vain = r"waited 0.000\d* hours for process \d+ \(dvc repro\)\. End it, or run the same"
    with holder():
        with pytest.raises(AtelierError, match=vain):
            dvc.repro([["0", "meets", "0"]], places)
        with pytest.raises(AtelierError, match=vain):
            dvc.waited(lambda line: None)
    assert names("begins") == ["0"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_all(number):
    def stop():
        while not os.path.exists("events") or len(events("listens")) < 2:
            time.sleep(0.05)
        if number == signal.SIGINT:  # a terminal tells the whole group
            for run in runs.running:
                run.dvc.send_signal(number)
        os.kill(os.getpid(), number)

    runs = dvc._Runs([[str(run), "interrupted"] for run in range(3)], PLACES, ())
    before = signal.getsignal(number)
    threading.Thread(target=stop).start()
    with runs.listening():
        runs.to_the_end()
    assert runs.stopped.is_set()
    assert sorted(names("interrupted")) == ["0", "1"]
    assert signal.getsignal(number) == before


@pytest.mark.parametrize("kind", ["read", "write"])
def test_who_holds_a_path_is_found_in_dvcs_own_record(kind):
    with holder(kind) as other:
        assert dvc.busy() == [f"process {other.pid} (dvc repro)"]
        assert dvc.busy(but=[other.pid]) == []
    assert dvc.busy() == []


def stranger():
    """Another program, which has the number now."""
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "repro"])


def zombie():
    """One that ended, and whose parent does not look: DVC would wait for it."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    return process


def dead():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process


@pytest.mark.parametrize("who", [stranger, zombie, dead])
def test_what_a_killed_process_left_goes_from_the_record(who):
    """And the others stay in it, as DVC wrote them."""
    other = who()
    left = {"pid": other.pid, "cmd": "dvc repro"}
    with holder("read") as living:
        record = json.loads(dvc.HOLDERS.read_text())
        mixed = {
            "write": {**record["write"], "a": left},
            "read": {"b": [left], **{path: [*held, left] for path, held in record["read"].items()}},
        }
        dvc.HOLDERS.write_text(json.dumps(mixed))
        assert dvc.busy() == [f"process {living.pid} (dvc repro)"]
        assert json.loads(dvc.HOLDERS.read_text()) == {"write": {}} | record
    assert living.returncode == 0
    other.kill()
    other.wait()


@pytest.mark.parametrize("left", ["", '{"write": {"/data": {"pid": 12'])
def test_a_record_whose_writing_was_cut_short_begins_anew(left):
    """DVC refuses it, whatever it is asked."""
    dvc.HOLDERS.parent.mkdir(parents=True)
    dvc.HOLDERS.write_text(left)
    assert dvc.busy() == []
    with holder() as other:
        assert dvc.busy() == [f"process {other.pid} (dvc repro)"]


STATUS = """
import os, sys
busy = "ERROR: '/data' is busy, it is being blocked by:\\n  (PID 1): dvc repro\\n\\nIf there are"
if not os.path.exists("free"):
    sys.exit(busy)
print("{}")
"""


def test_a_status_that_meets_others_waits_for_them(repository, monkeypatch):
    (repository / "dvc.py").write_text(STATUS)
    monkeypatch.setattr(staleness, "MODULE", (sys.executable, "dvc.py"))
    monkeypatch.setattr(dvc, "POLL_SECONDS", 0.1)
    said = []

    def tell(line):
        said.append(line)
        (repository / "free").touch()
        other.stdin.close()

    with holder() as other:
        assert staleness.direct_reasons(["data.dvc"], tell) == {}
    assert said == [f"waiting for process {other.pid} (dvc repro)"]


def test_a_status_that_finds_nobody_in_the_way_gives_up(repository, monkeypatch):
    (repository / "dvc.py").write_text(STATUS)
    monkeypatch.setattr(staleness, "MODULE", (sys.executable, "dvc.py"))
    monkeypatch.setattr(staleness, "POLL_SECONDS", 0.01)
    with pytest.raises(AtelierError, match=r"dvc status: If there are"):
        staleness.direct_reasons(["data.dvc"])


def test_being_stopped_is_told(monkeypatch):
    monkeypatch.setattr(dvc._Runs, "to_the_end", lambda runs: runs.stopped.set())
    with pytest.raises(Interrupted, match="the same command goes on"):
        dvc.repro([["0", "works", "0"]])
