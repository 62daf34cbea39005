"""What gpu.py measured, as tables in Markdown: steps, trainings, their pictures, evaluating."""

import math
import statistics
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from atelier.errors import AtelierError

Report = dict[str, Any]
PLAIN = "plain"
COMPILED = ", compiled"
"""Of the names of settings."""
LONGEST = 160
"""Characters of a fault in a table."""


def line_of(error: Exception) -> str:
    """What it says, short enough for a table."""
    said = " ".join(str(error).split())
    if not isinstance(error, AtelierError):
        said = f"{type(error).__name__}: {said}"
    return textwrap.shorten(said.replace("|", "/"), LONGEST, placeholder=" …")


def losses_of(report: Report) -> dict[str, dict[str, float]]:
    curves = report.get("curves", {})
    return {name: curve for name, curve in curves.items() if name.endswith("_loss")}


def span_of_losses(report: Report) -> str:
    spans = [
        f"{name.removesuffix('_loss')} {curve['first']:.3g} to {curve['last']:.3g}"
        for name, curve in losses_of(report).items()
    ]
    return ", ".join(spans) or "-"


def speed_row(name: str, row: Report) -> list[str]:
    rates = {k: statistics.median(v) for k, v in row.get("images_per_second", {}).items()}
    own = rates.get(row["precision"], row.get("training_images_per_second", math.nan))
    ratio = f"{own / rates['fp32']:.2f}" if len(rates) > 1 else "-"
    minutes = row["planned_images"] / own / 60
    planned = f"{row['planned_seconds'] / 60:.1f}" if row.get("planned_seconds") else "-"
    terms = f"{own * row['gflop'] / 1000:.2f}" if row.get("gflop") else "-"
    waits = f"{sum(row['waits_per_step'].values()):.1f}" if "waits_per_step" in row else "-"
    busy = f"{row['busy']['of a step']:.0%}" if "busy" in row else "-"
    peak = f"{row['peak_gib']:.2f}" if "peak_gib" in row else "-"
    again = " / ".join(f"{value:.1e}" for value in row.get("differences", {}).values()) or "-"
    faults = ", ".join(row.get("faults", {})) or "none"
    ok = "yes" if row.get("finite") and row.get("moving") else "NO"
    return [
        f"`{name}`", row["precision"], f"{own:,.0f}", ratio, terms, f"{minutes:.1f} ({planned})",
        peak, waits, busy, span_of_losses(row), ok, again, faults,
    ]  # fmt: skip


def picture_rows(name: str, row: Report) -> Iterator[list[str]]:
    for made, figure in row.get("figures", {}).items():
        top = "-" if figure["ceiling"] is None else f"{figure['ceiling']:.3f}"
        against = row.get("device_against_cpu", {}).get(made, {})
        apart = [
            f"{found['largest']}, {found['share']:.2%}, {found['beyond_1_share']:.2%}"
            for found in against.values()
        ]
        yield [
            f"`{name}`: {made}", f"{row.get('images', 0):,}", f"{figure['pictures']:,}",
            f"{figure['before']:.3f}", f"{figure['after']:.3f}", top, *(apart or "---"),
        ]  # fmt: skip


def fastest(row: Report) -> str | None:
    """The name of its fastest setting, the plain one apart; none where each failed."""
    rates = {
        name: cell["images_per_second"]
        for name, cell in row["settings"].items()
        if name != PLAIN and "images_per_second" in cell
    }
    return max(rates, key=rates.__getitem__, default=None)


def rate_or_fault(cell: Report) -> str:
    return f"{cell['images_per_second']:,.1f}" if "images_per_second" in cell else cell["fault"]


def side_row(row: Report, matrix_tflops: float) -> list[str]:
    cells = {name: rate_or_fault(cell) for name, cell in row["settings"].items()}
    plain = cells.pop(PLAIN, "-")
    compiled = [cells.pop(name) for name in list(cells) if name.endswith(COMPILED)]
    tuned = "; ".join(f"{name}: {said}" for name, said in cells.items())
    name = fastest(row)
    found = ["-"] * 5
    if name is not None:
        best = row["settings"][name]
        rate, before = best["images_per_second"], row["settings"][PLAIN].get("images_per_second")
        tflops = rate * best["gflop_per_image"] / 1000
        waits = best.get("waits_per_step")
        found = [
            name, "-" if before is None else f"{rate / before:.2f}", f"{tflops:.3g}",
            f"{tflops / matrix_tflops:.1%}", "-" if waits is None else f"{waits:.1f}",
        ]  # fmt: skip
    compiling = [
        f"{cell['compile_seconds']:.1f}"
        for cell in row["settings"].values()
        if "compile_seconds" in cell
    ]
    side = "-" if row["side"] is None else str(row["side"])
    return [
        f"`{row['name']}`", side, f"{row['batch']}", plain, tuned or "-", *(compiled or "-"),
        *(compiling or "-"), *found,
    ]  # fmt: skip


def sides(report: Report) -> list[str]:
    heads = [
        "training", "side", "batch", "plain, images/s", "tuned", "the faster of these, compiled",
        "compiling, s", "best", "of plain", "TFLOP/s", "of the product's", "waits/step",
    ]  # fmt: skip
    rate = report["matrix_tflops"]
    product = f"A large matrix product in bf16: {rate:.3g} TFLOP/s."
    return [product, "", *table(heads, [side_row(row, rate) for row in report["rows"]])]


def evaluating(rows: Report) -> list[str]:
    """Nothing where no pictures were evaluated."""
    lines = []
    for name, row in rows.items():
        found = row.get("evaluating", {})
        said = {part: f"{seconds:.2f}" for part, seconds in found.get("seconds", {}).items()}
        said |= found.get("faults", {})
        lines += [[f"`{name}`", f"{found['pictures']:,}", *pair] for pair in said.items()]
    return table(["evaluating", "pictures", "part", "seconds"], lines) if lines else []


def markdown(report: Report) -> str:
    rows = report["experiments"]
    speed = [
        "experiment", "precision", "images/s", "of fp32", "TFLOP/s", "whole training, min (plan)",
        "peak GiB", "waits/step", "GPU busy", "losses, first to last", "finite and moving",
        "networks repeated / resumed: largest difference", "faults",
    ]  # fmt: skip
    pictures = [
        "pictures", "images seen", "compared", "figure before", "after", "of training images",
        "device against CPU, fp32 (TF32)", "exact fp32", "the training's precision",
    ]  # fmt: skip
    of_speed = [speed_row(name, row) for name, row in rows.items()]
    of_pictures = [line for name, row in rows.items() for line in picture_rows(name, row)]
    machine = f"{report['device']}, torch {report['torch']}, scale `{report['scale']}`."
    parts = [
        [machine],
        sides(report["sides"]) if report.get("sides") else [],
        table(speed, of_speed),
        table(pictures, of_pictures),
        evaluating(rows),
        named("Left out, the time was spent", report.get("left_out")),
        named("Failed, as gpu.json says", report.get("faults")),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def named(what: str, names: Iterable[str] | None) -> list[str]:
    return [f"{what}: {', '.join(names)}."] if names else []


def table(heads: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in [heads, ["---"] * len(heads), *rows]]
