"""The tidy table of a study: its columns, and its two files, CSV and Parquet.

One row is one NC1: a data set (one repeat), a kernel, a convention. Everything downstream, the
findings, the figures and the report, reads this table and nothing else.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from nc1fast._extras import require

if TYPE_CHECKING:
    from pathlib import Path

Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """Name, Python type and meaning of one column."""

    name: str
    type: type
    meaning: str


COLUMNS = (
    Column("arm", str, "part of the study: balanced, imbalanced, depth, digits, ..."),
    Column("dataset", str, "name of the data"),
    Column("source", str, "gaussian_mixture, digits or file"),
    Column("N", int, "samples"),
    Column("d0", int, "features"),
    Column("sizes", str, "samples of each class, joined by colons"),
    Column(
        "scale", str, "scaling of the data before the kernel; 'none' leaves it as drawn or stored"
    ),
    Column("kernel", str, "class of the kernel, or compat.released.erf_ntk"),
    Column("activation", str, "activation; empty for the Linear kernel"),
    Column("depth", int, "weight layers; 2 is one hidden layer"),
    Column("weight_variance", str, "one number, or one per layer joined by colons"),
    Column("bias_variance", str, "one number, or one per layer joined by colons"),
    Column("parametrization", str, "of an NTK: ntk or standard; empty otherwise"),
    Column("convention", str, "class weights of the two covariances"),
    Column("dtype", str, "precision of the kernel tiles"),
    Column("repeat", int, "0, 1, ...: independent draws of one cell"),
    Column("seed", int, "seed of the data set"),
    Column("nc1", float, "Tr Sigma_W / Tr Sigma_B"),
    Column(
        "data_nc1", float, "NC1 of the data itself; under 'probe' in rows of convention 'released'"
    ),
    Column("relative_nc1", float, "nc1 / data_nc1"),
    Column("log10_nc1", float, "empty where nc1 is not positive and finite"),
    Column("log10_relative_nc1", float, "empty where relative_nc1 is not positive and finite"),
    Column("status", str, "ok, or what is unusual: negative, zero, infinite or undefined values"),
    Column("trace_within", float, "Tr Sigma_W"),
    Column("trace_between", float, "Tr Sigma_B"),
    Column("error_bound", float, "absolute bound on the rounding error of nc1"),
    Column(
        "seconds", float, "wall time of the pass that gave the row; kernels of one pass share it"
    ),
    Column("version", str, "of nc1fast"),
)
TABLE = "table"  # table.csv, table.parquet
_METADATA = b"nc1fast"


def log10(value: float) -> float:
    """Decimal logarithm; NaN where it has none (negative, zero, infinite, NaN)."""
    return math.log10(value) if value > 0 and math.isfinite(value) else math.nan


def status(**values: float) -> str:
    """Say what is unusual about each named value; `"ok"` if nothing is."""
    unusual = []
    for name, value in values.items():
        if math.isnan(value):
            unusual.append(f"{name} undefined")
        elif math.isinf(value):
            unusual.append(f"{name} infinite")
        elif value <= 0:
            unusual.append(f"{name} {'negative' if value < 0 else 'zero'}")
    return "; ".join(unusual) or "ok"


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part."""
    scratch = path.with_name(path.name + ".partial")
    scratch.write_bytes(data)
    os.replace(scratch, path)  # noqa: PTH105  (Path.replace is the same call)


def to_csv(rows: list[Row]) -> str:
    """Write the rows as CSV text: floats in the shortest form that reads back to the same bits."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([column.name for column in COLUMNS])
    for row in rows:
        writer.writerow([_cell(row[column.name]) for column in COLUMNS])
    return buffer.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value)
    return value


def write(rows: list[Row], folder: Path, provenance: dict[str, Any]) -> None:
    """Write table.csv and table.parquet; the Parquet file carries the provenance as metadata.

    Raises
    ------
    ImportError
        If pyarrow is missing (extra `study`).
    """
    arrow, parquet = require("pyarrow", "study"), require("pyarrow.parquet", "study")
    types = {str: arrow.string(), int: arrow.int64(), float: arrow.float64()}
    schema = arrow.schema(
        [(column.name, types[column.type]) for column in COLUMNS],
        metadata={_METADATA: json.dumps(provenance)},
    )
    arrays = [
        arrow.array([row[c.name] for row in rows], types[c.type], from_pandas=False)
        for c in COLUMNS
    ]
    sink = arrow.BufferOutputStream()
    parquet.write_table(arrow.table(arrays, schema=schema), sink)
    write_atomically(folder / f"{TABLE}.parquet", sink.getvalue().to_pybytes())
    write_atomically(folder / f"{TABLE}.csv", to_csv(rows).encode())


def read(folder: Path) -> tuple[list[Row], dict[str, Any]]:
    """Rows and provenance of a finished study; the provenance is empty if only the CSV is there.

    Raises
    ------
    FileNotFoundError
        If the folder holds neither file.
    ValueError
        If a file is damaged or its columns are not those of `COLUMNS`.
    """
    path = folder / f"{TABLE}.parquet"
    if path.exists():
        return _read_parquet(path)
    path = folder / f"{TABLE}.csv"
    if not path.exists():
        raise FileNotFoundError(f"{folder} holds no {TABLE}.parquet and no {TABLE}.csv")
    return _read_csv(path), {}


def _read_parquet(path: Path) -> tuple[list[Row], dict[str, Any]]:
    arrow, parquet = require("pyarrow", "study"), require("pyarrow.parquet", "study")
    try:
        content = parquet.read_table(path)
    except (arrow.ArrowException, OSError) as error:
        raise ValueError(f"{path}: not a readable Parquet file: {error}") from error
    _check_columns(path, content.column_names)
    metadata = (content.schema.metadata or {}).get(_METADATA, b"{}")
    return content.to_pylist(), json.loads(metadata)


def _read_csv(path: Path) -> list[Row]:
    rows: list[Row] = []
    with path.open(newline="") as file:
        reader = csv.reader(file)
        _check_columns(path, next(reader, []))
        for line in reader:
            try:
                if len(line) != len(COLUMNS):
                    raise ValueError(f"{len(line)} fields, {len(COLUMNS)} expected")
                fields = zip(COLUMNS, line, strict=True)
                rows.append({c.name: _parse(c.type, text) for c, text in fields})
            except ValueError as error:
                raise ValueError(f"{path}, line {reader.line_num}: {error}") from None
    return rows


def _parse(type_: type, text: str) -> Any:
    return math.nan if type_ is float and text == "" else type_(text)


def _check_columns(path: Path, names: list[str]) -> None:
    expected = [column.name for column in COLUMNS]
    if names != expected:
        difference = sorted(set(expected) ^ set(names)) or ["their order"]
        raise ValueError(
            f"{path} is not a study table: the columns differ in {', '.join(difference)}"
        )
