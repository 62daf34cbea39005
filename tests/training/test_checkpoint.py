"""Checkpoints are written whole, read with a check, and the one before is kept."""

import random
import resource
from contextlib import contextmanager

import pytest
import torch

from atelier.errors import UserError
from atelier.training import checkpoint
from atelier.training.history import History

CPU = torch.device("cpu")


@pytest.fixture
def path(tmp_path):
    """Two states of a training, of steps 1 and 2."""
    path = tmp_path / checkpoint.FILE
    for step in (1, 2):
        checkpoint.save(path, state(step))
    return path


def state(step):
    return {"step": step, "nets": {"weight": torch.full((200,), float(step))}}


@contextmanager
def files_of_at_most(size):
    """The kernel refuses to write more bytes to a file, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def cut(content):
    return content[: len(content) // 2]


def changed(content):
    return content[:700] + bytes([content[700] ^ 1]) + content[701:]


DAMAGES = {
    "empty": lambda content: b"",
    "of three bytes": lambda content: content[:3],
    "cut short": cut,
    "without its last byte": lambda content: content[:-1],
    "with a bit changed": changed,
    "with a hole": lambda content: content[:512] + bytes(512) + content[1024:],
    "longer": lambda content: content + b"\n",
    "another file": lambda content: b"PK\x03\x04 no state of a training" * 9,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_state_gives_way_to_the_one_before(damage, path, capsys):
    path.write_bytes(damage(path.read_bytes()))
    assert checkpoint.load(path, CPU)["step"] == 1
    assert f"{path}: cut short or changed; goes on from the one before" in capsys.readouterr().err
    checkpoint.save(path, state(3))
    path.write_bytes(damage(path.read_bytes()))
    assert checkpoint.load(path, CPU)["step"] == 1, "a damaged one became the one before"


def test_where_both_are_damaged_it_begins_anew(path, capsys):
    for kept in path.parent.iterdir():
        kept.write_bytes(cut(kept.read_bytes()))
    assert checkpoint.load(path, CPU) is None
    assert "begins anew" in capsys.readouterr().err
    assert not list(path.parent.iterdir())


def test_whatever_is_done_to_a_file_a_state_that_was_saved_comes_back(path, capsys):
    sound, randomly = path.read_bytes(), random.Random(1)
    before = (path.parent / checkpoint.BEFORE).read_bytes()
    for _ in range(200):
        content = bytearray(sound)
        for _ in range(randomly.choice((1, 3, 50))):
            content[randomly.randrange(len(content))] = randomly.randrange(256)
        path.write_bytes(content[: randomly.choice((None, randomly.randrange(len(content))))])
        (path.parent / checkpoint.BEFORE).write_bytes(before)
        found = checkpoint.load(path, CPU)
        assert torch.equal(found["nets"]["weight"], state(found["step"])["nets"]["weight"])


def test_a_kill_between_two_names_loses_nothing(path):
    path.replace(path.with_name(checkpoint.BEFORE))
    assert checkpoint.load(path, CPU)["step"] == 2


@pytest.mark.parametrize("write", ["a checkpoint", "a snapshot", "a row"])
def test_a_disk_that_takes_no_more_names_the_file_and_leaves_what_was_there(write, path, tmp_path):
    history = History(tmp_path / "output")
    history.log(1, 16, {"loss": 1.0})
    networks = torch.nn.ModuleDict({"generator": torch.nn.Linear(100, 100)})
    many = {"loss": 1.0, **dict.fromkeys(map(str, range(400)), 1.0)}
    writes = {
        "a checkpoint": lambda: checkpoint.save(path, {"step": 3, "nets": networks.state_dict()}),
        "a snapshot": lambda: history.snapshot(32, networks),
        "a row": lambda: history.log(2, 32, many),
    }
    files = {file for file in tmp_path.rglob("*") if file.is_file()}
    with files_of_at_most(2000), pytest.raises(OSError, match="too large") as refused:
        writes[write]()
    assert refused.value.filename is not None
    assert {file for file in tmp_path.rglob("*") if file.is_file()} == files
    assert checkpoint.load(path, CPU)["step"] == 2
    history.rewind(16)
    writes[write]()
    assert checkpoint.load(path, CPU)["step"] == (3 if write == "a checkpoint" else 2)


def test_a_history_that_is_no_table_says_what_to_remove(tmp_path):
    history = History(tmp_path / "output")
    history.table.write_bytes(b"step,images,loss\n1,x,\xff\n")
    with pytest.raises(UserError, match=r"damaged .* the training then begins anew"):
        history.rewind(16)


def test_files_of_others_are_no_snapshots(tmp_path):
    history = History(tmp_path / "output")
    (tmp_path / "output" / "samples" / "Thumbs.db").touch()
    history.rewind(16)
    assert not list((tmp_path / "output" / "samples").iterdir())


def test_a_state_is_summed_once_and_others_save_as_before(tmp_path, monkeypatch):
    """By us; torch's own sum is on for whoever else saves."""
    sums, write = [], torch.save

    def noting(state, file):
        sums.append(torch.serialization.get_crc32_options())
        write(state, file)

    monkeypatch.setattr(torch, "save", noting)
    checkpoint.save(tmp_path / "checkpoint.pt", {"step": 1})
    assert sums == [False]
    assert torch.serialization.get_crc32_options()
