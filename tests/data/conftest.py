"""A repository and a user's folder; the command line on them, for broken inputs."""

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from data.samples import tree_digest, write_pairs

from atelier.cli.main import main


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Of a repository that has no data yet."""
    folder = tmp_path / "root"
    (folder / "data").mkdir(parents=True)
    return folder


@pytest.fixture
def user(tmp_path: Path) -> Path:
    """Where the user's own files lie."""
    folder = tmp_path / "user"
    folder.mkdir()
    return folder


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository's root, as working directory, beside the user's own files."""
    root = tmp_path / "root"
    write_pairs(root / "data" / "monet2photo")
    monkeypatch.chdir(root)
    return tmp_path


@pytest.fixture
def ends_in(
    world: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Sequence[str], Sequence[str]], None]:
    """Runs `atelier data ...`, which must fail and change nothing.

    Each expected pattern must be found in a line of stderr, and there must be no line more.
    """

    def run(arguments: Sequence[str], expected: Sequence[str]) -> None:
        before = tree_digest(world / "root" / "data"), tree_digest(world / "user")
        monkeypatch.setattr(sys, "argv", ["atelier", "data", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        lines = capsys.readouterr().err.splitlines()
        assert ended.value.code == 2, lines
        assert (tree_digest(world / "root" / "data"), tree_digest(world / "user")) == before
        assert not (world / "root" / ".atelier" / "unpacked").exists()
        assert len(lines) == len(expected), lines
        for pattern in expected:
            assert any(re.search(pattern, line) for line in lines), (pattern, lines)
        for line in lines:
            assert re.fullmatch(r"\S.*: .+[.)`]", line), line

    return run
