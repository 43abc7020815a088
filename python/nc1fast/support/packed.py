"""The binary format of this package: an .npz file of arrays, a JSON head and a checksum of both."""

from __future__ import annotations

import io
import json
import zipfile
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from nc1fast.support.files import checksum
from nc1fast.support.npy import members, read_member

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
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile:
        raise ValueError(
            f"is not a file of {kind}, is cut short, or is of an earlier version of nc1fast"
        ) from None
    with archive:
        infos = members(archive)
        if _HEAD not in infos:
            raise ValueError(f"is not a file of {kind}")
        text = str(read_member(archive, infos.pop(_HEAD)))
        head = _head(text, kind, form)
        arrays = {name: read_member(archive, info) for name, info in infos.items()}
    stored = str(arrays.pop(_CHECKSUM, ""))
    if not known and stored != checksum(*_covered(text, arrays)):
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


# --- nested values that hold arrays, as plain JSON and named arrays ---


def split(value: Any, arrays: dict[str, Any]) -> Any:
    """Take the arrays out of nested dicts and lists, into `arrays`; what stays is plain JSON."""
    if isinstance(value, np.ndarray):
        name = f"{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if isinstance(value, dict):
        return {key: split(part, arrays) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [split(part, arrays) for part in value]
    return value.item() if isinstance(value, np.generic) else value


def joined(value: Any, arrays: Mapping[str, Any]) -> Any:
    """Put the arrays back that `split` took out; tuples have become lists."""
    if isinstance(value, dict):
        if value.keys() == {"array"}:
            return arrays[value["array"]]
        return {key: joined(part, arrays) for key, part in value.items()}
    return [joined(part, arrays) for part in value] if isinstance(value, list) else value
