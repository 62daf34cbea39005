"""Whatever is handed in is taken, or refused in one line: no traceback, no hang, bounded memory.

Sound inputs of every kind are damaged, by seeds that a failure names. Some dozens of each kind
here; by hand as many as you like:

    ATELIER_FUZZED=1500 .venv/bin/python -m pytest tests/test_fuzzing.py -n logical
"""

import json
import os
import resource
import shutil
import signal
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from data.samples import encoded, picture, write_faces, write_pairs

from atelier import config
from atelier.bundle.bundle_model import Refused, answer, open_bundle
from atelier.data.decode import try_decode
from atelier.data.importing import import_dataset
from atelier.errors import AtelierError
from atelier.params import load_parameters
from atelier.paths import SCALES
from atelier.training import checkpoint
from tests.project import ROOT

COUNT = int(os.environ.get("ATELIER_FUZZED", "40"))
SEED = 16
LONGEST_SECONDS = 10
MOST_MEMORY_BYTES = 2 * 2**30
"""Beyond what the process had before a kind's first trial."""

Draw = np.random.Generator
Trial = Callable[[Draw, Path], None]
"""Damages one input, drawn anew, in a folder of its own, and hands it in."""

WORDS = [
    b"", b"\0", b"\n", b" ", b"-1", b"0", b"1e999", b"NaN", b"-.inf", b"9" * 400, b"9**9**9**9",
    b"../../x", b"/etc/passwd", b"a" * 100_000, b"[" * 20_000, b"{" * 20_000, b'{"a":' * 20_000,
    b"- " * 5_000, b"? ", b"!!python/object/apply:os.system [x]", b"!!timestamp x", b"!!set {a, b}",
    b"!!int ''", b"!!float ''", b"!!binary =", b"!!omap x", b"{[1]: 2}", b"{{a: 1}: 2}", b"<<: 1",
    b"&a [*a, *a]", b"*nothing", b"%YAML 9.9\n---\n", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3\x28",
    "ﬁ\u00a0é\u0301\u202e".encode(), b"true", b"null", b"~", b"2026-13-45", b"0o9", b"0x", b"1_0",
    b"'", b'"', b"`", b"#", b",", b";", b"\t", b":", b"=", b"\\", b"%s", b"${x}", b"\r",
]  # fmt: skip
"""What has broken a reader of text somewhere."""


def flipped(content: bytearray, draw: Draw) -> None:
    for at in draw.integers(0, len(content), draw.integers(1, 9)):
        content[at] ^= 1 << int(draw.integers(8))


def cut(content: bytearray, draw: Draw) -> None:
    del content[int(draw.integers(len(content))) :]


def without_a_part(content: bytearray, draw: Draw) -> None:
    start = int(draw.integers(len(content)))
    del content[start : start + int(draw.integers(1, 64))]


def repeated(content: bytearray, draw: Draw) -> None:
    start = int(draw.integers(len(content)))
    part = content[start : start + int(draw.integers(1, 64))]
    content[start:start] = part * int(draw.choice([1, 2, 50]))


def with_a_word(content: bytearray, draw: Draw) -> None:
    start = int(draw.integers(len(content)))
    content[start : start + int(draw.integers(0, 8))] = WORDS[draw.integers(len(WORDS))]


def with_another_line(content: bytearray, draw: Draw) -> None:
    lines = bytes(content).split(b"\n")
    first, second = draw.integers(len(lines), size=2)
    lines[first] = lines[second]
    content[:] = b"\n".join(lines)


def with_another_value(content: bytearray, draw: Draw) -> None:
    """After a colon, a comma or a space: where a reader expects something."""
    places = [at for at, byte in enumerate(content) if byte in b":, ="]
    if places:
        at = places[draw.integers(len(places))] + 1
        end = next((i for i in range(at + 1, len(content)) if content[i] in b",\n }]"), at)
        content[at:end] = b" " + WORDS[draw.integers(len(WORDS))]


HARMS = (
    flipped, cut, without_a_part, repeated, with_a_word, with_another_line, with_another_value,
)  # fmt: skip


def damaged(content: bytes, draw: Draw) -> bytes:
    found = bytearray(content)
    for _ in range(draw.integers(1, 4)):
        if found:
            HARMS[draw.integers(len(HARMS))](found, draw)
    return bytes(found)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    def late(*_: object) -> None:
        raise TimeoutError(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def peak_bytes() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@pytest.fixture
def hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Trial], None]:
    """Runs all trials of a kind; fails with the seeds of those that were neither taken nor refused.

    What each wrote is left in its folder if it failed.
    """

    def run(kind: str, trial: Trial) -> None:
        failures, before = [], peak_bytes()
        for number in range(COUNT):
            place = tmp_path / f"{kind}-{number}"
            place.mkdir()
            monkeypatch.chdir(place)
            draw = np.random.default_rng([SEED, *kind.encode(), number])
            try:
                with within(LONGEST_SECONDS):
                    trial(draw, place)
            except (AtelierError, Refused) as refusal:
                if "Traceback" in str(refusal):
                    failures.append(f"{place}: a traceback in its words: {refusal}")
            except Exception as error:  # what is looked for
                failures.append(f"{place}: {type(error).__name__}: {str(error)[:200]}")
                continue
            monkeypatch.chdir(tmp_path)
            shutil.rmtree(place, ignore_errors=True)
        assert not failures, f"{len(failures)} of {COUNT}:\n" + "\n".join(failures[:20])
        assert peak_bytes() - before < MOST_MEMORY_BYTES

    return run


def one_of(draw: Draw, choices: Sequence[Path]) -> Path:
    return choices[draw.integers(len(choices))]


def test_configuration(hold: Callable[[str, Trial], None]) -> None:
    """params.yaml, and the files of experiments and datasets."""
    files = sorted(path.relative_to(ROOT) for path in (ROOT / "experiments").rglob("*.yaml"))

    def trial(draw: Draw, place: Path) -> None:
        file = one_of(draw, [Path("params.yaml"), *files])
        shutil.copytree(ROOT / "experiments", place / "experiments")
        for name in ("params.yaml", "dvc.yaml"):
            shutil.copyfile(ROOT / name, place / name)
        (place / file).write_bytes(damaged((ROOT / file).read_bytes(), draw))
        load_parameters()
        scale = next((part for part in file.parts if part in SCALES), "tiny")
        if file.parent.name == "datasets":
            config.load_dataset(scale, file.stem)
        else:
            config.load_experiment(scale, "faces-gan" if file.stem == "params" else file.stem)

    hold("configuration", trial)


def test_tables(hold: Callable[[str, Trial], None], tmp_path: Path) -> None:
    """Attributes and partitions, as text and as CSV."""
    sound = {csv: write_faces(tmp_path / f"faces-{csv}", 8, csv=csv) for csv in (False, True)}

    def trial(draw: Draw, place: Path) -> None:
        given = place / "given"
        shutil.copytree(sound[bool(draw.integers(2))], given)
        table = one_of(draw, sorted(given.glob("list_*")))
        table.write_bytes(damaged(table.read_bytes(), draw))
        import_dataset("celeba", given, place / "project", workers=1)

    hold("tables", trial)


def test_archives(hold: Callable[[str, Trial], None], tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs", 3, 2)
    zipped, tarred = tmp_path / "pairs.zip", tmp_path / "pairs.tar.gz"
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)
    with zipfile.ZipFile(zipped, "w") as archive:
        for number, path in enumerate(sorted(pairs.rglob("*.jpg"))):
            archive.write(path, path.relative_to(pairs), methods[number % len(methods)])
    with tarfile.open(tarred, "w:gz") as archive:
        archive.add(pairs, "pairs")

    def trial(draw: Draw, place: Path) -> None:
        sound = one_of(draw, [zipped, tarred])
        given = place / sound.name
        given.write_bytes(damaged(sound.read_bytes(), draw))
        import_dataset("horse2zebra", given, place / "project", workers=1)

    hold("archives", trial)


def test_images(hold: Callable[[str, Trial], None]) -> None:
    kinds = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
    modes = {"JPEG": "L", "PNG": "RGBA", "TIFF": "I;16", "GIF": "P"}
    sound = [encoded(picture(1), kind) for kind in kinds]
    sound += [encoded(picture(2).convert("L").convert(modes[kind]), kind) for kind in modes]

    def trial(draw: Draw, place: Path) -> None:
        (place / "picture.jpg").write_bytes(damaged(sound[draw.integers(len(sound))], draw))
        try_decode(place / "picture.jpg")

    hold("images", trial)


def test_requests(hold: Callable[[str, Trial], None], packed: Callable[[str], Path]) -> None:
    """JSON as a server gets it: one that is no JSON never comes so far."""
    rows = {
        "unconditional": [{"count": 2, "seed": 3, "truncation": 0.7, "edits": "Smiling=1"}],
        "conditional": [{"count": 1, "attributes": "Male=1", "allow_unseen": True}],
    }
    opened = {name: open_bundle(packed(name)) for name in rows}

    def trial(draw: Draw, place: Path) -> None:
        name = list(rows)[draw.integers(len(rows))]
        text = damaged(json.dumps(rows[name]).encode(), draw)
        try:
            request = json.loads(text)
        except (ValueError, RecursionError):
            return
        answer(opened[name], request, None)

    hold("requests", trial)


def test_bundles(
    hold: Callable[[str, Trial], None],
    packed: Callable[[str], Path],
    sign: Callable[[Path], None],
) -> None:
    """With hashes that agree, as one who means harm would make them; and without."""

    def trial(draw: Draw, place: Path) -> None:
        folder = Path(shutil.copytree(packed("conditional"), place / "bundle"))
        member = one_of(draw, sorted(folder.iterdir()))
        member.write_bytes(damaged(member.read_bytes(), draw))
        if member.name != "bundle.json" and draw.integers(4):
            sign(folder)
        open_bundle(folder).sample(1, attributes=np.zeros(1, np.float32))

    hold("bundles", trial)


def test_checkpoints(hold: Callable[[str, Trial], None], tmp_path: Path) -> None:
    state = {"step": 3, "nets": {"a": torch.ones(4, 5)}, "history": [1.0, 2.0], "early": None}
    checkpoint.save(tmp_path / "sound.pt", state)
    content = (tmp_path / "sound.pt").read_bytes()

    def trial(draw: Draw, place: Path) -> None:
        (place / "checkpoint.pt").write_bytes(damaged(content, draw))
        checkpoint.load(place / "checkpoint.pt", torch.device("cpu"))

    hold("checkpoints", trial)
