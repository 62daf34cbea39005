r"""What preparing costs as a dataset grows: seconds, and memory of its own.

    python benchmarks/preparing.py --out preparing.json

Folders of so many small pictures, without labels, become 64 pixels wide, with all cores. Memory is
what no file stands behind (the arrays are written through maps, whose pages the system takes back),
of all processes together at the worst moment.
"""

import argparse
import json
import re
import sys
import tempfile
import threading
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from atelier.data.catalog import DatasetConfig
from atelier.data.prepare import prepare
from atelier.display import print_table

COUNTS = (12_500, 50_000, 200_000)
SIZE_PIXELS = 64
SIDES = (96, 80)
"""Of the pictures, as they come."""
DIFFERENT = 500
A_FOLDER = 10_000
EVERY_SECONDS = 0.1
COLUMNS = ("pictures", "seconds", "pictures/s", "memory, MB")


class Memory(threading.Thread):
    """Watches this process and its children."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most, self.done = 0, threading.Event()

    def run(self) -> None:
        this = psutil.Process()
        while not self.done.wait(EVERY_SECONDS):
            everybody = [this, *this.children(recursive=True)]
            self.most = max(self.most, sum(anonymous(each.pid) for each in everybody))


def anonymous(process: int) -> int:
    """Bytes that no file stands behind; 0 of one that has ended."""
    try:
        found = re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 1000 * int(found[1]) if found else 0


def fill(folder: Path, count: int) -> None:
    """Pictures of coarse noise, which are of some hundred kinds."""
    draw = np.random.default_rng(0)
    kinds = []
    for _ in range(DIFFERENT):
        coarse = draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize(SIDES).save(written := BytesIO(), "JPEG")
        kinds.append(written.getvalue())
    for number in range(count):
        if number % A_FOLDER == 0:
            (inside := folder / f"{number:07d}").mkdir(parents=True)
        (inside / f"{number:07d}.jpg").write_bytes(kinds[number % DIFFERENT])


def measure(count: int) -> dict[str, Any]:
    data = DatasetConfig(
        layout="pictures", path="noise", size_pixels=SIZE_PIXELS, fit="crop", crop_share=1.0,
        limit=None,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        fill(root / "data" / "noise", count)
        memory = Memory()
        memory.start()
        started = time.perf_counter()
        prepare(data, root, root / "prepared")
        seconds = time.perf_counter() - started
        memory.done.set()
    return {"pictures": count, "seconds": seconds, "memory_mb": memory.most / 1e6}


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    rate = row["pictures"] / row["seconds"]
    return f"{row['pictures']:,}", f"{row['seconds']:.0f}", f"{rate:.0f}", f"{row['memory_mb']:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--counts", nargs="*", type=int, default=COUNTS)
    parser.add_argument("--out", type=Path, help="a JSON file of all rows")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for count in options.counts:
        rows.append(measure(count))
        print(" | ".join(cells(rows[-1])), file=sys.stderr, flush=True)
        if options.out:
            options.out.write_text(json.dumps(rows, indent=1) + "\n")
    print_table(COLUMNS, [cells(row) for row in rows])


if __name__ == "__main__":
    main()
