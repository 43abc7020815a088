"""Rows of a table and of series from the answers of the library: models, measurements, failures."""

from __future__ import annotations

import dataclasses
import math
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

import nc1fast as nc
from nc1fast.studies import table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from nc1fast import Collapse
    from nc1fast.studies.tidy import Row

    Array = NDArray[np.float64]


FAILED = "failed: "  # begins the status of a row whose NC1 could not be computed
# Settings of every measurement; `Collapse.under` gives the other conventions.
MEASURED = {"convention": "papyan", "statistics": "sums"}
_DEVIATIONS = 5  # of an estimate: its bound is exceeded with a probability below 1e-6
Answer: TypeAlias = "Collapse | str"  # or the reason why there is none


@dataclass(frozen=True)
class ModelColumns:
    """The columns that name a model, all but its state; see `nc1fast.studies.table`."""

    model: str
    activation: str = ""
    depth: int = 0
    weight_variance: str = ""
    bias_variance: str = ""
    parametrization: str = ""
    width: int = 0
    noise: float = math.nan

    def row(self) -> Row:
        """The columns as the beginning of a row."""
        return dataclasses.asdict(self)

    def label(self) -> str:
        """All values that are not empty, joined by spaces."""
        empty = ("", 0, math.nan)  # the default NaN is found by identity
        return " ".join(str(value) for value in self.row().values() if value not in empty)


def attempt(function: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[Any, float]:
    """Value of the function, or the message of its ValueError, and the seconds it took."""
    start = time.perf_counter()
    outcome: Any
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", nc.AccuracyWarning)  # the table has the bounds
            outcome = function(*arguments, **options)
    except ValueError as error:
        outcome = " ".join(str(error).split())
    return outcome, time.perf_counter() - start


def measured(
    named: ModelColumns,
    answer: Answer,
    conventions: Sequence[str],
    seconds: float,
    *,
    state: str = "",
    note: str = "",
) -> list[Row]:
    """One row per convention of one answer; `note` is a defect that all of them share, for the
    status.
    """
    rows = []
    for convention in conventions:
        result = answer
        if not isinstance(answer, str):
            try:
                result = answer.under(convention)
            except ValueError as error:
                result = str(error)
        columns = {"state": state, "convention": convention, "seconds": seconds}
        rows.append({**named.row(), **columns, **numbers(result, note)})
    return rows


def numbers(result: Any, note: str = "") -> Row:
    """Columns of a measurement, of an expectation (which has no error bound), or of a failure."""
    if isinstance(result, str):
        nothing = dict.fromkeys(("nc1", "error_bound", "trace_within", "trace_between"), math.nan)
        return {**nothing, **table.NO_SEARCH, "status": f"{FAILED}{result}"}
    status = table.status(result.nc1)
    return {
        "nc1": result.nc1,
        "error_bound": _bound(result),
        "trace_within": result.trace_within,
        "trace_between": result.trace_between,
        **table.NO_SEARCH,
        "status": status if not note else note if status == "ok" else f"{note}; {status}",
    }


def _bound(result: Any) -> float:
    """The bound on the rounding error, or that of an estimate: five of its standard errors."""
    bound = float(getattr(result, "error_bound", math.nan))
    scatter = getattr(result, "standard_error", None)
    return _DEVIATIONS * float(scatter) if math.isinf(bound) and scatter is not None else bound


GRAM_BLOCKS = 48
SPECTRUM_LENGTH = 64
LARGEST_MATRIX = 32  # features up to which Sigma is shown entry by entry
LARGEST_GRAM = 2048  # samples up to which a Gram matrix is formed


def series(
    named: ModelColumns,
    quantity: str,
    points: Iterable[tuple[float, float, float]],
    **columns: str,
) -> list[Row]:
    """One row per point (x, y, value) of a quantity; `columns` are state and layer, empty by
    default.
    """
    shared = {
        "model": named.model,
        "activation": named.activation,
        "state": columns.get("state", ""),
        "layer": columns.get("layer", ""),
        "quantity": quantity,
    }
    return [{**shared, "x": float(x), "y": float(y), "value": float(v)} for x, y, v in points]


def spectrum(
    named: ModelColumns, quantity: str, matrix: Array, length: int | None = None, state: str = ""
) -> list[Row]:
    """Leading `length` eigenvalues of a symmetric matrix, in descending order."""
    values = np.linalg.eigvalsh(matrix)[::-1][:length]
    return series(named, quantity, ((i, 0, v) for i, v in enumerate(values)), state=state)


def entries(named: ModelColumns, quantity: str, matrix: Array, state: str = "") -> list[Row]:
    """One row per entry of a matrix, x its row and y its column."""
    return series(named, quantity, ((i, j, v) for (i, j), v in np.ndenumerate(matrix)), state=state)


def sigma(named: ModelColumns, matrix: Array, state: str = "") -> list[Row]:
    """Spectrum of a (d0, d0) covariance of hidden weights; its entries too where d0 <= 32."""
    rows = spectrum(named, "sigma spectrum", matrix, state=state)
    if len(matrix) <= LARGEST_MATRIX:
        rows += entries(named, "sigma", matrix, state)
    return rows


def block_means(K: Array, y: NDArray[Any], blocks: int = GRAM_BLOCKS) -> Array:
    """Means of the b x b blocks, b = min(blocks, N), of an (N, N) Gram matrix with its rows in
    class order.
    """
    order = np.argsort(y, kind="stable")
    blocks = min(blocks, len(order))
    starts = np.array([math.floor(i * len(order) / blocks) for i in range(blocks)])
    sizes = np.diff(starts, append=len(order)).astype(np.float64)
    sums = np.add.reduceat(np.add.reduceat(K[np.ix_(order, order)], starts, axis=0), starts, axis=1)
    means: Array = sums / np.outer(sizes, sizes)
    return means
