"""Our own files of arrays: .npz files with a JSON text and a checksum over all that is in them."""

from __future__ import annotations

import io
import json
import zipfile
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from nc1fast.support.npy import members, open_member, read_array
from nc1fast.support.storage import checksum

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Arrays = Mapping[str, Any]

_HEAD, _CHECKSUM = "head", "checksum"


def pack(file: IO[bytes], head: Any, arrays: Arrays) -> None:
    """Write what JSON can hold, and arrays, which must not be of Python objects."""
    text = json.dumps(head)
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    if objects := [name for name, array in arrays.items() if array.dtype.hasobject]:
        raise TypeError(f"Python objects cannot be written: {', '.join(objects)}")
    own: dict[str, Any] = {_HEAD: text, _CHECKSUM: checksum(*_covered(text, arrays))}
    np.savez(file, **own, **arrays)


def unpack(
    file: IO[bytes], kind: str, form: int, *, known: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `pack` wrote: its head, which is a dict with "kind" and "format", and its arrays.

    `known` leaves the checksum to a caller who has seen it, in this very file.

    Raises
    ------
    ValueError
        If it is of another kind or format, or damaged: says what "it" is, without a subject.
    Exception
        Of a damaged archive.
    """
    if not zipfile.is_zipfile(file):
        raise ValueError(
            f"is not a file of {kind}, is cut short, or is of an earlier version of nc1fast"
        )
    with zipfile.ZipFile(file) as archive:
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
    try:
        with open_member(archive, info) as stream:
            return read_array(stream)
    except ValueError as error:
        raise ValueError(f"is damaged: its array {name!r} {error}") from None


def _covered(text: str, arrays: Arrays) -> Iterator[Any]:
    """What the checksum is over: head, and name, type, shape and numbers of each array."""
    yield text.encode()
    for name, array in sorted(arrays.items()):
        yield f"\n{name} {array.dtype.str} {array.shape}\n".encode()
        yield np.ascontiguousarray(array).reshape(-1).view(np.uint8)


# --- values that hold arrays ---


def split(value: Any, arrays: dict[str, Any]) -> Any:
    """A nest of dicts, lists, numbers and arrays as JSON holds it; its arrays are put into `arrays`."""
    if isinstance(value, np.ndarray):
        name = f"{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if isinstance(value, dict):
        return {key: split(part, arrays) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [split(part, arrays) for part in value]
    return value.item() if isinstance(value, np.generic) else value


def joined(value: Any, arrays: Arrays) -> Any:
    """What `split` took apart; tuples have become lists."""
    if isinstance(value, dict):
        if value.keys() == {"array"}:
            return arrays[value["array"]]
        return {key: joined(part, arrays) for key, part in value.items()}
    return [joined(part, arrays) for part in value] if isinstance(value, list) else value


def packed(head: Any, arrays: Arrays) -> bytes:
    """The bytes of such a file."""
    file = io.BytesIO()
    pack(file, head, arrays)
    return file.getvalue()
