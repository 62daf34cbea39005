"""Arrays, words and files that no honest bundle holds are refused before anything is loaded."""

import contextlib
import io
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.toys import Canary, directions

from atelier.bundle import bundle_model
from atelier.bundle.bundle_model import Refused, open_bundle


def npy(array: np.ndarray, **how: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **how)
    return buffer.getvalue()


def version_two(content: bytes) -> bytes:
    length = int.from_bytes(content[8:10], "little")
    return b"\x93NUMPY\x02\x00" + length.to_bytes(4, "little") + content[10:]


HONEST = npy(directions())
ARRAY_TAMPERINGS: dict[str, tuple[Callable[[Canary], bytes], str]] = {
    "pickle": (lambda canary: pickle.dumps(canary), "not an array"),
    "objects": (lambda canary: npy(np.array([[canary] * 8] * 2)), "of another type than <f4"),
    "structured": (
        lambda _: npy(np.zeros((2, 8), [("a", "<f4")])), "of another type|not an array"
    ),
    "doubles": (lambda _: npy(directions().astype(np.float64)), "of another type than <f4"),
    "big end first": (lambda _: npy(directions().astype(">f4")), "of another type than <f4"),
    "by columns": (lambda _: npy(np.asfortranarray(directions())), "or not in rows"),
    "other latent": (lambda _: npy(directions()[:, :7].copy()), r"its shape \[2, 7\]"),
    "one more": (lambda _: npy(np.zeros((3, 8), np.float32)), r"its shape \[3, 8\]"),
    "flat": (lambda _: npy(directions().ravel()), r"its shape \[16\]"),
    "cut": (lambda _: HONEST[:-4], "cut short"),
    "longer": (lambda _: HONEST + b"PK\x03\x04", "longer than its head says"),
    "a huge claim": (
        lambda _: HONEST.replace(b"(2, 8)", b"(9**9,", 1), "not an array"
    ),
    "not finite": (lambda _: npy(np.full((2, 8), np.nan, np.float32)), "not finite"),
    "version 2": (lambda _: version_two(HONEST), "not an array"),
    "zip of arrays": (lambda _: b"PK\x03\x04" + HONEST, "not an array"),
    "empty": (lambda _: b"", "not an array"),
    "code in the head": (
        lambda canary: HONEST.replace(b"(2, 8), }", f"print('{canary.file}')".encode()),
        "not an array",
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", ARRAY_TAMPERINGS)
def test_a_tampered_array_is_refused_before_anything_is_loaded(
    copied: Path,
    tmp_path: Path,
    sign: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    tamper, message = ARRAY_TAMPERINGS[how]
    canary = Canary(tmp_path / "ran")
    (copied / "directions.npy").write_bytes(tamper(canary))
    sign(copied)
    loaded: list[object] = []
    monkeypatch.setattr(bundle_model, "Program", lambda *given: loaded.append(given))
    with pytest.raises(Refused, match=rf"directions\.npy: .*({message})"):
        open_bundle(copied)
    assert not loaded
    assert not canary.file.exists()


def test_numpy_itself_would_unpickle_what_is_refused_here(tmp_path: Path) -> None:
    canary = Canary(tmp_path / "ran")
    with contextlib.suppress(Exception):
        np.load(io.BytesIO(npy(np.array([canary]))), allow_pickle=True)
    assert canary.file.is_dir()


def test_members_of_another_task_are_refused(
    packed: Callable[[str], Path], tmp_path: Path, sign: Callable[[Path], None]
) -> None:
    folder = Path(shutil.copytree(packed("translation"), tmp_path / "bundle"))
    program = folder / "b2a.pt2"
    program.rename(folder / "encoder.pt2")
    sign(folder)
    with pytest.raises(Refused, match=r"not allowed \(b2a\.pt2, encoder\.pt2\)"):
        open_bundle(folder)
    (folder / "encoder.pt2").rename(program)
    (folder / "secrets.npy").write_bytes(HONEST)
    sign(folder)
    with pytest.raises(Refused, match=r"not allowed \(secrets\.npy\)"):
        open_bundle(folder)


WORDS: list[tuple[dict[str, Any], str]] = [
    ({"task": "judging"}, "no bundle"),
    ({"task": ["images"]}, "no bundle"),
    ({"task": "conditional"}, "attributes belong to a conditional generator"),
    ({"attributes": ["Male"]}, "attributes belong to a conditional generator"),
    ({"directions": []}, "its shape|directions need their names"),
    ({"inputs": {"latent_dim": 10**9, "variational": False}}, "a latent of 1000000000 numbers"),
    ({"inputs": {"latent_dim": "8", "variational": False}}, r"cannot be loaded \(TypeError\)"),
    ({"inputs": {}}, r"cannot be loaded \(KeyError\)"),
    ({"chunk": 0}, r"chunks of 64 \(got 0\)"),
    ({"crop_share": float("nan")}, "NaN is no number"),
    ({"crop_share": float("inf")}, "Infinity is no number"),
    ({"crop_share": 0}, "a crop's share above 0"),
    ({"crop_share": "all"}, "a crop's share above 0"),
    ({"experiment": "../x"}, "experiment is no name"),
    ({"registered_name": "/etc/passwd"}, "registered_name is no name"),
    ({"dataset": ""}, "dataset is no name"),
    ({"scale": ["tiny"]}, "scale is no name"),
    ({"directions": ["Smiling", "Smiling"]}, "directions are named twice"),
    ({"directions": [{"a": 1}, "Male"]}, "directions are no names"),
    ({"attributes": "Male"}, "attributes are no names"),
    ({"output_shape": []}, "outputs of no shape"),
    ({"output_shape": [3, 0, 0]}, "outputs of no shape"),
    ({"output_shape": [3, 8.0, 8.0]}, "outputs of no shape"),
    ({"output_shape": [3, 10**9, 10**9]}, "outputs of no shape"),
    ({"output_shape": [3, 8, 16]}, "are square"),
    ({"output_shape": [1, 8, 8]}, "have 3 channels"),
]


@pytest.mark.parametrize(("words", "message"), WORDS)
def test_words_that_do_not_fit_the_members_are_refused(
    copied: Path, sign: Callable[[Path], None], words: dict[str, Any], message: str
) -> None:
    manifest = json.loads((copied / "bundle.json").read_text())
    (copied / "bundle.json").write_text(json.dumps(manifest | words))
    sign(copied)
    with pytest.raises(Refused, match=message):
        open_bundle(copied)


@pytest.mark.parametrize(
    "name", ["generator.pt2", "bundle_model.py", "directions.npy", "example.png"]
)
def test_a_changed_member_is_refused(copied: Path, name: str) -> None:
    content = (copied / name).read_bytes()
    (copied / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(Refused, match=f"{name}: not the file that was packed"):
        open_bundle(copied)


def test_missing_and_unknown_members_are_refused(
    copied: Path, tmp_path: Path, sign: Callable[[Path], None]
) -> None:
    (copied / "extra.py").write_text("print()")
    with pytest.raises(Refused, match=r"extra\.py"):
        open_bundle(copied)
    sign(copied)
    with pytest.raises(Refused, match=r"extra\.py"):
        open_bundle(copied)
    (copied / "extra.py").unlink()
    sign(copied)
    (copied / "example.png").rename(tmp_path / "outside.png")
    with pytest.raises(Refused, match=r"example\.png"):
        open_bundle(copied)
    (copied / "example.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(Refused, match=r"example\.png: cannot be read \(No such file"):
        open_bundle(copied)


def test_a_bundle_of_links_is_what_they_lead_to(copied: Path, tmp_path: Path) -> None:
    """As `dvc config cache.type symlink` lays it."""
    cache = tmp_path / "cache"
    cache.mkdir()
    made = open_bundle(copied).sample(1)
    for path in list(copied.iterdir()):
        path.rename(cache / path.name)
        path.symlink_to(cache / path.name)
    assert (open_bundle(copied).sample(1) == made).all()
    (cache / "generator.pt2").write_bytes(b"other")
    with pytest.raises(Refused, match=r"generator\.pt2: not the file that was packed"):
        open_bundle(copied)


@pytest.mark.parametrize("name", ["bundle.json", "generator.pt2"])
def test_what_never_ends_is_no_member(copied: Path, name: str) -> None:
    """Reading a pipe that nobody writes to would wait for ever."""
    for make in (os.mkfifo, Path.mkdir):
        path = copied / name
        path.unlink(missing_ok=True)
        make(path)
        with pytest.raises(Refused, match=rf"{name}: not a file"):
            open_bundle(copied)
        path.rmdir() if path.is_dir() else path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(Refused, match=rf"{name}: not a file"):
        open_bundle(copied)


@pytest.mark.parametrize("name", ["bundle.json", "generator.pt2", "directions.npy"])
def test_a_member_longer_than_memory_is_not_read(copied: Path, name: str) -> None:
    os.truncate(copied / name, 20 * 2**30)
    with pytest.raises(Refused, match=rf"{name}: 21,474,836,480 bytes \(at most"):
        open_bundle(copied)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_a_manifest_nested_beyond_reading_is_none(copied: Path, opening: str) -> None:
    (copied / "bundle.json").write_text(opening * 100_000)
    with pytest.raises(Refused, match="no bundle"):
        open_bundle(copied)


def test_words_that_were_not_packed_are_refused(copied: Path) -> None:
    manifest = json.loads((copied / "bundle.json").read_text())
    for text, message in (
        (json.dumps(manifest | {"selected_images": 5}), "not those that were packed"),
        (json.dumps(manifest | {"format": 1}), "format 1, this reads 3"),
        (json.dumps(["a"]), "no bundle"),
        ("{", "no bundle"),
    ):
        (copied / "bundle.json").write_text(text)
        with pytest.raises(Refused, match=message):
            open_bundle(copied)
    with pytest.raises(Refused, match="no bundle"):
        open_bundle(copied / "nowhere")
