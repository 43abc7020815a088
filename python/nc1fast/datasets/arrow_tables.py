"""Readers of tables of columns, by pyarrow: Parquet, Arrow (files and streams), Feather, shards of
Hugging Face `datasets`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from nc1fast.datasets.csv_table import label_column, left_out
from nc1fast.datasets.damage import about, malformed, readable
from nc1fast.datasets.named import DATA_NAMES, inside, listing
from nc1fast.inputs.readers.members import check_claim
from nc1fast.inputs.readers.parquet import label_values, read_columns
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    DataAndLabels: TypeAlias = tuple[NDArray[Any], NDArray[Any] | None]

_ARROW_FILE = b"ARROW1"
_GAPS = 1 << 16  # values that are searched at a time


def read_parquet(path: Path, keys: Sequence[Any] | None, labels: Any) -> DataAndLabels:
    """Data (N, ...) and labels (N,) of a Parquet file, the latter None where they are not a column
    of it.
    """
    parquet = require("pyarrow.parquet", "files")
    with readable(path, "Parquet file"), parquet.ParquetFile(path) as file:
        data, label = columns_of(path, file.schema_arrow, keys, labels)
        used = [*data, *([] if label is None else [label])]
        return _arrays(path, read_columns(str(path), used, label), data, label)


def parquet_schema(path: Path) -> Any:
    """Names and types of the columns of a Parquet file."""
    parquet = require("pyarrow.parquet", "files")
    with readable(path, "Parquet file"):
        return parquet.read_schema(path)


def read_arrow(path: Path, keys: Sequence[Any] | None, labels: Any) -> DataAndLabels:
    """The same of an Arrow file or stream, or a Feather file of version 2."""
    arrow = require("pyarrow", "files")
    with readable(path, "Arrow file"):
        content = (
            path.read_bytes()
        )  # of which columns are views: from a stream, arrow asks for what a length says
        ipc = arrow.ipc
        opened = ipc.open_file if content.startswith(_ARROW_FILE) else ipc.open_stream
        table = opened(arrow.py_buffer(content)).read_all()
        check_claim(8 * table.num_rows, str(path))
        table.validate(full=True)
        return _arrays(path, table, *columns_of(path, table.schema, keys, labels))


def columns_of(
    path: Path, schema: Any, keys: Sequence[Any] | None, labels: Any
) -> tuple[list[str], str | None]:
    """Names of the columns of the data, and of that of the labels if they are a column; `keys` as
    of `named.chosen`.
    """
    names = schema.names
    several, label = (None, None) if keys is None else keys
    if several is not None:
        several = [name.strip() for name in several.split(",")]
        for name in (*several, *([] if label is None else [label])):
            _check_column(path, names, name)
    if label is None:
        by_place = labels is None or isinstance(labels, int)
        label = (
            names[label_column(path, names, labels)] if by_place else inside(path, names, labels)
        )
    if several is not None:
        if label in several:
            raise malformed(path, f"column {label!r} cannot be both data and labels")
        return several, label
    apart = [label] if label is not None else [names[j] for j in left_out(names, labels)]
    others = [name for name in names if name not in apart]
    lists = [name for name in others if name.lower() in DATA_NAMES and holds_lists(schema, name)]
    if lists:
        return [min(lists, key=lambda name: DATA_NAMES.index(name.lower()))], label
    if not others:
        raise malformed(path, f"has no column of data beside {label!r}")
    return others, label


def _check_column(path: Path, names: Sequence[str], name: str) -> None:
    if names.count(name) != 1:
        found = "no column" if name not in names else "more than one column"
        raise malformed(path, f"{found} {name!r}; {listing(names)}")


def holds_lists(schema: Any, name: str) -> bool:
    """Whether a column holds a list in each row."""
    kind = schema.field(name).type
    kind = getattr(kind, "storage_type", kind)
    return any(test(kind) for test in _lists())


def _lists() -> tuple[Callable[[Any], bool], ...]:
    """Tests for types whose values are lists, one behind the other."""
    types = require("pyarrow", "files").types
    return types.is_list, types.is_large_list, types.is_fixed_size_list


def _arrays(path: Path, table: Any, data: Sequence[str], label: str | None) -> DataAndLabels:
    """Columns of a table as arrays."""
    if table.num_rows == 0:
        raise malformed(path, "has no rows")
    y = None if label is None else _labels(path, label, table.column(label))
    columns = [_values(path, name, table.column(name)) for name in data]
    if len(columns) == 1 and columns[0].ndim > 1:
        return columns[0], y
    deep = [name for name, values in zip(data, columns, strict=True) if values.ndim > 1]
    if deep:
        raise malformed(
            path, f"column {deep[0]!r} holds lists beside other columns: name one by keys="
        )
    return np.column_stack(columns), y


def _values(path: Path, name: str, column: Any) -> NDArray[Any]:
    """A column of numbers, or of lists of as many in each row, as an array (N, ...)."""
    arrow = require("pyarrow", "files")
    compute = require("pyarrow.compute", "files")
    array = column.combine_chunks()
    array = array.chunk(0) if isinstance(array, arrow.ChunkedArray) else array
    sizes = [len(array)]
    while True:
        array = getattr(array, "storage", array)
        if array.null_count:
            row = _first_gap(array) // max(1, len(array) // sizes[0])
            raise malformed(path, f"row {row} (from 0) has no value in column {name!r}")
        if not any(test(array.type) for test in _lists()):
            break
        lengths = compute.list_value_length(array)
        distinct = compute.unique(lengths).to_pylist()
        if len(distinct) != 1 or distinct[0] == 0:
            shown = ", ".join(map(str, sorted(distinct)[:4]))
            raise malformed(path, f"lists of column {name!r} must have one length, got {shown}")
        sizes.append(distinct[0])
        array = array.flatten()
    numbers = (arrow.types.is_integer, arrow.types.is_floating, arrow.types.is_boolean)
    if not any(test(array.type) for test in numbers):
        held = "encoded images or records" if arrow.types.is_struct(array.type) else array.type
        raise malformed(
            path, f"column {name!r} holds {held}, numbers are needed: name the columns by keys="
        )
    return np.asarray(array.to_numpy(zero_copy_only=False)).reshape(sizes)


def _first_gap(array: Any) -> int:
    """Place of the first value that is missing; a type without values has no bytes for them, and
    may claim any number.
    """
    for start in range(0, len(array), _GAPS):
        part = array.slice(start, _GAPS)
        if part.null_count:
            return start + int(part.is_null().to_numpy(zero_copy_only=False).argmax())
    return 0


def _labels(path: Path, name: str, column: Any) -> NDArray[Any]:
    """A column of labels, numbers or texts; those that a dictionary encodes are written out."""
    if column.null_count:
        row = _first_gap(column.combine_chunks())
        raise malformed(path, f"row {row} (from 0) has no label in column {name!r}")
    with about(path, f"column {name!r}"):
        return np.asarray(label_values(column))
