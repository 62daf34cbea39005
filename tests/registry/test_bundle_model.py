"""A tampered bundle is refused before anything is loaded, a request before anything is made."""

import contextlib
import io
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from atelier.registry.bundle_model import (
    Refused,
    answer,
    check_request,
    open_bundle,
    parse_amounts,
    write_archive,
)

from .toys import SIZE, directions

WEIGHTS = "data/weights/model_weights_config.json"
CONSTANTS = "data/constants/model_constants_config.json"
GRAPH = "models/model.json"

Members = dict[str, bytes]


class Canary:
    """Leaves a file where it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.file),)


def saved(canary: Canary) -> bytes:
    buffer = io.BytesIO()
    torch.save(canary, buffer)
    return buffer.getvalue()


def read(folder: Path, program: str = "generator.pt2") -> Members:
    with zipfile.ZipFile(folder / program) as archive:
        return {e.filename.partition("/")[2]: archive.read(e) for e in archive.infolist()}


def edit(members: Members, name: str, change: Callable[[Any], None]) -> None:
    document = json.loads(members[name])
    change(document)
    members[name] = json.dumps(document).encode()


def sample_inputs(members: Members, canary: Canary) -> None:
    members["data/sample_inputs/model.pt"] = saved(canary)


def pickled_weight(members: Members, canary: Canary) -> None:
    def mark(config: Any) -> None:
        next(iter(config["config"].values()))["use_pickle"] = True

    edit(members, WEIGHTS, mark)
    members["data/weights/weight_0"] = saved(canary)


def opaque_constant(members: Members, canary: Canary) -> None:
    entry = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True}
    edit(members, CONSTANTS, lambda c: c["config"].update({"x": entry | {"tensor_meta": None}}))
    members["data/constants/opaque_obj_0"] = pickle.dumps(canary)


def custom_object(members: Members, canary: Canary) -> None:
    entry = {"path_name": "custom_obj_0", "is_param": False, "use_pickle": True}
    edit(members, CONSTANTS, lambda c: c["config"].update({"x": entry | {"tensor_meta": None}}))


def first_node(members: Members, change: Callable[[Any], None]) -> None:
    edit(members, GRAPH, lambda graph: change(graph["graph_module"]["graph"]["nodes"][0]))


def operator(members: Members, canary: Canary) -> None:
    first_node(members, lambda node: node.update(target="torch.os.mkdir"))


def file_operator(members: Members, canary: Canary) -> None:
    first_node(members, lambda node: node.update(target="torch.ops.aten.from_file.default"))


def expression(members: Members, canary: Canary) -> None:
    text = members[GRAPH].decode()
    code = f"__import__('os').mkdir('{canary.file}')"
    members[GRAPH] = text.replace("Symbol('s", f"{code} or Symbol('s", 1).encode()


def argument(members: Members, canary: Canary) -> None:
    members[GRAPH] = members[GRAPH].replace(b'"input"', b'"input=print()"')


def guard(members: Members, canary: Canary) -> None:
    edit(members, GRAPH, lambda graph: graph.update(guards_code=["print()"]))


def node_metadata(members: Members, canary: Canary) -> None:
    first_node(members, lambda node: node.update(metadata={"custom": "x"}))


def tree(members: Members, canary: Canary) -> None:
    members[GRAPH] = members[GRAPH].replace(b"builtins.dict", b"collections.OrderedDict")


def compiled(members: Members, canary: Canary) -> None:
    members["data/aotinductor/model/model.so"] = b"\x7fELF"


def legacy(members: Members, canary: Canary) -> None:
    members["data/weights/model.pt"] = saved(canary)


def climbing(members: Members, canary: Canary) -> None:
    members["../../outside"] = b""


TAMPERINGS = {
    sample_inputs: "sample inputs must be empty",
    pickled_weight: "holds a pickle",
    opaque_constant: "opaque_obj_0' is not a member",
    custom_object: "holds an object that is no tensor",
    operator: r"'torch\.os\.mkdir'",
    file_operator: "from_file",
    expression: "no part of a network",
    argument: r"'input=print\(\)'",
    guard: "code of its own",
    node_metadata: "carries metadata",
    tree: "no part of a network",
    compiled: r"model\.so' is not a member",
    legacy: r"weights/model\.pt' is not a member",
    climbing: r"outside' is not a member",
}


@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda tamper: tamper.__name__)
def test_a_tampered_program_is_refused_before_it_is_loaded(
    copied: Path,
    tmp_path: Path,
    sign: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
    tamper: Callable[[Members, Canary], None],
) -> None:
    members, canary = read(copied), Canary(tmp_path / "ran")
    tamper(members, canary)
    (copied / "generator.pt2").write_bytes(write_archive(members))
    sign(copied)
    loaded: list[object] = []
    monkeypatch.setattr(torch.export, "load", loaded.append)
    with pytest.raises(Refused, match=TAMPERINGS[tamper]):
        open_bundle(copied)
    assert not loaded
    assert not canary.file.exists()


@pytest.mark.parametrize("program", ["a2b", "b2a"])
def test_each_program_is_checked_before_any_is_loaded(
    packed: Callable[[str], Path],
    tmp_path: Path,
    sign: Callable[[Path], None],
    program: str,
) -> None:
    folder = Path(shutil.copytree(packed("translation"), tmp_path / "bundle"))
    members, canary = read(folder, f"{program}.pt2"), Canary(tmp_path / "ran")
    sample_inputs(members, canary)
    (folder / f"{program}.pt2").write_bytes(write_archive(members))
    sign(folder)
    with pytest.raises(Refused, match=rf"{program}\.pt2: sample inputs must be empty"):
        open_bundle(folder)
    assert not canary.file.exists()


def test_a_program_takes_what_its_task_gives_it(
    packed: Callable[[str], Path], tmp_path: Path, sign: Callable[[Path], None]
) -> None:
    """One input where there are two, and the other way round, is no honest bundle."""
    for name, other in (("conditional", "images"), ("images", "conditional")):
        folder = Path(shutil.copytree(packed(name), tmp_path / name))
        shutil.copyfile(packed(other) / "generator.pt2", folder / "generator.pt2")
        sign(folder)
        with pytest.raises(Refused, match="no part of a network"):
            open_bundle(folder)


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
    monkeypatch.setattr(torch.export, "load", loaded.append)
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


@pytest.mark.parametrize("tamper", [sample_inputs, pickled_weight, expression])
def test_torch_itself_runs_what_is_refused_here(
    copied: Path, tmp_path: Path, tamper: Callable[[Members, Canary], None]
) -> None:
    """The tamperings are real: without the check, loading leaves the canary's folder."""
    members, canary = read(copied), Canary(tmp_path / "ran")
    tamper(members, canary)
    with contextlib.suppress(Exception):  # it fails afterwards: the canary is no tensor
        torch.export.load(io.BytesIO(write_archive(members)))
    assert canary.file.is_dir()


def test_a_plain_program_passes(copied: Path, sign: Callable[[Path], None]) -> None:
    (copied / "generator.pt2").write_bytes(write_archive(read(copied)))
    sign(copied)
    assert open_bundle(copied).sample(1).shape == (1, SIZE, SIZE, 3)


def zipped(members: Members, **how: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **how) as archive:
        for name, content in members.items():
            archive.writestr(f"program/{name}", content)
    return buffer.getvalue()


def test_archives_that_zip_tools_can_make_are_refused(
    copied: Path, sign: Callable[[Path], None]
) -> None:
    members = read(copied)
    encrypted = bytearray(zipped(members))
    entry = encrypted.rfind(b"PK\x01\x02")
    encrypted[entry + 8] |= 1
    twice = io.BytesIO(zipped(members))
    with zipfile.ZipFile(twice, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("program/models/model.json", b"{}")
    for content, message in (
        (zipped(members, compression=zipfile.ZIP_DEFLATED), "encrypted or compressed"),
        (bytes(encrypted), "encrypted or compressed"),
        (twice.getvalue(), "there twice"),
        (b"not a zip", "not a program"),
        (write_archive(members)[:-500], "not a program"),
        (b"", "not a program"),
    ):
        (copied / "generator.pt2").write_bytes(content)
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


def test_missing_unknown_and_linked_members_are_refused(
    copied: Path, tmp_path: Path, sign: Callable[[Path], None]
) -> None:
    (copied / "extra.py").write_text("print()")
    with pytest.raises(Refused, match=r"extra\.py"):
        open_bundle(copied)
    sign(copied)
    with pytest.raises(Refused, match=r"extra\.py"):
        open_bundle(copied)
    (copied / "extra.py").unlink()
    (copied / "example.png").rename(tmp_path / "outside.png")
    with pytest.raises(Refused, match=r"example\.png"):
        open_bundle(copied)
    (copied / "example.png").symlink_to(tmp_path / "outside.png")
    sign(copied)
    with pytest.raises(Refused, match=r"example\.png"):
        open_bundle(copied)


def test_words_that_were_not_packed_are_refused(copied: Path) -> None:
    manifest = json.loads((copied / "bundle.json").read_text())
    for text, message in (
        (json.dumps(manifest | {"selected_images": 5}), "not those that were packed"),
        (json.dumps(manifest | {"format": 1}), "format 1, this reads 2"),
        (json.dumps(["a"]), "no bundle"),
        ("{", "no bundle"),
    ):
        (copied / "bundle.json").write_text(text)
        with pytest.raises(Refused, match=message):
            open_bundle(copied)
    with pytest.raises(Refused, match="no bundle"):
        open_bundle(copied / "nowhere")


BAD_REQUESTS: list[tuple[Any, str]] = [
    ([{"count": 1.5}], "count: a whole number"),
    ([{"count": 2.0}], "count: a whole number"),
    ([{"count": True}], "count: a whole number"),
    ([{"count": "3"}], "count: a whole number"),
    ([{"count": None}], "count: a whole number"),
    ([{"count": float("nan")}], "count: a whole number"),
    ([{"count": 0}], "count: a whole number"),
    ([{"count": -1}], "count: a whole number"),
    ([{"count": 10**9}], "count: a whole number"),
    ([{"count": 6000}, {"count": 6000}], "count: at most 10000 in all"),
    ([{"count": 1, "seed": -1}], "seed: a whole number"),
    ([{"count": 1, "seed": 2**63}], "seed: a whole number"),
    ([{"count": 1, "seed": 0.5}], "seed: a whole number"),
    ([{"count": 1, "truncation": 0.0}], "truncation: above 0"),
    ([{"count": 1, "truncation": 2.01}], "truncation: above 0"),
    ([{"count": 1, "truncation": float("nan")}], "truncation: above 0"),
    ([{"count": 1, "truncation": "1"}], "truncation: above 0"),
    ([{"count": 1, "truncation": True}], "truncation: above 0"),
    ([{"count": 1, "colour": "red"}], "colour: no such column"),
    ([{"count": 1, "attributes": "Male=1"}], "attributes: no such column; there are count, seed"),
    ([{"count": 1, "edits": 2.0}], "edits: a text"),
    ([{"count": 1, "edits": "Smiling"}], r"edits: NAME=NUMBER, separated by commas"),
    ([{"count": 1, "edits": "Smiling=much"}], r"edits: NAME=NUMBER"),
    ([{"count": 1, "edits": "Smiling=nan"}], r"edits: NAME=NUMBER"),
    ([{"count": 1, "edits": "Smiling=1,Smiling=2"}], "edits: Smiling is there twice"),
    ([{"count": 1, "edits": "Smiling=3.01"}], "edits: Smiling: from -3 to 3 standard deviations"),
    ([{"count": 1, "edits": "Smilin=1"}], "edits: 'Smilin' is not known; .* is Smiling"),
    ([{"count": 1}, {"count": 1, "edits": "Age=1"}], "edits: 'Age' is not known"),
    ([{}], "count: a whole number"),
    ([], "input: one or more rows"),
    ([[1, 2]], "input: one or more rows"),
    ("ten", "input: one or more rows"),
    (None, "input: one or more rows"),
]


@pytest.mark.parametrize(("request_", "message"), BAD_REQUESTS)
def test_what_cannot_be_honoured_is_refused(
    image_bundle: Path, monkeypatch: pytest.MonkeyPatch, request_: Any, message: str
) -> None:
    opened = open_bundle(image_bundle)
    monkeypatch.setattr(opened, "sample", lambda *_: pytest.fail("made before it was checked"))
    with pytest.raises(Refused, match=message):
        answer(opened, request_, None)


@pytest.mark.parametrize("params", [{"format": "gif"}, {"quality": 3}, {"format": 1}])
def test_unknown_parameters_are_refused(image_bundle: Path, params: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="params: "):
        answer(open_bundle(image_bundle), [{"count": 1}], params)


def test_numpy_numbers_are_numbers() -> None:
    check_request(np.int64(3), np.int32(0), np.float32(1))


def test_amounts_by_name() -> None:
    assert parse_amounts("edits", "") == {}
    assert parse_amounts("edits", " A = 1 ,B=-0.5,") == {"A": 1.0, "B": -0.5}
