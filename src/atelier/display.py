"""What a person sees: lines and progress bars on stderr, tables of results on stdout."""

import io
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

ANY_WIDTH = 1_000_000
"""Columns of a page on which no line is too long."""


class Advance(Protocol):
    """Tells the bar how many images are done, and the latest metrics."""

    def __call__(self, images: int, metrics: dict[str, float] | None = None) -> None: ...


def progress_bar(*columns: ProgressColumn, transient: bool = False) -> Progress:
    """A title, a bar and these columns; nothing where nobody watches.

    Args:
        transient: the bar goes when the work is done.
    """
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *columns,
        console=console,
        transient=transient,
        disable=not console.is_terminal,
    )


@contextmanager
def progress(name: str, total: int, done: int, *, shown: bool = True) -> Iterator[Advance]:
    """A bar with images/s and losses on a terminal; a line for each row of metrics elsewhere."""
    if not shown:
        yield lambda images, metrics=None: None
        return
    with progress_bar(
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[metrics]}"),
    ) as bar:
        task = bar.add_task(name, total=total, completed=done, speed="", metrics="")

        def advance(images: int, metrics: dict[str, float] | None = None) -> None:
            bar.update(task, completed=images)
            speed = bar.tasks[0].speed
            rate = f"{speed:,.0f} images/s" if speed else ""
            bar.update(task, speed=rate)
            if metrics:
                text = "  ".join(f"{key} {value:.3g}" for key, value in metrics.items())
                bar.update(task, metrics=text)
                if bar.disable:
                    say(f"{name}: {images:,} of {total:,} images  {rate}  {text}")

        yield advance


def say(line: str) -> None:
    """Prints to stderr; a reader that has gone away must not end a training."""
    try:
        # With its end in one piece: lines of threads side by side stay lines.
        print(f"{line}\n", end="", file=sys.stderr, flush=True)
    except OSError:
        sys.stderr = open("/dev/null", "w")  # noqa: SIM115


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns: the last wrapped below its header on a terminal; elsewhere plain lines.

    A plain line holds a whole row, however long, so that `grep` and `awk` find what they look for.
    """
    watched = sys.stdout.isatty()
    table = Table(box=None, show_header=watched, pad_edge=False, padding=(0, 2, 0, 0))
    for number, name in enumerate(header, 1):
        table.add_column(name, no_wrap=number < len(header), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    if watched:
        Console().print(table)
        return
    page = io.StringIO()
    Console(file=page, width=ANY_WIDTH, color_system=None).print(table)
    for line in page.getvalue().splitlines():
        print(line.rstrip())


def print_json(words: object) -> None:
    """The same for programs."""
    print(json.dumps(words, indent=2))
