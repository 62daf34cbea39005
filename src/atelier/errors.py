"""What can go wrong for a reason outside this code, and the exit code each reason ends with.

AtelierError
├── UserError      a mistake in a file, an argument or the data, or what the machine can't do:
│                  one line on stderr, exit code 2
└── Interrupted    asked to stop; the work so far is saved: exit code 75 (EX_TEMPFAIL)
"""

import errno
import re
from collections.abc import Mapping

MACHINE: Mapping[int, tuple[str, str]] = {
    errno.ENOSPC: ("the disk is full", "Make room on it; the same command goes on."),
    errno.EDQUOT: ("your share of the disk is full", "Make room; the same command goes on."),
    errno.EFBIG: (
        "larger than a file may be here",
        "Raise the limit, as with: ulimit -f unlimited",
    ),
    errno.EMFILE: ("too many open files", "Raise the limit, as with: ulimit -n 4096"),
    errno.ENFILE: ("too many open files on this machine", "End other programs, and run it again."),
    errno.ENOMEM: ("not enough memory", "End other programs, or raise the limit."),
    errno.EROFS: ("the file system is read-only", "Mount it for writing, or work elsewhere."),
    errno.EACCES: ("permission denied", "Look whose it is, as with: ls -ld"),
    errno.EPERM: ("not permitted", "Look whose it is, as with: ls -ld"),
    errno.EIO: ("the disk fails", "Look at the system's log; copy what matters to another disk."),
}
"""What the system says of the machine or a limit: (problem, remedy)."""
NO_MEMORY = (
    "not enough memory",
    "End other programs, or lower training.batch_size or the widths of the model.",
)


class AtelierError(Exception):
    """Base of every error that ends a command with one line instead of a traceback."""

    exit_code = 1


class UserError(AtelierError):
    """`where: what is wrong (got X). What is allowed, or what to run.`

    Whoever passes it on may change one of its three fields; nobody has to read its text.
    """

    exit_code = 2

    def __init__(self, where: object, problem: str, remedy: str = "") -> None:
        self.where, self.problem, self.remedy = str(where), problem, remedy
        super().__init__(where, problem, remedy)

    def __str__(self) -> str:
        line = f"{self.where}: {self.problem.rstrip('.')}."
        return f"{line} {self.remedy}" if self.remedy else line


class UserErrors(UserError):
    """Several mistakes found in one pass, one line each, so that all can be mended at once."""

    def __init__(self, errors: list[UserError]) -> None:
        first = errors[0]
        super().__init__(first.where, first.problem, first.remedy)
        self.errors = errors
        self.args = (errors,)

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


class Interrupted(AtelierError):
    """SIGINT, SIGTERM or the parent's death: a checkpoint is saved, the same command goes on."""

    exit_code = 75


def fault_of_machine(error: BaseException) -> UserError | None:
    """The line for an error that is the machine's, not the code's; None for any other."""
    if isinstance(error, MemoryError) or _is_out_of_memory(error):
        return UserError("this command", *NO_MEMORY)
    if isinstance(error, OSError) and (said := MACHINE.get(_number(error))):
        return UserError(error.filename or "this command", *said)
    return None


def _number(error: OSError) -> int:
    """Its number; 0 where it has none. shutil's, which is of many files, has them in its words."""
    if error.errno is None and (found := re.search(r"\[Errno (\d+)\]", str(error.args))):
        return int(found[1])
    return error.errno or 0


def _is_out_of_memory(error: BaseException) -> bool:
    """torch says it in an error of its own on a GPU, and in words on a processor."""
    return type(error).__name__ == "OutOfMemoryError" or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )
