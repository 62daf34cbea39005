"""What can go wrong for a reason outside this code, and the exit code each reason ends with.

AtelierError
├── UserError      a mistake in a file, an argument or the data: one line on stderr, exit code 2
└── Interrupted    asked to stop; the work so far is saved: exit code 75 (EX_TEMPFAIL)
"""


class AtelierError(Exception):
    """Base of every error that ends a command with one line instead of a traceback."""

    exit_code = 1


class UserError(AtelierError):
    """`where: what is wrong (got X). What is allowed, or what to run.`"""

    exit_code = 2

    def __init__(self, where: object, problem: str, remedy: str = "") -> None:
        super().__init__(f"{where}: {problem.rstrip('.')}." + (f" {remedy}" if remedy else ""))


class UserErrors(UserError):
    """Several mistakes found in one pass, one line each, so that all can be mended at once."""

    def __init__(self, errors: list[UserError]) -> None:
        AtelierError.__init__(self, "\n".join(str(error) for error in errors))
        self.errors = errors


class Interrupted(AtelierError):
    """SIGINT, SIGTERM or the parent's death: a checkpoint is saved, the same command goes on."""

    exit_code = 75
