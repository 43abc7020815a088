"""What the pretended devices of the shim have seen, and calls of theirs that are to fail."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass


@dataclass(frozen=True)
class Seen:
    """Counts since `Watch.start`, and what is there now.

    Attributes
    ----------
    calls : int
        Calls that a device may refuse.
    launches, blocks, most_shared : int
        most_shared: bytes of shared memory of a block, in any launch.
    used, pinned, streams, events : int
        Bytes of devices and of pinned memory of the host, streams and events that are there now.
    most, most_other, most_pinned : int
        Most bytes at a time: of device 0, of device 1, pinned.
    """

    calls: int
    launches: int
    blocks: int
    most_shared: int
    used: int
    pinned: int
    streams: int
    events: int
    most: int
    most_other: int
    most_pinned: int

    @property
    def held(self) -> tuple[int, int, int, int]:
        """What has not been given back."""
        return self.used, self.pinned, self.streams, self.events


class Watch:
    """The watch of a shim module: cuda/shim/watch.cpp."""

    def __init__(self, shim):
        self._library = ctypes.CDLL(shim.__file__)
        self._library.nc1fast_shim_start.argtypes = [ctypes.c_int64]

    def start(self, failing: int = 0) -> None:
        """Count from zero; call number `failing` from here on is refused, 0: none."""
        self._library.nc1fast_shim_start(failing)

    def seen(self) -> Seen:
        """What has been seen since the start."""
        numbers = (ctypes.c_int64 * 11)()
        self._library.nc1fast_shim_seen(numbers)
        return Seen(*numbers)

    def use(self, device: int) -> None:
        """Make a device the current one of this thread."""
        self._library.nc1fast_shim_use(device)

    @property
    def last_error(self) -> int:
        """What is left of an error for the next one who asks the runtime; 0: nothing."""
        return int(self._library.nc1fast_shim_last_error())
