"""Steps at several sides: the best is the fastest, and a fault or too little time says so."""

import importlib
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from atelier.errors import UserError

FOLDER = Path("benchmarks").resolve()
IMAGES = 8


@pytest.fixture
def module(monkeypatch):
    """Loads one of the benchmark's files; they import each other as scripts do."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


@pytest.fixture
def sides(module):
    return module("gpu_sides")


@dataclass
class Told:
    """Steps whose clock says what a test wants: first to warm up, then as they are."""

    rate: float
    warm_up: float = 0.0
    images: int = IMAGES
    count: int = 8
    precisions: list[str] = field(default_factory=list)

    def timed(self):
        self.precisions.append(torch.get_float32_matmul_precision())
        first = len(self.precisions) == 1
        return self.images / self.rate + (self.warm_up if first else 0.0)


@dataclass
class FakeCase:
    """A case whose settings are as fast as told, or fail."""

    settings: tuple
    told: dict[str, Told | Exception]
    name: str = "it"
    rank: int = 1
    built: list[str] = field(default_factory=list)
    work = SimpleNamespace(training=SimpleNamespace(batch_size=4))
    dataset = SimpleNamespace(data=SimpleNamespace(size_pixels=64))

    @property
    def key(self):
        return self.name

    def steps(self, setting, scratch):
        self.built.append(setting.name)
        found = self.told[setting.name]
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
def measured(sides, monkeypatch):
    """Measures cases and returns the report and, for each, its row of the table by its heads."""
    monkeypatch.setattr(sides, "matrix_rate", lambda: 1e12)

    def measured(*cases, left=lambda: 100.0):
        report = {}
        sides.Sides(report, 0.0, left, lambda: None).run(list(cases))
        _, _, heads, _, *rows = importlib.import_module("gpu_tables").sides(report)
        split = [[cell.strip() for cell in row.strip("|").split("|")] for row in (heads, *rows)]
        return report, [dict(zip(split[0], row, strict=True)) for row in split[1:]]

    return measured


FIRST, LAST = "bf16, channels first", "bf16, channels last"


def case(sides, compiled, **changes):
    told = {"plain": Told(10), FIRST: Told(20), LAST: Told(30), f"{LAST}, compiled": compiled}
    return FakeCase(sides.settings("bf16", False, True), told, **changes)


@pytest.mark.parametrize(("rate", "best"), [(25, LAST), (60, f"{LAST}, compiled")])
def test_the_best_is_the_fastest_and_only_that_is_compiled(sides, measured, rate, best):
    it = case(sides, Told(rate, warm_up=7.0))
    report, (row,) = measured(it)
    assert it.built == ["plain", FIRST, LAST, f"{LAST}, compiled"]
    assert row["best"] == best
    assert row["plain, images/s"] == "10.0"
    assert row["tuned"] == f"{FIRST}: 20.0; {LAST}: 30.0"
    assert row["the faster of these, compiled"] == f"{rate:.1f}"
    assert row["compiling, s"] == "7.0"
    assert row["of plain"] == f"{max(rate, 30) / 10:.2f}"
    assert report["rows"][0]["settings"][LAST]["images_per_second"] == pytest.approx(30)


def test_the_share_of_the_product_is_of_what_a_step_computes(sides, measured):
    """Compiled steps are not counted: they compute the same."""

    class Counted(Told):
        def timed(self):
            torch.ones(100, 100) @ torch.ones(100, 100)
            return super().timed()

    it = case(sides, Told(60))
    it.told[LAST] = Counted(30)
    report, (row,) = measured(it)
    gflop = 2 * 100**3 / IMAGES / 1e9
    assert report["rows"][0]["settings"][LAST]["gflop_per_image"] == pytest.approx(gflop)
    assert float(row["TFLOP/s"]) == pytest.approx(60 * gflop / 1000, rel=0.01)
    assert row["of the product's"] == f"{60 * gflop / 1000:.1%}"


def test_a_fault_is_told_in_its_cell_and_costs_nothing_else(sides, measured):
    it = case(sides, None)
    it.told[LAST] = UserError("model.name", "images of 20 pixels do not go with it", "Take 32.")
    it.told[f"{FIRST}, compiled"] = RuntimeError("no double\nbackward | here " + 99 * "so ")
    report, (row,) = measured(it)
    assert "Take 32." in row["tuned"]
    assert row["the faster of these, compiled"].startswith("RuntimeError: no double backward / h")
    assert row["best"] == FIRST
    assert row["of plain"] == "2.00"
    assert "Traceback" in report["rows"][0]["settings"][LAST]["traceback"]


def test_where_all_fails_nothing_is_compiled(sides, measured):
    it = case(sides, None)
    it.told = dict.fromkeys(it.told, UserError("model.name", "does not go with it"))
    _, (row,) = measured(it)
    assert it.built == ["plain", FIRST, LAST]
    assert row["plain, images/s"] == "model.name: does not go with it."
    assert row["best"] == row["of plain"] == row["the faster of these, compiled"] == "-"


def test_nothing_is_built_when_the_time_is_spent(sides, measured):
    it = case(sides, Told(1))
    _, (row,) = measured(it, left=lambda: 0.0)
    assert it.built == []
    assert row["plain, images/s"] == sides.SPENT


def test_the_time_is_spent_on_what_matters_most(sides, measured):
    """A peer's steps wholly, then all as they are, and at last compiled; the own side first."""
    ranks = {"other": sides.OTHER_SIDE, "own": sides.OWN_SIDE, "peer": sides.FIRST}
    found = [case(sides, Told(40), name=name, rank=rank) for name, rank in ranks.items()]
    order = [(one.name, compiled) for one, compiled in sides.order(found)]
    assert order == [
        ("peer", False), ("peer", True), ("own", False), ("other", False), ("own", True),
        ("other", True),
    ]  # fmt: skip
    times = iter([100.0] * 10 + [-1.0] * 2)
    _, rows = measured(*found, left=lambda: next(times))
    compiled = {row["training"]: row["the faster of these, compiled"] for row in rows}
    assert compiled == {"`other`": sides.SPENT, "`own`": sides.SPENT, "`peer`": "40.0"}
    assert {row["best"] for row in rows} == {LAST, f"{LAST}, compiled"}


def test_only_plain_steps_are_exact(sides, measured):
    """Whoever builds a training on a GPU shortens its products; what was set comes back."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        it = case(sides, Told(40))
        measured(it)
        assert set(it.told["plain"].precisions) == {"highest"}
        assert set(it.told[LAST].precisions) == {"high"}
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)


def test_a_step_s_waits_are_those_that_torch_warns_of(sides, monkeypatch):
    """And no longer than they are counted, whatever happens; torch's own notice is none."""
    modes = []
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)

    def take():
        warnings.warn("this mode does not yet detect all synchronizing operations", stacklevel=1)
        for _ in range(3):
            warnings.warn("called a synchronizing CUDA operation", stacklevel=1)

    assert sides.waits(sides.Steps(take, 2, 8)) == 1.5
    assert modes == ["warn", "default"]

    def fail():
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        sides.waits(sides.Steps(fail, 2, 8))
    assert modes[-1] == "default"


@pytest.mark.slow
def test_tiny_trainings_and_the_peers_in_small(sides, monkeypatch, module):
    """A side that a model cannot have says why; compiling itself is left to torch."""
    monkeypatch.setattr(nn.Module, "compile", lambda network: None)
    found = sides.cases("tiny", ["numbers", "faces-ae"], [32, 20])
    keys = [one.key for one in found]
    assert keys == ["DCGAN 32", "CycleGAN 32", "numbers", "faces-ae 32", "faces-ae 20"]
    report = {}
    sides.Sides(report, 0.0, lambda: 100.0, lambda: None).run(found)
    *fitting, impossible = report["rows"]
    for row in fitting:
        rates = [cell["images_per_second"] for cell in row["settings"].values()]
        assert len(rates) >= 3, row
        assert min(rates) > 0
        assert all(cell["gflop_per_image"] > 0 for cell in row["settings"].values())
    assert all("images of 20 pixels" in c["fault"] for c in impossible["settings"].values())
    assert "`faces-ae` | 20 |" in "\n".join(module("gpu_tables").sides(report))


@pytest.mark.parametrize("name", ["DCGAN, 64 pixels", "CycleGAN, 256 pixels"])
def test_a_peer_and_we_mean_the_same(sides, module, name):
    case = sides.of_peer(name)
    module("peers").check(replace(case.peer, batch=4))
