"""What gpu.py measured, as two tables in Markdown: the trainings, and their pictures."""

import math
import statistics
from collections.abc import Iterator
from typing import Any

Report = dict[str, Any]


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
    return "\n".join([machine, "", *table(speed, of_speed), "", *table(pictures, of_pictures)])


def table(heads: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in [heads, ["---"] * len(heads), *rows]]
