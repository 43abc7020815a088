"""Variables of MATLAB's .mat files of versions 4 to 7: arrays of numbers, and text in char arrays
and cells.

Every length is held against what is there before memory is taken; structs, objects, sparse arrays
and function handles are passed over. A value has the type that it is stored as, which may be
smaller than its class.

Source: MathWorks, MAT-File Format (version 5: tags, elements and classes; version 4: headers of 20
bytes).
"""

from __future__ import annotations

import math
import os
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast.inputs.text import as_texts
from nc1fast.support.npy import DEFLATE, check_shape

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_HEADER = 128  # bytes before the first variable of version 5
_TAG = 8
_ORDERS = {b"IM": "<", b"MI": ">"}  # as the header ends
_NUMBERS = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_INT32, _UINT32, _INT8, _MATRIX, _COMPRESSED = 5, 6, 1, 14, 15
_ENCODINGS = {16: "utf-8", 17: "utf-16", 18: "utf-32", 2: "latin-1", 1: "latin-1", 4: "utf-16"}
_CELL, _CHAR, _CLASSES = (
    1,
    4,
    range(6, 16),
)  # of arrays that are read; the last are those of numbers
_COMPLEX = 0x800
_PEEK = 1 << 12  # bytes of a compressed variable in which its name is
_V4 = 20  # bytes before a variable of version 4
_V4_TYPES = ("f8", "f4", "i4", "i2", "u2", "u1")
_V4_LONGEST = 1 << 10  # of a name


class Element(NamedTuple):
    """A piece of a file: its type and its bytes."""

    kind: int
    data: memoryview


@dataclass(frozen=True)
class Variable:
    """A variable that can be read.

    Attributes
    ----------
    name : str
    read : callable() -> ndarray
        Reads it from the open file: numbers, or text (of the rows of a char array, or of the cells
        of a cell array).
    """

    name: str
    read: Callable[[], NDArray[Any]]


def variables(file: IO[bytes]) -> list[Variable]:
    """The variables of an open file.

    Raises
    ------
    ValueError
        If the file is none of these versions, or ends within a variable. The message has no
        subject: see `reading`.
    """
    head, end = file.read(_HEADER), file.seek(0, os.SEEK_END)
    if len(head) >= 4 and 0 in head[:4]:  # version 5 begins with text
        return _of_version_4(file, end)
    if head[126:] not in _ORDERS:
        raise ValueError("is neither of MATLAB nor whole: no mark of the byte order")
    return _of_version_5(file, end, _ORDERS[head[126:]])


# --- version 5: elements with tags ---


def _of_version_5(file: IO[bytes], end: int, order: str) -> list[Variable]:
    found, at = [], _HEADER
    while at < end:
        file.seek(at)
        kind, n_bytes = np.frombuffer(_exactly(file.read(_TAG), _TAG), f"{order}u4").tolist()
        begin = at + _TAG
        at = begin + n_bytes
        if at > end:
            raise ValueError(f"is cut short: {at} bytes expected, {end} found")
        if kind not in (_MATRIX, _COMPRESSED):
            continue
        packed = kind == _COMPRESSED
        start = file.read(min(n_bytes, _PEEK))
        content = memoryview(zlib.decompressobj().decompress(start, _PEEK) if packed else start)
        array = _Matrix.of(content[_TAG:] if packed else content, order)
        if array is None or array.code not in (_CELL, _CHAR, *_CLASSES):
            continue

        def read(begin: int = begin, n_bytes: int = n_bytes, packed: bool = packed) -> NDArray[Any]:
            file.seek(begin)
            content = _exactly(file.read(n_bytes), n_bytes)
            return _values(_unpacked(content, order) if packed else memoryview(content), order)

        found.append(Variable(array.name, read))
    return found


def _exactly(data: bytes, n_bytes: int) -> bytes:
    """The bytes, if they are as many."""
    if len(data) < n_bytes:
        raise ValueError(f"is cut short: {n_bytes} bytes expected, {len(data)} found")
    return data


def _unpacked(content: bytes, order: str) -> memoryview:
    """The content of the one element in a compressed one."""
    unzip = zlib.decompressobj()
    tag = _exactly(unzip.decompress(content, _TAG), _TAG)
    n_bytes = int(np.frombuffer(tag, f"{order}u4")[1])
    if n_bytes > DEFLATE * len(content):
        raise ValueError(f"cannot hold the {n_bytes} bytes that are said of it")
    data = unzip.decompress(unzip.unconsumed_tail, n_bytes) if n_bytes else b""
    data = _exactly(data, n_bytes)
    while not unzip.eof and unzip.unconsumed_tail:  # to its checksum
        if unzip.decompress(unzip.unconsumed_tail, _PEEK):
            raise ValueError("has more than the bytes that are said of it")
    if not unzip.eof:
        raise ValueError("is cut short: its compressed data do not end")
    return memoryview(data)


def _element(data: memoryview, order: str) -> tuple[Element, memoryview]:
    """The first element, and what follows it; up to four bytes lie within the tag."""
    word = np.frombuffer(_exactly(data[:_TAG], _TAG), f"{order}u4").tolist()  # type: ignore[arg-type]
    short = word[0] >> 16
    begin, n_bytes = (4, short) if short else (_TAG, word[1])
    if short > 4 or begin + n_bytes > len(data):
        raise ValueError(f"is damaged: an element of {n_bytes} bytes where {len(data)} are")
    after = _TAG if short else _TAG + -(-n_bytes // 8) * 8
    return Element(word[0] & 0xFFFF if short else word[0], data[begin : begin + n_bytes]), data[
        after:
    ]


class _Matrix(NamedTuple):
    """The head of an array, before its values, and the rest."""

    code: int
    flags: int
    shape: tuple[int, ...]
    name: str
    rest: memoryview

    @classmethod
    def of(cls, data: memoryview, order: str) -> _Matrix | None:
        """From the content of a matrix; None for one of another make (objects of the newer kind
        have no shape).
        """
        flags, data = _element(data, order)
        sizes, data = _element(data, order)
        if flags.kind != _UINT32 or len(flags.data) < 4 or sizes.kind != _INT32:
            return None
        if len(sizes.data) % 4:
            raise ValueError("is damaged: no array has its shape")
        name, rest = _element(data, order)
        word = int(np.frombuffer(flags.data[:4], f"{order}u4")[0])
        shape = tuple(np.frombuffer(sizes.data, f"{order}i4").tolist())
        check_shape(shape)
        return cls(word & 0xFF, word, shape, bytes(name.data).decode("latin-1"), rest)


def _values(data: memoryview, order: str) -> NDArray[Any]:
    """The values of a matrix; of a cell array the texts of its cells."""
    array = _Matrix.of(data, order)
    if array is None:
        raise ValueError("is damaged: a matrix without a shape")
    if array.code == _CELL:
        return _cells(array, order)
    if array.code == _CHAR:
        return as_texts(_rows_of_text(array, order))
    if array.code not in _CLASSES:
        raise ValueError("is a cell array of more than texts")
    stored, rest = _element(array.rest, order)
    values = _numbers(stored, order, array.shape)
    if array.flags & _COMPLEX:
        values = values + 1j * _numbers(_element(rest, order)[0], order, array.shape)
    return values


def _numbers(stored: Element, order: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Numbers of an element, in this shape."""
    if stored.kind not in _NUMBERS:
        raise ValueError(f"is damaged: numbers of the unknown type {stored.kind}")
    dtype = np.dtype(order + _NUMBERS[stored.kind])
    return _shaped(stored.data, dtype, shape)


def _shaped(data: memoryview, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Bytes as an array in the machine's byte order, column by column."""
    n_bytes = math.prod(shape) * dtype.itemsize
    if n_bytes != len(data):
        raise ValueError(f"is damaged: {n_bytes} bytes expected, {len(data)} found")
    found = np.frombuffer(data, dtype).reshape(shape, order="F")
    return found.astype(dtype.newbyteorder("="))


def _rows_of_text(array: _Matrix, order: str) -> list[str]:
    """The rows of a char array."""
    n, width = math.prod(array.shape[:-1]), array.shape[-1] if array.shape else 0
    if n * width == 0:
        return [""] * min(n, 1)
    stored, _ = _element(array.rest, order)
    if stored.kind not in _ENCODINGS:
        raise ValueError(f"is damaged: text of the unknown type {stored.kind}")
    encoding = _ENCODINGS[stored.kind]
    if encoding in ("utf-16", "utf-32"):
        encoding += "-le" if order == "<" else "-be"
    try:
        text = bytes(stored.data).decode(encoding)
    except UnicodeDecodeError:
        raise ValueError("is damaged: its letters are no text") from None
    if len(text) != n * width:
        raise ValueError(f"is damaged: {n * width} letters expected, {len(text)} found")
    return [text[row::n].rstrip() for row in range(n)]


def _cells(array: _Matrix, order: str) -> NDArray[Any]:
    """The texts of a cell array, in the order of its rows."""
    n, rest = math.prod(array.shape), array.rest
    if n > len(rest) // _TAG:
        raise ValueError(f"cannot hold the {n} cells that are said of it")
    texts = []
    for _ in range(n):
        element, rest = _element(rest, order)
        cell = _Matrix.of(element.data, order) if element.kind == _MATRIX else None
        if cell is None or cell.code != _CHAR or math.prod(cell.shape[:-1]) > 1:
            raise ValueError("is a cell array of more than texts")
        texts.append("".join(_rows_of_text(cell, order)))
    by_column = np.arange(n).reshape(array.shape, order="F").ravel()
    return as_texts([texts[k] for k in by_column.tolist()])


# --- version 4: a header and numbers for each variable ---


def _of_version_4(file: IO[bytes], end: int) -> list[Variable]:
    found, at = [], 0
    while at < end:
        file.seek(at)
        head = _exactly(file.read(_V4), _V4)
        order = "<" if int.from_bytes(head[:4], "little") < 5000 else ">"
        code, rows, columns, imaginary, letters = np.frombuffer(head, f"{order}i4").tolist()
        kind, use = code // 10 % 10, code % 10
        makes_sense = 0 <= code < 5000 and kind < len(_V4_TYPES) and code // 100 % 10 == 0
        if not makes_sense or min(rows, columns) < 0 or not 0 < letters <= _V4_LONGEST:
            raise ValueError("is damaged, or no file of MATLAB")
        name = _exactly(file.read(letters), letters).rstrip(b"\0").decode("latin-1")
        dtype = np.dtype(order + _V4_TYPES[kind])
        n_bytes, begin = rows * columns * dtype.itemsize, at + _V4 + letters
        at = begin + n_bytes * (1 + bool(imaginary))
        if at > end:
            raise ValueError(f"is cut short: {at} bytes expected, {end} found")
        if use not in (0, 1):  # sparse
            continue

        def read(
            begin: int = begin,
            n_bytes: int = n_bytes,
            dtype: np.dtype[Any] = dtype,
            shape: tuple[int, int] = (rows, columns),
            imaginary: bool = bool(imaginary),
            text: bool = use == 1,
        ) -> NDArray[Any]:
            file.seek(begin)
            parts = [
                _shaped(memoryview(_exactly(file.read(n_bytes), n_bytes)), dtype, shape)
                for _ in range(1 + imaginary)
            ]
            if text:
                letters = parts[0].astype(np.uint8).tolist()
                return as_texts([bytes(row).decode("latin-1").rstrip() for row in letters])
            return parts[0] + 1j * parts[1] if imaginary else parts[0]

        found.append(Variable(name, read))
    return found
