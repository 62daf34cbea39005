"""The operator's services on one machine: Prefect's server, a worker, MLflow's pages.

All listen on loopback, keep their state in .atelier/services/, and are ended by the process number
that was written down and a word that the process carries in its environment: nothing else is
touched. A start time would not do, because it moves when the clock is set. Where PREFECT_API_URL is
set, the team has a server, and a worker alone is started.
"""

import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from atelier.commands import MODULE, CommandFailed, run
from atelier.display import say
from atelier.errors import AtelierError, UserError, UserErrors
from atelier.files import write_whole
from atelier.registry.store import LOCAL_URI, has_store, open_store

STATE = Path(".atelier", "services")
POOL = "atelier"
LIMIT = "atelier-device"
"""The global concurrency limit; its number is how many devices there are."""
PORTS = {"prefect": ("ATELIER_PREFECT_PORT", 4200), "mlflow": ("ATELIER_MLFLOW_PORT", 5000)}
HEALTHY_WITHIN_SECONDS = 180
ENDS_WITHIN_SECONDS = 45
CARRIED = "ATELIER_SERVICE"
"""The variable whose word tells a service from another process that has its number later."""
SHOWN_WITHIN_SECONDS, SHOWN_POLL_SECONDS = 10, 0.01
"""How long a process's environment may take to be seen, and how often we look."""
SCRIPT = (sys.executable, "-W", "ignore")
"""What runs a file of flows/: what that says on stderr shall be a user's mistakes alone."""
LOOPBACK = ("127.0.0.1", "localhost")
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Service:
    """One process; `health` is a URL that answers 200 when it is ready, or empty."""

    name: str
    command: tuple[str, ...]
    health: str

    @property
    def record(self) -> Path:
        return STATE / f"{self.name}.json"

    @property
    def log(self) -> Path:
        return STATE / f"{self.name}.log"


def prefect_api() -> str:
    return os.environ.get("PREFECT_API_URL") or f"http://127.0.0.1:{_port('prefect')}/api"


def mlflow_url() -> str:
    return os.environ.get("MLFLOW_TRACKING_URI") or f"http://127.0.0.1:{_port('mlflow')}"


def environment() -> dict[str, str]:
    """What every process of the operator's needs to know, workers and their flows too."""
    own = {
        "PREFECT_API_URL": prefect_api(),
        "PREFECT_HOME": str((STATE / "prefect").resolve()),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        # Leases in memory would be lost with the server, and their slots with them.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
            "prefect.server.concurrency.lease_storage.filesystem"
        ),
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        # MLflow's consumers of jobs score language models; seven processes that wait.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        # A server that restarts is waited for, not a reason to fail.
        "PREFECT_CLIENT_MAX_RETRIES": "10",  # each wait is twice the last: half an hour in all
        "ATELIER_ROOT": str(Path.cwd()),
        "ATELIER_MLFLOW_URL": mlflow_url(),
    }
    own |= {name: os.environ[name] for name in own if name in os.environ}
    here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return own | {"PATH": here} | _past_proxies()


def _past_proxies() -> dict[str, str]:
    """No proxy leads to this machine's own servers."""
    listed = os.environ.get("no_proxy", os.environ.get("NO_PROXY", ""))
    names = ",".join([*(name for name in listed.split(",") if name), *LOOPBACK])
    return {"no_proxy": names, "NO_PROXY": names}


def services() -> list[Service]:
    """In the order in which they start."""
    prefect = (*MODULE, "prefect")
    found: list[Service] = []
    if not os.environ.get("PREFECT_API_URL"):
        start = (*prefect, "server", "start", "--host", "127.0.0.1", "--port", _port("prefect"))
        found.append(Service("prefect", start, f"{prefect_api()}/health"))
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        store = ("--backend-store-uri", LOCAL_URI, "--artifacts-destination", "mlruns/artifacts")
        where = ("--host", "127.0.0.1", "--port", _port("mlflow"), "--workers", "1")
        command = (*MODULE, "mlflow", "ui", *store, *where)
        found.append(Service("mlflow", command, f"{mlflow_url()}/health"))
    return found


WORKER = Service(
    "worker",
    (*MODULE, "prefect", "worker", "start", "--pool", POOL, "--type", "process"),
    "",
)


def up(slots: int | None = None) -> None:
    """Starts what does not run yet, deploys, and waits until all is healthy.

    Raises:
        UserError: a port is taken by someone else, or params.yaml or schedules.yaml is wrong.
        AtelierError: a service did not become healthy; its log is named.
    """
    STATE.mkdir(parents=True, exist_ok=True)
    variables = os.environ | environment()
    begun = services()
    if any(service.name == "mlflow" for service in begun) and not has_store():
        open_store()  # whole or not at all, which MLflow's server does not see to
    for service in begun:
        _start(service, variables)
    for service in begun:
        _wait(service)
    apply(slots)
    _start(WORKER, variables)
    say(f"Prefect   {prefect_api().removesuffix('/api')}")
    say(f"MLflow    {mlflow_url()}")
    say("make down ends them")


def apply(slots: int | None = None) -> None:
    """Registers pool, slots, deployments and alarms; what is there already is renewed.

    What a person has paused in Prefect stays paused, and is told.

    Args:
        slots: one for each device; None leaves as many as there are, or makes one.

    Raises:
        UserError: params.yaml or schedules.yaml is wrong, or there is no such block for alarms.
    """
    prefect = (*MODULE, "prefect")
    try:
        pool = _run(*prefect, "work-pool", "inspect", POOL, "--output", "json")
    except AtelierError:
        _run(*prefect, "work-pool", "create", POOL, "--type", "process")
    else:
        if '"is_paused": true' in pool:
            say(f"work pool {POOL}: paused in Prefect; left so, and nothing starts")
    try:
        _run(*prefect, "gcl", "inspect", LIMIT)
    except AtelierError:
        _run(*prefect, "gcl", "create", LIMIT, "--limit", str(slots or 1))
    else:
        if slots:
            _run(*prefect, "gcl", "update", LIMIT, "--limit", str(slots))
    for file in ("flows/deployments.py", "flows/alarms.py"):
        for line in _run(*SCRIPT, file).splitlines():
            say(line)


def down() -> None:
    """Ends exactly what `up` started; a training under way saves its checkpoint first."""
    for service in (WORKER, *reversed(services())):
        if process := running(service):
            _end(process)
            say(f"{service.name}: ended")
        elif service.record.exists():
            say(f"{service.name}: had ended already")
        service.record.unlink(missing_ok=True)


def running(service: Service) -> psutil.Process | None:
    """The process that `up` started, if it still runs."""
    try:
        known = json.loads(service.record.read_text())
        process = psutil.Process(known["pid"])
        same = process.environ().get(CARRIED) == known["carries"]
    except (OSError, ValueError, LookupError, TypeError, psutil.Error):
        return None  # no record, or a broken one
    return process if same and process.status() != psutil.STATUS_ZOMBIE else None


def _start(service: Service, variables: Mapping[str, str]) -> None:
    if running(service):
        return
    if service.health:
        _refuse_taken_port(service.name)
    word = uuid.uuid4().hex
    with service.log.open("ab") as log:
        process = subprocess.Popen(
            service.command, env={**variables, CARRIED: word}, stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    write_whole(service.record, json.dumps({"pid": process.pid, "carries": word}))
    # For a moment after its start the system shows no environment of a process: it would be taken
    # for another's.
    deadline = time.monotonic() + SHOWN_WITHIN_SECONDS
    while running(service) is None and process.poll() is None and time.monotonic() < deadline:
        time.sleep(SHOWN_POLL_SECONDS)


def _refuse_taken_port(name: str) -> None:
    if taken(name):
        variable, _ = PORTS[name]
        hint = f"Set {variable} to a free port."
        raise UserError(f"127.0.0.1:{_port(name)}", "somebody else listens there", hint)


def taken(name: str) -> bool:
    """Whether anybody listens at a service's port."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", int(_port(name)))) == 0


def _wait(service: Service) -> None:
    deadline = time.monotonic() + HEALTHY_WITHIN_SECONDS
    while not _answers(service.health):
        if running(service) is None or time.monotonic() > deadline:
            raise AtelierError(f"{service.name}: did not become healthy; see {service.log}")
        time.sleep(POLL_SECONDS)


def _answers(url: str) -> bool:
    with requests.Session() as session:
        session.trust_env = False  # it is on this machine, whatever proxy there is
        try:
            return session.get(url, timeout=2).ok
        except requests.RequestException:
            return False


def _end(process: psutil.Process) -> None:
    """Asks flows first, so that their stages save; then the service; then kills what is left."""
    family = process.children(recursive=True)
    for one in (*family, process, process):  # a worker drains at the first signal
        try:
            one.terminate()
        except psutil.NoSuchProcess:
            continue
    _, left = psutil.wait_procs([*family, process], timeout=ENDS_WITHIN_SECONDS)
    for one in left:
        one.kill()


def _run(*command: str) -> str:
    """What a command of Prefect's, or of flows/, says."""
    try:
        return run(*command, variables=environment())
    except CommandFailed as failed:
        if failed.code == UserError.exit_code:
            lines = failed.error.strip().splitlines()
            raise UserErrors([_mistake(line) for line in lines]) from None
        # Prefect's last line alone is often the end of a frame.
        said = (failed.output + failed.error).strip().splitlines()[-8:]
        words = " ".join(line.strip() for line in said)
        raise AtelierError(f"{failed.name}: {words}") from None


def _mistake(line: str) -> UserError:
    """What another process of ours said: `where: problem. Remedy`."""
    where, _, rest = line.partition(": ")
    problem, _, remedy = rest.partition(". ")
    return UserError(where, problem, remedy)


def _port(name: str) -> str:
    variable, default = PORTS[name]
    port = os.environ.get(variable, str(default))
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise UserError(variable, f"no port (got {port!r})", "A number from 1 to 65535.")
    return port
