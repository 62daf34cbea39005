"""Other programs, run to their end: what they say, or in one line why they failed."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from atelier.errors import AtelierError

MODULE = (sys.executable, "-m")
"""What runs a program of our own environment, whatever is on the PATH."""
ANSWER_SECONDS = 30


class CommandFailed(AtelierError):
    """`git commit-tree 1f3a: the last line that it said`.

    `code` is None where it never ran or took too long; `output` and `error` are all that it said.
    """

    def __init__(self, command: tuple[str, ...], code: int | None, output: str, error: str) -> None:
        self.code, self.output, self.error = code, output, error
        self.last = (error.strip().splitlines() or [f"exit code {code}"])[-1].strip()
        words = command[len(MODULE) :] if command[: len(MODULE)] == MODULE else command
        self.name = " ".join(words[:3])
        super().__init__(f"{self.name}: {self.last}")


def run(
    *command: str,
    folder: Path | None = None,
    variables: Mapping[str, str] | None = None,
    seconds: float | None = None,
) -> str:
    """What a command says on stdout.

    Args:
        variables: of its environment, beside ours.
        seconds: how long it may take.

    Raises:
        CommandFailed: it ended with another exit code than 0, took too long, or is not there.
    """
    environment = os.environ | dict(variables or {})
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, timeout=seconds,
            capture_output=True, text=True, errors="replace",
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise CommandFailed(command, None, "", f"took more than {seconds} seconds") from None
    except OSError as error:
        raise CommandFailed(command, None, "", f"cannot be run ({error.strerror})") from None
    if done.returncode != 0:
        raise CommandFailed(command, done.returncode, done.stdout, done.stderr)
    return done.stdout


def answer(*command: str) -> str:
    """The same of what should be quick; empty where it fails, which is no reason to stop."""
    try:
        return run(*command, seconds=ANSWER_SECONDS)
    except CommandFailed:
        return ""
