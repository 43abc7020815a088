"""Readers of the formats that this package parses itself, each with a small valid file: those of
`tests.damage_kinds`, and the images.
"""

from __future__ import annotations

import gzip
import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.damage_kinds import KINDS, Kind
from tests.fuzz import sealing

import nc1fast as nc

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DEFLATE, CODECS = 1032, 1 << 15  # bytes of content for each of the file: docs/guide.md
_IDX = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


class DisagreeError(Exception):
    """Two readings of one file differ."""


def same(found: Any, told: Any, what: str) -> None:
    """Raise DisagreeError unless two arrays hold the same values, whatever their types."""
    told = np.asarray(told)
    if found.shape != told.shape or not np.array_equal(found, told):
        raise DisagreeError(
            f"{what}: {found.dtype}{found.shape} here, {told.dtype}{told.shape} there"
        )


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes
    ----------
    kind : Kind
        How its file is made and read.
    check : callable(path, found) -> None, optional
        Raises `DisagreeError` where another reading of the file differs.
    sealed : callable(content, rng) -> content, optional
        A change that keeps the checksums of the format right.
    words : tuple of bytes
        What the format has a meaning for.
    expansion : int
        Bytes of content that a byte of the file may stand for.
    trusted : bool
        Whether the run that reads the file wrote it: beneath a right checksum, any error will do.
    """

    kind: Kind
    check: Callable[[Path, Any], None] | None = None
    sealed: Callable[[bytes, Any], bytes] | None = None
    words: tuple[bytes, ...] = ()
    expansion: int = 1
    trusted: bool = False


def _loaded(path: Path) -> Any:
    return nc.datasets.load(path)


def _check_idx(path: Path, found: Any) -> None:
    """By the description of the format."""
    content = path.read_bytes()
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    _, code, n_dims = struct.unpack(">HBB", content[:4])
    shape = struct.unpack(f">{n_dims}I", content[4 : 4 + 4 * n_dims])
    body = content[4 + 4 * n_dims :]
    assert len(body) == math.prod(shape) * np.dtype(_IDX[code]).itemsize
    same(found[0], np.frombuffer(body, _IDX[code]).reshape(len(found[0]), -1), "X")


def _make_records(folder: Path) -> Path:
    path = folder / "data_batch_1.bin"
    path.write_bytes(np.arange(4 * 3073, dtype=np.uint8).tobytes())
    return path


def _check_binary(path: Path, found: Any) -> None:
    records = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 3073)
    same(found[0], records[:, 1:], "X")
    same(found[1], records[:, 0].astype(np.int64), "y")


def _of(name: str, **more: Any) -> Target:
    """A kind of `tests.damage_kinds`."""
    return Target(KINDS[name], **more)


_CSV = (
    b"\n",
    b",",
    b'"',
    b"\xef\xbb\xbf",
    b"nan",
    b"1_0",
    b"\r",
    b"label",
    b",,",
    b"\t",
    b"0x10",
    b"\xc2\xa0",
    b"\xd9\xa3",
    b"1e-400",
)
_NPY = (
    b"'descr'",
    b"'<f8'",
    b"'|O'",
    b"'<U9'",
    b"True",
    b"(2, 3)",
    b"(1,)",
    b"()",
    b"10L",
    b"\x93NUMPY\x02\x00",
    b"-",
    b"('<f8',(2,))",
)
_ZIP = (
    b"PK\x03\x04",
    b"PK\x01\x02",
    b"PK\x05\x06",
    b"PK\x06\x06",
    b"PK\x06\x07",
    b"X.npy",
    b"y.npy",
    b"\x01\x00\x10\x00",
)
_YAML = (
    b"&a ",
    b"*a",
    b"!!python/object:os.system ",
    b"!!binary ",
    b"<<: *a",
    b"? ",
    b": ",
    b"- ",
    b"{",
    b"[",
    b"1:2:3",
    b"---\n",
    b"|\n",
    b"%YAML 9.9\n",
    b"\t",
    b"arms:",
    b"parts: {}\n",
    b"networks: [{}]\n",
    b"2020-99-99",
    b"!!set {a}",
    b"0b1_1",
)
TARGETS = {
    "idx": Target(Kind(KINDS["IDX"].make, _loaded), _check_idx),
    "idx-gz": Target(
        Kind(KINDS["IDX, gzipped"].make, _loaded), _check_idx, sealing.of_gzip, (), DEFLATE
    ),
    "cifar-binary": Target(Kind(_make_records, _loaded), _check_binary),
    "sums": _of("class sums", sealed=sealing.of_packed, words=_ZIP + _NPY, expansion=DEFLATE),
    "share": _of("share", sealed=sealing.of_packed, words=_ZIP + _NPY, expansion=DEFLATE),
    "merged": _of("merged shares", sealed=sealing.of_packed, expansion=DEFLATE),
    "journal": _of("journal", sealed=sealing.of_journal),
    "journal-pass": _of("journal.pass", sealed=sealing.of_packed, trusted=True),
    "journal-order": _of("journal.order.npy", words=_NPY),
    "study-journal": _of("study journal", sealed=sealing.of_journal),
    "study-parquet": _of("study table .parquet", expansion=CODECS),
    "study-csv": _of("study table .csv", words=_CSV),
    "study-yaml": _of("study description", words=_YAML),
    "checkpoint": _of("checkpoint", sealed=sealing.of_checkpoint, trusted=True),
}
