"""Which device and number format a model runs in: chosen for the machine, or as set, never silently otherwise."""

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
    """Devices of this machine, the fastest first."""
    found: list[Device] = []
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return (*found, "cpu")


def choose_device(wanted: str | None = None) -> Device:
    """The device asked for, else that of HNEURONS_DEVICE, else the fastest here. Raises BadSettings."""
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
    """The format asked for, else that of HNEURONS_DTYPE, else bfloat16 on a GPU that has it and float32 elsewhere."""
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
    """Memory that a model may take on `device` now."""
    if device == "cuda":
        return sum(torch.cuda.mem_get_info(index)[0] for index in range(torch.cuda.device_count()))
    return min(int(psutil.virtual_memory().available), *_container_rooms())


def _container_rooms() -> list[int]:
    """What the memory limit of a container leaves, where there is one; it binds before the machine's memory does."""
    rooms = [_NO_LIMIT]
    for folder, limit, used in _GROUPS:
        words = _words(Path(folder, limit))
        if words.isdigit() and int(words) < _NO_LIMIT:
            # Pages of files that nobody reads just now count as used, but are given up on demand.
            idle = re.search(r"^(?:total_)?inactive_file (\d+)$", _words(Path(folder, "memory.stat")), re.MULTILINE)
            taken = int(_words(Path(folder, used)) or 0) - int(idle[1] if idle else 0)
            rooms.append(max(0, int(words) - taken))
    return rooms


def _words(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except OSError as error:
        log.debug("no limit is read from %s: %s", path, error)
        return ""
