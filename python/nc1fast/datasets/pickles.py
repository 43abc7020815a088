"""Python pickles of plain data: dicts, lists, numbers, texts, bytes and NumPy arrays of numbers,
and nothing else.

A pickle is a program. This reader looks at all of it before anything is run, and then gives it four
harmless stand-ins for the names that NumPy's arrays need; whatever else it asks for is refused.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_TYPES = {"b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"}
_ORDERS = {"<", ">", "|", "="}


_KEEPS = {"PUT", "BINPUT", "LONG_BINPUT"}  # an object at a place of its own


class _Type:
    """Stand-in for `numpy.dtype`, of numbers alone."""

    def __init__(self, code: str | bytes, *_: Any) -> None:
        self.code = code.decode("ascii") if isinstance(code, bytes) else code
        self.order = "|"
        if self.code not in _TYPES:
            raise ValueError(f"an array of type {self.code!r}, numbers are needed")

    def __setstate__(self, state: Any) -> None:
        order = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        if order not in _ORDERS:
            raise ValueError(f"a type of byte order {order!r}")
        self.order = order

    def dtype(self) -> np.dtype[Any]:
        """The type of NumPy that it stands for."""
        return np.dtype(self.order + self.code)


class _Array:
    """Stand-in for `numpy.ndarray`, which holds no more than the bytes that the pickle has for it."""

    values: NDArray[Any] | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, by_column, data = state
        if isinstance(data, str):  # bytes of Python 2
            data = data.encode("latin-1")
        self.values = _filled(data, kind, shape, "F" if by_column else "C")


def _filled(data: Any, kind: Any, shape: Any, order: Any) -> NDArray[Any]:
    """An array of the bytes of a pickle; ValueError unless they are as many as its shape needs."""
    dtype, sizes = kind.dtype(), tuple(map(int, shape))
    if min(sizes, default=1) < 0 or math.prod(sizes) * dtype.itemsize != len(data):
        raise ValueError(f"an array of shape {sizes} with {len(data)} bytes")
    return np.frombuffer(data, dtype).reshape(sizes, order=order)


def _reconstruct(*_: Any) -> _Array:
    """Stand-in for the function of NumPy that makes an empty array, to be filled by its state."""
    return _Array()


_ENCODE = ("_codecs", "encode")  # by which protocol 2 writes bytes
_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _filled for core in ("core", "_core")},
}


class _Unpickler(pickle.Unpickler):
    """An unpickler that knows the stand-ins alone."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="bytes")
        self._room = len(
            content
        )  # bytes that texts may still be turned into: each has its own in the pickle

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in of a name; ValueError for any other."""
        _check_name(module, name)
        return self._encode if (module, name) == _ENCODE else _ALLOWED[module, name]

    def _encode(self, text: Any, encoding: Any = "latin1") -> bytes:
        """Stand-in for `_codecs.encode`, within the room that is left."""
        if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
            raise ValueError("bytes that are not written as text")
        self._room -= len(text)
        if self._room < 0:
            raise ValueError("makes more bytes than it has")
        return text.encode("latin-1")


def _check_name(module: str, name: str) -> None:
    """Raise ValueError for a name without a stand-in."""
    if (module, name) not in {_ENCODE, *_ALLOWED}:
        raise ValueError(
            f"asks for {module}.{name}; only plain data and NumPy arrays of numbers are loaded"
        )


def loads_plain(content: bytes) -> Any:
    """The object of a pickle of plain data.

    Raises
    ------
    ValueError
        If it is cut short, or asks for anything but plain data and arrays of numbers.
    """
    try:
        _check_program(content)
        return _plain(_Unpickler(content).load())
    except ValueError:
        raise
    except Exception as error:  # noqa: BLE001  (of a program that is damaged)
        raise ValueError(f"is no pickle of plain data: {error}") from None


def _check_program(content: bytes) -> None:
    """Read all of a pickle without running it: no part may be longer than the file, nor ask for
    what is refused.
    """
    for count, (opcode, argument, _) in enumerate(pickletools.genops(content)):
        if opcode.name in ("GLOBAL", "INST"):
            module, _, name = str(argument).partition(" ")
            _check_name(module, name)
        elif (
            opcode.name in _KEEPS and int(argument or 0) > count
        ):  # as many places are made at once
            raise ValueError(f"keeps an object at place {argument} before so many are there")
        elif opcode.name.startswith(("EXT", "PERSID", "BINPERSID", "NEXT_BUFFER")):
            raise ValueError(f"uses {opcode.name}, which plain data do not need")


def _plain(value: Any) -> Any:
    """Arrays in place of their stand-ins, at the top and in a dict."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, _Array):
        if value.values is None:
            raise ValueError("has an array without values")
        return value.values
    return value
