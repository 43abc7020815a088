"""Columns of Parquet files, by pyarrow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nc1fast.inputs import spool
from nc1fast.inputs.arrays import check_shape
from nc1fast.inputs.file_rows import CHUNK_BYTES
from nc1fast.inputs.readers.members import check_claim, member
from nc1fast.inputs.text import as_texts
from nc1fast.support.extras import require
from nc1fast.support.files import bytes_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.inputs.file_rows import FileRows

_PAGE_BYTES = 1 << 16  # read ahead in each column
_SMALL = 1 << 24  # bytes of a file
_ROWS = 1 << 12  # at a time, at most


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
        batches = file.iter_batches(
            batch_size=min(max(1, step), _ROWS), columns=names, use_threads=False
        )
        return spool.from_columns(batches, names, n)


def labels(path: str, name: str) -> Any:
    """One column of the file, in memory."""
    with _opened(path) as file:
        names = file.schema_arrow.names
        if not name and len(names) > 1:
            member(dict.fromkeys(names), name, path)
        name = name.strip() or names[0]
        _check_columns([name], file.schema_arrow, path)
    column = read_columns(path, [name], name).column(0)
    if column.null_count:
        raise ValueError(f"y must not have missing labels, but {column.null_count} are in {path}")
    return label_values(column)


def read_columns(path: str, names: Sequence[str], label: str | None = None) -> Any:
    """Columns of a file as a table, in pieces: runs of one value, or lists in a row, may be more
    than the file can hold.

    Each text of the column `label` is read once, however many rows have it. ValueError beyond
    `check_claim`.
    """
    arrow = require("pyarrow", "files")
    with _opened(path) as file:
        schema = file.schema_arrow
        check_claim(8 * file.metadata.num_rows * len(names), path)
        n_values = _declared_values(file.metadata, names)
        check_claim(n_values, path)
        step = CHUNK_BYTES * file.metadata.num_rows // max(1, n_values)
    kind = None if label is None else schema.field(label).type
    texts = kind is not None and (arrow.types.is_string(kind) or arrow.types.is_large_string(kind))
    batches, n_bytes = [], 0
    with _opened(path, read_dictionary=[label] if texts else None) as file:
        for batch in file.iter_batches(batch_size=min(max(1, step), _ROWS), columns=list(names)):
            n_bytes += batch.nbytes
            check_claim(n_bytes, path)
            batches.append(batch)
        return arrow.Table.from_batches(batches, file.schema_arrow if not batches else None)


def _declared_values(metadata: Any, names: Sequence[str]) -> int:
    """Values of the columns, those in lists too, as the file declares them: a byte of memory each
    at least.
    """
    groups = (metadata.row_group(g) for g in range(metadata.num_row_groups))
    columns = (group.column(j) for group in groups for j in range(group.num_columns))
    return sum(c.num_values for c in columns if c.path_in_schema.split(".")[0] in names)


def label_values(column: Any) -> Any:
    """A column of labels without gaps as an array; each text of a dictionary is made once.

    Raises
    ------
    ValueError
        If a label is missing, or texts are too long.
    """
    types = require("pyarrow", "files").types
    coded = types.is_dictionary(column.type)
    kind = column.type.value_type if coded else column.type
    if not (types.is_string(kind) or types.is_large_string(kind)):
        return (column.cast(kind) if coded else column).to_numpy()
    labels: list[Any] = []
    for chunk in column.chunks:
        values = (chunk.dictionary if coded else chunk).to_pylist()
        labels += [values[k] for k in chunk.indices.to_pylist()] if coded else values
    if None in labels:
        raise ValueError(f"has no label in row {labels.index(None)} (from 0)")
    return as_texts(labels)


def _opened(path: str, **options: Any) -> Any:
    """The file, a context manager."""
    # Pages of the columns as they are asked for: by default whole row groups come into memory. A
    # small file is read whole: a stream of pages makes room for as many bytes as the head of a page
    # says, 2 GiB at most.
    size = _PAGE_BYTES if bytes_in(path) > _SMALL else 0
    return require("pyarrow.parquet", "files").ParquetFile(
        path, pre_buffer=False, buffer_size=size, **options
    )


def _check_columns(names: list[str], schema: Any, path: str) -> None:
    """Raise ValueError unless the file has these columns."""
    missing = sorted(set(names) - set(schema.names))
    if missing:
        raise ValueError(f"{path} has no column {', '.join(missing)}")
