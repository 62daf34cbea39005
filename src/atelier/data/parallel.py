"""Work on many files at once: a pool of processes, results in order, one progress bar."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any, TypeVar

from rich.progress import MofNCompleteColumn, TimeRemainingColumn

from atelier.display import progress_bar
from atelier.errors import AtelierError

Job = TypeVar("Job")
Result = TypeVar("Result")

CHUNK = 32
"""Jobs that travel to a process together."""

WORTH_PROCESSES = 256
"""Below this many jobs, starting processes takes longer than the work."""


def available_cores() -> int:
    """The cores this process may run on, which taskset and containers make fewer than all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_parallel(
    function: Callable[[Sequence[Job]], list[Result]],
    jobs: Sequence[Job],
    workers: int | None,
    title: str,
) -> Iterator[Result]:
    """Yields `function`'s results, in the order of `jobs`, which it receives in chunks.

    Args:
        function: of a module's top level, since it is imported by fresh ("spawn") processes.
        workers: processes; None takes the cores at hand where the work is worth it.
    """
    chunks = [jobs[i : i + CHUNK] for i in range(0, len(jobs), CHUNK)]
    if workers is None:
        workers = available_cores() if len(jobs) >= WORTH_PROCESSES else 1
    columns = MofNCompleteColumn(), TimeRemainingColumn()
    with progress_bar(*columns, transient=True) as progress:
        task = progress.add_task(title, total=len(jobs))
        for results in _each(function, chunks, min(workers, len(chunks))):
            yield from results
            progress.advance(task, len(results))


def _each(function: Callable[[Any], list[Any]], chunks: list[Any], workers: int) -> Iterator[Any]:
    if workers <= 1:
        yield from map(function, chunks)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker)
    try:
        yield from pool.map(function, chunks)
    except BrokenProcessPool:
        raise AtelierError(
            "a worker process ended before its work was done (killed, or out of memory); "
            "run again with fewer --workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_worker() -> None:
    """Ctrl-C is the parent's to handle, and no worker outlives its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(parent: int) -> None:
    wait([parent])
    os._exit(1)
