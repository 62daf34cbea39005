"""How much longer a training takes when MLflow's server is away for its middle third.

    python benchmarks/outage.py --pairs 3

Run in a repository at `tiny` scale whose dataset is prepared (`dvc repro prepare@celeba`). Two
servers run beside each training of faces-gan: its own, and one that nobody asks. For the middle
third one of them is stopped, in turn; so both sides bear what the start of a server costs on the
same machine, and differ in the training's server alone. Prints the seconds of each and the ratio of
the medians. Training's own seconds count: from its first progress to its last.
"""

import argparse
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import requests

IMAGES = 32768
EXPERIMENT = Path("experiments/tiny/faces-gan.yaml")
START_SECONDS = 120


def start_server(folder: Path, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/server.db"]
    command += ["--artifacts-destination", str(folder / "kept")]
    server = subprocess.Popen(
        command, env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            requests.get(f"http://127.0.0.1:{port}/health", timeout=2)
        except requests.RequestException:
            time.sleep(0.3)
        else:
            return server
    raise SystemExit("the server did not start")


def stop_server(server: subprocess.Popen[bytes]) -> None:
    os.killpg(server.pid, signal.SIGTERM)  # its workers, too
    server.wait()


def images_shown() -> int:
    for file in Path(".atelier/checkpoints").glob("tiny-faces-gan-*/output/history.csv"):
        if rows := file.read_text().splitlines()[1:]:
            return int(rows[-1].split(",")[1])
    return 0


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def train(folder: Path, outage: bool) -> float:
    """Trains once; returns the seconds from the first row of its history to the last.

    Args:
        outage: the training's own server is stopped meanwhile, not the one beside it.
    """
    for left in (".atelier/checkpoints", ".atelier/finished", "artifacts/tiny/faces-gan/train"):
        shutil.rmtree(left, ignore_errors=True)
    places = {name: (folder / name, free_port()) for name in ("own", "other")}
    for place, _ in places.values():
        place.mkdir(parents=True)
    servers = {name: start_server(*place) for name, place in places.items()}
    stopped = "own" if outage else "other"
    variables = os.environ | {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{places['own'][1]}"}
    command = [sys.executable, "-m", "atelier", "train", "faces-gan", "--scale", "tiny"]
    training = subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL)
    first = 0.0
    while training.poll() is None:
        shown = images_shown()
        if shown and not first:
            first = time.time()
        if stopped in servers and IMAGES / 3 <= shown < 2 * IMAGES / 3:
            stop_server(servers.pop(stopped))
        if stopped not in servers and shown >= 2 * IMAGES / 3:
            servers[stopped] = start_server(*places[stopped])
        time.sleep(0.05)
    for server in servers.values():
        stop_server(server)
    if training.returncode:
        raise SystemExit("the training failed")
    return Path(".atelier/finished/tiny-faces-gan/output/history.csv").stat().st_mtime - first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=3)
    pairs = parser.parse_args().pairs
    text = EXPERIMENT.read_text()
    EXPERIMENT.write_text(text.replace("images: 1024", f"images: {IMAGES}"))
    seconds: dict[bool, list[float]] = {False: [], True: []}
    folder = Path(".atelier", "outage")
    try:
        for turn in range(2 * pairs):
            outage = turn % 2 == 1
            shutil.rmtree(folder, ignore_errors=True)
            seconds[outage].append(train(folder.resolve(), outage))
            print(f"{'outage' if outage else 'served'}: {seconds[outage][-1]:.1f} s", flush=True)
    finally:
        EXPERIMENT.write_text(text)
    ratio = statistics.median(seconds[True]) / statistics.median(seconds[False])
    print(f"with the outage a training takes {ratio:.3f} of the time (medians of {pairs})")


if __name__ == "__main__":
    main()
