"""Results as one tidy table."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.kernels.classes import Kernel
from nc1fast.metrics.registry import all_metrics, columns
from nc1fast.metrics.result import Collapse
from nc1fast.support.arguments import as_items, check_choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


TRACES = ("nc1", "error_bound", "trace_within", "trace_between")  # of every result


def metrics_of(result: Collapse) -> dict[str, float]:
    """nc1, its error bound and traces, and the traced metrics that are numbers, in the order of the
    registry.
    """
    return {name: _number(getattr(result, name)) for name in metric_columns()}


def metric_columns() -> list[str]:
    """Names of the numbers of `metrics_of`."""
    return [*TRACES, *columns(float, int)]


def number_names(*needs: str) -> tuple[str, ...]:
    """Names of all metrics that are numbers, those of `TRACES` first; of the others, where `needs`
    are named, those that need one of these.
    """
    numbers = {name: m for name, m in all_metrics().items() if m.column is not None}
    return (*TRACES, *(name for name, m in numbers.items() if not needs or m.needs in needs))


def as_metric_names(metrics: Any, allowed: Sequence[str]) -> list[str]:
    """Check the argument `metrics`, a list of allowed names; None: all of these."""
    names = as_items("metrics", allowed if metrics is None else metrics, "a list of names")
    for name in names:
        check_choice("metrics", name, allowed)
    return names


def _kernel_name(kernel: Any) -> str:
    """Name of a kernel, a callable or explicit features in a table."""
    if kernel is None:
        return "features"
    if isinstance(kernel, str):
        return kernel
    if isinstance(kernel, Kernel):
        return kernel.name
    return str(getattr(kernel, "__name__", repr(kernel)))


def _number(value: Any) -> float:
    """Convert to float; NaN for what a result does not have, or has more than one of."""
    return float(value) if isinstance(value, int | float) else math.nan


def _row(result: Collapse) -> dict[str, Any]:
    if not isinstance(result, Collapse):
        raise TypeError(f"results must be Collapse objects, got {type(result).__name__}")
    kernel = result.kernel
    low, high = result.interval or (math.nan, math.nan)
    row: dict[str, Any] = {
        "kernel": _kernel_name(kernel),
        "activation": str(getattr(kernel, "activation", "")),
        "depth": int(getattr(kernel, "depth", 0)),
        "weight_variance": _number(getattr(kernel, "weight_variance", None)),
        "bias_variance": _number(getattr(kernel, "bias_variance", None)),
        "parametrization": getattr(kernel, "parametrization", ""),
        "description": "" if kernel is None else repr(kernel),
        "convention": result.convention,
        "n_samples": int(result.sizes.sum()),
        "n_classes": len(result.sizes),
        "smallest_class": int(result.sizes.min()),
        "largest_class": int(result.sizes.max()),
    }
    numbers = (*TRACES, *columns(float), "standard_error")
    row |= {name: _number(getattr(result, name)) for name in numbers}
    return row | {
        "interval_low": float(low),
        "interval_high": float(high),
        **{name: int(result.metrics[name]) for name in columns(int)},
        "method": result.method,
        **{name: _number(result.metrics[name]) for name in columns(float, int, traced=False)},
    }


def to_table(results: Collapse | Iterable[Collapse]) -> dict[str, NDArray[Any]]:
    """Tabulate results: one row per result, one array per column.

    Parameters
    ----------
    results : Collapse or iterable of Collapse

    Returns
    -------
    dict of str to ndarray of shape (n_results,)
        Columns, as `pandas.DataFrame` and `pyarrow.table` take them. Text: kernel ("features" for
        explicit ones), activation, parametrization, description (the kernel's repr), convention,
        method. Integers: depth (0 for explicit features), n_samples, n_classes, smallest_class,
        largest_class, between_rank. Floats, NaN where there is no such number: weight_variance and
        bias_variance (NaN too when they differ between layers), nc1, error_bound, trace_within,
        trace_between, nc1_pinv, nc2_equinorm, nc2_equiangle, nc2_etf, cdnv, ncc_accuracy,
        standard_error, interval_low, interval_high; and, last, the numbers of docs/metrics.md that
        are not named here.

    Raises
    ------
    TypeError
        If one of them is not a Collapse.
    ValueError
        If there is none.
    """
    several: Iterable[Collapse] = [results] if isinstance(results, Collapse) else results
    if not isinstance(several, Iterable):
        raise TypeError(f"results must be Collapse objects, got {type(results).__name__}")
    rows = [_row(result) for result in several]
    if not rows:
        raise ValueError("results must not be empty")
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}
