"""A bundle's graph, run node by node, makes what torch's own loader makes of it."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.toys import TOYS
from torch import Tensor, nn

from atelier.bundle import bundle_model
from atelier.bundle.bundle_model import Program, Refused, load_program, open_bundle, write_archive
from atelier.bundle.program import export

from .test_bundle_model import GRAPH, edit, read


class Varied(nn.Module):
    """[B, 4, 8, 8] -> [B, 6], by every kind of argument that a graph can hold."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution = nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect")
        self.normalise = nn.BatchNorm2d(6)
        self.attend = nn.MultiheadAttention(6, 2, batch_first=True)
        self.register_buffer("shift", torch.arange(6.0), persistent=False)
        self.register_buffer("scale", torch.rand(6))

    def forward(self, images: Tensor) -> Tensor:
        batch, mask = images.shape[0], torch.tensor([True, False] * 32)
        maps = nn.functional.gelu(self.normalise(self.convolution(images)), approximate="tanh")
        maps = nn.functional.dropout(maps, 0.5, self.training)
        rows = maps.permute(0, 2, 3, 1).reshape(batch, 64, 6)
        attended, _ = self.attend(rows, rows, rows, need_weights=False)
        left, right = torch.where(mask[:, None], attended, -1.0).split([2, 4], dim=2)
        highest, _ = left.masked_fill(left < -0.5, float("-inf")).max(dim=1)
        folded = right.reshape(batch * 2, 32, 4).double().mean(1).float().reshape(batch, 2, 4)
        joined = torch.cat([highest, folded[:, 1]], dim=1) * self.scale + self.shift
        return joined.to(memory_format=torch.contiguous_format) + joined.new_zeros(batch, 1)


def loaded_by_torch(content: bytes) -> Any:
    return torch.export.load(io.BytesIO(content)).module(check_guards=False)


def assert_same(content: bytes, ours: Program, *given: Tensor) -> None:
    """To the last bit, and laid out alike."""
    with torch.inference_mode():
        made, expected = ours(*given), loaded_by_torch(content)(*given)
    assert made.dtype == expected.dtype
    assert made.stride() == expected.stride()
    assert torch.equal(made, expected)


@pytest.mark.parametrize("count", [1, 7, 64])
def test_a_graph_makes_what_torchs_own_loader_makes_of_it(count: int) -> None:
    content = export(Varied(), [(4, 8, 8)])
    assert_same(content, load_program(content), torch.randn(count, 4, 8, 8))


@pytest.mark.parametrize("name", TOYS)
def test_every_task_has_programs_that_make_the_same(
    packed: Callable[[str], Path], name: str
) -> None:
    opened, folder = open_bundle(packed(name)), packed(name)
    shapes = {
        "latent": (3, opened.latent_dim),
        "attributes": (3, len(opened.attributes)),
        "image": (3, *opened.manifest["output_shape"]),
    }
    for network, inputs in opened.NETWORKS.items():
        content = (folder / f"{network}.pt2").read_bytes()
        given = [torch.rand(shapes[kind]) for kind in inputs]
        assert_same(content, opened.networks[network], *given)


def test_all_of_it_goes_where_it_is_told() -> None:
    """`meta` makes no numbers, but refuses a tensor of another device as a GPU does."""
    program = load_program(export(Varied(), [(4, 8, 8)]))
    given = torch.randn(2, 4, 8, 8)
    here = program(given)
    made = program.to("meta")(given.to("meta"))
    assert made.device.type == "meta"
    assert made.shape == here.shape
    with pytest.raises(RuntimeError):
        load_program(export(Varied(), [(4, 8, 8)]))(given.to("meta"))


def test_what_no_later_node_uses_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deep network holds no more maps at once than a shallow one."""

    def most(layers: int) -> int:
        held: list[int] = []
        run = bundle_model._Node.run

        def counted(node: Any, values: dict[str, Any]) -> None:
            run(node, values)
            held.append(len(values))

        network = nn.Sequential(*(nn.ReLU() for _ in range(layers)))
        program = load_program(export(network, [(4,)]))
        with monkeypatch.context() as patched:
            patched.setattr(bundle_model._Node, "run", counted)
            program(torch.randn(1, 4))
        assert len(held) == layers
        return max(held)

    assert most(20) == most(2)


def first_argument(node: Any) -> Any:
    return node["inputs"][0]["arg"]


def unknown_name(graph: Any) -> None:
    first_argument(graph["nodes"][0])["as_tensor"]["name"] = "from_nowhere"


def later_name(graph: Any) -> None:
    graph["nodes"].reverse()


def unknown_output(graph: Any) -> None:
    graph["outputs"][0]["as_tensor"]["name"] = "from_nowhere"


def unknown_operator(graph: Any) -> None:
    graph["nodes"][0]["target"] = "torch.ops.aten.no_such_thing.default"


def unknown_overload(graph: Any) -> None:
    graph["nodes"][0]["target"] = "torch.ops.aten.add.no_such_thing"


def attribute(graph: Any) -> None:
    graph["nodes"][0]["target"] = "torch.ops.aten.add.overloads"


def subgraph(graph: Any) -> None:
    graph["nodes"][0]["inputs"][0]["arg"] = {"as_graph": {"name": "body", "graph": {}}}


def operator_argument(graph: Any) -> None:
    graph["nodes"][0]["inputs"][0]["arg"] = {"as_operator": "aten.add"}


def strange_type(graph: Any) -> None:
    graph["nodes"][0]["inputs"][0]["arg"] = {"as_scalar_type": 99}


def made_object(graph: Any) -> None:
    graph["nodes"][0]["outputs"] = [{"as_custom_obj": {"name": "thing"}}]


MALFORMED = {
    unknown_name: "uses 'from_nowhere' before",
    later_name: "before anything has made it",
    unknown_output: "uses 'from_nowhere' before",
    unknown_operator: r"no_such_thing\.default is no operator",
    unknown_overload: r"add\.no_such_thing is no operator",
    attribute: r"aten\.add\.overloads is no operator",
    subgraph: "as_graph",
    operator_argument: "as_operator",
    strange_type: "a type that no network of ours has",
    made_object: "as_custom_obj",
}


@pytest.mark.parametrize("spoil", MALFORMED, ids=lambda spoil: spoil.__name__)
def test_a_malformed_graph_is_refused_when_it_is_loaded(
    copied: Path, sign: Callable[[Path], None], spoil: Callable[[Any], None]
) -> None:
    members = read(copied)
    edit(members, GRAPH, lambda document: spoil(document["graph_module"]["graph"]))
    (copied / "generator.pt2").write_bytes(write_archive(members))
    sign(copied)
    with pytest.raises(Refused, match=rf"generator\.pt2: .*{MALFORMED[spoil]}"):
        open_bundle(copied)


@pytest.mark.parametrize("kind", ["custom_obj", "token", "constant_input"])
def test_a_graph_takes_tensors_alone(copied: Path, sign: Callable[[Path], None], kind: str) -> None:
    def give(document: Any) -> None:
        document["graph_module"]["signature"]["input_specs"][0] = {kind: {"arg": {"name": "x"}}}

    members = read(copied)
    edit(members, GRAPH, give)
    (copied / "generator.pt2").write_bytes(write_archive(members))
    sign(copied)
    with pytest.raises(Refused, match=f"takes a {kind}, which is no tensor"):
        open_bundle(copied)


def test_a_weight_cut_short_is_refused(copied: Path, sign: Callable[[Path], None]) -> None:
    members = read(copied)
    members["data/weights/weight_0"] = members["data/weights/weight_0"][:-4]
    (copied / "generator.pt2").write_bytes(write_archive(members))
    sign(copied)
    with pytest.raises(Refused, match="cannot be loaded"):
        open_bundle(copied)
