"""Tables: for a person on a terminal, and for `grep` elsewhere."""

import io
import re
import sys

from atelier.display import print_table

HEADER = ("version", "aliases", "what the gate said")
LONG = "refused: " + "its attributes are ignored, " * 20 + "[Male]"
ROWS = [("faces-gan/12", "challenger, champion", LONG), ("b/1", "-", "the first\tversion")]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_elsewhere_each_row_is_a_whole_line(capsys, monkeypatch):
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("COLUMNS", "40")
    print_table(HEADER, ROWS)
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"faces-gan/12  challenger, champion  {LONG}"
    assert re.fullmatch(r"b/1 {11}- {21}the first\s+version", second)


def test_a_terminal_shows_all_of_it_within_its_width(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    print_table(HEADER, ROWS)
    lines = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in terminal.getvalue().splitlines()]
    assert lines[0].split() == " ".join(HEADER).split()
    assert max(map(len, lines)) <= 60
    column = lines[0].index("what")
    assert " ".join(line[column:].strip() for line in lines[1:-1]) == LONG
