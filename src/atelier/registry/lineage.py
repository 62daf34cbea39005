"""Where a run or a version comes from: the commit, what was changed since, the data's hash."""

import os
from dataclasses import dataclass
from pathlib import Path

import yaml

from atelier.commands import answer

FLOW_RUN, FLOW_RUN_URL = "ATELIER_FLOW_RUN_ID", "ATELIER_FLOW_RUN_URL"
"""Set by a flow for the stages that it runs: who ordered the work, and its page."""
COMMIT_TAG = "mlflow.source.git.commit"
"""The key that MLflow's own pages show."""
LARGEST_PATCH = 5_000_000
"""Bytes; a larger one is cut, and says so."""


@dataclass(frozen=True)
class Lineage:
    """`commit` is empty outside git; `patch` is empty in a clean tree."""

    commit: str
    patch: str
    data_digest: str
    """What data.dvc says of data/, or empty."""
    flow_run: str = ""
    """The Prefect flow run that ordered it, or empty."""
    flow_run_url: str = ""

    def tags(self) -> dict[str, str]:
        """As MLflow tags."""
        ordered = {"prefect.flow_run": self.flow_run, "prefect.flow_run_url": self.flow_run_url}
        return {
            COMMIT_TAG: self.commit,
            "atelier.dirty": str(bool(self.patch)).lower(),
            "atelier.data": self.data_digest,
            **{key: text for key, text in ordered.items() if text},
        }


def read_lineage() -> Lineage:
    """The state of the repository in the working directory."""
    patch = answer("git", "diff", "HEAD", "--no-ext-diff", "--no-color")
    if len(patch) > LARGEST_PATCH:
        patch = patch[:LARGEST_PATCH] + "\n# cut here: the patch is larger than 5 MB\n"
    return Lineage(
        commit=answer("git", "rev-parse", "HEAD").strip(),
        patch=patch,
        data_digest=_data_digest(Path("data.dvc")),
        flow_run=os.environ.get(FLOW_RUN, ""),
        flow_run_url=os.environ.get(FLOW_RUN_URL, ""),
    )


def is_before(commit: str, other: str) -> bool:
    """Whether `other` was built on `commit`; False where git knows one of them not."""
    if not commit or not other or commit == other:
        return False
    return answer("git", "merge-base", commit, other).strip() == commit


def _data_digest(file: Path) -> str:
    if not file.exists():
        return ""
    words = yaml.safe_load(file.read_text(encoding="utf-8"))
    outs = words.get("outs", []) if isinstance(words, dict) else []
    return str(outs[0].get("md5", "")) if outs else ""
