"""The table of a study: one row is one NC1, of one model on one data set under one convention.

Findings, figures and report are made from this table; figures also from the `series` beside it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nc1fast.studies.tidy import Column, Layout, Row

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "COLUMNS",
    "LAYOUT",
    "LIMITING",
    "NO_SEARCH",
    "RELEASED_ADAPTIVE",
    "RELEASED_ERF_NTK",
    "SERIES",
    "Row",
    "read",
    "read_series",
    "status",
    "write",
]

LIMITING = ("NNGP", "NTK")  # models that are kernels of infinitely wide networks
# What the released code computes, as the column `model` names it.
RELEASED_ERF_NTK = "compat.released.erf_ntk"
RELEASED_ADAPTIVE = "compat.released.adaptive"

COLUMNS = (
    Column("arm", str, "part of the study: balanced, imbalanced, depth, digits, ..."),
    Column("dataset", str, "name of the data"),
    Column("N", int, "samples"),
    Column("d0", int, "features"),
    Column("sizes", str, "samples of each class, joined by colons"),
    Column(
        "model",
        str,
        "data, the class of a kernel, network (its last hidden activations), empirical NTK or "
        "compat.released...",
    ),
    Column("activation", str, "activation; empty for the data and the Linear kernel"),
    Column("depth", int, "weight layers: 2 is one hidden layer, 0 the data itself"),
    Column("weight_variance", str, "one number, or one per layer joined by colons"),
    Column("bias_variance", str, "one number, or one per layer joined by colons"),
    Column("parametrization", str, "of networks and their kernels: ntk or standard; else empty"),
    Column("width", int, "hidden units; 0 where there are none"),
    Column("noise", float, "ridge of an adaptive kernel, temperature of Langevin; else empty", 6),
    Column("state", str, "empty, theory (expectation), start, end, or shuffled (labels)"),
    Column("convention", str, "class weights of the two covariances"),
    Column("repeat", int, "0, 1, ...: independent draws of one cell"),
    Column("seed", int, "seed of the data set; 0 for an expectation"),
    Column("nc1", float, "Tr Sigma_W / Tr Sigma_B"),
    Column(
        "error_bound",
        float,
        "absolute bound on the rounding error of nc1; of an estimate, five standard errors",
        3,
    ),
    Column("trace_within", float, "Tr Sigma_W", 6),
    Column("trace_between", float, "Tr Sigma_B", 6),
    Column("standard_error", float, "of nc1 where it comes from sampling; else empty", 3),
    Column("free_energy", float, "F of an adaptive kernel or a mean field; else empty"),
    Column("starts", int, "descents that looked for the lowest F; 0 where there are none"),
    Column("branches", int, "distinct minima of F at which they ended; 0 where there are none"),
    Column(
        "branch_nc1",
        str,
        "NC1 of each minimum under the first convention, lowest F first, joined by spaces; empty "
        "if fewer than two",
    ),
    Column("status", str, "ok, or what is unusual: failed, diverged, not converged, negative, ..."),
    Column("seconds", float, "wall time of what gave the row; rows that share it repeat it", 3),
)
# The columns of a search and of sampling, where there was neither.
NO_SEARCH: Row = {
    "standard_error": math.nan,
    "free_energy": math.nan,
    "starts": 0,
    "branches": 0,
    "branch_nc1": "",
}
LAYOUT = Layout("table", COLUMNS)
read, write = LAYOUT.read, LAYOUT.write


def status(nc1: float) -> str:
    """The defect of a value, in two words; `"ok"` for one that is positive and finite."""
    if math.isnan(nc1):
        return "nc1 undefined"
    if math.isinf(nc1):
        return "nc1 infinite"
    if nc1 <= 0:
        return f"nc1 {'negative' if nc1 < 0 else 'zero'}"
    return "ok"


# The series of a study: learning curves, spectra and matrices for figures, of the few cells chosen
# for illustration. Model, what x and y are, and the quantities:
#
# network, x the epoch: "nc1" of each `layer`, "loss", "accuracy"
# AdaptiveKernel, x the width along the annealing: "nc1" of Q, "nc1 of predictions" (of the kernel
#     that they span), "trace sigma", "training error" (mean square, of the predictions)
# AdaptiveKernel and network, x the index or the row, y the column: "sigma spectrum", largest first,
#     and "sigma", entry by entry for d0 <= 32, of Sigma and of W^T W/width of the first layer
# kernels, x the index: "kernel spectrum", the leading 64, largest first
# kernels, x and y row and column of a block: "gram", the means of blocks, rows in class order
#
# `state` says when or how: start and end of a training, "released" for the released code's
# equations.
_SERIES_COLUMNS = (
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
    Column("quantity", str, "name of the quantity, as listed above"),
    Column("x", float, "epoch, width, index or row", 6),
    Column("y", float, "column of a matrix; else 0", 6),
    Column("value", float, "of the quantity", 6),
)
SERIES = Layout("series", _SERIES_COLUMNS)


def read_series(folder: Path) -> list[Row]:
    """Rows of the series of a study; none if the folder has no such file.

    Raises
    ------
    ValueError
        If a file is damaged or has other columns.
    """
    return SERIES.read(folder)[0] if SERIES.exists(folder) else []
