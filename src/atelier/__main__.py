"""The command `atelier`, which is `python -m atelier` too."""

import sys

from atelier.operations import forkserver


def main() -> None:
    """Has it run by a server that has imported everything, where there is one, or runs it here."""
    code = forkserver.ask(sys.argv[1:])
    if code is not None:
        sys.exit(code)
    from atelier.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
