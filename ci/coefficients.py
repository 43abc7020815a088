"""The polynomials of cpp/nc1fast/math.hpp, derived: interpolants at Chebyshev nodes of values of 60
digits.

    python ci/coefficients.py

Prints each table with the largest relative error of what it is for, before rounding. Needs mpmath.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import mpmath

if TYPE_CHECKING:
    from collections.abc import Callable

mp = mpmath.MPContext()
mp.dps = 60


@dataclass(frozen=True)
class Table:
    """One table of coefficients, in powers of x - about.

    Parameters
    ----------
    function : callable(x) -> number
        What the polynomial stands for, smooth on [low, high].
    low, high, about : number
    sizes : (int, int)
        Coefficients for float64 and for float32.
    made : callable(x, p) -> number, optional
        What is made of a value p of the polynomial; without it, p itself.
    """

    function: Callable[[Any], Any]
    low: Any
    high: Any
    sizes: tuple[int, int]
    about: Any = 0
    made: Callable[[Any, Any], Any] = lambda _, p: p

    def coefficients(self, n: int) -> list[Any]:
        """Interpolate at the n Chebyshev nodes of the range."""
        middle, half = (self.low + self.high) / mp.mpf(2), (self.high - self.low) / mp.mpf(2)
        nodes = [middle + half * mp.sin(mp.pi * (n - 1 - 2 * k) / (2 * n)) for k in range(n)]
        powers = mp.matrix([[(x - self.about) ** k for k in range(n)] for x in nodes])
        return list(mp.lu_solve(powers, mp.matrix([self.function(x) for x in nodes])))

    def error(self, coefficients: list[Any], points: int = 500) -> float:
        """Return the largest relative error of what is made of the polynomial, at points inside the
        range.
        """
        worst = mp.mpf(0)
        for k in range(points):
            x = self.low + (self.high - self.low) * (k + mp.mpf(1) / 3) / points
            p = reduce(lambda p, c: p * (x - self.about) + c, reversed(coefficients))
            worst = max(worst, abs(self.made(x, p) / self.made(x, self.function(x)) - 1))
        return float(worst)


def _arc(m: Any) -> Any:
    return (mp.acos(1 - m) / mp.sqrt(m * (2 - m)) - 1) / m


def _gap(m: Any) -> Any:
    return (mp.sqrt(m * (2 - m)) - (1 - m) * mp.acos(1 - m)) / (2 * mp.pi * m * mp.sqrt(m))


def _turn(m: Any) -> Any:
    return mp.acos(1 - m) / (mp.pi * mp.sqrt(m)) if m else mp.sqrt(2) / mp.pi


def _asin(z: Any) -> Any:
    return (mp.asin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z


def _exp(r: Any) -> Any:
    return (mp.expm1(r) - r) / r**2 if r else mp.mpf(1) / 2


def _sin(y: Any) -> Any:
    return (mp.sin(mp.sqrt(y)) / mp.sqrt(y) - 1) / y


def _one_plus(x: Any, p: Any) -> Any:
    return 1 + x * p


HALF_LOG2 = mp.log(2) / 2
TABLES = {
    "ArcTable": Table(_arc, mp.mpf(0), mp.mpf(1), (20, 9), mp.mpf(1) / 2, _one_plus),
    "GapTable": Table(_gap, mp.mpf(0), mp.mpf(1), (17, 7)),
    "TurnTable": Table(_turn, mp.mpf(0), mp.mpf(1), (19, 8)),
    "AsinTable": Table(_asin, mp.mpf(0), mp.mpf(1) / 4, (12, 5), made=_one_plus),
    "ExpTable": Table(_exp, -HALF_LOG2, HALF_LOG2, (11, 5), made=lambda r, p: r + r * r * p),
    "SinTable": Table(_sin, mp.mpf(0), (mp.pi / 8) ** 2, (5, 3), made=_one_plus),
}


def main() -> None:
    """Print every table."""
    for name, table in TABLES.items():
        for n, digits in zip(table.sizes, (18, 10), strict=True):
            coefficients = table.coefficients(n)
            numbers = ", ".join(mp.nstr(c, digits) for c in coefficients)
            print(f"{name}, {table.error(coefficients):.1e}: {numbers}")


if __name__ == "__main__":
    main()
