"""Files appear whole or not at all."""

import os
import stat
import subprocess
import sys

import pytest

from atelier.files import ASIDE, write_whole, written_aside

KILLED = """
import os, signal, sys
from pathlib import Path
from atelier.files import written_aside
with written_aside(Path(sys.argv[1])) as beside:
    beside.write_text("half of")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_text_and_bytes_replace_what_was_there(tmp_path):
    path = tmp_path / "new" / "words.txt"
    write_whole(path, "größer\n")
    assert path.read_bytes() == "größer\n".encode()
    write_whole(path, b"\x00\r\n")
    assert path.read_bytes() == b"\x00\r\n"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_after_an_error_all_is_as_it_was(tmp_path, error):
    path = tmp_path / "words.txt"
    path.write_text("old")

    def fail():
        with written_aside(path) as beside:
            beside.write_text("half of")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_kill_leaves_is_hidden_and_replaced(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("old")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert killed.returncode < 0
    left = tmp_path / f".words.txt{ASIDE}"
    assert (path.read_text(), left.read_text()) == ("old", "half of")
    write_whole(path, "new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_durable_reaches_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    path, seen = tmp_path / "words.txt", []
    real = os.fsync

    def fsync(file):
        real(file)
        if stat.S_ISREG(os.fstat(file).st_mode):
            seen.append((os.fstat(file).st_size, path.exists()))
        else:
            seen.append(("its folder", path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    with written_aside(path, durable=True) as beside:
        beside.write_text("words")
    write_whole(path, "others")
    assert seen == [(len("words"), False), ("its folder", True)]
