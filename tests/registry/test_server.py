"""The same registry on a real MLflow server over HTTP, on the loopback."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from tests.project import free_port
from tests.toys import GOOD

from atelier.bundle.bundle_model import open_bundle
from atelier.errors import UserError
from atelier.registry import champions, export, loading, packaging, tracking, turns, versions
from atelier.registry.follower import Follower
from atelier.registry.gate import decide
from atelier.registry.store import BUNDLES, open_store

from .test_sync import NUMBERS, pack, patterned_numbers
from .test_tracking import DESCRIPTION, held, pictures, wait_until, write
from .test_turns import submit

pytestmark = pytest.mark.server
START_SECONDS = 120


def start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", "sqlite:///server.db"]
    command += ["--artifacts-destination", str(folder / "kept")]
    variables = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # none is asked for
    server = subprocess.Popen(
        command, cwd=folder, env=variables, stdout=subprocess.DEVNULL, stderr=-1
    )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
        except OSError:
            time.sleep(0.3)
        else:
            return server
    stop(server)
    pytest.fail("the server did not start")


def stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        server.kill()
        server.communicate()


@pytest.fixture
def address(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, int]:
    """A folder and a port for a server, to which MLFLOW_TRACKING_URI points."""
    folder, port = tmp_path / "server", free_port()
    folder.mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return folder, port


def test_a_server_keeps_runs_and_bundles_and_may_come_late(
    address: tuple[Path, int], image_bundle: Path, tmp_path: Path
) -> None:
    history = write(tmp_path / "training", [10, 20], [10])
    follower = Follower(history, lambda: DESCRIPTION, every_seconds=0.2, system_metrics=False)
    with follower:
        time.sleep(3)
        assert follower.run_id is None
        server = start(*address)
        wait_until(lambda: follower.run_id)
    try:
        assert follower.complete
        assert follower.run_id is not None
        store = open_store()
        assert len(held(store, follower.run_id, "discriminator/loss")) == 2
        assert pictures(store, follower.run_id) == 1
        assert tracking.restore(store, DESCRIPTION, history) == (follower.run_id, 0)

        with pytest.raises(UserError, match="a version on a server needs the run"):
            versions.register(store, image_bundle)
        version, is_new = versions.register(store, image_bundle, follower.run_id)
        assert is_new
        assert versions.register(store, image_bundle, follower.run_id) == (version, False)
        champions.record(store, version, decide(GOOD, None))
        version = versions.find(store, str(version))
        model = store.client.get_logged_model(version.tags["atelier.model"])
        assert version.source == model.artifact_location
        (named,) = json.loads(model.tags["mlflow.modelVersions"])
        assert (named["name"], str(named["version"])) == (version.name, version.number)
        assert "mlflow.pyfunc.load_model" in version.description
        loaded = loading.load("faces-gan-tiny@champion")
        assert (loaded.sample(3, 7) == open_bundle(image_bundle).sample(3, 7)).all()
        assert (loading.CACHE / packaging.place_of(*version.digests).name).is_dir()
        export.export(store, version, tmp_path / "out")
        assert f"# {version.name}, version 1" in (tmp_path / "out" / "README.md").read_text()
        assert (tmp_path / "out" / "MLmodel").exists()

        code = "import mlflow; m = mlflow.pyfunc.load_model('models:/faces-gan-tiny@champion');"
        code += "print(len(m.predict([{'count': 2}])))"
        bare = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ)
        )
        assert bare.stdout.strip() == "2", bare.stderr
    finally:
        stop(server)


def test_a_bundle_outlives_its_run_and_is_put_back_where_the_server_lost_it(
    address: tuple[Path, int], image_bundle: Path
) -> None:
    folder, _ = address
    server = start(*address)
    try:
        store = open_store()
        first = tracking.find_or_create(store, DESCRIPTION)
        version, _ = versions.register(store, image_bundle, first)
        champions.record(store, version, decide(GOOD, None))
        store.client.delete_run(first)
        collect = [sys.executable, "-m", "mlflow", "gc", "--backend-store-uri"]
        collect += ["sqlite:///server.db", "--run-ids", first]
        subprocess.run(collect, cwd=folder, check=True, capture_output=True)
        shutil.rmtree(BUNDLES)
        assert len(loading.load("faces-gan-tiny@champion").sample(2)) == 2
        shutil.rmtree(loading.CACHE)
        for models in (folder / "kept").rglob("models"):
            shutil.rmtree(models)
        with pytest.raises(loading.BundleGone, match=r"gone from the server.*registry sync"):
            loading.load("faces-gan-tiny@champion")

        second = tracking.find_or_create(store, DESCRIPTION)
        assert second != first
        assert versions.register(store, image_bundle, second)[1] is False
        assert len(loading.load("faces-gan-tiny@champion").sample(2)) == 2
    finally:
        stop(server)


def test_of_two_at_the_same_moment_the_better_is_champion(
    address: tuple[Path, int], tmp_path: Path
) -> None:
    """Each with a client of its own, as two machines have it; the worse is the slower."""
    server = start(*address)
    try:
        stores = [open_store(), open_store()]
        run = tracking.find_or_create(stores[0], DESCRIPTION)
        scores: dict[str, float] = {}
        for pair in range(2):
            made = []
            for seed in (2 * pair, 2 * pair + 1):
                pack(tmp_path / str(seed), {"generator": patterned_numbers(seed)}, NUMBERS)
                made.append(versions.register(stores[0], tmp_path / str(seed), run)[0])
                scores[made[-1].number] = float(seed - 2 * pair) - pair
            threads = [
                threading.Thread(target=submit, args=(store, one, scores, seconds, turns.turn))
                for store, one, seconds in zip(stores, made, (0.0, 1.0), strict=True)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert str(versions.champion(stores[1], "numbers-tiny")) == str(made[0])
    finally:
        stop(server)
