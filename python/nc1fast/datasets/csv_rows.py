"""Reader of comma-separated tables with a column of labels."""

from __future__ import annotations

import csv
import re
from array import array
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.datasets.reading import malformed
from nc1fast.inputs.labels import as_labels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)


def read_csv(path: Path, labels: str | int | None) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Read the features and the column of labels (a name, an index, or None for the last)."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return _table(path, _rows(stream), labels)
    except UnicodeDecodeError as error:
        raise malformed(path, f"is not UTF-8 text (byte {error.start})") from error
    except csv.Error as error:
        raise malformed(path, f"is not comma-separated text ({error})") from error


def _rows(stream: Any) -> Iterator[tuple[int, list[str]]]:
    """(line number, cells) of each line that is not blank."""
    reader = csv.reader(stream, strict=True, skipinitialspace=True)
    for cells in reader:
        if cells and any(cell.strip() for cell in cells):
            yield reader.line_num, cells


def _table(
    path: Path, rows: Iterator[tuple[int, list[str]]], labels: str | int | None
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    first = next(rows, None)
    if first is None:
        raise malformed(path, "is empty")
    line, head = first
    width = len(head)
    column = _label_column(path, [cell.strip() for cell in head], labels)
    if width < 2:
        raise malformed(
            path, "has one column; features and a label, separated by commas, are needed"
        )
    features = head[:column] + head[column + 1 :]
    n_numeric = sum(map(_is_number, features))
    header = isinstance(labels, str) or n_numeric == 0
    if not header and n_numeric < width - 1:
        bad = next(cell for cell in features if not _is_number(cell))
        raise malformed(
            path, f"line {line} has both numbers and text ({_quoted(bad)}): neither header nor data"
        )

    values, names, lines = array("d"), [], []  # (N d0,), (N,), (N,)
    if not header:
        _append(path, line, head, column, values)
        names.append(head[column].strip())
        lines.append(line)
    for line, cells in rows:
        if len(cells) != width:
            raise malformed(path, f"line {line} has {len(cells)} cells, the first line has {width}")
        _append(path, line, cells, column, values)
        names.append(cells[column].strip())
        lines.append(line)
    X = (
        np.frombuffer(values, np.float64).reshape(len(names), width - 1)
        if names
        else np.empty((0, width - 1))
    )
    if (
        len(names) > 1
        and not header
        and not _is_number(names[0])
        and all(map(_is_number, names[1:]))
    ):
        X, names, lines = (
            X[1:],
            names[1:],
            lines[1:],
        )  # a header whose features are named by numbers
    if not names:
        raise malformed(path, "has a header and no data")
    if not np.isfinite(X).all():
        i, j = np.argwhere(~np.isfinite(X))[0]
        raise malformed(
            path,
            f"line {lines[i]}, column {j + (j >= column)} (from 0) is {X[i, j]}, must be finite",
        )
    if "" in names:
        raise malformed(path, f"line {lines[names.index('')]} has no label")
    return X, _label_array(path, names)


def _label_column(path: Path, head: list[str], labels: str | int | None) -> int:
    """Index of the column of labels."""
    if isinstance(labels, str):
        if head.count(labels) != 1:
            have = ", ".join(map(_quoted, head[:8])) + (", ..." if len(head) > 8 else "")
            found = "no column" if labels not in head else "more than one column"
            raise malformed(path, f"{found} named {_quoted(labels)}; the first line has {have}")
        return head.index(labels)
    index = -1 if labels is None else labels
    if not -len(head) <= index < len(head):
        raise malformed(path, f"no column {index} for the labels; there are {len(head)}")
    return index % len(head)


def _append(path: Path, line: int, cells: list[str], column: int, values: array[float]) -> None:
    """Append the features of a line to `values`."""
    features = cells[:column] + cells[column + 1 :]
    try:
        if "_" in "".join(features):  # float() takes 1_000 for a number
            raise ValueError
        values.extend(map(float, features))
    except ValueError:
        j, bad = next((j, c) for j, c in enumerate(cells) if j != column and not _is_number(c))
        what = f"is not a number: {_quoted(bad)}" if bad.strip() else "is empty"
        raise malformed(path, f"line {line}, column {j} (from 0) {what}") from None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _label_array(path: Path, names: list[str]) -> NDArray[Any]:
    """Int64 if every label is a whole number, float64 if every one is a number, else text."""
    if all(map(_WHOLE.fullmatch, names)):
        whole = [int(name) for name in names]
        if max(map(abs, whole)) < 2**63:
            return np.array(whole, dtype=np.int64)
    elif all(map(_is_number, names)):
        y = np.array([float(name) for name in names])
        if not np.isfinite(y).all():
            raise malformed(
                path, f"a label is {_quoted(names[int(np.argmin(np.isfinite(y)))])}, must be finite"
            )
        if len(set(map(Decimal, set(names)))) > len(set(y.tolist())):
            raise malformed(path, "has labels that differ by less than float64 can tell apart")
        return y
    try:
        classes, labels = as_labels(names, len(names), "labels")
    except ValueError as error:
        raise malformed(path, str(error)) from error
    return labels[classes]


def _quoted(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else cell[:37] + "...")
