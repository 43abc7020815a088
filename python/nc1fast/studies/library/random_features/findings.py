"""Claims on random features of the NTK, judged on the measures."""

from __future__ import annotations

import itertools
import statistics
from typing import TYPE_CHECKING

from nc1fast.studies.findings.curves import by_power, curves
from nc1fast.studies.findings.measured import (
    Range,
    apart,
    claim,
    in_mean,
    judged,
    of_interval,
    span,
    words_of,
)
from nc1fast.studies.findings.rules import mean_interval
from nc1fast.studies.library.random_features.parts import (
    EXCESS,
    FROBENIUS,
    NC1,
    PREDICTIONS,
    SPECTRAL,
    SQUARES,
)
from nc1fast.studies.measures import along, by_cell, chosen, values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.findings import Claim
    from nc1fast.studies.tidy import Row

_MANY = 8192  # features, at which numbers are held to what the library promises
_GRAM, _NC1 = Range(high=0.06), Range(high=0.03)
_POWER = {"plain": Range(-0.6, -0.4), "stratified": Range(high=-0.4)}
_FALLS, _THIRD, _WRONG = Range(high=1.0), Range(high=1 / 3), Range(high=0.01)


def claims(rows: Sequence[Row]) -> list[Claim]:
    """Gram matrix, its rate, NC1, spectral approximation, predictions and accuracy."""
    return [_gram(rows), _rate(rows), _nc1(rows), _spectral(rows), _ridge(rows), _accuracy(rows)]


def _at_many(rows: Sequence[Row], quantity: str) -> list[Row]:
    """The stratified features of m = 8,192."""
    return chosen(rows, quantity, m=_MANY, sampling="stratified")


def _largest(rows: Sequence[Row], what: str) -> str:
    """The largest mean over the repeats of any cell."""
    means = [statistics.fmean(values(members)) for _, members in by_cell(rows)]
    return f"{what} {max(means):.3g} at most" if means else f"no features of m = {_MANY}"


def _gram(rows: Sequence[Row]) -> Claim:
    found = _at_many(rows, FROBENIUS)
    return claim(
        "RF1",
        "Features have the Gram matrix of the NTK",
        f"|H Hᵀ - K|_F is at most 6 % of |K|_F at m = {_MANY:,}.",
        in_mean(found, _GRAM),
        _largest(found, "relative error"),
    )


def _rate(rows: Sequence[Row]) -> Claim:
    exponents, numbers = [], []
    for sampling, allowed in _POWER.items():
        fits = by_power(chosen(rows, FROBENIUS, sampling=sampling), "m", allowed)
        exponents += fits
        if fits:
            numbers.append(f"{span([mean.middle for *_, mean in fits], 2)} ({sampling})")
    statement = (
        "|H Hᵀ - K|_F falls as m^-1/2 (exponent within .1) for independent weights, and no slower than m^-0.4 for those "
        "stratified along class means."
    )
    number = f"exponents {', '.join(numbers)}" if numbers else "no curve"
    return claim(
        "RF2", "The error falls as m^-1/2", statement, words_of(exponents), number, apart(exponents)
    )


def _nc1(rows: Sequence[Row]) -> Claim:
    found = _at_many(rows, NC1)
    return claim(
        "RF3",
        "Features collapse as the NTK does",
        f"NC1 of the features is within 3 % of that of the kernel at m = {_MANY:,}.",
        in_mean(found, _NC1),
        _largest(found, "mean relative error"),
    )


def _spectral(rows: Sequence[Row]) -> Claim:
    words = []
    for one in curves(chosen(rows, SPECTRAL), "m"):
        places = sorted({place for curve in one.draws.values() for place in curve})
        for a, b in itertools.pairwise(places):
            ratios = [c[b] / c[a] for c in one.draws.values() if a in c and b in c]
            words.append(of_interval(mean_interval(ratios), _FALLS))
    sentences = []
    for m, members in along(chosen(rows, SPECTRAL), "m").items():
        means = {
            ridge: statistics.fmean(values(some)) for ridge, some in along(members, "ridge").items()
        }
        told = ", ".join(f"{mean:.2g} at λ = {ridge:g}" for ridge, mean in means.items())
        sentences.append(f"m = {m:,.0f}: eps = {told}.")
    statement = (
        "The least eps with (1 - eps)(K + λI) ≤ H Hᵀ + λI ≤ (1 + eps)(K + λI) falls with every step of m; λ is told in units of "
        "the mean diagonal of K."
    )
    number = sentences[-1] if sentences else "not measured"
    return claim("RF4", "The approximation is spectral", statement, words, number, sentences[:-1])


def _ridge(rows: Sequence[Row]) -> Claim:
    """Each draw: the error of NC1 over that of the predictions."""
    nc1 = {(row["setting"], row["repeat"]): row["value"] for row in chosen(rows, NC1)}
    found = [
        row | {"over": nc1[_without_ridge(row), row["repeat"]] / row["value"]}
        for row in chosen(rows, PREDICTIONS)
    ]
    ratios = judged(({**row, "value": row["over"]} for row in found), _THIRD)
    shares = [mean.middle for *_, mean in ratios]
    sentences = apart(ratios)
    for m, members in along(found, "m").items():
        of_nc1 = statistics.fmean(values(along(chosen(rows, NC1), "m")[m]))
        means = {
            ridge: statistics.fmean(values(some)) for ridge, some in along(members, "ridge").items()
        }
        told = ", ".join(f"{mean:.2g} at λ = {ridge:g}" for ridge, mean in means.items())
        sentences.append(f"m = {m:,.0f}: NC1 {of_nc1:.2g}; predictions {told}.")
    statement = (
        "At the same m, NC1 of the features is at least three times as accurate as the predictions of ridge regression on "
        "them: at the rate m^-1/2 these need nine times the features."
    )
    number = f"relative error of NC1 over that of the predictions: {span(shares, 2)}"
    return claim(
        "RF5",
        "Ridge regression needs far more features than NC1",
        statement,
        words_of(ratios),
        number,
        sentences,
    )


def _without_ridge(row: Row) -> str:
    text: str = row["setting"].partition(", ridge=")[0]
    return text


def _accuracy(rows: Sequence[Row]) -> Claim:
    found = judged(_at_many(rows, EXCESS), _WRONG)
    sentences = apart(found)
    for m, members in along(chosen(rows, SQUARES), "m").items():
        mean = {r: statistics.fmean(values(some)) for r, some in along(members, "ridge").items()}
        told = ", ".join(f"{value:.3g} at λ = {ridge:g}" for ridge, value in mean.items())
        sentences.append(f"m = {m:,.0f}: mean squared error over that of the kernel {told}.")
    statement = f"A linear regressor on m = {_MANY:,} features errs on at most 1 % of the test rows more than the NTK itself."
    means = [mean.middle for *_, mean in found]
    number = (
        f"test error above that of the kernel {span(means, 2)}"
        if means
        else f"no features of m = {_MANY}"
    )
    return claim(
        "RF6",
        "Features match the accuracy of the kernel",
        statement,
        words_of(found),
        number,
        sentences,
    )
