"""Progress for a person who watches."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)


class Advance(Protocol):
    """Tells the bar how many images are done, and the latest metrics."""

    def __call__(self, images: int, metrics: dict[str, float] | None = None) -> None: ...


@contextmanager
def progress(name: str, total: int, done: int) -> Iterator[Advance]:
    """A bar with images/s and losses on a terminal; a line for each row of metrics elsewhere."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[metrics]}"),
        console=console,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task(name, total=total, completed=done, speed="", metrics="")

        def advance(images: int, metrics: dict[str, float] | None = None) -> None:
            bar.update(task, completed=images)
            speed = bar.tasks[0].speed
            rate = f"{speed:,.0f} images/s" if speed else ""
            bar.update(task, speed=rate)
            if metrics:
                text = "  ".join(f"{key} {value:.3g}" for key, value in metrics.items())
                bar.update(task, metrics=text)
                if not console.is_terminal:
                    say(f"{name}: {images:,} of {total:,} images  {rate}  {text}")

        yield advance


def say(line: str) -> None:
    """Prints to stderr; a reader that has gone away must not end a training."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        sys.stderr = open("/dev/null", "w")  # noqa: SIM115
