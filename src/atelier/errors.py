"""What can go wrong for a reason outside this code, and the exit code each reason ends with.

AtelierError
├── UserError      a mistake in a file, an argument or the data: one line on stderr, exit code 2
└── Interrupted    asked to stop; the work so far is saved: exit code 75 (EX_TEMPFAIL)
"""


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
