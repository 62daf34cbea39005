"""Once imported, this process has registered twice: see pairs.prepare_processes."""

import contextlib
import json
import os
from pathlib import Path

from tests.project import forget_connections

from . import pairs

machine, uri = json.loads(os.environ[pairs.REHEARSAL])
here, streams = Path.cwd(), [os.dup(number) for number in (1, 2)]
for quality in (1, 2):
    pairs.make_bundle(Path(machine), "rehearsed", quality)
    pairs.register(Path(machine), uri, "rehearsed", None, 0.0, Path(machine, "rehearsed.txt"))
for number, stream in enumerate(streams, start=1):
    os.dup2(stream, number)
    os.close(stream)
with contextlib.chdir(here):
    forget_connections()
