"""The machine and the build: processors, threads of a pass, instruction sets, devices, versions of
packages.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np

from nc1fast import _core, cuda
from nc1fast.support.arguments import as_count

_MOST_THREADS = 1024
_MOST_PANELS = 1 << 20  # of the side of a tile: beyond, it is the whole matrix
_INLINE_PAIRS = 100_000  # kernel values, below which threads cost more than they save
_PAIRS_OF_THREAD = 50_000  # kernel values, for which it pays to wake one more
_LONG_ROW = 256  # features, from which their products take longer than the rest of a value
_OPTIONAL = (
    *("typer", "rich", "tqdm", "pydantic", "pyyaml", "matplotlib", "jinja2", "pyarrow"),
    *("scipy", "scikit-learn", "torch", "dask", "pandas", "xarray"),
)


def core_ids() -> list[int]:
    """Numbers of the cores that this process may use, sorted."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def cores() -> int:
    """How many cores this process may use."""
    return len(core_ids())


def thread_count(n_threads: int | None) -> int:
    """Threads of a pass: the argument, NC1FAST_NUM_THREADS, OMP_NUM_THREADS, or the cores of this
    process.
    """
    if n_threads is None:
        for name in ("NC1FAST_NUM_THREADS", "OMP_NUM_THREADS"):
            value = os.environ.get(name, "")
            if value.isdecimal() and int(value) > 0:
                return min(int(value), _MOST_THREADS)
        return cores()
    return min(as_count("n_threads", n_threads), _MOST_THREADS)


def check_threads(n_threads: int | None) -> None:
    """Raise TypeError or ValueError for what is no number of threads; None is the default."""
    if n_threads is not None:
        as_count("n_threads", n_threads)


def threads_for(n_threads: int | None, n_pairs: int, n_features: int = 0) -> int:
    """Threads for `n_pairs` kernel values of rows of `n_features`, as many as have enough to do; 0
    means the calling thread.
    """
    check_threads(n_threads)
    work = n_pairs * (1 + n_features // _LONG_ROW)
    return 0 if work < _INLINE_PAIRS else min(thread_count(n_threads), work // _PAIRS_OF_THREAD)


def most_tile_rows() -> int:
    """Rows of a side of a tile at most."""
    return _core.tile_rows()


def tile_panels() -> int:
    """Panels along the sides of a tile, from NC1FAST_TILE_PANELS; 0 leaves it to the core.

    No bit depends on it.
    """
    text = os.environ.get("NC1FAST_TILE_PANELS", "").strip() or "0"
    if not text.isdecimal():
        raise ValueError(
            f"NC1FAST_TILE_PANELS must be a number of panels, or 0 for the default, got {text!r}"
        )
    return min(int(text), _MOST_PANELS)


def build_info() -> dict[str, Any]:
    """Instruction set in use, those this machine has, threads by default, and the activations
    compiled in.
    """
    return {
        "isa": _core.isa(),
        "isas": _core.isas(),
        "threads": thread_count(None),
        "activations": sorted(_core.activations()),
    }


def describe() -> dict[str, str]:
    """Processor, cores that this process may use, system, Python, NumPy and core, each in words."""
    info = build_info()
    return {
        "processor": _processor(),
        "cores": str(cores()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "core": f"{info['isa']} (of {', '.join(info['isas'])}), {info['threads']} threads",
    }


def devices() -> tuple[list[str], dict[str, str]]:
    """Names of the CUDA devices, and a line on each; or the reason why there are none."""
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
    """Versions of the optional packages that are installed, and the names of those that are
    missing.
    """
    from importlib import metadata  # 20 ms that are not those of `import nc1fast`

    versions, missing = {}, []
    for name in _OPTIONAL:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
    return {**versions, **({"missing": ", ".join(missing)} if missing else {})}


def _processor() -> str:
    """The model of the processor, as the system names it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or "unknown"
