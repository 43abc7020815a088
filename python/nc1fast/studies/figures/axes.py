"""Logarithmic axes with a few ticks at round numbers, written plainly."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Mantissas of tick marks, the densest first.
_MANTISSAS = (
    (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0),
    (1.0, 1.5, 2.0, 3.0, 5.0, 7.0),
    (1.0, 2.0, 5.0),
    (1.0, 3.0),
    (1.0,),
)
_FEWEST, _MOST = 3, 7
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def log_axis(axis: Any, low: float, high: float, ticks: Sequence[float] = ()) -> None:
    """Make an axis logarithmic from `low` to `high`, with a few labels at round numbers, or at
    `ticks`.
    """
    ticker = require("matplotlib.ticker", "study")
    axis.axes.set(**{f"{axis.axis_name}scale": "log", f"{axis.axis_name}lim": (low, high)})
    axis.set_major_locator(ticker.FixedLocator(ticks or round_numbers(low, high)))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: plain(value)))
    axis.set_minor_locator(ticker.NullLocator())


def round_numbers(low: float, high: float) -> list[float]:
    """Three to seven round numbers between low > 0 and high, evenly spread on a logarithmic
    axis.
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    step = math.ceil((last - first) / _MOST)
    for mantissas in _MANTISSAS if step == 1 else ((1.0,),):
        found = [float(f"{m}e{k}") for k in range(first, last + 1, step) for m in mantissas]
        found = [tick for tick in found if low <= tick <= high]
        if len(found) <= _MOST:
            break
    if len(found) >= _FEWEST:
        return found
    locator = require("matplotlib.ticker", "study").MaxNLocator(nbins=7, steps=[1, 2, 2.5, 5, 10])
    return [float(t) for t in locator.tick_values(low, high) if low <= t <= high]


def even_numbers(low: float, high: float) -> list[float]:
    """Round numbers between low and high, evenly spread: some five of them."""
    locator = require("matplotlib.ticker", "study").MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10])
    return [float(t) for t in locator.tick_values(low, high) if low <= t <= high]


def plain(value: float) -> str:
    """Text of a tick: 0.002 as it is, 1e-7 as a power of ten."""
    if value > 0 and not 1e-4 <= value < 1e6:
        exponent = math.floor(math.log10(value) + 1e-9)
        mantissa = value / 10**exponent
        factor = "" if abs(mantissa - 1) < 1e-6 else f"{mantissa:g} × "  # noqa: RUF001
        return f"{factor}10{str(exponent).translate(_RAISED)}"
    return f"{value:.10g}"


def limits(values: Iterable[float], margin: float = 0.06) -> tuple[float, float]:
    """Limits of a logarithmic axis: the range of the positive values, widened on either side.

    By `margin` of their logarithmic distance, or by 5 % where they hardly differ; (0.5, 2) without
    any value.
    """
    logs = [math.log(v) for v in values if v > 0 and math.isfinite(v)]
    if not logs:
        return 0.5, 2.0
    span = max(logs) - min(logs)
    wider = margin * span if span > 0.01 else math.log(1.05)
    return math.exp(min(logs) - wider), math.exp(max(logs) + wider)
