"""What a figure was measured on: without it a figure says nothing."""

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import psutil

GIB = 1_073_741_824
_CPUINFO = Path("/proc/cpuinfo")


def machine() -> Mapping[str, str | int]:
    """`measured_at` (RFC 3339), `processor`, `cores`, `memory_gib`, `system` and `python`."""
    return {
        "measured_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory_gib": round(psutil.virtual_memory().total / GIB),
        "system": f"{platform.system()} {platform.release().partition('-')[0]} {platform.machine()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    if not _CPUINFO.exists():
        return platform.processor() or "unknown"
    lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
