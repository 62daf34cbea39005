"""What each dataset's files hash to, from DVC's own records: cheap enough to ask every minute."""

import hashlib
import json
from pathlib import Path

from atelier.operations.records import cache_folder
from atelier.params import load_parameters
from atelier.registry.lineage import read_lineage

DATA_FOLDER = "data"


def digests() -> dict[str, str]:
    """The hash of each dataset by its name; `dvc add data` changes those whose files changed.

    data.dvc has one hash for the whole of data/; the list of files behind it lies in DVC's cache.
    Where that list is not there (never pulled), the one hash stands for all. A dataset that a rule
    draws has the hash of the file with that rule.
    """
    whole = read_lineage().data_digest
    listed = list_in_cache(whole)
    found = {}
    for name, dataset in load_parameters().datasets.items():
        source = Path(dataset.source)
        if source.parts[0] != DATA_FOLDER:
            found[name] = _digest(source.read_bytes())
        elif listed is None:
            found[name] = whole[:16]
        else:
            # Twins lie beside the dataset, and are judged with it.
            below = (f"{source.name}/", f"twins/{source.name}/")
            entries = [f"{file} {md5}" for file, md5 in listed if file.startswith(below)]
            found[name] = _digest("\n".join(sorted(entries)).encode())
    return found


def changed(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Datasets that were seen before and are other now; one seen first has not changed."""
    return [name for name, digest in now.items() if before.get(name, digest) != digest]


def list_in_cache(digest: str) -> list[tuple[str, str]] | None:
    """(path below data/, md5) of each file, as DVC's cache has it; None where it has it not."""
    cache = cache_folder() / "files" / "md5" / digest[:2] / digest[2:]
    if not digest or not cache.exists():
        return None
    return [(entry["relpath"], entry["md5"]) for entry in json.loads(cache.read_text())]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
