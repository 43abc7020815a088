"""Provenance of numbers: machine, instruction set, devices, versions of libraries."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

_OPTIONAL = (
    "typer",
    "rich",
    "tqdm",
    "pydantic",
    "pyyaml",
    "matplotlib",
    "jinja2",
    "pyarrow",
    "scipy",
    "scikit-learn",
    "torch",
    "dask",
)


def machine() -> dict[str, str]:
    """Processor, number of cores that this process may use, system, versions of Python and NumPy, compiled core."""
    from nc1fast.core.backend import build_info

    return {
        "processor": _processor(),
        "cores": str(cores()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "core": _core(build_info()),
    }


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def devices() -> tuple[list[str], dict[str, str]]:
    """Names of the CUDA devices, and a line on each by its name; or the reason why there are none."""
    from nc1fast import cuda

    try:
        found = [cuda.info(i) for i in range(cuda.module().device_count())]
        why = "" if found else str(cuda.module().no_device())
    except cuda.DeviceError as error:
        found, why = [], str(error)
    described = {}
    for info in found:
        major, minor = info.compute_capability
        free, total = (n / 2**30 for n in (info.free_memory, info.total_memory))
        text = f"{info.name} ({major}.{minor}), {free:.1f} of {total:.1f} GiB free"
        described[f"cuda:{info.index}"] = text
    return list(described), described or {"cuda": f"none: {why}"}


def extras() -> dict[str, str]:
    """Versions of the optional packages that are installed, and the names of those that are missing."""
    versions, missing = {}, []
    for name in _OPTIONAL:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
    return {**versions, **({"missing": ", ".join(missing)} if missing else {})}


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or "unknown"


def _core(info: dict[str, Any]) -> str:
    return f"{info['isa']} (of {', '.join(info['isas'])}), {info['threads']} threads"
