"""Tables of columns, by pyarrow: text (.csv, .tsv), Parquet, Arrow files and streams, Feather, and
shards of Hugging Face `datasets`; and which of their columns are data and labels.
"""

from __future__ import annotations

import csv
import io
import re
from array import array
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from nc1fast.datasets.named import DATA_NAMES, inside, left_out_name, listing
from nc1fast.inputs.labels import LONGEST, as_texts
from nc1fast.inputs.optional_formats import label_values, opened_parquet
from nc1fast.inputs.spool import check_claim
from nc1fast.support.extras import require
from nc1fast.support.reading import about, is_gzipped, malformed, one_line, opened, readable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    DataAndLabels: TypeAlias = tuple[NDArray[Any], NDArray[Any] | None]

# Names of the column of labels that are looked for, in upper or lower case, where none is given.
LABEL_COLUMNS = ("label", "labels", "target", "targets", "class")

# --- which columns ---


class TableColumns(NamedTuple):
    """Columns of a table that are read: indices of the data and of the labels, the latter None
    where these lie elsewhere; and whether one of them was given by its name.
    """

    data: list[int]
    label: int | None
    named: bool = False


def columns_of(
    path: Path,
    names: Sequence[str],
    keys: Sequence[str | None] | None,
    labels: Any,
    lists: Sequence[str] = (),
) -> TableColumns:
    """Columns of a table with these names, of which those in `lists` hold a list in each row.

    `keys` and `labels` are as of `load`. By default the labels are the only column that has a usual
    name (`LABEL_COLUMNS`), else the last; the data are the list that is named as data are, else all
    other columns.
    """
    several, key = (None, None) if keys is None else keys
    label, named = (
        _label_of(path, names, labels) if key is None else (_place(path, names, key), True)
    )
    if several is None:
        left_out = _left_out(names, labels) if label is None else [label]
        data = [j for j in range(len(names)) if j not in left_out]
        usual = {names[j].lower(): j for j in reversed(data) if names[j] in lists}
        found = next((usual[name] for name in DATA_NAMES if name in usual), None)
        data = data if found is None else [found]
    else:
        data = []
        for word in map(str.strip, several.split(",")):
            by_index = word not in names and word.isdecimal() and int(word) < len(names)
            named = named or not by_index
            data.append(int(word) if by_index else _place(path, names, word))
    if label in data:
        raise malformed(path, f"column {names[label]!r} cannot be both data and labels")
    if not data:
        raise malformed(path, f"has no column of data beside the labels; {listing(names)}")
    return TableColumns(data, label, named)


def _label_of(path: Path, names: Sequence[str], labels: Any) -> tuple[int | None, bool]:
    """Index of the column of labels, None where they lie elsewhere, and whether it was named."""
    if isinstance(labels, bool | float):
        kind = type(labels).__name__
        raise malformed(
            path,
            f"labels must be the name or the index of a column, an array or a file, got {kind}",
        )
    if isinstance(labels, str):
        found = inside(path, names, labels) is not None
        return (_place(path, names, labels) if found else None), found
    if labels is None:
        usual = _usual(names)
        return (usual[0] if len(usual) == 1 else len(names) - 1), False
    if not isinstance(labels, int | np.integer):
        return None, False
    if not -len(names) <= labels < len(names):
        raise malformed(path, f"no column {labels} for the labels; there are {len(names)}")
    return int(labels) % len(names), False


def _place(path: Path, names: Sequence[str], name: str) -> int:
    """Index of the only column of this name."""
    if names.count(name) != 1:
        found = "no column" if name not in names else "more than one column"
        raise malformed(path, f"{found} {name!r}; {listing(names)}")
    return names.index(name)


def _usual(names: Sequence[str]) -> list[int]:
    """Indices of the columns that are named as labels are."""
    return [j for j, name in enumerate(names) if name.lower() in LABEL_COLUMNS]


def _left_out(names: Sequence[str], labels: Any) -> list[int]:
    """Indices of the columns that are no data where labels lie elsewhere: the one of a usual name,
    and that of `RowsOnly`.
    """
    usual = _usual(names)
    named = [j for j, name in enumerate(names) if name == left_out_name(labels)]
    found = (usual if len(usual) == 1 else []) + named
    return found if len(set(found)) < len(names) else []


# --- text ---

_NAME = re.compile(r"\.([ct])sv(\.gz)?$")
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_BLOCK = 1 << 20  # bytes that are parsed at a time


def is_text_table(path: Path) -> bool:
    """Whether a file has the name of a table in text: .csv or .tsv, with or without .gz."""
    return _NAME.search(path.name.lower()) is not None


def read_text(path: Path, keys: Sequence[Any] | None, labels: Any) -> DataAndLabels:
    """Data (N, d0) and labels (N,) of a table in text, the latter None where they are no column of
    it.

    Quotes and numbers are those of pyarrow: a cell is quoted if it begins with a quote, without a
    space before it, and a line of blank cells is no blank line.
    """
    head, skip = _first_row(path)
    if len(head) == 1 and isinstance(labels, int | None) and keys is None:
        words = "tabs" if _separator(path) == "\t" else "commas"
        raise malformed(
            path, f"has one column; features and a label, separated by {words}, are needed"
        )
    columns = columns_of(path, [cell.strip() for cell in head], keys, labels)
    header = columns.named or _is_header(path, [head[j] for j in columns.data])
    hint = "; columns of data are chosen by FILE::NAME,NAME"
    X, texts = _columns(
        path, head, columns, skip if header else 0, hint * (columns.label is None and keys is None)
    )
    if (
        not header
        and len(texts) > 1
        and not _is_number(texts[0])
        and all(map(_is_number, texts[1:]))
    ):
        X, texts = X[1:], texts[1:]  # names of features that are numbers
    if len(X) == 0:
        raise malformed(path, "has a header and no data")
    return X, None if columns.label is None else _label_array(path, texts)


def read_label_column(path: Path, name: str = "") -> NDArray[Any]:
    """Labels (N,) of a file with one column, without a header, or of the column of this name."""
    head, skip = _first_row(path)
    if not name and len(head) != 1:
        raise malformed(path, f"line {skip} has {len(head)} cells, one label is needed")
    place = _place(path, [cell.strip() for cell in head], name) if name else 0
    texts = _columns(path, head, TableColumns([], place), skip if name else 0)[1]
    return _label_array(path, texts)


def _separator(path: Path) -> str:
    return "\t" if ".tsv" in path.name.lower() else ","


def _first_row(path: Path) -> tuple[list[str], int]:
    """Cells of the first row that is not blank, and the number of rows up to it."""
    with (
        readable(path, "table of text"),
        opened(path) as raw,
        io.TextIOWrapper(raw, "utf-8-sig", newline="") as stream,
    ):
        for number, row in enumerate(csv.reader(stream, delimiter=_separator(path)), start=1):
            if row:
                return row, number
    raise malformed(path, "is empty")


def _columns(
    path: Path, head: Sequence[str], columns: TableColumns, skip: int, hint: str = ""
) -> tuple[NDArray[np.float64], list[str]]:
    """Numbers (N, d0) and the texts of the labels, streamed; the first `skip` rows are left out."""
    arrow, text = require("pyarrow", "files"), require("pyarrow.csv", "files")
    names = [str(j) for j in range(len(head))]
    data = [names[j] for j in columns.data]
    types = dict.fromkeys(data, arrow.float64())
    if columns.label is not None:
        types[names[columns.label]] = arrow.string()
    block = max(_BLOCK, 16 * sum(len(cell) + 1 for cell in head))  # a row must fit
    values, texts = array("d"), []  # N d0 numbers, row by row, and N labels
    try:
        with (
            arrow.input_stream(str(path), "gzip" if is_gzipped(path) else None) as stream,
            text.open_csv(
                stream,
                text.ReadOptions(
                    use_threads=False,
                    block_size=block,
                    column_names=names,
                    skip_rows_after_names=skip,
                ),
                text.ParseOptions(delimiter=_separator(path), newlines_in_values=True),
                text.ConvertOptions(
                    column_types=types, include_columns=list(types), null_values=[]
                ),
            ) as batches,
        ):
            for batch in batches:
                if data:
                    rows = np.column_stack([batch.column(name).to_numpy() for name in data])
                    values.frombytes(rows.tobytes())
                if columns.label is not None:
                    texts += [one.strip() for one in batch.column(names[columns.label]).to_pylist()]
    except (arrow.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise malformed(path, f"not a readable table of text ({one_line(error)}){hint}") from error
    X = np.frombuffer(values, np.float64).reshape(-1, max(1, len(data)))
    return X, texts


def _is_header(path: Path, features: Sequence[str]) -> bool:
    """Whether no feature cell of the first line is a number; ValueError if only some are."""
    bad = [cell for cell in features if not _is_number(cell)]
    if bad and len(bad) < len(features):
        raise malformed(
            path,
            f"the first line has both numbers and text ({_brief(bad[0])}): neither header nor data",
        )
    return bool(bad)


def _is_number(cell: str) -> bool:
    """Whether a cell is a number as tables write it, NaN and Inf included."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _label_array(path: Path, texts: list[str]) -> NDArray[Any]:
    """Labels (N,) in int64 if all are whole numbers, float64 if all are numbers, else text."""
    odd = next((k for k, text in enumerate(texts) if text == "" or "\n" in text), None)
    if odd is not None:
        what = "a label of several lines: is a quote open?" if texts[odd] else "no label"
        raise malformed(path, f"row {odd} (from 0) has {what}")
    if max(map(len, texts)) > LONGEST:
        pass  # neither whole numbers nor text
    elif all(map(_WHOLE.fullmatch, texts)):
        whole = [int(text) for text in texts]
        if max(map(abs, whole)) < 2**63:
            return np.array(whole, dtype=np.int64)
    elif all(map(_is_number, texts)):
        y = np.array([float(text) for text in texts])
        if not np.isfinite(y).all():
            bad = texts[int(np.argmin(np.isfinite(y)))]
            raise malformed(path, f"a label is {bad!r}, must be finite")
        if len(set(map(Decimal, set(texts)))) > len(set(y.tolist())):
            raise malformed(path, "has labels that differ by less than float64 can distinguish")
        return y
    with about(path, "the table"):
        return as_texts(texts)


def _brief(cell: str) -> str:
    """A cell in quotes, cut short to 40 characters."""
    return repr(cell if len(cell) <= 40 else cell[:37] + "...")


# --- Parquet and Arrow ---


def read_parquet(path: Path, keys: Sequence[Any] | None, labels: Any) -> DataAndLabels:
    """Data (N, ...) and labels (N,) of a Parquet file, the latter None where they are not a column
    of it.
    """
    with readable(path, "Parquet file"), opened_parquet(str(path)) as file:
        columns = columns_of_schema(path, file.schema_arrow, keys, labels)
        names = [file.schema_arrow.names[j] for j in used(columns)]
        check_claim(8 * file.metadata.num_rows * len(names), str(path))
        table = file.read(names)
        data = [table.schema.get_field_index(name) for name in names[: len(columns.data)]]
        label = None if columns.label is None else table.schema.get_field_index(names[-1])
        return _arrays(path, table, TableColumns(data, label))


def parquet_schema(path: Path) -> Any:
    """Names and types of the columns of a Parquet file."""
    parquet = require("pyarrow.parquet", "files")
    with readable(path, "Parquet file"):
        return parquet.read_schema(path)


def read_arrow(path: Path, keys: Sequence[Any] | None, labels: Any) -> DataAndLabels:
    """The same of an Arrow file or stream, or a Feather file of version 2."""
    arrow = require("pyarrow", "files")
    with readable(path, "Arrow file"):
        content = path.read_bytes()  # of which columns are views
        is_file = content.startswith(b"ARROW1")
        open_any = arrow.ipc.open_file if is_file else arrow.ipc.open_stream
        table = open_any(arrow.py_buffer(content)).read_all()
        check_claim(8 * table.num_rows, str(path))
        table.validate(full=True)
        return _arrays(path, table, columns_of_schema(path, table.schema, keys, labels))


def columns_of_schema(
    path: Path, schema: Any, keys: Sequence[Any] | None, labels: Any
) -> TableColumns:
    """Columns of a table with this schema."""
    lists = [field.name for field in schema if is_list(field.type)]
    return columns_of(path, schema.names, keys, labels, lists)


def used(columns: TableColumns) -> list[int]:
    """Indices of all columns that are read, that of the labels last."""
    return [*columns.data, *([] if columns.label is None else [columns.label])]


def is_list(kind: Any) -> bool:
    """Whether values of a type are lists."""
    types = require("pyarrow", "files").types
    kind = getattr(kind, "storage_type", kind)
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _arrays(path: Path, table: Any, columns: TableColumns) -> DataAndLabels:
    """Columns of a table as arrays."""
    if table.num_rows == 0:
        raise malformed(path, "has no rows")
    found = {table.schema.names[j]: _values(path, table, j) for j in columns.data}
    y = None if columns.label is None else _labels(path, table, columns.label)
    if len(found) == 1:
        [X] = found.values()
        return (X if X.ndim > 1 else X[:, None]), y
    deep = [name for name, values in found.items() if values.ndim > 1]
    if deep:
        raise malformed(
            path, f"column {deep[0]!r} holds lists beside other columns: name one by keys="
        )
    return np.column_stack(list(found.values())), y


def _values(path: Path, table: Any, index: int) -> NDArray[Any]:
    """A column of numbers, or of lists of as many in each row, as an array (N, ...)."""
    arrow, compute = require("pyarrow", "files"), require("pyarrow.compute", "files")
    name, values = table.schema.names[index], table.column(index).combine_chunks()
    values = values.chunk(0) if isinstance(values, arrow.ChunkedArray) else values
    sizes = [len(values)]
    while True:
        values = getattr(values, "storage", values)
        if values.null_count:
            row = compute.index(values.is_null(), True).as_py() // max(1, len(values) // sizes[0])
            raise malformed(path, f"row {row} (from 0) has no value in column {name!r}")
        if not is_list(values.type):
            break
        distinct = compute.unique(compute.list_value_length(values)).to_pylist()
        if len(distinct) != 1 or distinct[0] == 0:
            lengths = ", ".join(map(str, sorted(distinct)[:4]))
            raise malformed(path, f"lists of column {name!r} must have one length, got {lengths}")
        sizes.append(distinct[0])
        values = values.flatten()
    types = arrow.types
    kind = values.type
    if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
        held = "encoded images or records" if types.is_struct(kind) else kind
        raise malformed(
            path, f"column {name!r} holds {held}, numbers are needed: name the columns by keys="
        )
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(sizes)


def _labels(path: Path, table: Any, index: int) -> NDArray[Any]:
    """A column of labels, numbers or texts; those that a dictionary encodes are written out."""
    name, column = table.schema.names[index], table.column(index)
    if column.null_count:
        row = require("pyarrow.compute", "files").index(column.is_null(), True).as_py()
        raise malformed(path, f"row {row} (from 0) has no label in column {name!r}")
    with about(path, f"column {name!r}"):
        return np.asarray(label_values(column))
