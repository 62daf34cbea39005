"""What the machine can't do is one line that says what to do; what the code does wrong is not."""

import errno
import os
import shutil

import pytest
import torch

from atelier.cli import main as cli
from atelier.errors import MACHINE
from atelier.files import write_whole


@pytest.fixture
def ends(monkeypatch, capsys):
    """Runs `atelier` with a command that fails so; returns (exit code, what was said)."""

    def run(fail):
        monkeypatch.setattr(cli, "app", lambda prog_name: fail())
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        assert said.out == ""
        return ended.value.code, said.err

    return run


def raising(error):
    def fail():
        raise error

    return fail


@pytest.mark.parametrize("number", MACHINE, ids=lambda number: errno.errorcode[number])
def test_a_fault_of_the_machine_is_a_line(number, ends):
    problem, remedy = MACHINE[number]
    named = OSError(number, os.strerror(number), "artifacts/x")
    assert ends(raising(named)) == (2, f"artifacts/x: {problem}. {remedy}\n")
    unnamed = OSError(number, os.strerror(number))
    assert ends(raising(unnamed)) == (2, f"this command: {problem}. {remedy}\n")


@pytest.mark.parametrize(
    "fail",
    [raising(MemoryError()), raising(torch.OutOfMemoryError("CUDA")), lambda: torch.empty(10**15)],
    ids=["python", "a GPU", "a processor"],
)
def test_memory_that_is_used_up_is_a_line(fail, ends):
    code, said = ends(fail)
    assert code == 2
    assert said.startswith("this command: not enough memory. ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("error", [OSError(errno.EEXIST, "there"), RuntimeError("ours"), OSError()])
def test_an_error_of_ours_is_a_traceback(error, monkeypatch):
    monkeypatch.setattr(cli, "app", lambda prog_name: raising(error)())
    with pytest.raises(type(error)):
        cli.main()


def test_a_folder_of_which_a_file_can_not_be_copied_is_a_line(ends):
    words = ("from/x", "to/x", "[Errno 28] No space left on device: 'to/x'")
    problem, remedy = MACHINE[errno.ENOSPC]
    error = shutil.Error([words])
    assert ends(raising(error)) == (2, f"this command: {problem}. {remedy}\n")
    error.filename = "to"
    assert ends(raising(error)) == (2, f"to: {problem}. {remedy}\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_full_disk_names_the_file(ends, tmp_path):
    """The system's own error names none."""
    (tmp_path / ".words.txt.writing").symlink_to("/dev/full")
    code, said = ends(lambda: write_whole(tmp_path / "words.txt", "words"))
    assert (code, said.partition(". ")[0]) == (2, f"{tmp_path / 'words.txt'}: the disk is full")
    assert not list(tmp_path.iterdir())
