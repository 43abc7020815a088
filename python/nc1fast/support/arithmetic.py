"""Floating-point errors: public functions run under NumPy's defaults, whatever a caller sets."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    P = ParamSpec("P")
    R = TypeVar("R")


def ieee(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a public function so that `numpy.seterr` and `numpy.errstate` of its caller have no
    effect inside.

    The code relies on IEEE 754: underflow gives 0, and infinities and NaN are looked for where they
    matter.
    """

    @functools.wraps(function)
    def inside(*arguments: P.args, **named: P.kwargs) -> R:
        with np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"):
            return function(*arguments, **named)

    return inside
