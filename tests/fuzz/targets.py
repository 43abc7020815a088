"""Readers of the formats that this package parses itself, each with a small valid file."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.file_bytes import idx_bytes
from tests.fuzz import sealing

import nc1fast as nc

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DEFLATE = 1032  # bytes of content for each of the file: docs/guide.md
_IDX = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
RELU = nc.NNGP("relu")


class DisagreeError(Exception):
    """Two readings of one file differ."""


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes
    ----------
    make : callable(folder) -> path
        Of the file.
    read : callable(path) -> object
        What identifies what was read.
    check : callable(path, found) -> None, optional
        Raises `DisagreeError` where another reading of the file differs.
    has_checksum : bool
        Whether the format has room for a checksum of ours.
    sealed : callable(content, rng) -> content, optional
        A change that keeps the checksums of the format right.
    words : tuple of bytes
        What the format has a meaning for.
    expansion : int
        Bytes of content that a byte of the file may stand for.
    needs : tuple of str
        Optional packages.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], Any]
    check: Callable[[Path, Any], None] | None = None
    has_checksum: bool = False
    sealed: Callable[[bytes, Any], bytes] | None = None
    words: tuple[bytes, ...] = ()
    expansion: int = 1
    needs: tuple[str, ...] = ()

    @property
    def readable(self) -> bool:
        """Whether the packages are there."""
        return all(importlib.util.find_spec(name) for name in self.needs)


def _data() -> tuple[Any, Any]:
    rng = np.random.default_rng(3)
    y = rng.integers(0, 3, 60)
    return np.round(rng.normal(size=(60, 4)) + y[:, None], 6), y


# --- IDX ---


def _make_idx(pack: Callable[[bytes], bytes], suffix: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        X, y = _data()
        for name, array in (("images-idx2", X), ("labels-idx1", y.astype("u1"))):
            (folder / f"{name}-ubyte{suffix}").write_bytes(pack(idx_bytes(array)))
        return folder / f"images-idx2-ubyte{suffix}"

    return make


def _check_idx(path: Path, found: Any) -> None:
    """By the description of the format."""
    content = path.read_bytes()
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    _, code, n_dims = struct.unpack(">HBB", content[:4])
    shape = struct.unpack(f">{n_dims}I", content[4 : 4 + 4 * n_dims])
    body = content[4 + 4 * n_dims :]
    assert len(body) == math.prod(shape) * np.dtype(_IDX[code]).itemsize
    expected = np.frombuffer(body, _IDX[code]).reshape(len(found[0]), -1)
    if not np.array_equal(found[0], expected):
        raise DisagreeError(f"X: {found[0].shape} here, {expected.shape} there")


# --- ClassSums.save ---


def _sums_bytes(sums: Any) -> str:
    """Every bit of arrays, numbers and texts."""
    arrays = (sums.block_sums, sums.traces, sums.within, sums.sizes, sums.labels)
    more = [a for a in (sums.class_rows, sums.order, *vars(sums.error).values()) if a is not None]
    exact = [] if sums.exact is None else sums.exact.stored()
    digest = hashlib.sha256()
    for value in (*arrays, *more, repr(sums.kernel), repr(exact)):
        array = np.ascontiguousarray(value)
        digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def _make_sums(folder: Path) -> Path:
    nc.class_sums(*_data(), RELU).save(folder / "sums.npz")
    return folder / "sums.npz"


def _make_shares(folder: Path) -> Path:
    for index in range(3):
        nc.class_sums(*_data(), RELU, part=(index, 3)).save(folder / f"share-{index}.npz")
    return folder / "share-1.npz"


def _read_shares(path: Path) -> str:
    return _sums_bytes(nc.distributed.merge(sorted(path.parent.glob("share-*.npz"))))


# --- descriptions of studies ---


def _make_description(folder: Path) -> Path:
    text = (
        "name: mine\ntitle: My data\nrepeats: 5\narms:\n  - name: mine\n    data:\n"
        "      - {source: gaussian_mixture, name: D1, means: [-2, 2], stds: 0.5, "
        "n_features: [8], n_samples: [64]}\n"
        "    kernels:\n      - {kernel: NNGP, activation: [erf, relu]}\n"
        "      - {kernel: NTK, activation: [erf, relu], depth: [2, 3]}\n"
    )
    (folder / "mine.yml").write_text(text)
    return folder / "mine.yml"


def _read_description(path: Path) -> str:
    from nc1fast import studies

    return repr(studies.load(path))


_NPZ = (
    *(b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"head.npy"),
    *(b"\x01\x00\x10\x00", b"'descr'", b"'<f8'", b"'|O'", b"'<U9'", b"True", b"(2, 3)", b"(1,)"),
    *(b"()", b"10L", b"\x93NUMPY\x02\x00", b"-", b"('<f8',(2,))"),
)
_YAML = (
    *(b"&a ", b"*a", b"!!python/object:os.system ", b"!!binary ", b"<<: *a", b"? ", b": ", b"- "),
    *(b"{", b"[", b"1:2:3", b"---\n", b"|\n", b"%YAML 9.9\n", b"\t", b"arms:", b"parts: {}\n"),
    *(b"networks: [{}]\n", b"2020-99-99", b"!!set {a}", b"0b1_1"),
)
_SUMS: dict[str, Any] = {
    "has_checksum": True,
    "sealed": sealing.of_packed,
    "words": _NPZ,
    "expansion": DEFLATE,
}
TARGETS = {
    "idx": Target(_make_idx(bytes, ""), nc.datasets.load, _check_idx),
    "idx-gz": Target(
        _make_idx(lambda data: gzip.compress(data, mtime=0), ".gz"),
        nc.datasets.load,
        _check_idx,
        sealed=sealing.of_gzip,
        expansion=DEFLATE,
    ),
    "sums": Target(_make_sums, lambda path: _sums_bytes(nc.ClassSums.load(path)), **_SUMS),
    "share": Target(_make_shares, _read_shares, **_SUMS),
    "study-yaml": Target(
        _make_description, _read_description, words=_YAML, needs=("pydantic", "yaml", "pyarrow")
    ),
}
