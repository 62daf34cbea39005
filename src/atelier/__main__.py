"""`python -m atelier` is the command `atelier`."""

from atelier.cli.main import main

main()
