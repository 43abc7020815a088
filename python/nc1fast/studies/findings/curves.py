"""Measured numbers along one part of their setting: a curve for each draw, and the power law that
it follows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.studies.findings.measured import of_interval
from nc1fast.studies.findings.rules import Interval, mean_interval
from nc1fast.studies.measures import setting_of, written

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nc1fast.studies.findings.measured import Judged, Range
    from nc1fast.studies.tidy import Row


@dataclass(frozen=True)
class Curves:
    """Curves of one thing, a curve for each repeat: values by the place.

    Attributes
    ----------
    thing, quantity : str
    setting : str
        Without the part along which the curves run.
    draws : dict of int to dict of float to float
        By repeat; places ascend.
    """

    thing: str
    quantity: str
    setting: str
    draws: dict[int, dict[float, float]]

    def powers(self) -> Interval:
        """The exponent p of value = c x^p, fitted to the logarithms of each draw: its mean over the
        draws.
        """
        return mean_interval(
            power(curve)
            for curve in self.draws.values()
            if len(curve) > 1 and min(curve.values()) > 0
        )


def curves(rows: Iterable[Row], name: str) -> list[Curves]:
    """Rows as curves along `name`, a name of their settings; rows without it are left out."""
    found: dict[tuple[str, str, str], dict[int, dict[float, float]]] = {}
    for row in rows:
        setting = setting_of(row)
        if name in setting:
            place = float(setting.pop(name))
            key = (row["thing"], row["quantity"], written(setting))
            found.setdefault(key, {}).setdefault(row["repeat"], {})[place] = row["value"]
    return [
        Curves(*key, {repeat: dict(sorted(curve.items())) for repeat, curve in draws.items()})
        for key, draws in found.items()
    ]


def power(curve: dict[float, float]) -> float:
    """The slope of log value over log x, by least squares."""
    x, y = (np.log(list(numbers)) for numbers in (curve.keys(), curve.values()))
    return float(np.polyfit(x, y, 1)[0])


def by_power(rows: Iterable[Row], name: str, allowed: Range) -> list[Judged]:
    """Each curve along `name` by its setting, with the word of its exponent and this."""
    fits = [(one.setting, one.powers()) for one in curves(rows, name)]
    return [
        (where, of_interval(fit, allowed), fit) for where, fit in fits if not math.isnan(fit.middle)
    ]


def in_power(rows: Iterable[Row], name: str, allowed: Range) -> tuple[list[str], list[float]]:
    """The word of each exponent along `name`, and the exponents."""
    found = by_power(rows, name, allowed)
    return [word for _, word, _ in found], [fit.middle for *_, fit in found]
