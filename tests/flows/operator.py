"""The operator's side for tests: real services on free ports, asked by Prefect's HTTP interface."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests
import yaml
from requests.adapters import HTTPAdapter
from tests.project import BIN, PATIENCE, free_port, run, wait_for
from urllib3.util import Retry

ATELIER = str(BIN / "atelier")
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
NEVER = "0 0 1 1 *"
DEAD_PROXY = "http://127.0.0.1:9"
"""A house's proxy that does not know this machine: our own servers are asked without it."""
# Prefect answers 503 while SQLite is locked; its own client asks again, too.
RETRY = Retry(6, backoff_factor=0.5, status_forcelist=[503], allowed_methods=None)
HTTP = requests.Session()
HTTP.mount("http://", HTTPAdapter(max_retries=RETRY))


@dataclass(frozen=True)
class Operator:
    """A project whose services run; `down` ends them."""

    project: Path
    prefect: str
    mlflow: str

    @property
    def variables(self) -> dict[str, str]:
        ports = {"PREFECT": self.prefect, "MLFLOW": self.mlflow}
        named = {f"ATELIER_{name}_PORT": url.rpartition(":")[2] for name, url in ports.items()}
        proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy"), DEAD_PROXY)
        proxies |= dict.fromkeys(("NO_PROXY", "no_proxy"), "")
        return {"PYTHONPATH": str(self.project / "src")} | named | proxies

    def atelier(self, *command: str) -> str:
        return run(self.project, ATELIER, *command, **self.variables)

    def ask(self, path: str, **body: Any) -> Any:
        answer = HTTP.post(f"{self.prefect}/api/{path}", json=body, timeout=60)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def get(self, path: str) -> Any:
        answer = HTTP.get(f"{self.prefect}/api/{path}", timeout=60)
        answer.raise_for_status()
        return answer.json()

    def start(self, deployment: str, **parameters: Any) -> str:
        """Asks for a run now; returns its id."""
        found = self.get(f"deployments/name/{deployment}")["id"]
        return str(self.ask(f"deployments/{found}/create_flow_run", parameters=parameters)["id"])

    def state(self, run_id: str) -> str:
        return str(self.get(f"flow_runs/{run_id}")["state_type"])

    def finish(self, run_id: str, seconds: float = PATIENCE) -> str:
        """Waits for a run's end; returns its last state."""
        wait_for(lambda: self.state(run_id) in ENDED, seconds, lambda: self.log(run_id))
        return self.state(run_id)

    def cancel(self, run_id: str) -> None:
        self.ask(f"flow_runs/{run_id}/set_state", state={"type": "CANCELLING"})

    def runs(self, deployment: str = "", begun: bool = True) -> list[dict[str, Any]]:
        """Runs of a deployment, or of all, the oldest first; those that wait only if asked for."""
        wanted: dict[str, Any] = {"sort": "EXPECTED_START_TIME_ASC"}
        if deployment:
            found = self.get(f"deployments/name/{deployment}")["id"]
            wanted["flow_runs"] = {"deployment_id": {"any_": [found]}}
        listed: list[dict[str, Any]] = self.ask("flow_runs/filter", **wanted)
        return [one for one in listed if one["start_time"] or not begun]

    def log(self, run_id: str) -> str:
        """What a run and the tasks in it said."""
        lines: list[str] = []
        while True:
            page = self.ask(
                "logs/filter",
                logs={"flow_run_id": {"any_": [run_id]}},
                sort="TIMESTAMP_ASC",
                offset=len(lines),
            )
            lines += [line["message"] for line in page]
            if len(page) < 200:
                return "\n".join(lines)

    def hear(self, run_id: str, words: str) -> str:
        """Waits for words in a run's log, whose last lines come after its end; returns the log."""
        wait_for(lambda: words in self.log(run_id), said=lambda: self.log(run_id))
        return self.log(run_id)

    def schedule(self, crons: dict[str, str]) -> None:
        """Sets the schedules of these deployments, and none for the others; applies the table."""
        set_schedules(self.project, crons)
        self.atelier("deploy")

    def processes(self, *words: str) -> list[psutil.Process]:
        """Living processes that work in this project and whose command has all these words."""
        found = []
        for process in psutil.process_iter(["cmdline", "cwd", "status"]):
            line = " ".join(process.info["cmdline"] or [])
            here = (process.info["cwd"] or "").startswith(str(self.project))
            alive = process.info["status"] != psutil.STATUS_ZOMBIE
            if here and alive and all(word in line for word in words):
                found.append(process)
        return found

    def trainers(self, name: str) -> list[psutil.Process]:
        """The processes that train an experiment; not the flow and DVC above them."""
        return self.processes("atelier", "train", name, "--scale")


def images_shown(project: Path, name: str) -> int:
    """How far the training under way at tiny scale is, by its own history; -1 before it began."""
    for file in project.glob(f".atelier/checkpoints/tiny-{name}-*/output/history.csv"):
        rows = file.read_text().splitlines()[1:]
        return int(rows[-1].split(",")[1]) if rows else 0
    return -1


def begin(project: Path) -> Operator:
    """`atelier up` on free ports, with no schedule but those that a test asks for."""
    prefect, mlflow = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    operator = Operator(project, prefect, mlflow)
    set_schedules(project, {})
    operator.atelier("up")
    return operator


def set_schedules(project: Path, crons: dict[str, str]) -> None:
    """schedules.yaml with a line for each deployment; those that are not named never run."""
    file, params = project / "schedules.yaml", project / "params.yaml"
    table = yaml.safe_load(file.read_text())
    listed = yaml.safe_load(params.read_text())["experiments"]
    for block, names in (("experiments", listed), ("others", table["others"])):
        table[block] = {name: {"cron": crons.get(name, NEVER)} for name in names}
    file.write_text(yaml.safe_dump(table, sort_keys=False))
