"""The readers, each with a small valid file: those of `tests.damage_kinds`, and more of other
people's formats.
"""

from __future__ import annotations

import functools
import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tests import damage_kinds
from tests.damage_kinds import KINDS, Kind
from tests.fuzz import makers, sealing, twins

import nc1fast as nc
from nc1fast.datasets.paths import rows_at_path
from nc1fast.inputs.labelled import LabelledData

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DEFLATE, CODECS = 1032, 1 << 15  # bytes of content for each of the file: docs/guide.md


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes
    ----------
    kind : Kind
        How its file is made and read.
    check : callable(path, found) -> None, optional
        Raises `twins.DisagreeError` where another reading of the file differs.
    sealed : callable(content, rng) -> content, optional
        A change that keeps the checksums of the format right.
    words : tuple of bytes
        What the format has a meaning for.
    expansion : int
        Bytes of content that a byte of the file may stand for.
    trusted : bool
        Whether the run that reads the file wrote it: beneath a right checksum, any error will do.
    asks : bool
        Whether the package that reads it asks the system for as much as a length says, which it
        does not touch.
    """

    kind: Kind
    check: Callable[[Path, Any], None] | None = None
    sealed: Callable[[bytes, Any], bytes] | None = None
    words: tuple[bytes, ...] = ()
    expansion: int = 1
    trusted: bool = False
    asks: bool = False


Y = makers.Y


def _pair(of: str) -> Callable[[Path], Any]:
    """Reading X and y where they lie; `of` is "both" or the one that the file holds."""

    def read(path: Path) -> Any:
        given = (
            (f"{path}::X", f"{path}::y")
            if of == "both"
            else (path, Y)
            if of == "X"
            else (makers.X, path)
        )
        data = LabelledData.of(*given)
        return np.asarray(data.rows[:]), data.classes.labels[data.classes.of_row]

    return read


def _loaded(path: Path) -> Any:
    return nc.datasets.load(path)


def _loaded_rows(path: Path) -> Any:
    return nc.datasets.load(path, labels=Y)


def _rows_alone(path: Path) -> Any:
    return np.asarray(rows_at_path(path)[:])


def _check_npy(path: Path, found: Any) -> None:
    twins.same(found[0], twins.npy(path), "X")


def _check_labels(path: Path, found: Any) -> None:
    twins.same(found[1], twins.npy(path), "y")


def _check_npz(path: Path, found: Any) -> None:
    twins.same(found[0], twins.npz(path, "X"), "X")
    twins.same(found[1], twins.npz(path, "y").reshape(-1), "y")


def _check_idx(path: Path, found: Any) -> None:
    content = path.read_bytes()
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    twins.same(found[0], twins.rows(twins.idx(content)), "X")


def _check_table(separator: str, path: Path, found: Any) -> None:
    content = path.read_bytes()
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    told = twins.table(content, separator)
    if told is None:
        return
    twins.same(found[0], told[0], "X")
    labels = [str(label) for label in found[1].tolist()]
    if found[1].dtype.kind == "U":
        twins.same(np.array(labels), np.array(told[1]), "y")
    else:
        twins.same(found[1].astype(float), np.array([float(one) for one in told[1]]), "y")


def _check_binary(path: Path, found: Any) -> None:
    records = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 3073)
    twins.same(found[0], records[:, 1:], "X")
    twins.same(found[1], records[:, 0].astype(np.int64), "y")


def _in_folder(path: Path) -> Any:
    return nc.datasets.load(path.parent)


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
_PICKLE = (
    b"r\xff\xff\xff\x7f",
    b"p99999999\n",
    b"\x8a\xff",
    b"\x95" + b"\xff" * 8,
    b"R",
    b"b",
    b"\x85",
    b"0",
    b"2",
    b"(",
    b"e",
    b"j\x00\x00\x00\x00",
    b"h\x00",
    b"c_codecs\nencode\n",
    b"cos\nsystem\n",
    b"B\xff\xff\xff\x7f",
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
_JSON = (
    b'"shape":',
    b'"codecs":',
    b'"chunk_shape":',
    b'"fill_value":',
    b'"NaN"',
    b"null",
    b"[]",
    b"{}",
    b"-1",
    b"1e99",
    b'"filename":',
    b'".."',
    b'"/dev/zero"',
)
_STUDY = ("pydantic", "yaml", "pyarrow")

TARGETS = {
    "npy": Target(Kind(damage_kinds._make_npy, _pair("X")), _check_npy, words=_NPY),
    "npy-loaded": Target(Kind(damage_kinds._make_npy, _loaded_rows), _check_npy, words=_NPY),
    "npy-labels": Target(Kind(damage_kinds._make_labels, _pair("y")), _check_labels, words=_NPY),
    "npz": Target(Kind(KINDS[".npz"].make, _pair("both")), _check_npz, sealing.of_zip, _ZIP + _NPY),
    "npz-deflated": Target(
        Kind(KINDS[".npz, compressed"].make, _pair("both")),
        *(_check_npz, sealing.of_zip, _ZIP + _NPY, DEFLATE),
    ),
    "npz-loaded": _of(".npz, loaded", sealed=sealing.of_zip, words=_ZIP + _NPY, expansion=DEFLATE),
    "npz-rows": Target(
        Kind(KINDS[".npz"].make, _rows_alone), sealed=sealing.of_zip, words=_ZIP + _NPY
    ),
    "idx": Target(Kind(KINDS["IDX"].make, _loaded), _check_idx),
    "idx-gz": Target(
        Kind(KINDS["IDX, gzipped"].make, _loaded), _check_idx, sealing.of_gzip, (), DEFLATE
    ),
    "csv": Target(
        Kind(damage_kinds._make_csv, _loaded), functools.partial(_check_table, ","), words=_CSV
    ),
    "csv-rows": Target(Kind(damage_kinds._make_csv, _rows_alone), words=_CSV),
    "tsv-gz": Target(
        Kind(makers.write("data.tsv.gz", makers.tsv), _loaded),
        *(functools.partial(_check_table, "\t"), sealing.of_gzip, (), DEFLATE),
    ),
    "column": Target(
        Kind(
            makers.write("y.csv", makers.column),
            lambda path: nc.datasets.load(damage_kinds._make_npy(path.parent), labels=path),
        ),
        words=_CSV,
    ),
    "mat-4": Target(
        Kind(makers.write("data.mat", lambda: makers.mat(format="4")), _loaded, needs=("scipy",))
    ),
    "mat-5": Target(
        Kind(makers.write("data.mat", lambda: makers.mat(cells=True)), _loaded, needs=("scipy",))
    ),
    "mat-7": Target(
        Kind(
            makers.write("data.mat", lambda: makers.mat(do_compression=True)),
            _loaded,
            needs=("scipy",),
        ),
        expansion=DEFLATE,
    ),
    "torch": Target(
        Kind(makers.write("data.pt", makers.torch), _loaded, needs=("torch",)),
        sealed=sealing.of_zip,
        words=_ZIP + _PICKLE,
    ),
    "torch-legacy": Target(
        Kind(
            makers.write("data.pt", lambda: makers.torch(_use_new_zipfile_serialization=False)),
            _loaded,
            needs=("torch",),
        ),
        words=_PICKLE,
    ),
    "cifar": Target(
        Kind(makers.write("data_batch_1", lambda: makers.batch(2)), _loaded), words=_PICKLE
    ),
    "cifar-5": Target(
        Kind(makers.write("data_batch_1", lambda: makers.batch(4)), _loaded), words=_PICKLE
    ),
    "cifar-binary": Target(
        Kind(makers.write("data_batch_1.bin", makers.records), _loaded), _check_binary
    ),
    "hdf5": Target(
        Kind(damage_kinds._make_hdf5(), _pair("both"), needs=("h5py",)), expansion=CODECS
    ),
    "hdf5-chunked": Target(
        Kind(
            damage_kinds._make_hdf5(chunks=True, compression="gzip"), _pair("both"), needs=("h5py",)
        ),
        expansion=CODECS,
    ),
    "hdf5-loaded": Target(Kind(makers.hdf5_of_texts, _loaded, needs=("h5py",)), expansion=CODECS),
    "zarr": Target(
        Kind(damage_kinds._make_zarr, _pair("both"), needs=("zarr",)), words=_JSON, expansion=CODECS
    ),
    "parquet": Target(
        Kind(
            damage_kinds._make_parquet,
            lambda path: LabelledData.of(f"{path}::a,b,c,d", f"{path}::y").rows[:],
            needs=("pyarrow",),
        ),
        expansion=CODECS,
    ),
    "parquet-rows": Target(
        Kind(damage_kinds._make_parquet, _rows_alone, needs=("pyarrow",)), expansion=CODECS
    ),
    "parquet-loaded": Target(
        Kind(makers.write("data.parquet", makers.parquet_of_lists), _loaded, needs=("pyarrow",)),
        expansion=CODECS,
    ),
    **{
        f"arrow-{how}": Target(
            Kind(
                makers.write("data.arrow", functools.partial(makers.arrow, how)),
                _loaded,
                needs=("pyarrow",),
            ),
            expansion=CODECS,
            asks=how == "compressed",
        )
        for how in ("file", "stream", "compressed")
    },
    "hugging-face": Target(Kind(makers.hugging_face, _in_folder, needs=("pyarrow",)), words=_JSON),
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
