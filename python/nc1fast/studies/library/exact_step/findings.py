"""Claims on steps of gradient descent, judged on the measures."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from nc1fast.studies.findings.curves import in_power
from nc1fast.studies.findings.measured import Range, claim, exactly
from nc1fast.studies.library.exact_step.network import ORDERS
from nc1fast.studies.library.exact_step.parts import (
    ERROR,
    EXACT,
    FIRST,
    NTK,
    RESIDUAL,
    TRAINING,
    order,
)
from nc1fast.studies.measures import along, chosen, values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.findings import Claim
    from nc1fast.studies.tidy import Row

_EXACT, _ROUNDING, _NOT = Range(high=1e-12), Range(high=1e-13), Range(low=1e-8)
_SLACK, _FALLS = 0.1, Range(high=-0.5)


def claims(rows: Sequence[Row]) -> list[Claim]:
    """Orders, the first of them, the exact step, what the NTK misses, and training."""
    return [_orders(rows), _first(rows), _exact(rows), _missed(rows), _falls(rows), _training(rows)]


def _largest(rows: Sequence[Row]) -> str:
    return f"{max(values(rows)):.1g} at most" if rows else "not measured"


def _orders(rows: Sequence[Row]) -> Claim:
    words, sentences, off = [], [], []
    for q in range(1, ORDERS + 1):
        allowed = Range(q + 1 - _SLACK, q + 1 + _SLACK)
        more, powers = in_power(chosen(rows, RESIDUAL, order(q)), "eta", allowed)
        words += more
        if powers:
            off += [p - q - 1 for p in powers]
            sentences.append(f"Order {q}: slopes {', '.join(f'{p:.3f}' for p in powers)}.")
    return claim(
        "ES1",
        "The change of f is a power series in the step",
        "After the terms up to order q the residual falls as eta^(q + 1), the exponent within .1.",
        words,
        f"exponents at most {max(map(abs, off)):.3f} from q + 1" if off else "not measured",
        sentences,
    )


def _first(rows: Sequence[Row]) -> Claim:
    found = chosen(rows, FIRST, order(1))
    return claim(
        "ES2",
        "Order 1 is the NTK's step",
        "The term of order 1 is -eta sum_j K(x, x_j) e_j/n with the NTK K of the network and the residuals e_j = f(x_j) - y_j, "
        "to rounding (1e-13).",
        exactly(found, _ROUNDING),
        f"relative distance {_largest(found)}",
    )


def _most_points(rows: Sequence[Row]) -> list[Row]:
    """Errors of the exact kernel with the most points that were taken."""
    by_points = along(chosen(rows, ERROR, EXACT), "points")
    return by_points[max(by_points)] if by_points else []


def _exact(rows: Sequence[Row]) -> Claim:
    found = _most_points(rows)
    sentences = [
        f"Of {points:g} Gauss-Legendre points: relative error {max(values(some)):.1g} at most."
        for points, some in along(chosen(rows, ERROR, EXACT), "points").items()
    ]
    return claim(
        "ES3",
        "A step is exact in a kernel of its own",
        "At every width f(theta - eta g) - f(theta) = -eta sum_j Kbar(x, x_j) e_j/n with the kernel of the step (ours), to 1e-12.",
        exactly(found, _EXACT),
        f"relative error {_largest(found)}",
        sentences,
    )


def _missed(rows: Sequence[Row]) -> Claim:
    found = chosen(rows, ERROR, NTK)
    sentences = [
        f"Width {width:g}: relative error {statistics.fmean(values(some)):.2g} in the mean."
        for width, some in along(found, "width").items()
    ]
    return claim(
        "ES4",
        "The NTK misses a part of the step",
        "At every one of these widths the NTK of the network alone misses more than 1e-8 of the step.",
        exactly(found, _NOT),
        f"relative error from {min(values(found)):.1g} to {max(values(found)):.1g}"
        if found
        else "not measured",
        sentences,
    )


def _falls(rows: Sequence[Row]) -> Claim:
    words, powers = in_power(chosen(rows, ERROR, NTK), "width", _FALLS)
    return claim(
        "ES5",
        "The NTK is poor for narrow networks",
        "What the NTK misses of a step falls with the width, no slower than width^-1/2.",
        words,
        f"exponents {', '.join(f'{p:.2f}' for p in powers)}" if powers else "one width",
    )


def _training(rows: Sequence[Row]) -> Claim:
    found = chosen(rows, ERROR, TRAINING)
    return claim(
        "ES6",
        "Training is a sum of exact steps",
        "The change of f over all steps is the sum of those of the kernels of the steps, to 1e-12.",
        exactly(found, _EXACT),
        f"relative error {_largest(found)}",
    )
