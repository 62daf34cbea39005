"""The command `atelier` from a process that has imported everything: a fork for each call.

Importing torch, scikit-learn and MLflow takes 4 to 8 s of each command; a pipeline has some forty.
So tests that wait for their commands find, first on their path, an `atelier` which hands its
arguments, directory, environment and standard streams to one waiting process. Each call still is a
process of its own. What starts, stops and kills commands is tested on the real one.

    python tests/warm.py SOCKET        serves until it is killed
"""

import array
import atexit
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from pathlib import Path

from atelier.cli.main import TELEMETRY_OFF

IMPORTS = (
    "torch._dynamo",
    "mlflow.pyfunc",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "atelier.cli.main",
    "atelier.pipeline.registering",
    "atelier.pipeline.bundling",
    "atelier.pipeline.training",
    "atelier.training.loop",
    "atelier.training.runtime",
)
CALLER = """#!{python} -IS
import array, json, os, socket, sys
words = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    streams = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))
    server.sendmsg([len(words).to_bytes(4)], [streams])
    server.sendall(words)
    code = server.recv(1)
sys.exit(code[0] if code else 1)
"""
STARTS_WITHIN_SECONDS = 120


@cache
def folder() -> Path:
    """Where the waiting process's `atelier` lies; the first call starts it."""
    place = Path(tempfile.mkdtemp(prefix="warm-"))
    address = place / "socket"
    command = place / "atelier"
    command.write_text(CALLER.format(python=sys.executable, address=str(address)))
    command.chmod(0o755)
    quiet = os.environ | TELEMETRY_OFF | {"OMP_NUM_THREADS": "1"}
    server = subprocess.Popen(
        [sys.executable, __file__, str(address)], env=quiet, stdin=subprocess.DEVNULL
    )
    atexit.register(_end, server, place)
    deadline = time.monotonic() + STARTS_WITHIN_SECONDS
    while not address.exists():
        assert server.poll() is None, "the waiting process ended"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return place


def _end(server: subprocess.Popen, place: Path) -> None:
    server.kill()
    server.wait()
    for file in place.iterdir():
        file.unlink()
    place.rmdir()


def serve(address: str) -> None:
    for name in IMPORTS:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address + ".binding")
        server.listen()
        os.rename(address + ".binding", address)
        while True:
            caller, _ = server.accept()
            if os.fork() == 0:
                server.close()
                _answer(caller)
            caller.close()


def _answer(caller: socket.socket) -> None:
    """Runs one call in this process and ends it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    streams = array.array("i")
    size, ancillary, _, _ = caller.recvmsg(4, socket.CMSG_SPACE(3 * streams.itemsize))
    streams.frombytes(ancillary[0][2])
    words = b""
    while len(words) < int.from_bytes(size):
        words += caller.recv(1 << 16)
    arguments, directory, environment = json.loads(words)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["atelier", *arguments]
    code = 1
    try:
        importlib.import_module("atelier.cli.main").main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        caller.sendall(bytes([code]))
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
