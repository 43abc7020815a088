"""Claims on the dispersion of tangent kernels, judged on the measures."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from nc1fast.studies.findings.curves import curves
from nc1fast.studies.findings.measured import (
    Range,
    apart,
    claim,
    exactly,
    in_mean,
    of_interval,
    span,
    words_of,
)
from nc1fast.studies.findings.rules import mean_interval
from nc1fast.studies.library.tangent_dispersion.parts import (
    CHANGE,
    DEVIATION,
    DRIFT,
    EXACT,
    LIMIT,
    LOSS,
    NC1,
    NETWORK,
    OVER,
    RATIO,
    SCALED,
    SPREAD,
    TRACES,
)
from nc1fast.studies.measures import along, by_cell, chosen, setting_of, values

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nc1fast.studies.findings import Claim
    from nc1fast.studies.tidy import Row

_WIDTH, _MIDDLE, _DEEP = 64, 8, 16  # where claims on phases are judged
_EDGE = 2.0  # sw2 of the edge of chaos
_THREE = Range(2.7, 3.3)
_SMALL, _LARGE = Range(high=0.3), Range(low=0.8)  # std/mean
_SATURATED, _GROWN = Range(0.75, 1.25), Range(low=1.25)
_EQUAL = Range(high=1e-10)
_ORDER, _ALIKE = Range(0.5, 1.0), Range(0.9, 1.1)
_STILL, _MOVED = Range(high=0.15), Range(low=0.3)  # drift
_TRAINED, _STUCK = Range(high=0.6), Range(low=0.8)  # of the loss of a constant
_ABOVE, _BELOW = Range(low=1.0), Range(high=1.0)


def claims(rows: Sequence[Row]) -> list[Claim]:
    """Two layers; depth and phase; biases; the published law and the recursion; training; NC1."""
    return [
        _shallow(rows),
        _phases(rows),
        _growth(rows),
        _scales(rows),
        _law(rows),
        _recursion(rows),
        _drift(rows),
        _untrainable(rows),
        _nc1(rows),
        _spread(rows),
    ]


def _told(rows: Sequence[Row], name: str, start: str) -> list[str]:
    """A sentence on means along a part of the setting."""
    found = along(rows, name)
    told = ", ".join(f"{statistics.fmean(values(some)):.3g} at {x:g}" for x, some in found.items())
    return [f"{start}: {told}."] if told else []


def _by_phase(rows: Sequence[Row], what: str) -> list[str]:
    """Sentences on means along the depth, for each width and sw2."""
    return [
        line
        for n, members in along(rows, "n").items()
        for sw2, some in along(members, "sw2").items()
        for line in _told(some, "L", f"{what} by depth, n = {n:g}, sw2 = {sw2:g}")
    ]


def _phase(
    rows: Iterable[Row], depth: int, ordered: Range, chaotic: Range
) -> tuple[list[str], str]:
    """Words at a depth and width 64, and the means: "0.23 at sw2 = 1, ..."; the edge of chaos is
    told, not judged.
    """
    words, told = [], []
    here = [row for row in rows if {"n": _WIDTH, "L": depth}.items() <= setting_of(row).items()]
    for sw2, members in along(here, "sw2").items():
        told.append(f"{statistics.fmean(values(members)):.3g} at sw2 = {sw2:g}")
        if sw2 != _EDGE:
            words += in_mean(members, ordered if sw2 < _EDGE else chaotic)
    return words, ", ".join(told)


def _ratios(upper: Sequence[Row], lower: Iterable[Row]) -> list[tuple[Row, list[float]]]:
    """Ratios of two quantities of the same repeats, cell by cell."""
    below = {(row["setting"], row["repeat"]): row["value"] for row in lower}
    found = []
    for cell, members in by_cell(upper):
        keys = [(row["setting"], row["repeat"]) for row in members]
        pairs = [(row, below[key]) for row, key in zip(members, keys, strict=True) if key in below]
        if pairs:
            found.append((cell, [row["value"] / other for row, other in pairs]))
    return found


def _shallow(rows: Sequence[Row]) -> Claim:
    found = chosen(rows, SCALED)
    means = [statistics.fmean(values(members)) for _, members in by_cell(found)]
    return claim(
        "TD1",
        "Two layers disperse as 3/n",
        "Without biases Var[Theta(x, x)]/E[Theta(x, x)]^2 of a two-layer ReLU network of width n is 3/n, to 10 %.",
        in_mean(found, _THREE),
        f"n Var/mean^2 {span(means)}",
        _told(found, "n", "n Var/mean^2 by width"),
    )


def _phases(rows: Sequence[Row]) -> Claim:
    found = chosen(rows, DEVIATION)
    words, told = _phase(found, _DEEP, _SMALL, _LARGE)
    return claim(
        "TD2",
        "The kernel of deep networks is random in the chaotic phase, not in the ordered one",
        f"With trained biases, at L = {_DEEP} and width {_WIDTH}, std/mean of an entry is below .3 in the ordered phase, sw2 < 2, and "
        "above .8 in the chaotic one, sw2 > 2; sw2/n is the variance of the weights, sw2 = 2 the edge of chaos.",
        words,
        f"std/mean {told}" if told else f"not measured at L = {_DEEP}",
        _by_phase(found, "std/mean"),
    )


def _growth(rows: Sequence[Row]) -> Claim:
    """The deepest networks over those of depth 8, repeat by repeat."""
    found, told = [], []
    for members in along(chosen(rows, DEVIATION), "n").values():
        for sw2, some in along(members, "sw2").items():
            [one] = curves(some, "L")
            deepest = max(max(curve) for curve in one.draws.values())
            ratios = [
                curve[deepest] / curve[_MIDDLE]
                for curve in one.draws.values()
                if deepest >= _DEEP and {deepest, _MIDDLE} <= curve.keys()
            ]
            if ratios:
                mean = mean_interval(ratios)
                where = f"{one.setting}, L={deepest:g}"
                word = of_interval(mean, _SATURATED if sw2 < _EDGE else _GROWN)
                found.append((where, word, mean))
                told.append(f"{mean.middle:.3g} ({where})")
    return claim(
        "TD3",
        "Dispersion saturates in the ordered phase and grows beyond it",
        f"From L = {_MIDDLE} to the deepest networks std/mean changes by at most a fourth in the ordered phase, and grows by more "
        "than that at the edge of chaos and in the chaotic phase.",
        words_of(found),
        f"ratio {', '.join(told)}" if told else "no depths",
        apart(found),
    )


def _scales(rows: Sequence[Row]) -> Claim:
    found = chosen(rows, CHANGE)
    return claim(
        "TD4",
        "Without biases there are no phases",
        "Without biases Var/mean^2 does not depend on sw2: the same draws give the same number, to 1e-10.",
        exactly(found, _EQUAL),
        f"largest relative change {max(values(found)):.1g}" if found else "not measured",
    )


def _law(rows: Sequence[Row]) -> Claim:
    """Log ratios over 5 beta; the hidden layers of a depth L are L - 1."""
    words, means, sentences = [], [], []
    for cell, members in by_cell(chosen(rows, RATIO, NETWORK)):
        at = setting_of(cell)
        beta = (float(at["L"]) - 1) / float(at["n"])
        shares = [value / (5 * beta) for value in values(members)]
        words.append(of_interval(mean_interval(shares), _ORDER))
        means.append(statistics.fmean(shares))
        sentences.append(
            f"n = {at['n']}, L = {at['L']}: log ratio {statistics.fmean(values(members)):.3g}, 5 beta = {5 * beta:.3g}."
        )
    return claim(
        "TD5",
        "exp(5 beta) is the order of the moments, no number",
        "Without biases log E[Theta^2]/E[Theta]^2 is between half of 5 beta and 5 beta, beta = sum 1/n_l over hidden layers, after "
        "the law of Hanin & Nica (2020), arXiv 1909.05989.",
        words,
        f"log ratio over 5 beta {span(means)}",
        sentences,
    )


def _recursion(rows: Sequence[Row]) -> Claim:
    pairs = _ratios(chosen(rows, RATIO, NETWORK), chosen(rows, RATIO, EXACT))
    return claim(
        "TD6",
        "A recursion gives the moments (ours)",
        "Ours: without biases log E[Theta^2]/E[Theta]^2 is that of a recursion over the layers, to 10 %.",
        [of_interval(mean_interval(ratios), _ALIKE) for _, ratios in pairs],
        f"measured over exact {span([statistics.fmean(ratios) for _, ratios in pairs])}",
        _told(chosen(rows, RATIO, EXACT), "L", "Exact log ratio by depth"),
    )


def _drift(rows: Sequence[Row]) -> Claim:
    found = chosen(rows, DRIFT)
    words, told = _phase(found, _DEEP, _STILL, _MOVED)
    shallow, near = _phase(found, 2, _STILL, _STILL)
    numbers = [f"{t} (L = {L})" for L, t in ((2, near), (_DEEP, told)) if t]
    return claim(
        "TD7",
        "The kernel moves in training where it is random",
        f"At width {_WIDTH} the median of |Theta_T - Theta_0|/|Theta_0| is above .3 at L = {_DEEP} in the chaotic phase; in the "
        "ordered phase, and in every phase at L = 2, it is below .15.",
        words + shallow,
        f"drift {'; '.join(numbers)}" if numbers else "not measured",
        _by_phase(found, "Median drift"),
    )


def _untrainable(rows: Sequence[Row]) -> Claim:
    found = [row for row in chosen(rows, LOSS) if float(setting_of(row)["sw2"]) < _EDGE]
    deep, told = _phase(found, _DEEP, _STUCK, _STUCK)
    shallow, near = _phase(found, 2, _TRAINED, _TRAINED)
    numbers = [f"{t} (L = {L})" for L, t in ((2, near), (_DEEP, told)) if t]
    return claim(
        "TD8",
        "Deep networks of the ordered phase hardly train",
        f"In the ordered phase, at width {_WIDTH}, the same number of steps leaves more than .8 of the loss of the best constant "
        f"at L = {_DEEP} and less than .6 at L = 2.",
        deep + shallow,
        f"loss over that of the constant {'; '.join(numbers)}" if numbers else "not measured",
        _by_phase(chosen(rows, LOSS), "Loss over that of the constant"),
    )


def _nc1(rows: Sequence[Row]) -> Claim:
    found = chosen(rows, OVER)
    here = along(found, "L").get(2.0, [])
    means = [statistics.fmean(values(members)) for _, members in by_cell(here)]
    limits = [row for row in chosen(rows, NC1, LIMIT) if row["part"] == "spreads"]
    networks = [row for row in chosen(rows, NC1, NETWORK) if row["part"] == "spreads"]
    sentences = [
        *_by_phase(limits, "NC1 of the limit"),
        *_by_phase(networks, "NC1 of networks"),
        *_by_phase(chosen(rows, SPREAD), "std/mean of NC1"),
    ]
    return claim(
        "TD9",
        "At L = 2 networks have the NC1 of their limit in the mean",
        f"At L = 2 and width {_WIDTH} the mean NC1 of tangent kernels is that of the limit, to 10 %.",
        in_mean(here, _ALIKE),
        f"mean NC1 over that of the limit {span(means)}",
        sentences,
    )


def _spread(rows: Sequence[Row]) -> Claim:
    pairs = _ratios(chosen(rows, SPREAD), chosen(rows, TRACES))
    words, told = [], []
    for cell, ratios in pairs:
        at = setting_of(cell)
        if (at["n"], at["L"]) != (_WIDTH, _DEEP):
            continue
        told.append(f"{statistics.fmean(ratios):.3g} at sw2 = {at['sw2']}")
        if at["sw2"] != _EDGE:
            ordered = float(at["sw2"]) < _EDGE
            words.append(of_interval(mean_interval(ratios), _ABOVE if ordered else _BELOW))
    return claim(
        "TD10",
        "A kernel that hardly disperses may have an NC1 that does (ours)",
        f"Ours: at L = {_DEEP} and width {_WIDTH} NC1 disperses more than the trace of the kernel in the ordered phase, where a "
        "constant that NC1 does not see outweighs the rest, and less in the chaotic one, where a common factor cancels.",
        words,
        f"std/mean of NC1 over that of the trace {', '.join(told)}" if told else "not measured",
        _by_phase(chosen(rows, TRACES), "std/mean of the trace"),
    )
