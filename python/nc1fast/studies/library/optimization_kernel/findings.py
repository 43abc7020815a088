"""Claims on unrolled proximal features, judged on the measures."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from nc1fast.studies.findings.measured import Range, claim, exactly, in_mean
from nc1fast.studies.library.optimization_kernel.parts import (
    BELOW,
    CODES,
    GAP,
    GRAM,
    MOVED,
    RISE,
    SHARE,
    WIDE,
)
from nc1fast.studies.measures import along, by_cell, chosen, setting_of, values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.findings import Claim
    from nc1fast.studies.tidy import Row

NAMES = {"relu": "ReLU", "soft": "soft threshold", "hard": "hard threshold"}
_WIDE = 20000  # units, at which widths are judged
_ROUNDING, _BOUND, _NEAR = Range(high=1e-12), Range(high=1.0), Range(high=0.02)
_STILL, _UP = Range(0.99, 1.01), Range(low=1.0)


def claims(rows: Sequence[Row]) -> list[Claim]:
    """Descent, its rate, one step, more steps, NC1 along the steps, infinite width."""
    return [
        _descent(rows),
        _rate(rows),
        _one(rows),
        _more(rows),
        _still(rows),
        _sparse(rows),
        _limits(rows),
    ]


def _later(rows: Sequence[Row]) -> list[Row]:
    """Rows after more than one step."""
    return [row for row in rows if float(setting_of(row)["T"]) > 1]


def _middles(rows: Sequence[Row]) -> list[float]:
    """The mean of each cell."""
    return [statistics.fmean(values(members)) for _, members in by_cell(rows)]


def _descent(rows: Sequence[Row]) -> Claim:
    found = chosen(rows, RISE)
    statement = (
        "With D Dᵀ = I, o(y) = |x - D y|²/2 + R(y) never rises from a step to the next by more than rounding, 1e-12 of o(0), be it "
        "convex (ReLU, soft threshold) or not (hard threshold)."
    )
    number = f"largest rise {max(values(found), default=math.nan):.1g} of o(0)"
    words = exactly(found, _ROUNDING)
    return claim("OP1", "The objective never rises", statement, words, number)


def _rate(rows: Sequence[Row]) -> Claim:
    shares, below = chosen(rows, SHARE), chosen(rows, BELOW)
    statement = (
        "Convex objectives converge as 1/T: T (o_T - o*) <= |y*|²/2 at every T, with o* and y* from active sets; no o_T lies below "
        "o* by more than 1e-12 of o(0)."
    )
    sentences = []
    for prox, name in NAMES.items():
        for m, members in along(chosen(rows, GAP, prox=prox), "m").items():
            told = ", ".join(
                f"{statistics.fmean(values(some)):.2g} after {T:g}"
                for T, some in along(members, "T").items()
            )
            sentences.append(f"{name}, {m:g} units: (o_T - o*)/o(0) {told}.")
    number = (
        f"T (o_T - o*) at most {max(values(shares), default=math.nan):.2g} of the bound; below o* by at most "
        f"{max(values(below), default=math.nan):.1g} of o(0)"
    )
    words = exactly(shares, _BOUND) + exactly(below, _ROUNDING)
    return claim("OP2", "The rate is 1/T or better", statement, words, number, sentences)


def _near(found: Sequence[Row]) -> str:
    """The largest mean distance from a kernel."""
    if not found:
        return f"no codes of {_WIDE:,} units"
    return f"largest mean distance {max(_middles(found)):.2%}"


def _one(rows: Sequence[Row]) -> Claim:
    found = chosen(rows, GRAM, T=1, m=_WIDE, prox="relu")
    found += chosen(rows, GRAM, T=1, m=_WIDE, prox="soft")
    statement = (
        f"After one step of ReLU K_1 is the NNGP of a ReLU network with one hidden layer, within 2 % in Frobenius' norm at {_WIDE:,} "
        "units; after one of the soft threshold, that of its activation, relu(u - t) - relu(-u - t)."
    )
    words = in_mean(found, _NEAR)
    return claim("OP3", "One step is the NNGP", statement, words, _near(found), _told(rows, 1))


def _told(rows: Sequence[Row], T: int) -> list[str]:
    """Mean distances after T steps, a sentence for each proximal map and number of features."""
    sentences = []
    for prox, name in NAMES.items():
        for d0, of_d0 in along(chosen(rows, GRAM, T=T, prox=prox), "d0").items():
            told = ", ".join(
                f"{statistics.fmean(values(some)):.2%} at {m:,.0f} units"
                for m, some in along(of_d0, "m").items()
            )
            sentences.append(f"{name}, T = {T}, d₀ = {d0:g}: {told}.")
    return sentences


def _more(rows: Sequence[Row]) -> Claim:
    found = _later(chosen(rows, GRAM, m=_WIDE, prox="relu"))
    statement = (
        "At infinite width each step of ReLU halves what is left of x, so that y_T = (2 - 2^(1 - T)) relu(D^T x) and K_T is "
        f"(2 - 2^(1 - T))² times the NNGP: within 3 % at {_WIDE:,} units. (Ours.)"
    )
    words = in_mean(found, Range(high=0.03))
    steps = sorted({int(setting_of(row)["T"]) for row in found})
    sentences = [one for T in steps for one in _told(found, T)]
    return claim("OP4", "More steps scale it", statement, words, _near(found), sentences)


def _still(rows: Sequence[Row]) -> Claim:
    found = _later(chosen(rows, MOVED, CODES, m=_WIDE, prox="relu"))
    statement = (
        f"With ReLU, NC1 of K_T is within 1 % of that of K_1 at {_WIDE:,} units, however many steps are taken. (Ours: a factor "
        "does not change NC1.)"
    )
    words = in_mean(found, _STILL)
    return claim(
        "OP5", "NC1 hardly moves with T", statement, words, _moves(found), _courses(rows, "relu")
    )


def _sparse(rows: Sequence[Row]) -> Claim:
    found = _later(chosen(rows, MOVED, CODES, m=_WIDE, prox="soft"))
    found += _later(chosen(rows, MOVED, WIDE, prox="soft"))
    statement = (
        f"With the soft threshold NC1 of K_T is above that of K_1, on two classes N(-1, I) and N(+1, I), after any number of steps, "
        f"at {_WIDE:,} units and at infinite width: what a unit does after several steps is no multiple of what it does after one. "
        "(Ours.)"
    )
    words = in_mean(found, _UP)
    told = [*_courses(rows, "soft"), *_courses(rows, "hard"), *_on_d1(rows)]
    return claim("OP6", "NC1 of sparse codes rises with T", statement, words, _moves(found), told)


def _limits(rows: Sequence[Row]) -> Claim:
    found = [
        row for prox in ("soft", "hard") for row in _later(chosen(rows, GRAM, m=_WIDE, prox=prox))
    ]
    statement = (
        "Sparse codes have a kernel of infinite width as well, that of a hidden layer whose activation depends on |x| and T: within "
        f"7 % at {_WIDE:,} units after several steps. (Ours.)"
    )
    words = in_mean(found, Range(high=0.07))
    steps = sorted({int(setting_of(row)["T"]) for row in found})
    sentences = [one for T in steps for one in _told(found, T)]
    return claim("OP7", "Sparse codes have a limit", statement, words, _near(found), sentences)


def _on_d1(rows: Sequence[Row]) -> list[str]:
    """NC1 on D1, a sentence for each construction."""
    found = [row for row in chosen(rows, "nc1") if row["part"] == "nc1"]
    sentences = []
    for thing in dict.fromkeys(row["thing"] for row in found):
        told = ", ".join(
            f"{statistics.fmean(values(some)):.3f} at d₀ = {d0:g}"
            for d0, some in along(chosen(found, "nc1", thing), "d0").items()
        )
        sentences.append(f"On D1, {thing}: mean NC1 {told}.")
    return sentences


def _moves(found: Sequence[Row]) -> str:
    """The range of the mean ratios."""
    if not found:
        return f"no codes of {_WIDE:,} units"
    means = _middles(found)
    return f"NC1(K_T)/NC1(K_1) from {min(means):.4f} to {max(means):.4f}"


def _courses(rows: Sequence[Row], prox: str) -> list[str]:
    """NC1 along T, a sentence for each number of features and of units."""
    sentences = []
    for d0, of_d0 in along(chosen(rows, "nc1", prox=prox), "d0").items():
        told = {
            f"{m:,.0f} units": members
            for m, members in along(chosen(of_d0, "nc1", CODES), "m").items()
        }
        told["infinite width"] = chosen(of_d0, "nc1", WIDE)
        for where, members in told.items():
            means = ", ".join(
                f"{statistics.fmean(values(some)):.4f} at T = {T:g}"
                for T, some in along(members, "T").items()
            )
            sentences.append(f"{NAMES[prox]}, d₀ = {d0:g}, {where}: mean NC1 {means}.")
    return sentences
