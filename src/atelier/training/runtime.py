"""Device, precision and processes of a training, through Lightning Fabric."""

import ctypes
import os
import platform
import resource
from pathlib import Path
from typing import Any

import psutil
import torch
from lightning_fabric import Fabric

PRECISIONS: dict[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed"}

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of glibc's malloc.h."""
LARGEST_THRESHOLD, MOST = 2**25, 2**31 - 1
"""The most that glibc takes for either, in bytes."""

CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where the two versions of control groups say how much memory a container may have, in bytes."""


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
    # Numbers below 1e-38 take a processor many times as long as others, and no figure needs them.
    torch.set_flush_denormal(True)
    _keep_freed_memory()
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")  # before Fabric, which else advises it
    here, nodes = processes_here()
    fabric = Fabric(
        accelerator="auto",
        devices=here,
        num_nodes=nodes,
        strategy="ddp" if here * nodes > 1 else "auto",
        precision=PRECISIONS[precision],
    )
    fabric.launch()
    return fabric


def _keep_freed_memory() -> None:
    """Each step frees what the next one asks for again: given back to the system in between, every
    page of it would have to be cleared and mapped anew."""
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, LARGEST_THRESHOLD)
        mallopt(M_TRIM_THRESHOLD, MOST)


def processes_here() -> tuple[int, int]:
    """How many processes torchrun started on this machine, and on how many machines."""
    if not torch.distributed.is_torchelastic_launched():
        return 1, 1
    here = int(os.environ["LOCAL_WORLD_SIZE"])
    return here, int(os.environ["WORLD_SIZE"]) // here


def free_memory(device: torch.device) -> int:
    """Bytes that this process can have at the most: of a GPU's memory, or of the machine's, swap
    included, within the limits of its shell and its container."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free = psutil.virtual_memory().available + psutil.swap_memory().free
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        free = min(free, limit - psutil.Process().memory_info().vms)
    for file in CONTAINER_LIMITS:
        if file.exists() and (said := file.read_text().strip()).isdecimal():
            free = min(free, int(said))
    return free


def room_for_images(device: torch.device) -> int:
    """Bytes of images that a training holds; of more it reads those that it draws."""
    return free_memory(device) // 2


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
