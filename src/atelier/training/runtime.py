"""Device, precision and processes of a training, through Lightning Fabric."""

import platform
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

PRECISIONS: dict[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed"}


def processor_has_bf16() -> bool:
    """Whether bf16 is faster than fp32 here: on others it is emulated, and slower."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    information = Path("/proc/cpuinfo")
    flags = information.read_text() if information.exists() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


def resolve_precision(wanted: str) -> str:
    """`auto` becomes fp32 or bf16."""
    if wanted != "auto":
        return wanted
    return "bf16" if processor_has_bf16() else "fp32"


def launch(precision: str) -> Fabric:
    """One process on the visible device, or those that torchrun started.

    `precision` is fp32 or bf16 (matrix work under autocast, weights in fp32).
    """
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")  # before Fabric, which else advises it
    devices: Any = "auto" if torch.distributed.is_torchelastic_launched() else 1
    fabric = Fabric(accelerator="auto", devices=devices, precision=PRECISIONS[precision])
    fabric.launch()
    return fabric


def describe(fabric: Fabric, precision: str) -> dict[str, Any]:
    """What the figures of a run rest on, beside its configuration."""
    cuda = fabric.device.type == "cuda"
    return {
        "precision": precision,
        "device": torch.cuda.get_device_name(fabric.device) if cuda else platform.machine(),
        "instruction_set": "cuda" if cuda else torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "processes": fabric.world_size,
        "torch": torch.__version__,
    }
