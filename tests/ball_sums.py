"""NC1 and its class sums in ball arithmetic, at a precision that is raised until 20 digits are
certain.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from flint import arb, ctx
from tests.balls import Features, features

if TYPE_CHECKING:
    from collections.abc import Sequence

RELATIVE_BITS = 67  # of the traces, and of `within` by class: 1e-20
START, CAP = 112, 1 << 14  # bits


class Sums(NamedTuple):
    """Of a Gram matrix: as nc1fast.ClassSums has them."""

    sizes: list[int]
    block_sums: list[list[arb]]
    traces: list[arb]
    within: list[arb]
    means: list[dict[int, Fraction]]  # class means, as combinations of the first rows


def class_sums(found: Features, y: Sequence[int] | np.ndarray) -> Sums:
    """Sums over classes; `within` from the D2 of pairs, which are exactly 0 between equal
    features.
    """
    K, same = found
    members = [np.flatnonzero(np.asarray(y) == label).tolist() for label in np.unique(y)]
    blocks = [[sum((K[i][j] for i in p for j in q), arb(0)) for q in members] for p in members]
    within, means = [], []
    for rows in members:
        total = arb(0)
        mean: dict[int, Fraction] = {}
        for position, i in enumerate(rows):
            first, sign = same[i]
            mean[first] = mean.get(first, Fraction(0)) + Fraction(sign, len(rows))
            for j in rows[:position]:
                if same[i] != same[j]:
                    total += K[i][i] + K[j][j] - 2 * K[i][j]
        within.append(total / len(rows))
        means.append({row: value for row, value in mean.items() if value})
    traces = [sum((K[i][i] for i in rows), arb(0)) for rows in members]
    return Sums([len(rows) for rows in members], blocks, traces, within, means)


def _rational(value: Fraction) -> arb:
    return arb(value.numerator) / value.denominator


def traces(sums: Sums, convention: str) -> tuple[arb, arb]:
    """(Tr Sigma_W, Tr Sigma_B) under a convention."""
    n, C = sums.sizes, len(sums.sizes)
    p = [Fraction(size, sum(n)) for size in n]
    u = [Fraction(1, C)] * C
    W, B, g = {
        "papyan": (p, u, u),
        "probe": (p, u, p),
        "class": (u, u, u),
        "sample": (p, p, p),
        "released": (p, u, p),
    }[convention]
    M = [[v / (n[c] * n[d]) for d, v in enumerate(row)] for c, row in enumerate(sums.block_sums)]
    within = sum(
        (_rational(w / size) * v for w, size, v in zip(W, n, sums.within, strict=True)), arb(0)
    )
    if convention == "released":
        excess: dict[int, Fraction] = {}  # by the first class of the same mean
        for c in range(C):
            first = sums.means.index(sums.means[c])
            excess[first] = excess.get(first, Fraction(0)) + p[c] - u[c]
        within = sum((_rational(v) * M[c][c] for c, v in excess.items() if v), within)
    if all(mean == sums.means[0] for mean in sums.means):
        return within, arb(0)
    grand = [sum((_rational(g[d]) * M[c][d] for d in range(C)), arb(0)) for c in range(C)]
    whole = sum((_rational(g[c]) * grand[c] for c in range(C)), arb(0))
    diagonal = [M[c][c] for c in range(C)]
    if convention == "released":
        return within, sum(diagonal, arb(0)) / C - whole
    centred = (_rational(B[c]) * (diagonal[c] - 2 * grand[c] + whole) for c in range(C))
    return within, sum(centred, arb(0))


class Truth(NamedTuple):
    """Balls of NC1 and its traces, of 20 digits unless they are zero to thousands of decimals.

    nc1 is None where trace_between is exactly 0; decided: whether it is, or is known not to be.
    """

    nc1: arb | None
    trace_within: arb
    trace_between: arb
    sums: Sums
    features: Features
    decided: bool
    bits: int


def _accuracy(value: arb) -> int:
    """Relative accuracy in bits; at most 0 where not even the sign is known."""
    if not value.is_finite():
        return -1
    return 1 << 20 if value.is_exact() else value.rel_accuracy_bits()


def judge(
    kernel: Any, X: np.ndarray, y: Sequence[int] | np.ndarray, convention: str, cap: int = CAP
) -> Truth:
    """NC1 and its traces, at a precision that is raised until they have 20 digits or it reaches the
    cap.
    """
    bits, before = START, ctx.prec
    try:
        while True:
            ctx.prec = bits
            found = features(kernel, X)
            sums = class_sums(found, y)
            within, between = traces(sums, convention)
            accuracy = min(map(_accuracy, (within, between, *sums.within)))
            if accuracy >= RELATIVE_BITS + 3 or bits >= cap:
                known = all(ball.is_finite() for ball in (within, between, *sums.within))
                decided = known and (between.is_zero() or not between.contains(0))
                nc1 = None if between.is_zero() else within / between
                return Truth(nc1, within, between, sums, found, decided, bits)
            missing = RELATIVE_BITS + 8 - accuracy if accuracy > 0 else bits
            bits = min(cap, bits + max(32, missing))
    finally:
        ctx.prec = before
