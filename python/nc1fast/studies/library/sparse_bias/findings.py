"""Claims on sparse activation by biases, judged on the measures."""

from __future__ import annotations

import itertools
import math
import statistics
from typing import TYPE_CHECKING

from nc1fast.studies.findings import rules
from nc1fast.studies.findings.measured import Range, claim, exactly, in_mean, step
from nc1fast.studies.library.sparse_bias.parts import (
    CONDITION,
    DEVIATION,
    FROM_OWEN,
    FROM_RELU,
    KERNEL,
    LOSS,
    SHARE,
    SMALLEST,
    START,
    TRAINED,
)
from nc1fast.studies.measures import along, by_cell, chosen, setting_of, values
from nc1fast.studies.summary import grouped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.findings import Claim
    from nc1fast.studies.tidy import Row

# Means over draws of 200 unit rows in 16 dimensions, from another implementation, by Owen's
# function.
_SMALLEST = {0.0: 0.137, 0.5: 0.122, 1.0: 0.087, 1.5: 0.049}
_NEAR = Range(0.9, 1.1)  # of ratios to these
_ALIKE = Range(1 / (1 + rules.TOLERANCE), 1 + rules.TOLERANCE)


def claims(rows: Sequence[Row]) -> list[Claim]:
    """The kernel, networks, sparsity, convergence, the spectrum, collapse."""
    return [
        _owen(rows),
        _relu(rows),
        _networks(rows),
        _spectrum(rows),
        _known(rows),
        _start(rows),
        _training(rows),
        _rate(rows),
        _collapse(rows),
    ]


def _owen(rows: Sequence[Row]) -> Claim:
    found = chosen(rows, FROM_OWEN)
    statement = (
        "On unit rows H(x, x') = (<x, x'> + 1) P(<w, x> >= B, <w, x'> >= B), P = Q(B) - 2 T(B, sqrt((1 - r)/(1 + r))) with "
        "w ~ N(0, I), r = <x, x'>, Q = 1 - Phi and Owen's T, to 1e-10."
    )
    number = f"largest difference {max(values(found), default=math.nan):.1g}"
    words = exactly(found, Range(high=1e-10))
    return claim("SB1", "The NTK is an orthant probability", statement, words, number)


def _relu(rows: Sequence[Row]) -> Claim:
    found = chosen(rows, FROM_RELU)
    statement = (
        "At B = 0 H is the NTK of a ReLU layer with trained biases and a fixed readout, to 1e-12."
    )
    number = f"largest relative difference {max(values(found), default=math.nan):.1g}"
    words = exactly(found, Range(high=1e-12))
    return claim("SB2", "Without a bias it is the ReLU's", statement, words, number)


def _networks(rows: Sequence[Row]) -> Claim:
    found = chosen(rows, DEVIATION)
    middles = _middles(found)
    statement = (
        "The tangent kernel of a wide network with biases B, trained biases and a fixed readout is H: in the mean over "
        "networks |H_m - H|_F/|H|_F is at most 1 %."
    )
    number = f"largest mean deviation {max(middles, default=math.nan):.2%}"
    words = in_mean(found, Range(high=0.01))
    return claim("SB3", "Wide networks have this NTK", statement, words, number)


def _spectrum(rows: Sequence[Row]) -> Claim:
    smallest, condition = chosen(rows, SMALLEST), chosen(rows, CONDITION)
    words = exactly(smallest, Range(low=0.0))
    for found, sign in ((smallest, -1), (condition, -1)):
        for curve in _curves(found):
            words += [step(a, b, sign) for a, b in itertools.pairwise(curve)]
    statement = (
        "The smallest eigenvalue of H is positive and falls as B grows, but more slowly than the largest one: the condition "
        "number falls as well."
    )
    sentences = []
    for name, found in ((SMALLEST, smallest), (CONDITION, condition)):
        for d, members in along(found, "d").items():
            told = ", ".join(
                f"{statistics.median(values(some)):.3g} at B = {bias:g}"
                for bias, some in along(members, "bias").items()
            )
            sentences.append(f"{name}, d = {d:g}: median {told}.")
    number = f"smallest of all {min(values(smallest), default=math.nan):.3g}"
    return claim(
        "SB4", "Positive, smaller, better conditioned", statement, words, number, sentences
    )


def _known(rows: Sequence[Row]) -> Claim:
    found = [
        {**row, "value": row["value"] / _SMALLEST[bias]}
        for row in chosen(rows, SMALLEST, d=16)
        if (bias := float(setting_of(row)["bias"])) in _SMALLEST
    ]
    middles = _middles(found)
    told = ", ".join(f"{value:g}" for value in _SMALLEST.values())
    statement = (
        f"The smallest eigenvalue of 200 random unit rows in 16 dimensions is {told} at B = "
        f"{', '.join(f'{bias:g}' for bias in _SMALLEST)} within 10 %, numbers of another implementation."
    )
    number = (
        f"ratios from {min(middles, default=math.nan):.3f} to {max(middles, default=math.nan):.3f}"
    )
    return claim("SB5", "The smallest eigenvalues", statement, in_mean(found, _NEAR), number)


def _start(rows: Sequence[Row]) -> Claim:
    found = [
        {**row, "value": row["value"] / _tail(float(setting_of(row)["bias"]))}
        for row in chosen(rows, SHARE, START)
    ]
    middles = _middles(found)
    statement = f"At the start a unit is active on a unit row with probability Q(B): the share is Q(B) within {rules.TOLERANCE:.0%}."
    number = f"share/Q(B) from {min(middles, default=math.nan):.3f} to {max(middles, default=math.nan):.3f}"
    return claim("SB6", "Biases make activation sparse", statement, in_mean(found, _ALIKE), number)


def _training(rows: Sequence[Row]) -> Claim:
    found = chosen(rows, SHARE, TRAINED)
    bounded = [
        {**row, "value": row["value"] / math.exp(-(float(setting_of(row)["bias"]) ** 2) / 2)}
        for row in found
    ]
    started = {(r["setting"], r["repeat"]): r["value"] for r in chosen(rows, SHARE, START)}
    growth = [
        row["value"] / started[row["setting"], row["repeat"]]
        for row in found
        if (row["setting"], row["repeat"]) in started
    ]
    statement = (
        "Activation stays sparse throughout training: at no time is the share above exp(-B^2/2)."
    )
    number = (
        f"largest share over exp(-B²/2) {max(values(bounded), default=math.nan):.2f}; over that at the start "
        f"{max(growth, default=math.nan):.3f}"
    )
    words = in_mean(bounded, Range(high=1.0))
    return claim("SB7", "It stays sparse in training", statement, words, number)


def _rate(rows: Sequence[Row]) -> Claim:
    found = chosen(rows, LOSS)
    statement = (
        "Gradient descent converges linearly at the rate of H: after T steps the loss is at most (1 - eta lambda_min/2)^T "
        "of that at the start."
    )
    number = f"loss over the bound from {min(values(found), default=math.nan):.2g} to {max(values(found), default=math.nan):.2g}"
    return claim("SB8", "Linear convergence", statement, in_mean(found, Range(high=1.0)), number)


def _collapse(rows: Sequence[Row]) -> Claim:
    measured = [row for row in chosen(rows, "nc1", KERNEL) if row["part"] == "collapses"]
    words = [step(a, b, 1) for curve in _curves(measured) for a, b in itertools.pairwise(curve)]
    sentences = []
    for d, members in along(measured, "d").items():
        told = ", ".join(
            f"{statistics.median(values(some)):.3g} at B = {bias:g}"
            for bias, some in along(members, "bias").items()
        )
        sentences.append(f"d = {d:g}: median {told}.")
    statement = "NC1 of H rises with B: the sparser the activation, the less collapsed is the NTK."
    number = f"{words.count(rules.HOLDS)} of {len(words)} steps from one bias to the next rise"
    return claim("SB9", "NC1 rises with the bias", statement, words, number, sentences)


def _tail(bias: float) -> float:
    """Q(B), the probability of a normal number above B."""
    return math.erfc(bias / math.sqrt(2)) / 2


def _middles(rows: Sequence[Row]) -> list[float]:
    """The mean of each cell."""
    return [statistics.fmean(values(members)) for _, members in by_cell(rows)]


def _curves(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows of each draw along the bias."""
    return [
        [some[0] for some in along(members, "bias").values()]
        for of_d in along(rows, "d").values()
        for _, members in grouped(of_d, ("repeat",))
    ]
