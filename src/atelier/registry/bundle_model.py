"""Generates from a bundle: checks every byte of it first, then samples. Needs no Atelier.

MLflow runs this file when it loads a registered bundle ("models from code"), in an environment of
mlflow, torch, numpy and Pillow; Atelier imports the same file, so both make the same pictures.

`torch.export.load` runs code of a tampered file in several ways: pickles (sample inputs, weights
and constants marked `use_pickle`, opaque objects), operators resolved by attribute access from
`torch`, expressions evaluated by sympy, names pasted into generated code. So an archive is read
here member by member against a list of what an honest one holds, and torch gets a fresh archive
built from the checked bytes, never the file itself.

One file, though a long one: a bundle carries no other code.
"""

import base64
import hashlib
import io
import json
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

FORMAT = 1
MANIFEST = "bundle.json"
PROGRAM = "generator.pt2"
CODE = "bundle_model.py"
MEMBERS = frozenset({PROGRAM, CODE, "example.png", "example.json", "model_card.md"})
SHOWN_ONLY = frozenset({"example.png", "example.json", "model_card.md"})
"""Members that say what a bundle makes but do not decide it: not part of its digest."""

CHUNK = 64
LARGEST_COUNT = 10_000
LARGEST_SEED = 2**63 - 1
LARGEST_TRUNCATION = 2.0
DEFAULTS = {"count": None, "seed": 0, "truncation": 1.0}
"""A request's columns; count has to be given."""

_ARCHIVE_ROOT = "generator/"
_ARCHIVE_MEMBER = re.compile(
    r"data/weights/weight_\d+|data/constants/tensor_\d+|models/model\.json"
    r"|data/weights/model_weights_config\.json|data/constants/model_constants_config\.json"
    r"|data/sample_inputs/model\.pt|archive_format|archive_version|byteorder"
    r"|\.data/version|\.data/serialization_id"
)
_OPERATOR = re.compile(
    r"torch\.ops\.aten\.(?!from_file\b)_?[a-z]\w*\.[A-Za-z]\w*"
    r"|_operator\.(add|sub|mul|floordiv|mod|neg|getitem|eq|ge|gt|le|lt)"
)
_EXPRESSION = re.compile(
    r"(?:\b(?:Symbol|Integer|Add|Mul|Pow|FloorDiv|Max|Min|True|positive|integer|[su]\d+|\d+)\b"
    r"|[-+*/(),'= ])*"
)
_NAME = re.compile(r"[\w.+]*", re.ASCII)
_IN_SPEC, _OUT_SPEC = (
    '[1, {"type": "builtins.tuple", "context": "null", "children_spec": [{"type": "builtins.tuple"'
    ', "context": "null", "children_spec": [{"type": null, "context": null, "children_spec": []}]}'
    ', {"type": "builtins.dict", "context": "[]", "children_spec": []}]}]',
    '[1, {"type": null, "context": null, "children_spec": []}]',
)


class Refused(ValueError):
    """A bundle that is not what it says, or a request that it cannot honour; one line."""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digest_of(manifest: Mapping[str, Any]) -> str:
    """The bundle's identity: its words, program and code, without what only shows them."""
    identity = {key: value for key, value in manifest.items() if key != "digest"}
    members = manifest["members"].items()
    identity["members"] = {name: sha for name, sha in members if name not in SHOWN_ONLY}
    return sha256(json.dumps(identity, sort_keys=True, separators=(",", ":")).encode())


def check_bundle(folder: Path) -> dict[str, Any]:
    """Returns the manifest once each member is what the manifest says; loads nothing.

    Raises:
        Refused: a member is missing, unknown, a link, or not the one that was packed.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        members = dict(manifest["members"])
        if manifest["format"] != FORMAT:
            raise Refused(f"{folder}: bundle format {manifest['format']!r}, this reads {FORMAT}")
        digest = digest_of(manifest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise error if isinstance(error, Refused) else Refused(f"{folder}: no bundle") from None
    present = {path.name for path in folder.iterdir()} - {MANIFEST}
    if present != set(members) or not {PROGRAM, CODE} <= present <= MEMBERS:
        strange = sorted(present ^ set(members) | (present - MEMBERS))
        raise Refused(f"{folder}: members missing or not allowed ({', '.join(strange)})")
    for name, expected in members.items():
        path = folder / name
        if path.is_symlink() or not path.is_file() or sha256(path.read_bytes()) != expected:
            raise Refused(f"{path}: not the file that was packed (its hash differs)")
    if manifest.get("digest") != digest:
        raise Refused(f"{folder / MANIFEST}: its words are not those that were packed")
    return dict(manifest)


def load_program(content: bytes) -> torch.nn.Module:
    """The generator in an archive of torch.export, after every member passed the list.

    Raises:
        Refused: the archive holds something that an honest one does not.
    """
    members = _archive_members(content)
    for name in ("data/weights/model_weights_config.json",
                 "data/constants/model_constants_config.json"):  # fmt: skip
        _check_payloads(name, _json(members, name))
    _check_graph(_json(members, "models/model.json"))
    program = torch.export.load(io.BytesIO(write_archive(members)))
    return program.module(check_guards=False)


def write_archive(members: Mapping[str, bytes]) -> bytes:
    """A .pt2 archive whose bytes depend on its members alone: fixed order, dates and attributes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            entry = zipfile.ZipInfo(_ARCHIVE_ROOT + name)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            # Weights start at multiples of 64 bytes, as torch writes them: they are mapped as such.
            start = buffer.tell() + 30 + len(entry.filename.encode()) + 4
            padding = -start % 64
            entry.extra = b"FB" + padding.to_bytes(2, "little") + b"Z" * padding
            archive.writestr(entry, members[name])
    return buffer.getvalue()


def _archive_members(content: bytes) -> dict[str, bytes]:
    members: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.infolist():
                root, _, name = entry.filename.partition("/")
                if entry.flag_bits & 0x1 or entry.compress_type != zipfile.ZIP_STORED:
                    raise Refused(f"{PROGRAM}: {entry.filename!r} is encrypted or compressed")
                if not re.fullmatch(r"\w+", root) or not _ARCHIVE_MEMBER.fullmatch(name):
                    raise Refused(f"{PROGRAM}: {entry.filename!r} is not a member of a program")
                if name in members:
                    raise Refused(f"{PROGRAM}: {entry.filename!r} is there twice")
                members[name] = archive.read(entry)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise Refused(f"{PROGRAM}: not a program of torch.export ({error})") from None
    if members.get("data/sample_inputs/model.pt") != b"":
        raise Refused(f"{PROGRAM}: sample inputs must be empty, they are a pickle")
    return members


def _json(members: Mapping[str, bytes], name: str) -> Any:
    try:
        return json.loads(members[name])
    except (KeyError, ValueError):
        raise Refused(f"{PROGRAM}: {name} is missing or unreadable") from None


def _check_payloads(name: str, document: Any) -> None:
    _check_strings(name, document)
    payloads = document.get("config") if isinstance(document, dict) else None
    if not isinstance(payloads, dict) or set(document) != {"config"}:
        raise Refused(f"{PROGRAM}: {name} is not a table of tensors")
    for key, payload in payloads.items():
        path = payload.get("path_name") if isinstance(payload, dict) else None
        if not isinstance(path, str) or not re.fullmatch(r"(weight|tensor)_\d+", path):
            raise Refused(f"{PROGRAM}: {name} holds an object that is no tensor ({key})")
        if payload.get("use_pickle") is not False:
            raise Refused(f"{PROGRAM}: {name} holds a pickle ({key})")


def _check_graph(document: Any) -> None:
    if not isinstance(document, dict) or document.get("guards_code") != []:
        raise Refused(f"{PROGRAM}: the graph carries code of its own")
    _check_strings("models/model.json", document)


def _check_strings(where: str, value: Any, key: str = "") -> None:
    """Every word of the graph is a plain name, a known operator or plain arithmetic."""
    if isinstance(value, dict):
        if key == "metadata" and value:
            raise Refused(f"{PROGRAM}: {where} carries metadata")
        for name, inner in value.items():
            _check_strings(where, name)
            _check_strings(where, inner, name)
    elif isinstance(value, list):
        for inner in value:
            _check_strings(where, inner, key)
    elif isinstance(value, str) and not _is_plain(key, value):
        raise Refused(f"{PROGRAM}: {where} holds {value[:60]!r}, which is no part of a generator")


def _is_plain(key: str, value: str) -> bool:
    match key:
        case "in_spec" | "out_spec":
            return value == (_IN_SPEC if key == "in_spec" else _OUT_SPEC)
        case "target":
            return bool(_OPERATOR.fullmatch(value))
        case "expr_str":
            return bool(_EXPRESSION.fullmatch(value))
        case _:
            return bool(_NAME.fullmatch(value))


class Sampler:
    """A checked bundle, ready to generate on the CPU.

    `manifest` is its bundle.json. Raises Refused where the bundle is not what it says.
    """

    def __init__(self, folder: Path) -> None:
        self.manifest = check_bundle(folder)
        try:
            self._program = load_program((folder / PROGRAM).read_bytes())
            self._latent_dim = int(self.manifest["inputs"]["latent_dim"])
            self.is_numbers = self.manifest["kind"] == "numbers"
        except Refused:
            raise
        # A border: what torch raises of a program that is plain and yet wrong is its own affair.
        except Exception as error:
            raise Refused(f"{folder}: cannot be loaded ({type(error).__name__})") from None

    def outputs(self, count: int, seed: int, truncation: float = 1.0) -> Iterator[torch.Tensor]:
        """The generator's raw outputs, at most 64 at a time, `count` in all: [b, *output_shape].

        Output k depends on (seed, k) alone: its latent is drawn for it, and the program always
        runs on 64 rows, because convolutions of another batch size may differ in the last bit.
        """
        check_request(count, seed, truncation)
        for start in range(0, count, CHUNK):
            latents = np.stack([_latent(seed, start + k, self._latent_dim) for k in range(CHUNK)])
            with torch.inference_mode():
                outputs = self._program(torch.from_numpy(latents) * truncation)
            yield outputs[: count - start]

    def sample(self, count: int, seed: int = 0, truncation: float = 1.0) -> np.ndarray:
        """uint8 [count, H, W, C], or int64 [count] of numbers; `truncation` scales the latent."""
        convert = _to_numbers if self.is_numbers else _to_pixels
        return np.concatenate([convert(rows) for rows in self.outputs(count, seed, truncation)])


def _latent(seed: int, index: int, latent_dim: int) -> np.ndarray:
    # numpy's PCG64 normals have the same bits on every processor.
    return np.random.Generator(np.random.PCG64([seed, index])).standard_normal(
        latent_dim, dtype=np.float32
    )


def _to_pixels(images: torch.Tensor) -> np.ndarray:
    """[B, C, H, W] in [-1, 1] -> uint8 [B, H, W, C], rounded."""
    pixels = (images.clamp(-1.0, 1.0) * 127.5 + 128.0).to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).contiguous().numpy()


def _to_numbers(scores: torch.Tensor) -> np.ndarray:
    """[B, 100] scores -> int64 [B]: the place of the largest."""
    return scores.argmax(dim=1).numpy()


def check_request(count: object, seed: object, truncation: object) -> None:
    """Raises Refused for what cannot be honoured exactly as it was asked."""
    for name, value, smallest, largest in (
        ("count", count, 1, LARGEST_COUNT),
        ("seed", seed, 0, LARGEST_SEED),
    ):
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not whole or not smallest <= int(value) <= largest:  # type: ignore[call-overload]
            raise Refused(f"{name}: a whole number from {smallest} to {largest} (got {value!r})")
    real = isinstance(truncation, int | float | np.number) and not isinstance(truncation, bool)
    if not real or not 0 < float(truncation) <= LARGEST_TRUNCATION:  # type: ignore[arg-type]
        raise Refused(f"truncation: above 0, at most {LARGEST_TRUNCATION} (got {truncation!r})")


def png(pixels: np.ndarray) -> bytes:
    """uint8 [H, W, C] with 1 or 3 channels -> the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(buffer, "PNG")
    return buffer.getvalue()


def answer(sampler: Sampler, model_input: Any, params: Any) -> list[dict[str, Any]]:
    """A row per output for all of the requests' rows, in order.

    Raises:
        Refused: the first thing that was asked for and cannot be honoured.
    """
    params = {} if params is None else dict(params)
    form = params.pop("format", "png")
    if params or form not in ("png", "array"):
        strange = ", ".join(map(repr, params)) or f"format {form!r}"
        raise Refused(f"params: {strange} is not known; the one parameter is format, png or array")
    requests = _records(model_input)
    for request in requests:
        check_request(request["count"], request["seed"], request["truncation"])
    if sum(int(request["count"]) for request in requests) > LARGEST_COUNT:
        raise Refused(f"count: at most {LARGEST_COUNT} in all")
    rows = []
    for request in requests:
        seed = int(request["seed"])
        outputs = sampler.sample(int(request["count"]), seed, float(request["truncation"]))
        for index, output in enumerate(outputs):
            rows.append({"index": index, "seed": seed, **_shown(output, form)})
    return rows


def _shown(output: np.ndarray, form: str) -> dict[str, Any]:
    if output.ndim == 0:
        return {"number": int(output)}
    if form == "array":
        return {"array": output.tolist()}
    return {"png_base64": base64.b64encode(png(output)).decode()}


def _records(model_input: Any) -> list[dict[str, Any]]:
    """A table, a list of rows, or a row as a mapping -> rows with every column."""
    if hasattr(model_input, "to_dict") and hasattr(model_input, "columns"):
        model_input = model_input.to_dict(orient="records")
    rows = [model_input] if isinstance(model_input, Mapping) else model_input
    if not isinstance(rows, list) or not rows or not all(isinstance(r, Mapping) for r in rows):
        raise Refused("input: one or more rows with the column count, and seed, truncation")
    for row in rows:
        if strange := [str(name) for name in row if name not in DEFAULTS]:
            raise Refused(f"input: {', '.join(strange)}: no such column; there are count, seed, "
                          "truncation")  # fmt: skip
    return [{**DEFAULTS, **row} for row in rows]


def _as_it_was_asked(model_input: Any, params: Any) -> tuple[Any, Any]:
    """What MLflow's own `predict` was given.

    MLflow drops columns and parameters that the signature does not name before this code sees
    them. Its caller's frame still holds them, and a silent loss is worse than a look there.
    """
    frame = sys._getframe()
    while frame := frame.f_back:  # type: ignore[assignment]
        given = frame.f_locals
        if frame.f_code.co_name == "predict" and type(given.get("self")).__name__ == "PyFuncModel":
            # The converted table serves, unless it is not all that was asked for.
            whole = _columns(given["data"]) <= set(DEFAULTS)
            return (model_input if whole else given["data"]), given["params"]
    return model_input, params


def _columns(data: Any) -> set[str]:
    if hasattr(data, "columns"):
        return {str(name) for name in data.columns}
    rows = data if isinstance(data, list) else [data]
    return {str(name) for row in rows if isinstance(row, Mapping) for name in row}


def _publish() -> None:
    """Hands the model to MLflow, whose base class only this function needs."""
    import mlflow
    import pandas  # type: ignore[import-untyped]

    class BundleModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
        """The bundle in the artifact `bundle`."""

        def load_context(self, context: Any) -> None:
            folder = Path(context.artifacts["bundle"])
            try:
                self.sampler = Sampler(folder)
                if sha256(Path(__file__).read_bytes()) != self.sampler.manifest["members"][CODE]:
                    raise Refused(f"{__file__}: not the code that was packed with the bundle")
            except Refused as refusal:
                raise mlflow.MlflowException.invalid_parameter_value(str(refusal)) from None

        def predict(
            self, context: Any, model_input: pandas.DataFrame, params: dict[str, Any] | None = None
        ) -> list[dict[str, Any]]:
            try:
                return answer(self.sampler, *_as_it_was_asked(model_input, params))
            except Refused as refusal:
                problem = str(refusal)
            except Exception as error:  # a served stack trace would show paths and code
                problem = f"generation failed ({type(error).__name__})"
            raise mlflow.MlflowException.invalid_parameter_value(problem) from None

    mlflow.models.set_model(BundleModel())


if not __name__.startswith("atelier."):
    _publish()
