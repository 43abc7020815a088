"""CUDA devices: which exist, and the module that runs on them.

`device=` of `nc1fast.collapse`, `class_sums`, kernels and `adaptive.solve` takes "cpu", "cuda" (the
first device), "cuda:1", and for a pass "cuda:all". What runs there is the module `_cuda`, part of a
build with nvcc, or else of the distribution nc1fast-cuda13; this file alone imports it.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

__all__ = ["DeviceError", "DeviceInfo", "available", "device_info"]


_NAMES = "'cpu', 'cuda', 'cuda:INDEX' or 'cuda:all'"
_DISTRIBUTION, _PACKAGE = "nc1fast-cuda13", "nc1fast_cuda13"


def __dir__() -> list[str]:
    return sorted(__all__)


class DeviceError(RuntimeError):
    """No CUDA in this build, no driver, no device, or one that has failed."""


@dataclass(frozen=True)
class DeviceInfo:
    """Description of a CUDA device.

    Attributes
    ----------
    index : int
    name : str
    compute_capability : (int, int)
        Sums have the same bits on all devices of one capability.
    multiprocessors : int
    free_memory, total_memory : int
        Bytes.
    """

    index: int
    name: str
    compute_capability: tuple[int, int]
    multiprocessors: int
    free_memory: int
    total_memory: int


def available() -> bool:
    """Whether this build supports CUDA and a device exists. Never raises."""
    try:
        return bool(module().device_count())
    except DeviceError:
        return False


def device_info(device: str = "cuda") -> DeviceInfo:
    """Describe one device.

    Parameters
    ----------
    device : str, default "cuda"
        "cuda" or "cuda:INDEX".

    Returns
    -------
    DeviceInfo

    Raises
    ------
    ValueError
        For another name, and a device that is not there.
    DeviceError
        If nc1fast was built without CUDA, or there is no driver or no device.
    """
    return info(one_index(device))


def info(index: int) -> DeviceInfo:
    """Describe the device with this number, which exists."""
    return DeviceInfo(index, **module().device_info(index))


def module() -> Any:
    """The module that runs tiles on devices.

    Raises
    ------
    DeviceError
        If it was not built, cannot be loaded, or is of another version.
    """
    try:
        return importlib.import_module("nc1fast._cuda")
    except ImportError as error:
        if find_spec(_PACKAGE) is not None:
            return _separate()
        raise DeviceError(
            f"this build of nc1fast has no CUDA: pip install {_DISTRIBUTION}, or build it where "
            f"nvcc is found, with NC1FAST_CUDA=ON ({error})"
        ) from None


@cache
def _separate() -> Any:
    """The module of the other distribution, which is made for one version of nc1fast."""
    from importlib import metadata

    try:
        here, there = metadata.version("nc1fast"), metadata.version(_DISTRIBUTION)
        if here != there:
            raise DeviceError(
                f"{_DISTRIBUTION} {there} is there, but nc1fast is {here}: "
                f"pip install {_DISTRIBUTION}=={here}"
            )
        return importlib.import_module(f"{_PACKAGE}._cuda")
    except ImportError as error:  # one without metadata, too
        raise DeviceError(f"{_DISTRIBUTION} cannot be loaded: {error}") from None


def indices(device: Any) -> tuple[int, ...]:
    """Numbers of the devices that a name stands for; () for "cpu".

    Raises
    ------
    TypeError, ValueError
        For what is no name, a device that does not exist, and "cuda:all" where devices differ in
        compute capability.
    DeviceError
        If nc1fast was built without CUDA, or there is no driver or no device.
    """
    if not isinstance(device, str):
        raise TypeError(f"device must be one of {_NAMES}, got {device!r}")
    if device == "cpu":
        return ()
    kind, _, which = device.partition(":")
    if kind != "cuda" or not (which.isdecimal() or which == "all" or device == "cuda"):
        raise ValueError(f"device must be one of {_NAMES}, got {device!r}")
    count = module().device_count()
    if not count:
        raise DeviceError(f"device={device!r}, but there is none: {module().no_device()}")
    if which != "all":
        index = int(which or 0)
        if index >= count:
            there = ", ".join(f"cuda:{i}" for i in range(count))
            raise ValueError(f"device must be one of those there are, {there}, got {device!r}")
        return (index,)
    every = tuple(range(count))
    kinds = {info(i).compute_capability for i in every}
    if len(kinds) > 1:
        listed = ", ".join(f"{major}.{minor}" for major, minor in sorted(kinds))
        raise ValueError(
            f"device='cuda:all' needs devices of one compute capability, got {listed}: name one"
        )
    return every


def one_index(device: Any) -> int:
    """Number of the one device that a name stands for; errors of `indices`, and ValueError for
    "cpu" and "cuda:all".
    """
    if device in ("cpu", "cuda:all"):
        raise ValueError(f"device must be 'cuda' or 'cuda:INDEX' here, got {device!r}")
    return indices(device)[0]
