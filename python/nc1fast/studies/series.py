"""The series of a study: courses, spectra and matrices for figures, of the few cells chosen for
illustration.

quantity                       models              x, y                 value
"nc1"                          network             epoch                NC1 of `layer`
"loss", "accuracy"             network             epoch
"nc1", "nc1 of predictions",   AdaptiveKernel      width, along the     NC1 of Q and of the
    predictions' kernel, Tr Sigma,
"trace sigma",                                     annealing            mean squared error of the
    predictions
"training error"
"sigma spectrum"               AdaptiveKernel,     index                eigenvalue, largest first:
    of Sigma, or of
                               network                                  W^T W/width of the first
                                   layer
"sigma"                        the same            row, column          entry; only for d0 <= 32
"kernel spectrum"              kernels             index                eigenvalue, largest first;
    the leading 64
"gram"                         kernels             block row, column    mean of a block of the Gram
    matrix, rows in class order

`state` says when or how: start and end of a training, "released" for the released code's equations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nc1fast.studies.tidy import Column, Layout, Row

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = (
    Column("arm", str, "part of the study"),
    Column("dataset", str, "name of the data"),
    Column("N", int, "samples"),
    Column("d0", int, "features"),
    Column("sizes", str, "samples of each class, joined by colons"),
    Column("model", str, "as in the table"),
    Column("activation", str, "as in the table"),
    Column("state", str, "empty, start, end or released"),
    Column("repeat", int, "as in the table"),
    Column("layer", str, "of a network: pre1, post1, ..., output; else empty"),
    Column("quantity", str, "name of the quantity: see the module"),
    Column("x", float, "epoch, width, index or row", 6),
    Column("y", float, "column of a matrix; else 0", 6),
    Column("value", float, "of the quantity", 6),
)
LAYOUT = Layout("series", COLUMNS)
write = LAYOUT.write


def read(folder: Path) -> list[Row]:
    """Rows of the series of a study; none if the folder has no such file.

    Raises
    ------
    ValueError
        If a file is damaged or has other columns.
    """
    return LAYOUT.read(folder)[0] if LAYOUT.exists(folder) else []
