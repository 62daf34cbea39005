"""A tampered program is refused before anything is loaded."""

import contextlib
import io
import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.toys import SIZE, Canary

from atelier.bundle import bundle_model
from atelier.bundle.bundle_model import Refused, open_bundle, write_archive

WEIGHTS = "data/weights/model_weights_config.json"
CONSTANTS = "data/constants/model_constants_config.json"
GRAPH = "models/model.json"

Members = dict[str, bytes]


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


def power(members: Members, canary: Canary) -> None:
    members[GRAPH] = members[GRAPH].replace(b"Symbol('s", b"9**9**9**9 + Symbol('s", 1)


def named_power(members: Members, canary: Canary) -> None:
    tower = b"Pow(9, Pow(9, Pow(9, 9))) + Symbol('s"
    members[GRAPH] = members[GRAPH].replace(b"Symbol('s", tower, 1)


def long_number(members: Members, canary: Canary) -> None:
    members[GRAPH] = members[GRAPH].replace(b"Symbol('s", b"9" * 390 + b" + Symbol('s", 1)


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
    power: "no part of a network",
    named_power: "no part of a network",
    long_number: "no part of a network",
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
    monkeypatch.setattr(bundle_model, "Program", lambda *given: loaded.append(given))
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
    pairs = (("conditional", "unconditional"), ("unconditional", "conditional"))
    for name, other in pairs:
        folder = Path(shutil.copytree(packed(name), tmp_path / name))
        shutil.copyfile(packed(other) / "generator.pt2", folder / "generator.pt2")
        sign(folder)
        with pytest.raises(Refused, match="no part of a network"):
            open_bundle(folder)


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
