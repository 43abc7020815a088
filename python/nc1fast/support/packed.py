"""The binary format of this package: an .npz file of arrays, a JSON head, and a checksum over both."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from nc1fast.support.files import checksum
from nc1fast.support.npy import members, open_member, opened_archive, read_array

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    Arrays = Mapping[str, Any]

_HEAD, _CHECKSUM = "head", "checksum"


def pack(file: IO[bytes], head: Any, arrays: Arrays) -> None:
    """Write a head that JSON can hold, and named arrays.

    Raises
    ------
    TypeError
        For arrays of Python objects.
    """
    text = json.dumps(head)
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    if objects := [name for name, array in arrays.items() if array.dtype.hasobject]:
        raise TypeError(f"Python objects cannot be written: {', '.join(objects)}")
    own: dict[str, Any] = {_HEAD: text, _CHECKSUM: checksum(*_covered(text, arrays))}
    np.savez(file, **own, **arrays)


def unpack(
    file: IO[bytes] | str | os.PathLike[str], kind: str, form: int, *, known: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what `pack` wrote: its head and its arrays.

    Parameters
    ----------
    file : path-like or binary file
    kind, form : str, int
        What the head must give as "kind" and "format".
    known : bool, default False
        Whether the caller has verified the checksum of this very file before.

    Raises
    ------
    ValueError
        If the file is of another kind or format, or damaged. The message has no subject: see
        `reading`.
    OSError
        If the system cannot read it.
    Exception
        Whatever a damaged archive makes its reader raise.
    """
    with contextlib.ExitStack() as stack:
        try:
            archive = stack.enter_context(opened_archive(file))
        except zipfile.BadZipFile:
            raise ValueError(
                f"is not a file of {kind}, is cut short, or is of an earlier version of nc1fast"
            ) from None
        infos = members(archive)
        if _HEAD not in infos:
            raise ValueError(f"is not a file of {kind}")
        text = str(_member(archive, infos.pop(_HEAD), _HEAD))
        head = _head(text, kind, form)
        stored = infos.pop(_CHECKSUM, None)
        told = "" if stored is None else str(_member(archive, stored, _CHECKSUM))
        arrays = {name: _member(archive, info, name) for name, info in infos.items()}
    if not known and told != checksum(*_covered(text, arrays)):
        raise ValueError("is damaged: its checksum is another one")
    return head, arrays


def _head(text: str, kind: str, form: int) -> dict[str, Any]:
    """Parse the head and check its kind and format."""
    try:
        head = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("is damaged: its head is no JSON") from None
    found = head.get("format") if isinstance(head, dict) else None
    if found != form:
        raise ValueError(
            f"has format {found!r}, this version of nc1fast reads {form}: compute it again"
        )
    if head.get("kind") != kind:
        raise ValueError(f"is a file of {head.get('kind')!r}, not of {kind}")
    return dict(head)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> Any:
    """The array `name` of the archive."""
    try:
        with open_member(archive, info) as stream:
            return read_array(stream)
    except ValueError as error:
        raise ValueError(f"is damaged: its array {name!r} {error}") from None


def _covered(text: str, arrays: Arrays) -> Iterator[Any]:
    """The bytes that the checksum covers: the head, and name, type, shape and numbers of each
    array.
    """
    yield text.encode()
    for name, array in sorted(arrays.items()):
        yield f"\n{name} {array.dtype.str} {array.shape}\n".encode()
        yield np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def packed(head: Any, arrays: Arrays) -> bytes:
    """The file that `pack` writes, as bytes."""
    file = io.BytesIO()
    pack(file, head, arrays)
    return file.getvalue()
