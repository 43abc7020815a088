"""Claims on networks of products, judged on the measures."""

from __future__ import annotations

import itertools
import math
import statistics
from typing import TYPE_CHECKING

from nc1fast.studies.findings import rules
from nc1fast.studies.findings.measured import Range, claim, exactly, in_mean, span, step
from nc1fast.studies.library.polynomial_nets.parts import (
    DEVIATION,
    FREQUENCY,
    FROM_RELU,
    NETWORK,
    NNGP,
    NTK,
    ODD,
    SAMPLED,
)
from nc1fast.studies.measures import along, by_cell, chosen, setting_of, values
from nc1fast.studies.summary import grouped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.findings import Claim
    from nc1fast.studies.findings.rules import Interval
    from nc1fast.studies.tidy import Row

_EXACT = Range(high=1e-12)  # of relative differences
_NOTHING = Range(-1e-12, 1e-12)  # of coefficients relative to the constant
_ODD = {
    2: (0.152, 0.018, 0.0071, 0.0039),
    3: (0.27, 0.036, 0.011, 0.0056),
}  # c_k/c_0 by P, k = 3 ... 9
_ALIKE = Range(1 / (1 + rules.TOLERANCE), 1 + rules.TOLERANCE)  # of ratios


def claims(rows: Sequence[Row]) -> list[Claim]:
    """The kernels, their frequencies, their collapse; numbers from elsewhere."""
    return [
        _first(rows),
        _networks(rows),
        _frequencies(rows),
        _of_networks(rows),
        _collapse(rows),
        _known(rows),
    ]


def _first(rows: Sequence[Row]) -> Claim:
    found = chosen(rows, FROM_RELU)
    statement = (
        "With one factor, P = 1, the NTK of the network of products is the ReLU NTK, to 1e-12."
    )
    number = f"largest relative difference {max(values(found), default=math.nan):.1g}"
    return claim("PN1", "One factor is the ReLU NTK", statement, exactly(found, _EXACT), number)


def _networks(rows: Sequence[Row]) -> Claim:
    cells = by_cell(chosen(rows, DEVIATION))
    level = 1 - (1 - rules.TOGETHER) / max(len(cells), 1)
    intervals = [rules.mean_interval(values(members), level) for _, members in cells]
    errors = [
        abs(statistics.fmean(found)) / (statistics.stdev(found) / math.sqrt(len(found)))
        for _, members in cells
        if len(found := values(members)) > 1
    ]
    statement = (
        "Networks of products, with skips and without, have the limits: NNGP k1^P and NTK k1^P + P <x, x'> k0 k1^(P-1), and "
        "those of the skips; k1 = |x||x'| kappa1 and k0 = kappa0, the arc-cosine kernels. The mean over the networks is "
        "within its sampling error, all settings judged at once at "
        f"{rules.TOGETHER:.0%}, and known to {rules.TOLERANCE:.0%}."
    )
    middles = [abs(one.middle) for one in intervals]
    number = (
        f"largest mean deviation {max(middles, default=math.nan):.2%}, at most "
        f"{max(errors, default=math.nan):.1f} standard errors"
    )
    return claim(
        "PN2", "Networks have these limits", statement, list(map(_within_error, intervals)), number
    )


def _within_error(mean: Interval) -> str:
    """The word of a mean deviation: it fails if its interval leaves out 0, and holds if that is
    short as well.
    """
    if mean.n < rules.FEWEST:
        return rules.TOO_FEW
    if not mean.low <= 0 <= mean.high:
        return rules.FAILS
    reach = max(-mean.low, mean.high)
    return rules.HOLDS if reach <= rules.TOLERANCE else rules.UNDECIDED


def _frequencies(rows: Sequence[Row]) -> Claim:
    """Of the NTK, and at P = 1 of networks too; the kernels are the same in all repeats, of which
    the first counts.
    """
    kernels = [row for row in chosen(rows, FREQUENCY, NTK) if row["repeat"] == 0]
    odd = [row for row in kernels if setting_of(row)["k"] in ODD[1:]]
    first = [row for row in odd if setting_of(row)["degree"] == 1]
    first += [
        row for row in chosen(rows, FREQUENCY, NETWORK, degree=1) if setting_of(row)["k"] in ODD[1:]
    ]
    words = exactly(first, _NOTHING)
    sentences = []
    for members in along(odd, "k").values():
        steps = itertools.pairwise(along(members, "degree").values())
        words += [_higher(a[0], b[0]) for a, b in steps]
    for degree, members in along(odd, "degree").items():
        told = ", ".join(f"{value:.3g}" for value in values(members))
        sentences.append(f"P = {degree:g}: {told} at k = {', '.join(map(str, ODD[1:]))}.")
    statement = (
        "On the circle the NTK of bias-free ReLU units has no odd frequency above 1. Products have all of them, and c_k/c_0 at "
        f"k = {', '.join(map(str, ODD[1:]))} rises with P: higher frequencies are learned faster."
    )
    number = f"largest at P = 1: {max(map(abs, values(first)), default=math.nan):.1g}"
    return claim("PN3", "Products bring the odd frequencies", statement, words, number, sentences)


def _higher(low: Row, high: Row) -> str:
    """Whether a coefficient exceeds that of the degree before by more than rounding."""
    return rules.HOLDS if high["value"] > low["value"] + _NOTHING.high else rules.FAILS


def _known(rows: Sequence[Row]) -> Claim:
    """The kernels are the same in all repeats, of which the first counts."""
    found = [
        {**row, "value": row["value"] / known}
        for degree, some in _ODD.items()
        for k, known in zip(ODD[1:], some, strict=True)
        for row in chosen(rows, FREQUENCY, NTK, degree=degree, k=k)
        if row["repeat"] == 0
    ]
    told = " and ".join(f"{', '.join(map(str, some))} at P = {P}" for P, some in _ODD.items())
    return claim(
        "PN6",
        "The odd frequencies",
        f"c_k/c_0 at k = {', '.join(map(str, ODD[1:]))} is {told} within {rules.TOLERANCE:.0%}, numbers of another implementation.",
        exactly(found, _ALIKE),
        f"ratios {span(values(found))}",
    )


def _of_networks(rows: Sequence[Row]) -> Claim:
    limits = {
        row["setting"]: row["value"]
        for row in chosen(rows, FREQUENCY, SAMPLED)
        if row["repeat"] == 0
    }
    found = [
        {**row, "value": row["value"] / limits[row["setting"]]}
        for row in chosen(rows, FREQUENCY, NETWORK)
        if row["setting"] in limits and abs(limits[row["setting"]]) > _NOTHING.high
    ]
    middles = [statistics.fmean(values(members)) for _, members in by_cell(found)]
    statement = (
        "The NTK of a finite network of products has the same frequencies up to k = 9: in the mean over networks each c_k/c_0 "
        f"is that of the limit, at the same places on the circle, within {rules.TOLERANCE:.0%}."
    )
    number = (
        f"ratios from {min(middles, default=math.nan):.3f} to {max(middles, default=math.nan):.3f}"
    )
    return claim(
        "PN4", "Networks have these frequencies", statement, in_mean(found, _ALIKE), number
    )


def _collapse(rows: Sequence[Row]) -> Claim:
    words, sentences = [], []
    measured = [row for row in rows if row["part"] == "degrees"]
    for name in (NNGP, NTK):
        of_kernel = chosen(measured, "nc1", name)
        for d0, members in along(of_kernel, "d0").items():
            for _, draw in grouped(members, ("repeat",)):
                curve = [some[0] for some in along(draw, "degree").values()]
                words += [step(a, b) for a, b in itertools.pairwise(curve)]
            means = {
                P: statistics.median(values(some)) for P, some in along(members, "degree").items()
            }
            told = ", ".join(f"{value:.3g}" for value in means.values())
            sentences.append(
                f"{name}, d0 = {d0:g}: median {told} at P = {', '.join(f'{P:g}' for P in means)}."
            )
    counted = words.count(rules.HOLDS)
    statement = "NC1 on D1 rises with the number of factors P, for the NNGP and for the NTK: products collapse less."
    number = f"{counted} of {len(words)} steps from P to the next rise"
    return claim("PN5", "NC1 rises with P", statement, words, number, sentences)
