"""Texts of any length in HDF5 files, read without the library: a damaged file may cost it
gigabytes, or all time.

A data set has references alone: the length of a text, the place of a heap, and the number of the
text in it. Source: the HDF5 File Format Specification 3.0, III.E (global heap) and IV.A.2.d
(variable-length data).
"""

from __future__ import annotations

import math
import os
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from nc1fast.inputs.text import LONGEST
from nc1fast.support.files import bytes_in

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DEFLATE, _SHUFFLE = 1, 2  # filters of chunks
_UNIT = 8  # bytes, of which objects of a heap are multiples


def read_texts(dataset: Any, path: str, encoding: str) -> NDArray[Any]:
    """The texts of a data set, an array of Python objects of its shape.

    Raises
    ------
    ValueError
        For a layout or a filter that is not read, and for references and heaps that make no sense.
    """
    with Path(path).open("rb") as file:
        return _read(dataset, file, encoding)


def _read(dataset: Any, file: IO[bytes], encoding: str) -> NDArray[Any]:
    base = dataset.file.userblock_size
    references = _references(dataset, file)
    n_bytes, there = int(references["length"].sum(dtype=np.int64)), _size(file)
    if n_bytes > there:
        raise ValueError(f"is damaged: its texts have {n_bytes} bytes, and {there} are there")
    place_bytes = references.dtype["place"].itemsize
    heaps: dict[int, dict[int, bytes]] = {}
    texts = np.empty(references.size, object)
    for k, (length, place, number) in enumerate(references.ravel().tolist()):
        if length == 0:
            texts[k] = ""
            continue
        if place not in heaps:
            heaps[place] = _heap(file, base + place, place_bytes)
            there -= sum(map(len, heaps[place].values()))
            if there < 0:
                raise ValueError("is damaged: its heaps of texts overlap")
        data = heaps[place].get(number, b"")
        if length > len(data):
            raise ValueError(f"is damaged: a text of {length} bytes is not there")
        if length > 4 * LONGEST:
            raise ValueError(f"has a label of {length} bytes, {LONGEST} letters at most are read")
        texts[k] = _text(data[:length].partition(b"\0")[0], encoding)
    return texts.reshape(references.shape)


def _text(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise ValueError(f"has a label that is no text in {encoding}") from None


def _size(file: IO[bytes]) -> int:
    return file.seek(0, os.SEEK_END)


def _bytes_at(file: IO[bytes], offset: int, n_bytes: int) -> bytes:
    """Bytes that lie together, as many as there are."""
    there = _size(file)
    file.seek(min(offset, there))
    return file.read(min(n_bytes, there))


def _references(dataset: Any, file: IO[bytes]) -> NDArray[Any]:
    """The references of a data set, of its shape."""
    place = dataset.file.id.get_create_plist().get_sizes()[0]
    kind = np.dtype([("length", "<u4"), ("place", f"<u{place}"), ("number", "<u4")])
    found = np.zeros(dataset.shape, kind)
    if dataset.id.get_storage_size() == 0 or dataset.size == 0:
        return found
    if dataset.chunks is not None:
        _fill_chunks(dataset, found)
        return found
    offset = dataset.id.get_offset()
    if offset is None:
        raise ValueError(
            "has labels in a compact layout, which is not read: write a plain data set"
        )
    part = _bytes_at(file, offset, found.nbytes)
    if len(part) < found.nbytes:
        raise ValueError(f"is cut short: {found.nbytes} bytes expected, {len(part)} found")
    found[...] = np.frombuffer(part, kind).reshape(dataset.shape)
    return found


def _fill_chunks(dataset: Any, found: NDArray[Any]) -> None:
    """Put the references of every chunk in their places; a chunk reaches beyond the edge."""
    plan = dataset.id.get_create_plist()
    codes = [plan.get_filter(k)[0] for k in range(plan.get_nfilters())]
    if unknown := set(codes) - {_DEFLATE, _SHUFFLE}:
        raise ValueError(
            f"has labels under filter {min(unknown)}, which is not read: use gzip, or none"
        )
    n_bytes = math.prod(dataset.chunks) * found.itemsize
    if n_bytes > 2 * max(found.nbytes, bytes_in(dataset.file.filename)):
        raise ValueError(f"is damaged: a chunk of {n_bytes} bytes")
    for k in range(dataset.id.get_num_chunks()):
        begin = dataset.id.get_chunk_info(k).chunk_offset
        mask, content = dataset.id.read_direct_chunk(begin)
        used = [code for place, code in enumerate(codes) if not mask >> place & 1]
        chunk = np.frombuffer(_unfiltered(content, used, found.itemsize, n_bytes), found.dtype)
        chunk = chunk.reshape(dataset.chunks)
        target = found[tuple(slice(b, b + n) for b, n in zip(begin, dataset.chunks, strict=True))]
        target[...] = chunk[tuple(map(slice, target.shape))]


def _unfiltered(content: bytes, codes: list[int], itemsize: int, n_bytes: int) -> bytes:
    """The bytes of a chunk."""
    for code in reversed(codes):
        if code == _DEFLATE:
            content = zlib.decompressobj().decompress(content, n_bytes + 1)
        else:
            whole = len(content) // itemsize * itemsize
            content = np.frombuffer(content[:whole], np.uint8).reshape(itemsize, -1).T.tobytes()
    if len(content) != n_bytes:
        raise ValueError(f"is damaged: a chunk of {len(content)} bytes, {n_bytes} are needed")
    return content


def _heap(file: IO[bytes], at: int, size_bytes: int) -> dict[int, bytes]:
    """The objects of the heap at this place, by number."""
    head = _bytes_at(file, at, 8 + size_bytes)  # signature, version, size
    if head[:4] != b"GCOL":
        raise ValueError("is damaged: a heap of texts is not where it should be")
    content = _bytes_at(file, at, int.from_bytes(head[8:], "little"))
    found: dict[int, bytes] = {}
    at = len(head)
    while at + 8 + size_bytes <= len(content):
        number = int.from_bytes(content[at : at + 2], "little")
        n_bytes = int.from_bytes(content[at + 8 : at + 8 + size_bytes], "little")
        at += 8 + size_bytes
        if number == 0:  # what is free
            break
        found[number] = content[at : at + n_bytes]
        at += -(-n_bytes // _UNIT) * _UNIT
    return found
