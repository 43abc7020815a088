"""Tidy tables in two files each: CSV, with as many digits as a column needs, and Parquet, exact,
with checksums of its pages.
"""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from nc1fast.support.extras import require
from nc1fast.support.files import write_atomically
from nc1fast.support.reading import check_regular, one_line, reading

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Row: TypeAlias = dict[str, Any]
_METADATA = b"nc1fast"


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name : str
    type : type
        str, int or float.
    meaning : str
    digits : int or None
        Significant digits of a float in the CSV; None: as many as read back to the same bits.
    """

    name: str
    type: type
    meaning: str
    digits: int | None = None

    def text(self, value: Any) -> Any:
        """The value as it is written to the CSV; NaN is empty."""
        if self.type is not float:
            return value
        if math.isnan(value):
            return ""
        return repr(float(value)) if self.digits is None else f"{value:.{self.digits}g}"

    def parse(self, text: str) -> Any:
        """The value of a field of the CSV."""
        return math.nan if self.type is float and text == "" else self.type(text)


@dataclass(frozen=True)
class Layout:
    """Name and columns of a kind of table, which is `name`.csv and `name`.parquet in a folder."""

    name: str
    columns: tuple[Column, ...]

    def exists(self, folder: Path) -> bool:
        """Whether the folder holds one of the two files."""
        return any((folder / f"{self.name}.{suffix}").exists() for suffix in ("parquet", "csv"))

    def fits(self, folder: Path) -> bool:
        """Whether a file of that name is there and has these columns."""
        path = folder / f"{self.name}.parquet"
        with reading(str(folder)):
            if path.exists():
                check_regular(path)
                names: list[str] = require("pyarrow.parquet", "study").read_schema(path).names
            elif (path := path.with_suffix(".csv")).exists():
                check_regular(path)
                with path.open(encoding="utf-8", newline="") as file:
                    names = next(csv.reader(file), [])
            else:
                return False
        return names == [column.name for column in self.columns]

    def ordered(self, row: Row) -> Row:
        """The row with exactly these columns, in their order.

        Raises
        ------
        KeyError
            For a column that the row lacks.
        """
        return {column.name: row[column.name] for column in self.columns}

    def check(self, row: Row) -> None:
        """Raise ValueError unless a row has these columns and values of their types."""
        if row.keys() != {column.name for column in self.columns}:
            raise ValueError(f"a row must have the columns of a {self.name}")
        for column in self.columns:
            kinds = (int, float) if column.type is float else (column.type,)
            if type(row[column.name]) not in kinds:
                raise ValueError(f"{column.name} must be {column.type.__name__}")

    def to_csv(self, rows: Sequence[Row]) -> str:
        """The rows as CSV text, with a header."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow([column.name for column in self.columns])
        for row in rows:
            writer.writerow([column.text(row[column.name]) for column in self.columns])
        return buffer.getvalue()

    def write(self, rows: Sequence[Row], folder: Path, provenance: dict[str, Any]) -> None:
        """Write both files; the Parquet file has the provenance as metadata.

        Raises
        ------
        ImportError
            If pyarrow is missing (extra `study`).
        """
        arrow, parquet = require("pyarrow", "study"), require("pyarrow.parquet", "study")
        schema = self._schema().with_metadata({_METADATA: json.dumps(provenance).encode()})
        arrays = [
            arrow.array([row[field.name] for row in rows], field.type, from_pandas=False)
            for field in schema
        ]
        sink = arrow.BufferOutputStream()
        parquet.write_table(arrow.table(arrays, schema=schema), sink, write_page_checksum=True)
        write_atomically(folder / f"{self.name}.parquet", sink.getvalue().to_pybytes())
        write_atomically(folder / f"{self.name}.csv", self.to_csv(rows).encode())

    def read(self, folder: Path) -> tuple[list[Row], dict[str, Any]]:
        """Rows and provenance, of the Parquet file if there is one; the CSV has no provenance.

        Raises
        ------
        FileNotFoundError
            If the folder holds neither file.
        ValueError
            If a file is damaged or has other columns.
        """
        path = folder / f"{self.name}.parquet"
        if path.exists():
            return self._read_parquet(path)
        path = folder / f"{self.name}.csv"
        if not path.exists():
            raise FileNotFoundError(f"{folder} holds no {self.name}.parquet and no {self.name}.csv")
        return self._read_csv(path), {}

    def _schema(self) -> Any:
        arrow = require("pyarrow", "study")
        types = {str: arrow.string(), int: arrow.int64(), float: arrow.float64()}
        return arrow.schema([(column.name, types[column.type]) for column in self.columns])

    def _read_parquet(self, path: Path) -> tuple[list[Row], dict[str, Any]]:
        parquet = require("pyarrow.parquet", "study")
        with reading(str(path)):
            check_regular(path)
            try:
                content = parquet.read_table(path, page_checksum_verification=True)
            except OSError as error:
                if error.errno is not None:
                    raise
                raise ValueError(f"is damaged: {one_line(error)}") from error
            self._check(path, content.column_names)
            if not content.schema.equals(self._schema()):
                raise ValueError(f"{path} has columns of other types than a {self.name} of a study")
            metadata = content.schema.metadata or {}
            return content.to_pylist(), json.loads(metadata.get(_METADATA, b"{}"))

    def _read_csv(self, path: Path) -> list[Row]:
        rows: list[Row] = []
        check_regular(path)
        with reading(str(path)), path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            self._check(path, next(reader, []))
            for line in reader:
                try:
                    if len(line) != len(self.columns):
                        raise ValueError(f"{len(line)} fields, {len(self.columns)} expected")
                    fields = zip(self.columns, line, strict=True)
                    rows.append({column.name: column.parse(text) for column, text in fields})
                except ValueError as error:
                    raise ValueError(f"{path}, line {reader.line_num}: {error}") from None
        return rows

    def _check(self, path: Path, names: list[str]) -> None:
        expected = [column.name for column in self.columns]
        if names != expected:
            difference = sorted(set(expected) ^ set(names)) or ["their order"]
            raise ValueError(
                f"{path} is not a {self.name} of a study: the columns differ in "
                f"{', '.join(difference)}"
            )
