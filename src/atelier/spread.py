"""What training seeds change of an experiment's figures, as `atelier seeds` keeps it.

In a file beside metrics.json, which it belongs to: what DVC keeps of experiments are Git references
of one clone, and a report is made from others, too. The file says what it rests on, and is shown
only as long as dvc.lock says the same.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from pydantic import ValidationError

from atelier.paths import Paths
from atelier.schema import Strict, read_yaml

LOCK = Path("dvc.lock")
STAGES = ("train", "bundle", "evaluate")
"""What makes the figures of a seed, in order; what comes before is the same for all."""


class Figure(Strict):
    """One figure of an experiment, for each training seed; two at least."""

    name: str
    values: dict[int, float]
    sampling_error: float | None
    """Standard error of one seed's value: other pictures and other test images."""

    @property
    def mean(self) -> float:
        return mean(self.values.values())

    @property
    def lowest(self) -> float:
        return min(self.values.values())

    @property
    def highest(self) -> float:
        return max(self.values.values())

    @property
    def deviation(self) -> float:
        """Standard deviation between seeds, of which sampling has its part (n - 1)."""
        return stdev(self.values.values())


class Spread(Strict):
    """An experiment's figures for several training seeds, its own among them."""

    experiment: str
    scale: str
    own_seed: int
    commit: str
    """The last one when they were compared."""
    rests_on: str
    """Digest of code, settings, data and judge, all but the seed."""
    own_figures: str
    """Digest of the metrics.json that the own seed's values come from."""
    trained: dict[int, str]
    """By seed but the own: the commit of its DVC experiment."""
    figures: dict[str, Figure]
    """By the key of metrics.json, flattened; the first is what the gate compares by."""


def spread_of(experiment: str, scale: str) -> Spread | None:
    """What is known of today's figures; None where nothing is, or it was of others."""
    path = Paths(scale).seeds(experiment)
    if not path.exists() or not LOCK.exists():
        return None
    lock = read_yaml(LOCK)
    try:
        # As JSON, whose keys are text: by seeds, which are numbers.
        spread = Spread.model_validate_json(path.read_bytes())
    except ValidationError:
        return None
    rests_on, own = resting_on(lock, experiment), figures_digest(lock, experiment, scale)
    today = rests_on == spread.rests_on and own == spread.own_figures
    return spread if today and spread.scale == scale else None


def resting_on(lock: Mapping[str, Any], experiment: str) -> str | None:
    """A digest of all that dvc.lock says decides the experiment's figures, but the training seed;
    None where a stage of it never ran."""
    stages = lock.get("stages", {})
    entries = [stages.get(f"{stage}@{experiment}") for stage in STAGES]
    if None in entries:
        return None
    made = {out["path"] for entry in entries for out in entry["outs"]}
    words = [
        {
            "cmd": entry["cmd"],
            "deps": {dep["path"]: dep["md5"] for dep in entry["deps"] if dep["path"] not in made},
            "params": _without_seed(entry.get("params", {})),
        }
        for entry in entries
    ]
    return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()


def figures_digest(lock: Mapping[str, Any], experiment: str, scale: str) -> str | None:
    """What dvc.lock says metrics.json was; None where it was never made."""
    path = str(Paths(scale).metrics(experiment))
    outs = lock.get("stages", {}).get(f"evaluate@{experiment}", {}).get("outs", [])
    return next((str(out["md5"]) for out in outs if out["path"] == path), None)


def _without_seed(params: Mapping[str, Any]) -> dict[str, Any]:
    return {
        file: {
            block: {key: word for key, word in words.items() if key != "seed"}
            if block == "training"
            else words
            for block, words in blocks.items()
        }
        for file, blocks in params.items()
    }
