"""What the pretended devices of the shim have seen, calls of theirs that are to fail, and arrays
that lie there.
"""

from __future__ import annotations

import ctypes
from collections import namedtuple

import numpy as np

from nc1fast import cuda


class Seen(
    namedtuple(
        "Seen",
        "calls launches blocks most_shared used pinned streams events most most_other most_pinned "
        "sent fetched",
    )
):
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
    sent, fetched : int
        Bytes copied to devices, and from them.
    """

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
        numbers = (ctypes.c_int64 * 13)()
        self._library.nc1fast_shim_seen(numbers)
        return Seen(*numbers)

    def use(self, device: int) -> None:
        """Make a device the current one of this thread."""
        self._library.nc1fast_shim_use(device)

    @property
    def last_error(self) -> int:
        """What is left of an error for the next one who asks the runtime; 0: nothing."""
        return int(self._library.nc1fast_shim_last_error())


# Arrays that lie on a pretended device: memory of the host, lent as DLPack lends that of a device
# ---------------------


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _Managed(ctypes.Structure):
    pass


_Deleter = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Managed))
_Managed._fields_ = (("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", _Deleter))
_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_CODES = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}


class Lender:
    """An array on a pretended device, as an array library would have it.

    Parameters
    ----------
    array : ndarray
        Of any strides.
    index : int
        The device.
    name : bytes
        Of its capsules; another than "dltensor" is of another version of DLPack.
    offset : int
        Bytes by which `data` is given too low, and that `byte_offset` has instead.

    Attributes
    ----------
    lent, given_back : int
        Capsules made, and calls of their deleter.
    brought : int
        Copies of it that were made on the host.
    streams, current : list of int
        What each capsule was asked with, and the device that was current then.
    """

    def __init__(self, array, index=0, *, name=b"dltensor", offset=0, kind=2):
        self.array, self.index = array, index
        self.lent = self.given_back = self.brought = 0
        self.streams: list[int] = []
        self.current: list[int] = []
        self._name, self._offset, self._kind = name, offset, kind
        self._kept: list[object] = []

    def __len__(self):
        return len(self.array)

    def __array__(self, *_, **__):
        self.brought += 1
        return np.array(self.array)

    def __dlpack_device__(self):
        return self._kind, self.index

    def __dlpack__(self, *, stream):
        self.streams.append(stream)
        self.current.append(cuda.module().current_device())
        a, number = self.array, ctypes.c_int64 * self.array.ndim
        contiguous = a.flags.c_contiguous and not self._offset
        strides = None if contiguous else number(*(s // a.itemsize for s in a.strides))
        shape, deleter = number(*a.shape), _Deleter(self._delete)
        place = a.ctypes.data - self._offset, self._kind, self.index
        kind = a.ndim, _CODES[a.dtype.kind], 8 * a.itemsize, 1
        tensor = _Tensor(*place, *kind, shape, strides, self._offset)
        managed = _Managed(tensor, None, deleter)
        self._kept.append((managed, shape, strides, deleter))
        self.lent += 1
        return _new_capsule(ctypes.addressof(managed), self._name, None)

    def _delete(self, _):
        self.given_back += 1
