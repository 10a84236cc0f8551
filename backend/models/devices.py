"""Device and number format of a model: the best of this machine, or exactly the ones that are set."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Literal, get_args

import psutil
import torch

from backend.errors import BadSettings

Device = Literal["cpu", "cuda", "mps"]
Dtype = Literal["float32", "bfloat16", "float16"]
log = logging.getLogger(__name__)
_NO_LIMIT = 1 << 60
_GROUPS = (
    ("/sys/fs/cgroup", "memory.max", "memory.current"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
)
BYTES: dict[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2}


def available() -> tuple[Device, ...]:
    """The devices of this machine, fastest first."""
    devices: list[Device] = []
    if torch.cuda.is_available():
        devices.append("cuda")
    if torch.backends.mps.is_available():
        devices.append("mps")
    return (*devices, "cpu")


def choose_device(wanted: str | None = None) -> Device:
    """The requested device, else that of HNEURONS_DEVICE, else the fastest one. Raises BadSettings."""
    asked = (wanted or os.environ.get("HNEURONS_DEVICE", "")).strip().lower() or "auto"
    here = available()
    if asked == "auto":
        return here[0]
    for device in here:
        if asked == device:
            return device
    raise BadSettings(
        f"Device {asked[:40]!r} cannot be used", f"this machine has {', '.join(here)}", "choose one of these"
    )


def choose_dtype(device: Device, wanted: str | None = None) -> Dtype:
    """The requested format, else that of HNEURONS_DTYPE, else bfloat16 on a GPU that has it and float32 elsewhere."""
    asked = (wanted or os.environ.get("HNEURONS_DTYPE", "")).strip().lower() or "auto"
    if asked == "auto":
        if device != "cuda":
            return "float32"
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    for dtype in get_args(Dtype):
        if asked == dtype:
            return dtype
    raise BadSettings(
        f"Number format {asked[:40]!r} is not known", f"there are {', '.join(get_args(Dtype))}", "choose one of these"
    )


def free_bytes(device: Device) -> int:
    """Bytes of memory that a model may take on `device` now."""
    if device == "cuda":
        return sum(torch.cuda.mem_get_info(index)[0] for index in range(torch.cuda.device_count()))
    return min(int(psutil.virtual_memory().available), *_container_free_bytes())


def _container_free_bytes() -> list[int]:
    """Bytes that the memory limits of a container leave free; it may be less than what the machine has free.

    The first number stands for no limit.
    """
    free = [_NO_LIMIT]
    for folder, limit, used in _GROUPS:
        limit_text = _file_text(Path(folder, limit))
        if limit_text.isdigit() and int(limit_text) < _NO_LIMIT:
            # Cached pages of files that nobody reads now count as used, but the kernel frees them on demand.
            reclaimable = re.search(
                r"^(?:total_)?inactive_file (\d+)$", _file_text(Path(folder, "memory.stat")), re.MULTILINE
            )
            in_use = int(_file_text(Path(folder, used)) or 0) - int(reclaimable[1] if reclaimable else 0)
            free.append(max(0, int(limit_text) - in_use))
    return free


def _file_text(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except OSError as error:
        log.debug("no limit is read from %s: %s", path, error)
        return ""
