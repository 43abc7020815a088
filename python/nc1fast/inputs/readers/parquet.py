"""Columns of Parquet files, by pyarrow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nc1fast.inputs import spool
from nc1fast.inputs.arrays import check_shape
from nc1fast.inputs.file_rows import CHUNK_BYTES
from nc1fast.inputs.readers.members import check_claim, member
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from nc1fast.inputs.file_rows import FileRows

_PAGE_BYTES = 1 << 16  # read ahead in each column


def rows(path: str, name: str) -> FileRows:
    """Columns "A,B" of the file as features, in this order; without a name all of them."""
    arrow = require("pyarrow", "files")
    with _opened(path) as file:
        schema = file.schema_arrow
        names = [column.strip() for column in name.split(",")] if name else schema.names
        _check_columns(names, schema, path)
        kinds = (arrow.types.is_floating, arrow.types.is_integer, arrow.types.is_boolean)
        text = [n for n in names if not any(kind(schema.field(n).type) for kind in kinds)]
        if text:
            raise TypeError(f"X must be real numbers, which {', '.join(text)} of {path} are not")
        n = file.metadata.num_rows
        check_shape((n, len(names)), "X")
        check_claim(8 * n * len(names), path)
        step = max(1, CHUNK_BYTES // (8 * len(names)))
        batches = file.iter_batches(batch_size=step, columns=names, use_threads=False)
        return spool.from_columns(batches, names, n)


def labels(path: str, name: str) -> Any:
    """One column of the file, in memory."""
    with _opened(path) as file:
        names = file.schema_arrow.names
        if not name and len(names) > 1:
            member(dict.fromkeys(names), name, path)
        name = name.strip() or names[0]
        _check_columns([name], file.schema_arrow, path)
        check_claim(8 * file.metadata.num_rows, path)
        column = file.read(columns=[name]).column(0)
    if column.null_count:
        raise ValueError(f"y must not have missing labels, but {column.null_count} are in {path}")
    return column.to_numpy()


def _opened(path: str) -> Any:
    """The file, a context manager."""
    # Pages of the columns as they are asked for: by default whole row groups come into memory.
    return require("pyarrow.parquet", "files").ParquetFile(
        path, pre_buffer=False, buffer_size=_PAGE_BYTES
    )


def _check_columns(names: list[str], schema: Any, path: str) -> None:
    """Raise ValueError unless the file has these columns."""
    missing = sorted(set(names) - set(schema.names))
    if missing:
        raise ValueError(f"{path} has no column {', '.join(missing)}")
