"""What the functions of cpp/nc1fast/math.hpp are, and over which arguments: the cases of
scalar_functions.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import mpmath
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    Array = NDArray[Any]

BOUND = {"float32": 87.0, "float64": 708.0}  # exp is clipped there

# Functions on arrays of float64, and on one number of 40 digits.
mp = mpmath.MPContext()
mp.dps = 40
NUMPY = SimpleNamespace(
    **{name: getattr(np, name) for name in ("sin", "exp", "expm1", "sqrt", "pi")},
    asin=np.arcsin,
    one=1.0,
    terms=12,
)
MPMATH = SimpleNamespace(
    **{name: getattr(mp, name) for name in ("sin", "exp", "expm1", "sqrt", "pi", "asin")},
    one=mp.mpf(1),
    terms=22,
)


def _arc(m: Any, of: Any) -> tuple[Any, Any, Any]:
    """Return theta, sin theta - theta cos theta, and sin theta, where cos theta = 1 - m: none of
    them as a difference.

    The second is the sum over k of (-1)^k theta^(2k+3) / ((2k+3) (2k+1)!).
    """
    theta = 2 * of.asin(of.sqrt(m / 2))
    square, series = theta * theta, 0 * theta
    for k in reversed(range(of.terms)):
        series = of.one / ((2 * k + 3) * math.factorial(2 * k + 1)) - square * series
    return theta, theta * square * series, of.sqrt(m * (2 - m))


def _gap(m: Any, of: Any) -> tuple[Any]:
    """Return the second of them over pi."""
    return (_arc(m, of)[1] / of.pi,)


@dataclass(frozen=True)
class Case:
    """One function over one range of arguments.

    Parameters
    ----------
    function : str
        Its name in scalar_functions.cpp.
    outputs : tuple of str
        What the table calls its results.
    domain : str
        The range, in the words of the table.
    truth : callable(x, of) -> tuple
        The results at x, by the functions `of`.
    ends : callable(dtype) -> (low, high)
    branches : callable(dtype) -> numbers
        Where float64 arguments crowd, besides the ends.
    pair : callable(x) -> (Array, Array), optional
        Both arguments, if there are two.
    zero : bool
        Whether 0 belongs to the range besides.
    absolute : bool
        Only the absolute error matters.
    """

    function: str
    outputs: tuple[str, ...]
    domain: str
    truth: Callable[[Any, Any], tuple[Any, ...]]
    ends: Callable[[str], tuple[float, float]]
    branches: Callable[[str], Iterable[float]] = lambda _: ()
    pair: Callable[[Array], tuple[Array, Array]] = lambda x: (x, x)
    zero: bool = False
    absolute: bool = False


def smallest_normal(dtype: str) -> float:
    """Return the smallest number of full precision."""
    return float(np.finfo(dtype).tiny)


def _subnormal(dtype: str) -> tuple[float, float]:
    numbers = np.finfo(dtype)
    return float(numbers.smallest_subnormal), float(numbers.tiny - numbers.smallest_subnormal)


def _to_pi_eighths(dtype: str) -> tuple[float, float]:
    eighth = float(np.dtype(dtype).type(math.pi / 8))
    return -eighth, eighth


def _halves_of_log2(dtype: str) -> Iterator[float]:
    """Where the reduction of exp steps from one multiple of log 2 to the next."""
    steps = int(BOUND[dtype] / math.log(2))
    return ((k + 0.5) * math.log(2) for k in range(-steps, steps))


CASES = (
    Case(
        "arc",
        ("arc(m).theta", "arc(m).gap", "arc(m).sin"),
        "m = 0 or normal, to 1",
        _arc,
        lambda dtype: (smallest_normal(dtype), 1.0),
        lambda _: (0.5, 2.0**-12, 2.0**-27, 2.0**-53),
        zero=True,
    ),
    Case(
        "gap",
        ("gap(m)",),
        "m = 0 or normal, to 1",
        _gap,
        lambda dtype: (smallest_normal(dtype), 1.0),
        lambda _: (0.5, 2.0**-12, 2.0**-27, 2.0**-53),
        zero=True,
    ),
    Case(
        "asin",
        ("asin(n, m)",),
        "n in [0, 1/2], m = 1 - n",
        lambda n, of: (of.asin(n),),
        lambda _: (0.0, 0.5),
        pair=lambda n: (n, 1 - n),
    ),
    Case(
        "asin",
        ("asin(n, m)",),
        "m in [0, 1/2), n = 1 - m",
        lambda m, of: (of.pi / 2 - 2 * of.asin(of.sqrt(m / 2)),),
        lambda dtype: (0.0, float(np.nextafter(0.5, 0, dtype=dtype))),
        lambda dtype: (smallest_normal(dtype),),
        pair=lambda m: (1 - m, m),
    ),
    Case(
        "exp",
        ("exp(x).exp()",),
        "abs(x) <= 87 (float64: 708)",
        lambda x, of: (of.exp(x),),
        lambda dtype: (-BOUND[dtype], BOUND[dtype]),
        lambda dtype: (0.0, *_halves_of_log2(dtype)),
    ),
    Case(
        "expm1",
        ("exp(x).expm1()",),
        "-87 (float64: -708) <= x <= 0",
        lambda x, of: (of.expm1(x),),
        lambda dtype: (-BOUND[dtype], 0.0),
        lambda dtype: (x for x in _halves_of_log2(dtype) if x < 0),
    ),
    Case(
        "sin_small",
        ("sin_small(x)",),
        "abs(x) <= pi/8",
        lambda x, of: (of.sin(x),),
        _to_pi_eighths,
        lambda _: (0.0,),
    ),
    Case(
        "sqrt",
        ("sqrt(w)",),
        "w = 0 or normal",
        lambda w, of: (of.sqrt(w),),
        lambda dtype: (smallest_normal(dtype), float(np.finfo(dtype).max)),
        lambda _: (2.0**k for k in range(-24, 25)),
        zero=True,
    ),
    Case(
        "rsqrt",
        ("rsqrt(w)",),
        "w normal",
        lambda w, of: (1 / of.sqrt(w),),
        lambda dtype: (smallest_normal(dtype), float(np.finfo(dtype).max)),
        lambda _: (2.0**k for k in range(-24, 25)),
    ),
    Case(
        "sqrt", ("sqrt(w)",), "w subnormal", lambda w, of: (of.sqrt(w),), _subnormal, absolute=True
    ),
    Case(
        "exp",
        ("exp(x).exp()",),
        "x < -87 (float64: -708)",
        lambda x, of: (of.exp(x),),
        lambda dtype: (-float(np.finfo(dtype).max), -BOUND[dtype]),
        absolute=True,
    ),
)
