"""Reader of tables of numbers with a column of labels as text: .csv and .tsv, gzipped or not."""

from __future__ import annotations

import csv
import io
import os
import re
from array import array
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast.datasets.damage import about, malformed, opened, unpacking
from nc1fast.datasets.named import unwanted
from nc1fast.inputs.text import LONGEST, as_texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_NAME = re.compile(r"\.([ct])sv(\.gz)?$")
_LINE = 1 << 26  # letters
_SEPARATORS = {"c": (",", "comma"), "t": ("\t", "tab")}
# Names of the column of labels that are looked for, in upper or lower case, where none is given.
LABEL_COLUMNS = ("label", "labels", "target", "targets", "class")


def is_table(path: Path) -> bool:
    """Whether a file has the name of a table in text: .csv or .tsv, with or without .gz."""
    return _NAME.search(path.name.lower()) is not None


class Columns(NamedTuple):
    """Columns of a table that are read.

    Attributes
    ----------
    labels : str, int, None or anything
        Name or index of the column of labels, None for the usual one; whatever else, and text that
        names a file and no column, says that the labels lie elsewhere.
    features : str, optional
        Names or indices of the columns of features, joined by commas. Default: all but that of the
        labels; where these lie elsewhere, all but those of `left_out`.
    """

    labels: Any = None
    features: str | None = None


def read_csv(
    path: Path, columns: Columns | None = None
) -> tuple[NDArray[np.float64], NDArray[Any] | None]:
    """Features (N, d0) and labels (N,), the latter None where they lie elsewhere."""
    with _lines(path) as rows:
        return _table(path, rows, columns or Columns())


def read_column(path: Path, name: str = "") -> NDArray[Any]:
    """Labels (N,) of a file with one column, without a header, or of the column of this name; of
    text if one of them is.
    """
    with _lines(path) as rows:
        names, place, width = [], 0, 1
        if name:
            head = [cell.strip() for cell in next(rows, (0, []))[1]]
            place, width = label_column(path, head, name), len(head)
        for line, cells in rows:
            if len(cells) != width:
                needed = f"the first line has {width}" if name else "one label is needed"
                raise malformed(path, f"line {line} has {len(cells)} cells, {needed}")
            names.append(cells[place].strip())
    if not names:
        raise malformed(path, "is empty")
    return _label_array(path, names)


@contextmanager
def _lines(path: Path) -> Iterator[Iterator[tuple[int, list[str]]]]:
    """The line numbers and cells of a table in text; ValueError that names the file for what is
    none.
    """
    found = _NAME.search(path.name.lower())
    separator, name = _SEPARATORS["c" if found is None else found[1]]
    with unpacking(path, "gzip file"), opened(path) as raw:
        try:
            with io.TextIOWrapper(raw, "utf-8-sig", newline="") as stream:
                yield _rows(stream, separator)
        except UnicodeDecodeError as error:
            raise malformed(path, f"is not UTF-8 text (byte {error.start})") from error
        except csv.Error as error:
            raise malformed(path, f"is not {name}-separated text ({error})") from error


def _rows(stream: Any, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The line number and the cells of each line that is not blank."""
    lines = _lines_of(stream)
    reader = csv.reader(lines, strict=True, skipinitialspace=separator == ",", delimiter=separator)
    for cells in reader:
        if cells and any(cell.strip() for cell in cells):
            yield reader.line_num, cells


def _lines_of(stream: Any) -> Iterator[str]:
    """Lines of text; of a compressed file, what has no end of a line may be a thousand times the
    file.
    """
    while line := stream.readline(_LINE):
        if len(line) == _LINE:
            raise csv.Error(f"a line of {_LINE} letters or more")
        yield line


class _Table:
    """Lines of a table with `width` cells each; `features` are indices of its columns, `label` that
    of the labels, if any.
    """

    def __init__(self, path: Path, width: int, features: list[int], label: int | None) -> None:
        self.path, self.width, self.features, self.label = path, width, features, label
        self.hint = ""  # for a feature that is no number
        self.values = array("d")  # N len(features) numbers, row by row
        self.names: list[str] = []  # N labels, or none
        self.lines: list[int] = []  # N line numbers

    def append(self, line: int, cells: list[str]) -> None:
        """Add one line; ValueError for another number of cells, or a feature that is no number."""
        if len(cells) != self.width:
            raise malformed(
                self.path,
                f"line {line} has {len(cells)} cells, the first line has {self.width}",
            )
        features = [cells[j] for j in self.features]
        try:
            if "_" in "".join(features):  # float() takes 1_000 for a number
                raise ValueError
            self.values.extend(map(float, features))
        except ValueError:
            j = next(j for j in self.features if not _is_number(cells[j]))
            what = f"is not a number: {_quoted(cells[j])}" if cells[j].strip() else "is empty"
            raise malformed(
                self.path, f"line {line}, column {j} (from 0) {what}{self.hint}"
            ) from None
        if self.label is not None:
            self.names.append(cells[self.label].strip())
        self.lines.append(line)

    def starts_with_header(self) -> bool:
        """Whether the first line is a header whose features are named by numbers: its label alone
        is no number.
        """
        return (
            len(self.names) > 1
            and not _is_number(self.names[0])
            and all(map(_is_number, self.names[1:]))
        )

    def finish(self, first: int) -> tuple[NDArray[np.float64], NDArray[Any] | None]:
        """Features (N, d0) and labels (N,) of the lines from number `first` on, from 0; ValueError
        if unusable.
        """
        path = self.path
        names, lines = self.names[first:], self.lines[first:]
        if not lines:
            raise malformed(path, "has a header and no data")
        X = np.frombuffer(self.values, np.float64).reshape(-1, len(self.features))[first:]
        if not np.isfinite(X).all():
            i, j = np.argwhere(~np.isfinite(X))[0]
            raise malformed(
                path,
                f"line {lines[i]}, column {self.features[j]} (from 0) is {X[i, j]}, must be finite",
            )
        if self.label is None:
            return X, None
        if "" in names:
            raise malformed(path, f"line {lines[names.index('')]} has no label")
        return X, _label_array(path, names)


def _table(
    path: Path, rows: Iterator[tuple[int, list[str]]], columns: Columns
) -> tuple[NDArray[np.float64], NDArray[Any] | None]:
    """Features (N, d0) and labels (N,) of lines with their numbers."""
    first = next(rows, None)
    if first is None:
        raise malformed(path, "is empty")
    line, head = first
    names = [cell.strip() for cell in head]
    label = _label_of(path, names, columns.labels)
    if len(head) < 2 and label is not None:
        raise malformed(
            path,
            f"has one column; features and a label, separated by {_separated(path)}, are needed"
            f"{', not by semicolons' if ';' in head[0] else ''}",
        )
    apart = left_out(names, columns.labels) if label is None else [label]
    features, named = _features_of(path, names, columns.features, apart)
    if label in features:
        raise malformed(path, f"column {_quoted(names[label])} cannot be both data and labels")
    named = named or (isinstance(columns.labels, str) and label is not None)
    header = named or _is_header(path, line, [head[j] for j in features])
    table = _Table(path, len(head), features, label)
    if label is None and columns.features is None:
        table.hint = "; columns of data are chosen by FILE::NAME,NAME"
    if not header:
        table.append(line, head)
    for line, cells in rows:
        table.append(line, cells)
    return table.finish(int(not header and table.starts_with_header()))


def _label_of(path: Path, head: Sequence[str], labels: Any) -> int | None:
    """Index of the column of labels, None where they lie elsewhere; ValueError for a name of
    neither a column nor a file.
    """
    if isinstance(labels, str) and labels not in head:
        if os.path.exists(labels.partition("::")[0]):  # noqa: PTH110  (null bytes)
            return None
    elif not isinstance(labels, str | int | np.integer | None):
        return None
    return label_column(path, head, labels if isinstance(labels, str | None) else int(labels))


def _features_of(
    path: Path, head: Sequence[str], features: str | None, apart: Sequence[int]
) -> tuple[list[int], bool]:
    """Indices of the columns of features, and whether one of them is known by its name; `apart` are
    those of labels.
    """
    if features is None:
        return [j for j in range(len(head)) if j not in apart], False
    found, named = [], False
    for word in map(str.strip, features.split(",")):
        by_place = word not in head and word.isdecimal() and int(word) < len(head)
        named = named or not by_place
        found.append(int(word) if by_place else label_column(path, head, word))
    return found, named


def left_out(head: Sequence[str], labels: Any) -> list[int]:
    """Indices of the columns that are no data where labels lie elsewhere: the one of a usual name,
    and that of `Unwanted`.
    """
    usual = [j for j, name in enumerate(head) if name.lower() in LABEL_COLUMNS]
    named = [j for j, name in enumerate(head) if name == unwanted(labels)]
    found = (usual if len(usual) == 1 else []) + named
    return found if len(set(found)) < len(head) else []


def _is_header(path: Path, line: int, features: list[str]) -> bool:
    """Whether no feature cell of the first line is a number; ValueError if only some are."""
    bad = [cell for cell in features if not _is_number(cell)]
    if bad and len(bad) < len(features):
        raise malformed(
            path,
            f"line {line} has both numbers and text ({_quoted(bad[0])}): neither header nor data",
        )
    return bool(bad)


def label_column(path: Path, head: Sequence[str], labels: str | int | None) -> int:
    """Index >= 0 of the column of labels, whose cells of the first line are `head`.

    By default the only one that has a usual name (`LABEL_COLUMNS`), else the last.
    """
    if isinstance(labels, str):
        if head.count(labels) != 1:
            have = ", ".join(map(_quoted, head[:8])) + (", ..." if len(head) > 8 else "")
            found = "no column" if labels not in head else "more than one column"
            raise malformed(path, f"{found} named {_quoted(labels)}; the first line has {have}")
        return head.index(labels)
    if labels is None:
        usual = [j for j, name in enumerate(head) if name.lower() in LABEL_COLUMNS]
        labels = usual[0] if len(usual) == 1 else -1
    if not -len(head) <= labels < len(head):
        raise malformed(path, f"no column {labels} for the labels; there are {len(head)}")
    return labels % len(head)


def _separated(path: Path) -> str:
    """The separators of a table in words, by the name of its file."""
    return "tabs" if ".tsv" in path.name.lower() else "commas"


def _is_number(cell: str) -> bool:
    """Whether a cell is a number as tables write it, NaN and Inf included."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _label_array(path: Path, names: list[str]) -> NDArray[Any]:
    """Labels (N,) in int64 if all are whole numbers, in float64 if all are numbers, else as text."""
    if max(map(len, names)) > LONGEST:
        pass  # neither whole numbers nor text
    elif all(map(_WHOLE.fullmatch, names)):
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
    with about(path, "the table"):
        return as_texts(names)


def _quoted(cell: str) -> str:
    """A cell in quotes, cut short to 40 characters."""
    return repr(cell if len(cell) <= 40 else cell[:37] + "...")
