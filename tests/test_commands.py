"""Other programs: what they say, and one line where they fail."""

import sys

import pytest

from atelier.commands import MODULE, CommandFailed, answer, run

PYTHON = (sys.executable, "-c")


def test_what_it_says_where_and_with_which_variables(tmp_path, monkeypatch):
    monkeypatch.setenv("OURS", "1")
    said = run(
        *PYTHON, "import os; print(os.getcwd(), os.environ['OURS'], os.environ['ITS'])",
        folder=tmp_path, variables={"ITS": "2"},
    )  # fmt: skip
    assert said == f"{tmp_path} 1 2\n"
    assert run(*PYTHON, r"import sys; sys.stdout.buffer.write(b'\xff')") == "\ufffd"


def test_the_last_line_says_why_it_failed():
    words = "import sys; print('out'); print('first\\nlast \\n', file=sys.stderr); sys.exit(3)"
    with pytest.raises(CommandFailed) as failed:
        run(*PYTHON, words)
    assert str(failed.value) == f"{sys.executable} -c {words}: last"
    assert (failed.value.code, failed.value.output) == (3, "out\n")
    assert failed.value.error == "first\nlast \n\n"
    with pytest.raises(CommandFailed, match=r": exit code 4$"):
        run(*PYTHON, "raise SystemExit(4)")


def test_a_program_of_ours_goes_by_its_own_name():
    with pytest.raises(CommandFailed, match=r"^json\.tool --nosuch: .*unrecognized arguments"):
        run(*MODULE, "json.tool", "--nosuch")


def test_what_is_not_there_or_does_not_end_has_no_code():
    with pytest.raises(CommandFailed, match=r"^nosuch -v: cannot be run \(No such file") as failed:
        run("nosuch", "-v")
    assert failed.value.code is None
    with pytest.raises(CommandFailed, match=r"took more than 0\.2 seconds") as failed:
        run(*PYTHON, "import time; time.sleep(30)", seconds=0.2)
    assert failed.value.code is None


def test_an_answer_is_empty_where_there_is_none():
    assert answer(*PYTHON, "print(1)") == "1\n"
    assert answer(*PYTHON, "print(1); raise SystemExit(1)") == ""
    assert answer("nosuch") == ""
