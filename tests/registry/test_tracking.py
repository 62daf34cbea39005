"""A run is a copy of a training's files: complete, in any order of events, each figure once."""

import csv
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from PIL import Image

from atelier.registry import tracking
from atelier.registry.follower import Follower
from atelier.registry.store import Store
from atelier.registry.tracking import RunDescription, Sender, find_or_create, restore

DESCRIPTION = RunDescription(
    experiment="faces-gan-tiny",
    name="faces-gan",
    key="0123",
    params={"training": {"seed": 1, "betas": [0.0, 0.99]}, "name": "faces-gan"},
    tags={"atelier.scale": "tiny"},
    patch="--- a\n+++ b\n",
)


def write(folder: Path, images: Iterable[int], samples: Iterable[int] = ()) -> Path:
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    with (folder / "history.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["step", "images", "discriminator/loss", "generator/loss"])
        for count in images:
            table.writerow([count // 10, count, f"{1 / count:.6g}", "" if count == 20 else count])
    for count in samples:
        Image.new("RGB", (4, 4), (count % 256, 0, 0)).save(folder / f"samples/{count:09d}.png")
    return folder


def held(store: Store, run_id: str, key: str) -> list[tuple[int, float]]:
    return sorted((m.step, m.value) for m in store.client.get_metric_history(run_id, key))


def pictures(store: Store, run_id: str) -> int:
    listed = store.client.list_artifacts(run_id, "images")
    return sum(artifact.path.endswith(".png") for artifact in listed)


def test_a_run_says_what_was_trained(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "faces-gan.yaml"
    file.write_text("name: faces-gan\n")
    described = RunDescription(**{**vars(DESCRIPTION), "files": (file,)})
    run_id = find_or_create(store, described)
    assert find_or_create(store, described) == run_id
    run = store.client.get_run(run_id)
    assert run.data.params == {
        "training.seed": "1",
        "training.betas": "[0.0, 0.99]",
        "name": "faces-gan",
    }
    assert run.data.tags["atelier.scale"] == "tiny"
    kept = {artifact.path for artifact in store.client.list_artifacts(run_id)}
    assert kept == {"faces-gan.yaml", "uncommitted.patch"}


def test_each_figure_is_sent_once_whoever_sends(store: Store, tmp_path: Path) -> None:
    run_id = find_or_create(store, DESCRIPTION)
    sender = Sender(store, run_id, write(tmp_path, [10, 20], [10]))
    assert sender.send() == 3 + 1
    assert sender.send() == 0
    write(tmp_path, [10, 20, 30], [10, 30])
    assert sender.send() == 2 + 1
    # Another process, after a crash: it asks the store.
    assert Sender(store, run_id, tmp_path).send() == 0
    assert held(store, run_id, "generator/loss") == [(10, 10.0), (30, 30.0)]
    assert [step for step, _ in held(store, run_id, "discriminator/loss")] == [10, 20, 30]
    assert pictures(store, run_id) == 2


def test_a_row_that_is_being_written_waits(store: Store, tmp_path: Path) -> None:
    write(tmp_path, [10, 20])
    with (tmp_path / "history.csv").open("a") as file:
        file.write("3,30,0.0333")
    assert [row["images"] for row in tracking.read_history(tmp_path)] == ["10", "20"]


def test_thousands_of_rows_go_in_batches(store: Store, tmp_path: Path) -> None:
    folder = write(tmp_path, range(1, 1500))
    run_id = find_or_create(store, DESCRIPTION)
    assert Sender(store, run_id, folder).send() == 2 * 1499 - 1
    assert len(held(store, run_id, "discriminator/loss")) == 1499


def test_a_failure_in_the_middle_is_made_good_without_doubles(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server takes the batch, and the answer is lost on its way back."""
    run_id = find_or_create(store, DESCRIPTION)
    sender = Sender(store, run_id, write(tmp_path, [10, 20, 30], [10]))
    log_batch = store.client.log_batch

    def lost_answer(*arguments: object, **words: object) -> None:
        log_batch(*arguments, **words)
        raise ConnectionError("reset")

    monkeypatch.setattr(store.client, "log_batch", lost_answer)
    with pytest.raises(ConnectionError):
        sender.send()
    monkeypatch.undo()
    assert sender.send() == 1
    assert len(held(store, run_id, "discriminator/loss")) == 3


def test_a_run_is_restored_from_artifacts_once(store: Store, tmp_path: Path) -> None:
    folder = write(tmp_path, [10, 20], [10, 20])
    run_id, sent = restore(store, DESCRIPTION, folder)
    assert sent == 3 + 2
    assert store.client.get_run(run_id).info.status == "FINISHED"
    assert restore(store, DESCRIPTION, folder) == (run_id, 0)


def test_what_a_training_could_not_send_completes_its_own_run(store: Store, tmp_path: Path) -> None:
    begun = find_or_create(store, DESCRIPTION)
    Sender(store, begun, write(tmp_path / "whole", [10])).send()
    other = find_or_create(store, RunDescription("faces-gan-tiny", "other", "4567"))
    Sender(store, other, write(tmp_path / "other", [11])).send()
    from_artifacts = RunDescription("faces-gan-tiny", "faces-gan", "by-history")
    folder = write(tmp_path / "whole", [10, 20, 30])
    assert restore(store, from_artifacts, folder) == (begun, 3)
    assert len(held(store, begun, "discriminator/loss")) == 3


def wait_until(condition: object) -> None:
    deadline = time.monotonic() + 20
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_follower_sends_while_training_writes_and_finishes(store: Store, tmp_path: Path) -> None:
    write(tmp_path, [10])
    follower = Follower(tmp_path, lambda: DESCRIPTION, every_seconds=0.05)
    with follower:
        wait_until(lambda: follower.run_id)
        write(tmp_path, [10, 20], [20])
    assert follower.complete
    assert follower.run_id is not None
    assert len(held(store, follower.run_id, "discriminator/loss")) == 2
    assert store.client.get_run(follower.run_id).info.status == "FINISHED"
    assert restore(store, DESCRIPTION, tmp_path) == (follower.run_id, 0)


def test_an_interrupted_training_goes_on_in_the_same_run(store: Store, tmp_path: Path) -> None:
    write(tmp_path, [10])
    first = Follower(tmp_path, lambda: DESCRIPTION, 0.05, system_metrics=False)

    def train() -> None:
        with first:
            wait_until(lambda: first.run_id)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    assert not first.complete
    second = Follower(tmp_path, lambda: DESCRIPTION, 0.05, system_metrics=False)
    with second:
        wait_until(lambda: second.run_id)
        write(tmp_path, [10, 20])
    assert second.run_id == first.run_id
    assert second.complete


def test_an_unreachable_server_never_holds_training_up(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, [10])
    with monkeypatch.context() as away:
        away.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        follower = Follower(tmp_path, lambda: DESCRIPTION, every_seconds=0.02)
        with follower:
            before = time.monotonic()
            time.sleep(0.3)
            held_up = time.monotonic() - before
        assert held_up < 1.0
        assert time.monotonic() - before < 10.0
    assert not follower.complete


def test_a_short_training_is_not_slowed_by_importing_mlflow(tmp_path: Path) -> None:
    with Follower(write(tmp_path, [10]), lambda: DESCRIPTION) as follower:
        pass
    assert follower.run_id is None
