"""Uses a bundle: checks every byte of it first, then samples, translates or reconstructs.

Needs no Atelier. MLflow runs this file when it loads a registered bundle ("models from code"), in
an environment of mlflow, torch, numpy and Pillow; Atelier imports the same file, so both make the
same pictures.

`torch.export.load` runs code of a tampered file in several ways: pickles (sample inputs, weights
and constants marked `use_pickle`, opaque objects), operators resolved by attribute access from
`torch`, expressions evaluated by sympy, names pasted into generated code. So an archive is read
here member by member against a list of what an honest one holds, and its graph is run here, node by
node: each is one of torch's own operators, given tensors and plain numbers. That also takes a tenth
of the time, for torch's loader brings its compiler along.

One file, though a long one: a bundle carries no other code, so that one hash says what runs.
Only what runs a network imports torch: to check a bundle, or to refuse a request, takes no seconds.
In order: what a bundle holds; its folder; its programs; its arrays; `Bundle` and a class for each
task, which use them; requests, which are text and are refused before anything is made; MLflow.
"""

import base64
import hashlib
import io
import json
import math
import operator
import re
import reprlib
import stat
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from PIL import ExifTags, Image

if TYPE_CHECKING:
    import torch

FORMAT = 3
MANIFEST = "bundle.json"
CODE = "bundle_model.py"
SHOWN_ONLY = frozenset({"example.png", "example.json", "model_card.md"})
"""Members that say what a bundle makes but do not decide it: not part of its digest."""

ARRAYS = {
    "directions": ("<f4", ("DL",)),
    "combinations": ("|u1", ("MK",)),
    "latent_mean": ("<f4", ("L",)),
    "latent_deviation": ("<f4", ("L",)),
    "mixture_weights": ("<f4", ("C",)),
    "mixture_means": ("<f4", ("CL",)),
    "mixture_scales": ("<f4", ("CL", "CLL")),
}
"""What may lie beside the networks as `<name>.npy`: type, and axes that have to agree.

D directions, L latent numbers, K attributes, M combinations of attributes seen in training,
C components of a mixture. A row of `directions` is one standard deviation's step towards its
attribute. A component's scale is a deviation for each latent number, or a lower triangular factor
of its covariance.
"""

CHUNK = 64
LARGEST_COUNT = 10_000
LARGEST_SEED = 2**63 - 1
LARGEST_TRUNCATION = 2.0
LARGEST_EDIT = 3.0
"""In standard deviations, either way: beyond, a picture is no likely one."""
LARGEST_PIXELS = 64_000_000
"""Of all images in a request; a small file can declare a picture that fills the memory."""
LARGEST_LATENT = 65_536
LARGEST_SIDE = 8_192
LARGEST_MEMBER_BYTES = 2**31
"""A sparse file can be longer than any memory."""
LARGEST_MANIFEST_BYTES = 2**22
DIRECTIONS = {"A2B": "a2b", "B2A": "b2a"}
SAMPLERS = ("normal", "mixture")
TEXTS = frozenset({"image_base64", "direction", "sampler", "attributes", "edits"})
"""Columns that are texts."""
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF's orientations but the first, and what makes each upright."""
_BICUBIC = Image.Resampling.BICUBIC
"""As the training images were made smaller."""

_ARCHIVE_ROOT = "program/"
_GRAPH = "models/model.json"
_TENSOR_TABLES = (
    "data/weights/model_weights_config.json",
    "data/constants/model_constants_config.json",
)
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
    r"(?:\b(?:Symbol|Integer|Add|Mul|FloorDiv|Max|Min|True|positive|integer|[su]\d{1,9}|\d{1,9})\b"
    r"|[-+/(),'= ]|\*(?!\*)){,400}"
)
"""No powers: a few digits of them can be a number that fills the memory."""
_NAME = re.compile(r"[\w.+]*", re.ASCII)
_LABEL = re.compile(r"\w[\w.+-]{,199}")
"""What experiments and datasets are called: part of a path, and never a path."""
_STORED_AS = {
    "parameter": "parameter_name",
    "buffer": "buffer_name",
    "tensor_constant": "tensor_constant_name",
}
"""By kind of a graph's input that is stored: where its name in the network stands."""
_KEYWORD = 2
"""The kind of an argument that is given by its name."""
_TYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64",
    6: "float16", 7: "float32", 8: "float64", 12: "bool", 13: "bfloat16",
}  # fmt: skip
_NUMBERED = {
    "as_scalar_type": _TYPES,
    "as_layout": {7: "strided"},
    "as_memory_format": {
        1: "contiguous_format", 2: "channels_last", 3: "channels_last_3d", 4: "preserve_format",
    },
}  # fmt: skip
"""torch.export's numbers for what torch has names for."""
LONGEST_WORD = 200
_LEAF = '{"type": null, "context": null, "children_spec": []}'
_TREE = '{"type": "builtins.%s", "context": "%s", "children_spec": [%s]}'
_OUT_SPEC = f"[1, {_LEAF}]"
"""One tensor."""


def _in_spec(inputs: int) -> str:
    """So many positional tensors, and no others by name."""
    tensors = _TREE % ("tuple", "null", ", ".join([_LEAF] * inputs))
    return "[1, %s]" % (_TREE % ("tuple", "null", tensors + ", " + _TREE % ("dict", "[]", "")))


class Refused(ValueError):
    """A bundle that is not what it says, or a request that it cannot honour; one line.

    `where` is the file, or the field of the request; empty for the whole.
    """

    def __init__(self, where: object, problem: str) -> None:
        super().__init__(where, problem)
        self.where, self.problem = str(where), problem

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}" if self.where else self.problem


class OtherFormat(Refused):
    """A bundle that an earlier or a later version of this file packed."""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digest_of(manifest: Mapping[str, Any]) -> str:
    """The model's identity: its words, programs and arrays, without what only shows them.

    Not its code either: the same model with a mended code file is still the same model. What runs
    is told by `code_digest_of`.
    """
    identity = {key: value for key, value in manifest.items() if key != "digest"}
    members, without = manifest["members"].items(), SHOWN_ONLY | {CODE}
    identity["members"] = {name: sha for name, sha in members if name not in without}
    return sha256(json.dumps(identity, sort_keys=True, separators=(",", ":")).encode())


def code_digest_of(manifest: Mapping[str, Any]) -> str:
    """The SHA-256 of the one code file that the bundle carries."""
    return str(manifest["members"][CODE])


def check_bundle(folder: Path) -> dict[str, Any]:
    """Returns the manifest once each member is what the manifest says; loads nothing.

    Raises:
        Refused: a member is missing, unknown, no file, or not the one that was packed.
    """
    if not (folder / MANIFEST).exists():
        raise Refused(folder, "no bundle")
    try:
        manifest = _manifest(folder / MANIFEST)
        members = dict(manifest["members"])
        if manifest["format"] != FORMAT:
            raise OtherFormat(folder, f"bundle format {manifest['format']!r}, this reads {FORMAT}")
        programs = {f"{network}.pt2" for network in TASKS[manifest["task"]].NETWORKS}
        digest = digest_of(manifest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise error if isinstance(error, Refused) else Refused(folder, "no bundle") from None
    present = {path.name for path in folder.iterdir()} - {MANIFEST}
    needed = programs | {CODE}
    allowed = needed | SHOWN_ONLY | {f"{array}.npy" for array in ARRAYS}
    if present != set(members) or not needed <= present <= allowed:
        strange = sorted(present ^ set(members) | (present - allowed) | (needed - present))
        raise Refused(folder, f"members missing or not allowed ({', '.join(strange)})")
    for name, expected in members.items():
        if sha256(read_member(folder / name)) != expected:
            raise Refused(folder / name, "not the file that was packed (its hash differs)")
    if manifest.get("digest") != digest:
        raise Refused(folder / MANIFEST, "its words are not those that were packed")
    return dict(manifest)


def read_member(path: Path, largest: int = LARGEST_MEMBER_BYTES) -> bytes:
    """The bytes of a file, or of the one that a link leads to, as a cache of DVC's may lay them.

    Raises:
        Refused: it is something else, which may never end, or longer than `largest` bytes.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise Refused(path, "not a file")
        if status.st_size > largest:
            raise Refused(path, f"{status.st_size:,} bytes (at most {largest:,})")
        return path.read_bytes()
    except OSError as error:
        raise Refused(path, f"cannot be read ({error.strerror})") from None


def _manifest(path: Path) -> Any:
    def refuse(constant: str) -> Any:
        raise Refused(path, f"{constant} is no number")

    return json.loads(read_member(path, LARGEST_MANIFEST_BYTES), parse_constant=refuse)


def load_program(content: bytes, inputs: int = 1) -> "Program":
    """The network in an archive of torch.export, after every member passed the list.

    Args:
        inputs: how many tensors it takes; a program that takes others is refused.

    Raises:
        Refused: the archive holds something that an honest one does not.
    """
    members = _archive_members(content)
    tables = [_json(members, name) for name in _TENSOR_TABLES]
    for name, table in zip(_TENSOR_TABLES, tables, strict=True):
        _check_payloads(name, table)
    document = _json(members, _GRAPH)
    _check_graph(document, inputs)
    tensors: dict[str, torch.Tensor] = {}
    for name, table in zip(_TENSOR_TABLES, tables, strict=True):
        folder = name.rpartition("/")[0]
        for key, payload in table["config"].items():
            stored = members[f"{folder}/{payload['path_name']}"]
            tensors[key] = _tensor(stored, payload["tensor_meta"])
    return Program(document["graph_module"], tensors)


class Program:
    """A graph that torch.export wrote, run as it stands.

    Called with its tensors in order, each with the batch first, it returns its output. The words of
    the graph only choose: an operator by its name, a tensor by the name that an earlier node gave
    it, a type or a memory format by its number.
    """

    def __init__(self, module: Mapping[str, Any], tensors: "Mapping[str, torch.Tensor]") -> None:
        """`tensors`: parameters, buffers and constants by their names in the network.

        Raises:
            Refused: the graph names what is not there, or holds what no network of ours does.
        """
        import torch

        self.device = torch.device("cpu")
        graph, signature = module["graph"], module["signature"]
        self.kept: dict[str, torch.Tensor] = {}
        self.given: list[str] = []
        for spec in signature["input_specs"]:
            ((kind, words),) = spec.items()
            if kind == "user_input":
                self.given.append(words["arg"]["as_tensor"]["name"])
            elif key := _STORED_AS.get(kind):
                self.kept[words["arg"]["name"]] = tensors[words[key]]
            else:
                raise Refused("", f"the graph takes a {kind}, which is no tensor")
        known = {*self.kept, *self.given}
        self.nodes = [_Node(words, known) for words in graph["nodes"]]
        (output,) = graph["outputs"]
        self.output = _known(output["as_tensor"]["name"], known)
        _forget_early(self.nodes, keep={self.output, *self.kept})

    def to(self, device: "torch.device | str") -> "Program":
        """Moves the weights there, as a module does; what it is given has to lie there, too."""
        import torch

        self.device = torch.device(device)
        self.kept = {name: tensor.to(self.device) for name, tensor in self.kept.items()}
        return self

    def __call__(self, *given: "torch.Tensor") -> "torch.Tensor":
        values: dict[str, Any] = {**self.kept, **dict(zip(self.given, given, strict=True))}
        values[_DEVICE] = self.device
        for node in self.nodes:
            node.run(values)
        made: torch.Tensor = values[self.output]
        return made


class _Named(str):
    """The name of a value that an earlier node made."""

    __slots__ = ()


_DEVICE = _Named("a device")
"""Where the program runs; no value of a graph has a name like this."""


class _Node:
    """One operator, what it is given, and the names of what it makes."""

    def __init__(self, words: Mapping[str, Any], known: set[str]) -> None:
        """Adds the names that it makes to those that are `known`."""
        self.operator = _operator(words["target"])
        self.positional: list[Any] = []
        self.keywords: dict[str, Any] = {}
        for given in words["inputs"]:
            value = _argument(given["arg"], known)
            if given["kind"] == _KEYWORD:
                self.keywords[given["name"]] = value
            else:
                self.positional.append(value)
        self.makes = [_output(output) for output in words["outputs"]]
        for names in self.makes:
            known.update([names] if isinstance(names, str) else names)
        self.forgets: list[str] = []

    @property
    def uses(self) -> set[str]:
        """The names of all that it is given."""
        given = [*self.positional, *self.keywords.values()]
        flat = [one for part in given for one in (part if isinstance(part, list) else [part])]
        return {one for one in flat if isinstance(one, _Named)}

    def run(self, values: dict[str, Any]) -> None:
        made = self.operator(
            *(_value(one, values) for one in self.positional),
            **{name: _value(one, values) for name, one in self.keywords.items()},
        )
        for names, value in zip(self.makes, made if len(self.makes) > 1 else [made], strict=False):
            if isinstance(names, str):
                values[names] = value
            else:
                values.update(zip(names, value, strict=True))
        for name in self.forgets:
            values.pop(name, None)


def _forget_early(nodes: Sequence[_Node], keep: set[str]) -> None:
    """Has each node forget what none after it uses: maps of a whole batch fill the memory."""
    used_later: set[str] = {*keep, _DEVICE}
    for node in reversed(nodes):
        made = {
            name for names in node.makes for name in ([names] if isinstance(names, str) else names)
        }
        node.forgets = sorted((node.uses | made) - used_later)
        used_later |= node.uses


def _operator(target: str) -> Callable[..., Any]:
    """Of a name that passed the list: torch's own, or arithmetic on lengths."""
    if target.startswith("_operator."):
        function: Callable[..., Any] = getattr(operator, target.rpartition(".")[2])
        return function
    import torch

    name, _, overload = target.removeprefix("torch.ops.aten.").partition(".")
    found = getattr(getattr(torch.ops.aten, name, None), overload, None)
    if not isinstance(found, torch._ops.OpOverload):
        raise Refused("", f"{target} is no operator of torch {torch.__version__}")
    return found


def _argument(words: Mapping[str, Any], known: set[str]) -> Any:
    """What an operator is given: a value, or the name of one."""
    ((kind, value),) = words.items()
    match kind:
        case "as_none":
            return None
        case "as_int" | "as_bool" | "as_string":
            return value
        case "as_ints" | "as_bools":
            return list(value)
        case "as_float":
            return float(value)
        case "as_floats":
            return [float(one) for one in value]
        case "as_tensor":
            return _known(value["name"], known)
        case "as_tensors":
            return [_known(one["name"], known) for one in value]
        case "as_optional_tensors" | "as_sym_ints":
            return [_argument(one, known) for one in value]
        case "as_sym_int":
            return _argument(value, known)
        case "as_name":
            return _known(value, known)
        case "as_device":
            return _DEVICE
    if kind in _NUMBERED:
        return _of_torch(_NUMBERED[kind].get(value))
    raise Refused("", f"the graph gives an operator {kind}, which no network of ours needs")


def _known(name: str, known: set[str]) -> _Named:
    if name not in known:
        raise Refused("", f"the graph uses {name!r} before anything has made it")
    return _Named(name)


def _output(words: Mapping[str, Any]) -> str | list[str]:
    """The name of what an operator makes, or the names where that is a list."""
    ((kind, value),) = words.items()
    if kind == "as_tensor":
        return str(value["name"])
    if kind == "as_tensors":
        return [str(one["name"]) for one in value]
    if kind == "as_sym_int":
        return str(value["as_name"])
    raise Refused("", f"the graph makes {kind}, which no network of ours does")


def _value(given: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(given, _Named):
        return values[given]
    if isinstance(given, list):
        return [_value(one, values) for one in given]
    return given


def _of_torch(name: str | None) -> Any:
    if name is None:
        raise Refused("", "the graph names a type that no network of ours has")
    import torch

    return getattr(torch, name)


def _tensor(stored: bytes, meta: Mapping[str, Any]) -> "torch.Tensor":
    """A stored tensor in torch's own memory, laid out as it was: strides choose the algorithm."""
    import torch

    dtype = _of_torch(_TYPES.get(meta["dtype"]))
    sizes, strides = ([one["as_int"] for one in meta[key]] for key in ("sizes", "strides"))
    if not stored:
        return torch.empty_strided(sizes, strides, dtype=dtype)
    flat = torch.frombuffer(bytearray(stored), dtype=dtype)
    made = torch.empty_strided(sizes, strides, dtype=dtype)
    return made.copy_(flat.as_strided(sizes, strides, meta["storage_offset"]["as_int"]))


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
                    raise Refused("", f"{entry.filename!r} is encrypted or compressed")
                if not re.fullmatch(r"\w+", root) or not _ARCHIVE_MEMBER.fullmatch(name):
                    raise Refused("", f"{entry.filename!r} is not a member of a program")
                if name in members:
                    raise Refused("", f"{entry.filename!r} is there twice")
                members[name] = archive.read(entry)
    except (zipfile.BadZipFile, RuntimeError, OSError, EOFError) as error:
        raise Refused("", f"not a program of torch.export ({error})") from None
    if members.get("data/sample_inputs/model.pt") != b"":
        raise Refused("", "sample inputs must be empty, they are a pickle")
    return members


def _json(members: Mapping[str, bytes], name: str) -> Any:
    try:
        return json.loads(members[name])
    except (KeyError, ValueError):
        raise Refused("", f"{name} is missing or unreadable") from None


def _check_payloads(name: str, document: Any) -> None:
    _check_strings(name, document)
    payloads = document.get("config") if isinstance(document, dict) else None
    if not isinstance(payloads, dict) or set(document) != {"config"}:
        raise Refused("", f"{name} is not a table of tensors")
    for key, payload in payloads.items():
        path = payload.get("path_name") if isinstance(payload, dict) else None
        if not isinstance(path, str) or not re.fullmatch(r"(weight|tensor)_\d+", path):
            raise Refused("", f"{name} holds an object that is no tensor ({key})")
        if payload.get("use_pickle") is not False:
            raise Refused("", f"{name} holds a pickle ({key})")


def _check_graph(document: Any, inputs: int) -> None:
    if not isinstance(document, dict) or document.get("guards_code") != []:
        raise Refused("", "the graph carries code of its own")
    _check_strings("models/model.json", document, in_spec=_in_spec(inputs))


def _check_strings(where: str, value: Any, key: str = "", in_spec: str = "") -> None:
    """Every word of the graph is a plain name, a known operator or plain arithmetic."""
    if isinstance(value, dict):
        if key == "metadata" and value:
            raise Refused("", f"{where} carries metadata")
        for name, inner in value.items():
            _check_strings(where, name)
            _check_strings(where, inner, name, in_spec)
    elif isinstance(value, list):
        for inner in value:
            _check_strings(where, inner, key, in_spec)
    elif isinstance(value, str) and not _is_plain(key, value, in_spec):
        raise Refused("", f"{where} holds {value[:60]!r}, which is no part of a network")


def _is_plain(key: str, value: str, in_spec: str) -> bool:
    match key:
        case "in_spec" | "out_spec":
            return value == (in_spec if key == "in_spec" else _OUT_SPEC)
        case "target":
            return bool(_OPERATOR.fullmatch(value))
        case "expr_str":
            return bool(_EXPRESSION.fullmatch(value))
        case "as_float" | "as_floats":
            return value in ("Infinity", "-Infinity")
        case _:
            return bool(_NAME.fullmatch(value))


def read_array(content: bytes, name: str, sizes: dict[str, int]) -> np.ndarray:
    """An array of a bundle, after its head said no more than an honest one's.

    Args:
        sizes: length by axis letter of ARRAYS; an axis that is not in it yet is entered.

    Raises:
        Refused: another type, shape or length, or numbers that are not finite.
    """
    kind, shapes = ARRAYS[name]
    file = io.BytesIO(content)
    try:
        if np.lib.format.read_magic(file) != (1, 0):
            raise Refused("", "of another version")
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
    except Exception:  # numpy parses the head as Python literals, which fail in many ways
        raise Refused("", "not an array") from None
    if dtype.str != kind or by_columns:
        raise Refused("", f"of another type than {kind}, or not in rows")
    axes = next((axes for axes in shapes if len(axes) == len(shape)), "")
    expected = [sizes.setdefault(axis, length) for axis, length in zip(axes, shape, strict=False)]
    if not axes or list(shape) != expected or 0 in shape:
        raise Refused("", f"its shape {list(shape)} does not fit the bundle")
    if len(content) - file.tell() != math.prod(shape) * dtype.itemsize:
        raise Refused("", "cut short, or longer than its head says")
    array: np.ndarray = np.load(io.BytesIO(content), allow_pickle=False)
    if not np.isfinite(array).all():
        raise Refused("", "holds numbers that are not finite")
    return array


class Bundle:
    """A checked bundle, ready to use; `open_bundle` makes it, of the class of its task.

    It runs on the CPU, whose outputs are the reference, or where `to` sends it: another device's
    pictures may differ by 1 of 255 in at most 0.1% of their values.

    Pictures are uint8 [N, H, W, 3] in [0, 255], as Pillow has them, going in and coming out. What
    the task lacks is refused by name.
    """

    NETWORKS: Mapping[str, tuple[str, ...]] = {}
    """Its networks, each a member `<network>.pt2`, and what each is given: `latent`, `attributes`
    or `image`."""
    MAKES_NUMBERS = False

    def __init__(
        self,
        manifest: dict[str, Any],
        networks: "dict[str, Program]",
        arrays: dict[str, np.ndarray],
    ) -> None:
        self.manifest, self.networks, self.arrays = manifest, networks, arrays
        self.device = "cpu"
        self.task = str(manifest["task"])
        self.attributes = tuple(manifest["attributes"])
        """What a conditional generator is asked for, in its network's order."""
        self.directions = tuple(manifest["directions"])
        """The names of the rows of the array `directions`."""
        self.latent_dim = int(manifest["inputs"]["latent_dim"] or 0)
        self.is_variational = bool(manifest["inputs"]["variational"])
        """Its encoder gives a distribution of codes, so that its decoder can be sampled."""

    def to(self, device: "torch.device | str") -> Self:
        """Has its networks run there; what goes in and comes out stays on the CPU."""
        for program in self.networks.values():
            program.to(device)
        self.device = str(device)
        return self

    @classmethod
    def takes_attributes(cls) -> bool:
        return any("attributes" in inputs for inputs in cls.NETWORKS.values())

    @classmethod
    def columns(cls, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """What a request's row may hold, with what stands for a column that is not given."""
        return {}

    def plan(self, row: Mapping[str, Any], place: int, pixels_left: int) -> "Plan":
        """What a request's row, the one at `place`, asks for, once all of it can be honoured."""
        raise self._lacks("answers requests")

    @property
    def can_sample(self) -> bool:
        return False

    @property
    def size_pixels(self) -> int:
        """The side S of its pictures."""
        return int(self.manifest["output_shape"][-1])

    def latents(
        self, count: int, seed: int = 0, truncation: float = 1.0, sampler: str = "normal"
    ) -> np.ndarray:
        """float32 [count, L]; row k depends on (seed, k) alone, and is scaled by `truncation`.

        The sampler "mixture" draws from the mixture that was fitted to the training images' codes;
        `truncation` then scales the distance to the component's mean.
        """
        raise self._lacks("samples")

    def outputs(
        self,
        count: int,
        seed: int = 0,
        truncation: float = 1.0,
        attributes: np.ndarray | None = None,
        sampler: str = "normal",
        shift: np.ndarray | None = None,
    ) -> "Iterator[torch.Tensor]":
        """Raw outputs, at most 64 at a time, `count` in all: [b, *output_shape].

        Output k depends on (seed, k) and its attributes alone: its latent is drawn for it, and the
        program always runs on 64 rows, because convolutions of another batch size may differ in
        the last bit. So it may on another processor, or with other threads.

        Args:
            attributes: [K] for all or [count, K], in [0, 1]; a conditional generator needs them.
            shift: [L], added to each latent after truncation.
        """
        raise self._lacks("samples")

    def sample(
        self,
        count: int,
        seed: int = 0,
        truncation: float = 1.0,
        attributes: np.ndarray | None = None,
        sampler: str = "normal",
        shift: np.ndarray | None = None,
    ) -> np.ndarray:
        """uint8 [count, S, S, 3], or int64 [count] of numbers; arguments as for `outputs`."""
        made = self.outputs(count, seed, truncation, attributes, sampler, shift)
        return np.concatenate([self._published(rows.numpy()) for rows in made])

    def decode(self, latents: np.ndarray, attributes: np.ndarray | None = None) -> np.ndarray:
        """float32 [N, L] -> uint8 [N, S, S, 3], or numbers; attributes as in `outputs`.

        The latents of a sample, in their order, give that sample. One that was moved to another
        place of its 64 rows may differ in the last bit.
        """
        return self._published(self.decode_raw(latents, attributes))

    def decode_raw(self, latents: np.ndarray, attributes: np.ndarray | None = None) -> np.ndarray:
        """float32 [N, L] -> raw outputs, float32 [N, *output_shape]."""
        raise self._lacks("decodes")

    def encode(self, pictures: np.ndarray) -> np.ndarray:
        """uint8 [N, S, S, 3] -> codes float32 [N, L]; of a variational one, their means."""
        raise self._lacks("encodes")

    def distribution(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """uint8 [N, S, S, 3] -> means and log-variances of the codes, float32 [N, L] each."""
        raise self._lacks("gives distributions of codes")

    def reconstruct(self, pictures: np.ndarray, shift: np.ndarray | None = None) -> np.ndarray:
        """uint8 [N, S, S, 3] -> the same, through encoder and decoder; `shift` [L] edits codes."""
        raise self._lacks("encodes")

    def translate(self, pictures: np.ndarray, direction: str) -> np.ndarray:
        """uint8 [N, S, S, 3] -> the same in the other domain; `direction` is A2B or B2A."""
        raise self._lacks("translates")

    def translate_any(self, picture: np.ndarray, direction: str) -> np.ndarray:
        """uint8 [H, W, 3] of any size -> the same size, in the other domain.

        The whole picture is translated at the training size, its longer side fitted and the rest
        mirrored; what that changed is enlarged and added to the full picture, whose detail stays.
        There are no tiles, so there are no seams.
        """
        raise self._lacks("translates")

    def to_square(self, picture: np.ndarray) -> np.ndarray:
        """uint8 [H, W, 3] -> uint8 [S, S, 3]: framed as the training images were, by their centred
        crop or with all of it fitted in.

        A picture that has the size of the training images is one of their kind and stays whole.
        """
        size, (height, width) = self.size_pixels, _sides(picture)
        if (height, width) == (size, size):
            return picture
        if (share := self.manifest["crop_share"]) is None:
            return _fitted(picture, size)[0]
        side = max(round(min(height, width) * float(share)), 1)
        left, top = (width - side) // 2, (height - side) // 2
        box = (left, top, left + side, top + side)
        return np.asarray(Image.fromarray(picture).resize((size, size), _BICUBIC, box=box))

    def attribute_row(
        self, asked: Mapping[str, float], allow_unseen: bool = False
    ) -> np.ndarray | None:
        """Fractions by name -> float32 [K], the unnamed 0; None where nothing can be asked for."""
        if asked:
            raise Refused("attributes", f"this takes none (got {', '.join(asked)})")
        return None

    def shift_of(self, edits: Mapping[str, float]) -> np.ndarray | None:
        """Steps by direction, in standard deviations -> float32 [L]; None where there are none."""
        shift = np.zeros(self.latent_dim, np.float32)
        for name, amount in edits.items():
            if not self.directions:
                raise Refused("edits", f"this bundle holds no directions (got {name})")
            row = _place("edits", name, self.directions)
            if not _is_real(amount) or not abs(float(amount)) <= LARGEST_EDIT:
                limits = f"from -{LARGEST_EDIT:g} to {LARGEST_EDIT:g} standard deviations"
                raise Refused("edits", f"{name}: {limits} (got {amount!r})")
            shift += np.float32(amount) * self.arrays["directions"][row]
        return shift if edits else None

    def _published(self, raw: np.ndarray) -> np.ndarray:
        """[N, 3, S, S] in [-1, 1] -> uint8 [N, S, S, 3]."""
        return np.ascontiguousarray(_to_bytes(raw).transpose(0, 2, 3, 1))

    def _lacks(self, what: str) -> "Refused":
        return Refused("", f"never {what}: its task is {self.task}")

    def _checked(self, pictures: np.ndarray) -> np.ndarray:
        """uint8 [N, S, S, 3] -> float32 [N, 3, S, S] in [-1, 1]."""
        expected = (self.size_pixels, self.size_pixels, 3)
        if pictures.dtype != np.uint8 or pictures.shape[1:] != expected or not len(pictures):
            got = f"{pictures.dtype} {list(pictures.shape)}"
            raise Refused("images", f"uint8 {['N', *expected]} (got {got})")
        return _to_float(pictures.transpose(0, 3, 1, 2))

    def _in_chunks(self, network: str, *inputs: np.ndarray) -> np.ndarray:
        """Any number of rows, always 64 at a time: the last are made up to as many."""
        made = []
        for start in range(0, len(inputs[0]), CHUNK):
            parts = [one[start : start + CHUNK] for one in inputs]
            made.append(self._run(network, *map(_filled, parts))[: len(parts[0])].numpy())
        return np.concatenate(made)

    def _run(self, network: str, *inputs: np.ndarray) -> "torch.Tensor":
        import torch

        # Copied into torch's memory, which begins at multiples of 64 bytes: MKL may add in another
        # order where numbers begin elsewhere, and numpy's begin anywhere.
        tensors = [torch.tensor(np.ascontiguousarray(one, np.float32)) for one in inputs]
        with torch.inference_mode(), _exactly(self.device):
            return self.networks[network](*(tensor.to(self.device) for tensor in tensors)).cpu()


def _exactly(device: str) -> AbstractContextManager[None]:
    """Has a GPU's convolutions keep all of single precision, which torch lets them shorten."""
    import torch

    if not device.startswith("cuda"):
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)


class UnconditionalBundle(Bundle):
    """Pictures from latents alone; what more is asked of a decoder is added by those below."""

    NETWORKS: Mapping[str, tuple[str, ...]] = {"generator": ("latent",)}
    DECODER = "generator"

    @classmethod
    def columns(cls, manifest: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {"count": None, "seed": 0, "truncation": 1.0}
        if "mixture_means.npy" in manifest["members"]:
            found["sampler"] = "normal"
        if cls.takes_attributes():
            found |= {"attributes": "", "allow_unseen": False}
        return found | ({"edits": ""} if manifest["directions"] else {})

    def plan(self, row: Mapping[str, Any], place: int, pixels_left: int) -> "Plan":
        check_request(row["count"], row["seed"], row["truncation"])
        count, seed, truncation = int(row["count"]), int(row["seed"]), float(row["truncation"])
        allow_unseen, sampler = row.get("allow_unseen", False), row.get("sampler", "normal")
        if not isinstance(allow_unseen, bool | np.bool_):
            raise Refused("allow_unseen", f"true or false (got {_short(allow_unseen)})")
        asked = parse_amounts("attributes", row.get("attributes", ""))
        attributes = self.attribute_row(asked, bool(allow_unseen))
        shift = self.shift_of(parse_amounts("edits", row.get("edits", "")))
        self.latents(1, seed, truncation, sampler)

        def make() -> Made:
            made = self.sample(count, seed, truncation, attributes, sampler, shift)
            for index, output in enumerate(made):
                yield {"index": index, "seed": seed}, output

        return Plan(make, count, 0)

    @property
    def can_sample(self) -> bool:
        return True

    def latents(
        self, count: int, seed: int = 0, truncation: float = 1.0, sampler: str = "normal"
    ) -> np.ndarray:
        self._need_samples()
        check_request(count, seed, truncation)
        return self._latents(range(count), seed, truncation, sampler)

    def outputs(
        self,
        count: int,
        seed: int = 0,
        truncation: float = 1.0,
        attributes: np.ndarray | None = None,
        sampler: str = "normal",
        shift: np.ndarray | None = None,
    ) -> "Iterator[torch.Tensor]":
        self._need_samples()
        check_request(count, seed, truncation)
        asked = self._attribute_rows(attributes, count)
        for start in range(0, count, CHUNK):
            latents = self._latents(range(start, start + CHUNK), seed, truncation, sampler)
            if shift is not None:
                latents = latents + np.asarray(shift, np.float32)
            rows = [] if asked is None else [_filled(asked[start : start + CHUNK])]
            made = self._run(self.DECODER, latents, *rows)
            yield made[: count - start]

    def decode_raw(self, latents: np.ndarray, attributes: np.ndarray | None = None) -> np.ndarray:
        latents = np.asarray(latents, np.float32)
        if latents.ndim != 2 or latents.shape[1] != self.latent_dim or not len(latents):
            raise Refused("latents", f"[N, {self.latent_dim}] (got {list(latents.shape)})")
        if not np.isfinite(latents).all():
            raise Refused("latents", "hold numbers that are not finite")
        asked = self._attribute_rows(attributes, len(latents))
        return self._in_chunks(self.DECODER, latents, *([] if asked is None else [asked]))

    def _need_samples(self) -> None:
        if not self.can_sample:
            raise self._lacks("samples")

    def _latents(
        self, indices: Sequence[int], seed: int, truncation: float, sampler: str
    ) -> np.ndarray:
        if sampler not in SAMPLERS or (sampler == "mixture" and "mixture_means" not in self.arrays):
            known = SAMPLERS if "mixture_means" in self.arrays else SAMPLERS[:1]
            raise Refused("sampler", f"{' or '.join(known)} (got {sampler!r})")
        drawn = [_latent(seed, index, self.latent_dim) for index in indices]
        if sampler == "normal":
            return np.stack([normal for normal, _ in drawn]) * np.float32(truncation)
        means, scales = self.arrays["mixture_means"], self.arrays["mixture_scales"]
        shares = np.cumsum(self.arrays["mixture_weights"], dtype=np.float64)
        rows = []
        for normal, uniform in drawn:
            chosen = int(np.searchsorted(shares, uniform * shares[-1], side="right"))
            scale = scales[chosen]
            step = scale * normal if scale.ndim == 1 else scale @ normal
            rows.append(means[chosen] + np.float32(truncation) * step)
        return np.stack(rows)

    def _attribute_rows(self, attributes: np.ndarray | None, count: int) -> np.ndarray | None:
        """float32 [count, K] of what is asked; None where nothing can be."""
        if attributes is not None:
            raise Refused("attributes", "this takes none")
        return None


class NumbersBundle(UnconditionalBundle):
    """Integers of 0 to 99 from latents."""

    MAKES_NUMBERS = True

    def _published(self, raw: np.ndarray) -> np.ndarray:
        """[N, 100] scores -> int64 [N], the places of the largest."""
        return np.asarray(raw.argmax(axis=1))


class ConditionalBundle(UnconditionalBundle):
    """Pictures from latents and attributes."""

    NETWORKS: Mapping[str, tuple[str, ...]] = {"generator": ("latent", "attributes")}

    def attribute_row(
        self, asked: Mapping[str, float], allow_unseen: bool = False
    ) -> np.ndarray | None:
        """A request is seen if a combination of the training images lies within one half of it in
        every attribute: a whole request has to be one of them, and a blend has to be nearest to
        one of them (0.5 black and 0.5 blond is halfway between two that are there).
        """
        row = np.zeros(len(self.attributes), np.float32)
        for name, value in asked.items():
            if not _is_real(value) or not 0 <= float(value) <= 1:
                raise Refused("attributes", f"{name}: a fraction from 0 to 1 (got {value!r})")
            row[_place("attributes", name, self.attributes)] = float(value)
        if not allow_unseen:
            self._check_seen(row)
        return row

    def _check_seen(self, row: np.ndarray) -> None:
        seen = self.arrays["combinations"].astype(np.float32)
        if (np.abs(seen - row) <= 0.5 + 1e-6).all(axis=1).any():
            return
        nearest = seen[np.abs(seen - row).sum(axis=1).argmin()]
        of = [name for name, value in zip(self.attributes, nearest, strict=True) if value]
        asked = [f"{n}={v:g}" for n, v in zip(self.attributes, row.tolist(), strict=True) if v]
        raise Refused(
            "attributes",
            f"{', '.join(asked) or 'none'} was never seen in training; the nearest is "
            f"{', '.join(of) or 'none of them'}; allow_unseen makes it all the same",
        )

    def _attribute_rows(self, attributes: np.ndarray | None, count: int) -> np.ndarray | None:
        wanted = len(self.attributes)
        rows = np.asarray(np.nan if attributes is None else attributes, np.float32)
        if rows.shape not in ((wanted,), (count, wanted)):
            shape = f"[{wanted}] or [{count}, {wanted}] ({', '.join(self.attributes)})"
            raise Refused("attributes", f"{shape} (got {list(rows.shape) or attributes})")
        if not ((rows >= 0) & (rows <= 1)).all():
            raise Refused("attributes", "fractions from 0 to 1")
        return np.broadcast_to(rows, (count, wanted))


class TranslationBundle(Bundle):
    """Pictures of one domain from pictures of another, both ways."""

    NETWORKS: Mapping[str, tuple[str, ...]] = {"a2b": ("image",), "b2a": ("image",)}

    @classmethod
    def columns(cls, manifest: Mapping[str, Any]) -> dict[str, Any]:
        return {"image_base64": None, "direction": None}

    def plan(self, row: Mapping[str, Any], place: int, pixels_left: int) -> "Plan":
        picture = _read_image(row["image_base64"], pixels_left)
        direction = row["direction"]
        if not isinstance(direction, str) or direction not in DIRECTIONS:
            raise Refused("direction", f"A2B or B2A (got {_short(direction)})")

        def make() -> Made:
            yield {"index": place}, self.translate_any(picture, direction)

        return Plan(make, 1, picture.shape[0] * picture.shape[1])

    def translate(self, pictures: np.ndarray, direction: str) -> np.ndarray:
        return self._published(self._translated(pictures, direction))

    def translate_any(self, picture: np.ndarray, direction: str) -> np.ndarray:
        size, (height, width) = self.size_pixels, _sides(picture)
        if (height, width) == (size, size):
            only: np.ndarray = self.translate(picture[None], direction)[0]
            return only
        square, (top, left, rows, columns) = _fitted(picture, size)
        changed = self._translated(square[None], direction)[0] - _to_float(
            square.transpose(2, 0, 1)
        )
        changed = changed[:, top : top + rows, left : left + columns]
        whole = np.empty_like(picture)
        for channel, plane in enumerate(changed):
            enlarged = np.asarray(Image.fromarray(plane).resize((width, height), _BICUBIC))
            whole[:, :, channel] = _to_bytes(_to_float(picture[:, :, channel]) + enlarged)
        return whole

    def _translated(self, pictures: np.ndarray, direction: str) -> np.ndarray:
        """float32 [N, 3, S, S], clipped to [-1, 1]. A CPU takes one at a time: networks of this
        size gain nothing from more."""
        if direction not in DIRECTIONS:
            raise Refused("direction", f"A2B or B2A (got {direction!r})")
        network, images = DIRECTIONS[direction], self._checked(pictures)
        if self.device != "cpu":
            return self._in_chunks(network, images).clip(-1.0, 1.0)
        made = [self._run(network, image[None]).numpy() for image in images]
        return np.concatenate(made).clip(-1.0, 1.0)


class ReconstructionBundle(UnconditionalBundle):
    """Codes from pictures and pictures from codes; a variational one is sampled, too."""

    NETWORKS: Mapping[str, tuple[str, ...]] = {"encoder": ("image",), "decoder": ("latent",)}
    DECODER = "decoder"

    @classmethod
    def columns(cls, manifest: Mapping[str, Any]) -> dict[str, Any]:
        asked = super().columns(manifest)
        if not manifest["inputs"]["variational"]:
            asked = {name: empty for name, empty in asked.items() if name == "edits"}
        return {"image_base64": None} | asked

    def plan(self, row: Mapping[str, Any], place: int, pixels_left: int) -> "Plan":
        if row["image_base64"] is None and self.can_sample:
            return super().plan(row, place, pixels_left)
        picture = _read_image(row["image_base64"], pixels_left)
        if given := sorted(row["given"] & {"count", "seed", "truncation", "sampler"}):
            raise Refused("image_base64", f"an image's row takes no {', '.join(given)}")
        shift = self.shift_of(parse_amounts("edits", row.get("edits", "")))
        square = self.to_square(picture)[None]

        def make() -> Made:
            yield {"index": place}, self.reconstruct(square, shift)[0]

        return Plan(make, 1, picture.shape[0] * picture.shape[1])

    @property
    def can_sample(self) -> bool:
        return self.is_variational

    def encode(self, pictures: np.ndarray) -> np.ndarray:
        return self._encoded(pictures)[:, : self.latent_dim]

    def distribution(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not self.is_variational:
            raise self._lacks("gives distributions of codes")
        encoded = self._encoded(pictures)
        return encoded[:, : self.latent_dim], encoded[:, self.latent_dim :]

    def reconstruct(self, pictures: np.ndarray, shift: np.ndarray | None = None) -> np.ndarray:
        codes = self.encode(pictures)
        return self.decode(codes if shift is None else codes + shift)

    def _encoded(self, pictures: np.ndarray) -> np.ndarray:
        return self._in_chunks("encoder", self._checked(pictures))

    def _lacks(self, what: str) -> "Refused":
        why = "" if self.is_variational else ", whose codes have no distribution"
        return Refused("", f"never {what}: its task is {self.task}{why}")


TASKS: Mapping[str, type[Bundle]] = {
    "numbers": NumbersBundle,
    "unconditional": UnconditionalBundle,
    "conditional": ConditionalBundle,
    "translation": TranslationBundle,
    "reconstruction": ReconstructionBundle,
}


def open_bundle(folder: Path) -> Bundle:
    """The bundle in a folder, every byte of it checked before anything is loaded.

    Raises:
        Refused: the bundle is not what it says.
    """
    manifest = check_bundle(folder)
    try:
        task = TASKS[manifest["task"]]
        _check_description(task, manifest)
        sizes, arrays = _sizes(manifest), {}
        for name in ARRAYS:
            if f"{name}.npy" in manifest["members"]:
                arrays[name] = _load(folder / f"{name}.npy", read_array, name, sizes)
        _check_words(task, manifest, arrays)
        networks = {
            name: _load(folder / f"{name}.pt2", load_program, len(inputs))
            for name, inputs in task.NETWORKS.items()
        }
        return task(manifest, networks, arrays)
    except Refused:
        raise
    # A border: what torch raises of a program that is plain and yet wrong is its own affair.
    except Exception as error:
        raise Refused(folder, f"cannot be loaded ({type(error).__name__})") from None


def _load(path: Path, read: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return read(read_member(path), *arguments)
    except Refused as refusal:
        raise Refused(path, str(refusal)) from None


def _check_description(task: type[Bundle], manifest: Mapping[str, Any]) -> None:
    """What a manifest says can be: names are no paths, sizes and shares are some.

    Raises:
        Refused: the first word that cannot.
    """
    for key in ("experiment", "scale", "registered_name", "dataset"):
        if not isinstance(manifest[key], str) or not _LABEL.fullmatch(manifest[key]):
            raise Refused(MANIFEST, f"{key} is no name (got {_short(manifest[key])})")
    for key in ("attributes", "directions"):
        names = manifest[key]
        if not isinstance(names, list) or not all(map(_is_word, names)):
            raise Refused(MANIFEST, f"{key} are no names (got {_short(names)})")
        if len(set(names)) < len(names):
            raise Refused(MANIFEST, f"{key} are named twice (got {_short(names)})")
    shape = manifest["output_shape"]
    sides = (3, LARGEST_SIDE, LARGEST_SIDE) if not task.MAKES_NUMBERS else (LARGEST_LATENT,)
    if not isinstance(shape, list) or len(shape) != len(sides):
        raise Refused(MANIFEST, f"outputs of no shape (got {_short(shape)})")
    if not all(_is_whole(n, 1, most) for n, most in zip(shape, sides, strict=True)):
        raise Refused(MANIFEST, f"outputs of no shape (got {_short(shape)})")
    if not task.MAKES_NUMBERS and (shape[0] != 3 or shape[1] != shape[2]):
        raise Refused(MANIFEST, f"pictures have 3 channels and are square (got {_short(shape)})")
    if manifest["chunk"] != CHUNK:
        raise Refused(MANIFEST, f"chunks of {CHUNK} (got {_short(manifest['chunk'])})")
    share = manifest["crop_share"]
    if share is not None and not (_is_real(share) and 0 < share <= 1):
        raise Refused(MANIFEST, f"a crop's share above 0, at most 1 (got {_short(share)})")


def _is_word(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_WORD and value.isprintable()


def _is_whole(value: object, smallest: int, largest: int) -> bool:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and smallest <= int(value) <= largest  # type: ignore[call-overload]


def _short(value: object) -> str:
    """As Python writes it, shortened: what was sent may be long, or deep."""
    return reprlib.repr(value)


def _sizes(manifest: Mapping[str, Any]) -> dict[str, int]:
    """The lengths by axis letter that the manifest decides on."""
    latent_dim = manifest["inputs"]["latent_dim"]
    if latent_dim is not None and not 0 < latent_dim <= LARGEST_LATENT:
        raise Refused(MANIFEST, f"a latent of {latent_dim} numbers")
    sizes = {"K": len(manifest["attributes"]), "D": len(manifest["directions"])}
    return sizes | {"L": latent_dim or 0}


def _check_words(
    task: type[Bundle], manifest: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> None:
    """What a manifest names has to lie beside it, and nothing else."""
    conditional = task.takes_attributes()
    if conditional != bool(manifest["attributes"]):
        raise Refused(MANIFEST, "attributes belong to a conditional generator, and to no other")
    if bool(manifest["directions"]) != ("directions" in arrays):
        raise Refused(MANIFEST, "directions need their names, and the names their array")
    if conditional != ("combinations" in arrays):
        raise Refused(MANIFEST, "a conditional generator needs the combinations seen, no other")
    mixture = [name for name in ARRAYS if name.startswith("mixture_")]
    if 0 < sum(name in arrays for name in mixture) < len(mixture):
        raise Refused(MANIFEST, f"a mixture needs {', '.join(mixture)}")
    if "mixture_weights" in arrays and not (arrays["mixture_weights"] > 0).all():
        raise Refused("mixture_weights.npy", "weights above 0")


def _latent(seed: int, index: int, latent_dim: int) -> tuple[np.ndarray, float]:
    """[L] standard normal and, for the choice of a component, a number in [0, 1)."""
    # numpy's PCG64 normals have the same bits on every processor.
    drawn = np.random.Generator(np.random.PCG64([seed, index]))
    return drawn.standard_normal(latent_dim, dtype=np.float32), float(drawn.random())


def _filled(rows: np.ndarray) -> np.ndarray:
    """Up to 64 rows -> 64, by repetition."""
    return np.resize(rows, (CHUNK, *rows.shape[1:])) if len(rows) < CHUNK else rows


def _sides(image: np.ndarray) -> tuple[int, int]:
    """Height and width of uint8 [H, W, 3]."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise Refused("image", f"uint8 [H, W, 3] (got {image.dtype} {list(image.shape)})")
    return image.shape[0], image.shape[1]


def _fitted(picture: np.ndarray, size: int) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """uint8 [H, W, 3] -> [S, S, 3] with all of it inside, the rest mirrored, or repeated where the
    picture is too thin; and where in it: top, left, rows, columns."""
    height, width = _sides(picture)
    scale = size / max(height, width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (size - rows) // 2, (size - columns) // 2
    small = np.asarray(Image.fromarray(picture).resize((columns, rows), _BICUBIC))
    around = ((top, size - rows - top), (left, size - columns - left), (0, 0))
    too_thin = size - rows - top > rows or size - columns - left > columns
    padded = np.pad(small, around, mode="edge" if too_thin else "symmetric")
    return padded, (top, left, rows, columns)


def _to_float(pixels: np.ndarray) -> np.ndarray:
    """uint8 -> float32 in [-1, 1]."""
    return pixels.astype(np.float32) / np.float32(127.5) - np.float32(1.0)


def _to_bytes(images: np.ndarray) -> np.ndarray:
    """Floating in [-1, 1] -> uint8, rounded."""
    scaled: np.ndarray = np.clip(images, -1.0, 1.0) * np.float32(127.5) + np.float32(128.0)
    return scaled.astype(np.uint8)


def _place(what: str, name: str, known: Sequence[str]) -> int:
    if name not in known:
        near = get_close_matches(name, known, 1, 0.0)[0]
        raise Refused(what, f"{name!r} is not known; the nearest of {len(known)} is {near}")
    return known.index(name)


def _is_real(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def check_request(count: object, seed: object, truncation: object) -> None:
    """Raises Refused for what cannot be honoured exactly as it was asked."""
    for name, value, smallest, largest in (
        ("count", count, 1, LARGEST_COUNT),
        ("seed", seed, 0, LARGEST_SEED),
    ):
        if not _is_whole(value, smallest, largest):
            raise Refused(
                name, f"a whole number from {smallest} to {largest} (got {_short(value)})"
            )
    if not _is_real(truncation) or not 0 < float(truncation) <= LARGEST_TRUNCATION:  # type: ignore[arg-type]
        limits = f"above 0, at most {LARGEST_TRUNCATION}"
        raise Refused("truncation", f"{limits} (got {_short(truncation)})")


def parse_amounts(what: str, text: str) -> dict[str, float]:
    """Reads "Eyeglasses=1,Blond_Hair=0.5"; `what` names the text where it is wrong."""
    amounts: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, sign, amount = (word.strip() for word in part.partition("="))
        try:
            value = float(amount)
        except ValueError:
            sign = ""
        if not sign or not name or not math.isfinite(value):
            raise Refused(what, f"NAME=NUMBER, separated by commas (got {part[:60]!r})")
        if name in amounts:
            raise Refused(what, f"{name[:60]} is there twice")
        amounts[name] = value
    return amounts


def png(pixels: np.ndarray) -> bytes:
    """uint8 [H, W, C] with 1 or 3 channels -> the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(buffer, "PNG")
    return buffer.getvalue()


def columns(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a request's row may hold, with what stands for a column that is not given."""
    return TASKS[manifest["task"]].columns(manifest)


Made = Iterator[tuple[dict[str, Any], np.ndarray]]
"""Outputs, each with the words beside it."""


class Plan(NamedTuple):
    """What a request's row asks for; all checks are behind it."""

    make: Callable[[], Made]
    outputs: int
    pixels: int
    """Of the picture that came with the request."""


def answer(bundle: Bundle, model_input: Any, params: Any) -> list[dict[str, Any]]:
    """A row per output for all of the requests' rows, in order.

    Raises:
        Refused: the first thing that was asked for and cannot be honoured; nothing is made then.
    """
    if not isinstance(params, Mapping | None):
        raise Refused("params", f"names and their values (got {_short(params)})")
    params = dict(params or {})
    form = params.pop("format", "png")
    if params or not isinstance(form, str) or form not in ("png", "array"):
        strange = ", ".join(map(_short, params)) or f"format {_short(form)}"
        raise Refused(
            "params", f"{strange} is not known; the one parameter is format, png or array"
        )
    pixels_left, count, plans = LARGEST_PIXELS, 0, []
    for place, row in enumerate(_records(model_input, columns(bundle.manifest))):
        plan = bundle.plan(row, place, pixels_left)
        pixels_left, count = pixels_left - plan.pixels, count + plan.outputs
        if count > LARGEST_COUNT:
            raise Refused("count", f"at most {LARGEST_COUNT} in all")
        plans.append(plan)
    return [{**words, **_shown(made, form)} for plan in plans for words, made in plan.make()]


def _read_image(text: object, pixels_left: int) -> np.ndarray:
    """A PNG or JPEG in base64 -> uint8 [H, W, 3], upright, transparency over white."""
    if not isinstance(text, str):
        raise Refused("image_base64", f"a PNG or JPEG in base64 (got {type(text).__name__})")
    try:
        with Image.open(
            io.BytesIO(base64.b64decode(text, validate=True)), formats=("PNG", "JPEG")
        ) as image:
            if image.width * image.height > pixels_left:
                raise Refused("image_base64", f"at most {LARGEST_PIXELS} pixels in all")
            upright = _upright(image)
            if upright.has_transparency_data:
                opaque = Image.new("RGBA", upright.size, "white")
                opaque.alpha_composite(upright.convert("RGBA"))
                upright = opaque
            if upright.mode.startswith(("I", "F")):
                raise Refused("image_base64", "8 bits a channel (got more)")
            return np.asarray(upright.convert("RGB"))
    except Refused:
        raise
    except Exception:  # a border: Pillow's decoders fail on damaged files in a dozen ways
        raise Refused("image_base64", "not a PNG or JPEG that can be read") from None


def _upright(image: Image.Image) -> Image.Image:
    """As its EXIF says that it stands; odd metadata, which Pillow's own function trips over, say
    nothing."""
    image.load()
    try:
        turn = UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # a border, as in reading it
        turn = None
    return image if turn is None else image.transpose(turn)


def _shown(output: np.ndarray, form: str) -> dict[str, Any]:
    if output.ndim == 0:
        return {"number": int(output)}
    if form == "array":
        return {"array": output.tolist()}
    return {"png_base64": base64.b64encode(png(output)).decode()}


def _records(model_input: Any, known: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A table, a list of rows, or a row as a mapping -> rows with every column, and `given`."""
    if hasattr(model_input, "to_dict") and hasattr(model_input, "columns"):
        model_input = model_input.to_dict(orient="records")
    rows = [model_input] if isinstance(model_input, Mapping) else model_input
    if not isinstance(rows, list) or not rows or not all(isinstance(r, Mapping) for r in rows):
        raise Refused("input", f"one or more rows with the columns {', '.join(known)}")
    return [_record(row, known) for row in rows]


def _record(row: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    if strange := [str(name) for name in row if name not in known]:
        there = ", ".join(known)
        raise Refused("input", f"{', '.join(strange)}: no such column; there are {there}")
    # A table's empty cell is None or NaN. For a text or a yes it says that none is given; for a
    # number it is a mistake, except beside an image, which takes none.
    empty = {name for name, value in row.items() if _is_empty(value)}
    texts = set(known) & TEXTS
    left_out = empty & (TEXTS | {"allow_unseen"})
    filled = {**known, **{name: row[name] for name in row if name not in left_out}}
    for name in sorted(texts - {"image_base64", "direction"}):
        if not isinstance(filled[name], str):
            raise Refused(name, f"a text (got {_short(filled[name])})")
    return filled | {"given": set(row) - empty}


def _is_empty(value: object) -> bool:
    """None, NaN, or pandas' own for either."""
    if isinstance(value, float | np.floating):
        return bool(np.isnan(value))
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _as_it_was_asked(model_input: Any, params: Any, known: Mapping[str, Any]) -> tuple[Any, Any]:
    """What MLflow's own `predict` was given.

    MLflow drops columns and parameters that the signature does not name before this code sees
    them. Its caller's frame still holds them, and a silent loss is worse than a look there.
    """
    frame = sys._getframe()
    while frame := frame.f_back:  # type: ignore[assignment]
        given = frame.f_locals
        if frame.f_code.co_name == "predict" and type(given.get("self")).__name__ == "PyFuncModel":
            # The converted table serves, unless it is not all that was asked for.
            whole = _columns(given["data"]) <= set(known)
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
                self.bundle = open_bundle(folder)
                if sha256(Path(__file__).read_bytes()) != self.bundle.manifest["members"][CODE]:
                    raise Refused(__file__, "not the code that was packed with the bundle")
            except Refused as refusal:
                raise mlflow.MlflowException.invalid_parameter_value(str(refusal)) from None

        def predict(
            self, context: Any, model_input: pandas.DataFrame, params: dict[str, Any] | None = None
        ) -> list[dict[str, Any]]:
            try:
                known = columns(self.bundle.manifest)
                return answer(self.bundle, *_as_it_was_asked(model_input, params, known))
            except Refused as refusal:
                problem = str(refusal)
            except Exception as error:  # a served stack trace would show paths and code
                problem = f"generation failed ({type(error).__name__})"
            raise mlflow.MlflowException.invalid_parameter_value(problem) from None

    mlflow.models.set_model(BundleModel())


if not __name__.startswith("atelier."):
    _publish()
