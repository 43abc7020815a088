"""Claims on the kernels of trained networks, judged on the measures."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from nc1fast.studies.findings.measured import Range, claim, exactly, of_interval, span
from nc1fast.studies.findings.rules import ratio_interval
from nc1fast.studies.library.conjugate_kernel.parts import (
    CK,
    DIMENSION,
    ERROR,
    GRAM,
    NETWORK,
    NTK,
    RIDGE,
    TRAINING,
)
from nc1fast.studies.library.conjugate_kernel.regression import FORMULAS, SMOOTH
from nc1fast.studies.measures import along, chosen, setting_of, values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.findings import Claim
    from nc1fast.studies.tidy import Row

_EXACT, _BELOW, _MARGINALLY = Range(high=1e-10), Range(high=1.0), Range(high=10.0)
_TANH, _RELU = "tanh", "relu"
_STARTS = (
    "Variances at the start: 1/fan-in of weights and 1/3 of biases (LeCun), 1/(3 fan-in) and 1/3 (LeCun/3), 1/(3 fan-in) of both "
    "(torch)."
)
_WHERE = ("target", "activation", "initial", "width", "steps")


def claims(rows: Sequence[Row]) -> list[Claim]:
    """The NTK; both kernels beside their network, and beside each other; regularity; training."""
    return [
        _gram(rows),
        _surrogates(rows),
        _marginally(rows),
        _superior(rows),
        _regularity(rows),
        _training(rows),
    ]


def trained(rows: Sequence[Row]) -> list[Row]:
    """The rows of networks after the most steps that were taken."""
    by_steps = along(rows, "steps")
    return by_steps[max(by_steps)] if by_steps else []


def _of(rows: Sequence[Row], thing: str, activation: str) -> list[Row]:
    """Test errors of one thing, of kernels with the ridge of the claims."""
    ridge = {} if thing == NETWORK else {"ridge": RIDGE}
    return chosen(rows, ERROR, thing, activation=activation, **ridge)


def _ratios(
    upper: Sequence[Row], lower: Sequence[Row], *but: str
) -> dict[tuple[object, ...], list[float]]:
    """Ratios of errors of the same repeat by setting: target, activation, initial, width and steps
    but for those in `but`.
    """

    def place(row: Row) -> tuple[object, ...]:
        setting = setting_of(row)
        return tuple(setting[name] for name in _WHERE if name not in but)

    below = {(place(row), row["repeat"]): row["value"] for row in lower}
    found: dict[tuple[object, ...], list[float]] = {}
    for row in upper:
        if (key := (place(row), row["repeat"])) in below:
            found.setdefault(key[0], []).append(row["value"] / below[key])
    return found


def _words(found: dict[tuple[object, ...], list[float]], allowed: Range) -> list[str]:
    return [of_interval(ratio_interval(ratios), allowed) for ratios in found.values()]


def _span(found: dict[tuple[object, ...], list[float]]) -> str:
    """The geometric means of the settings: "from .4 to .6", or the only one."""
    return span([statistics.geometric_mean(ratios) for ratios in found.values()], 2)


def _medians(rows: Sequence[Row], activation: str) -> list[str]:
    """A sentence on the errors of each target, start and width."""
    by_place: dict[tuple[object, ...], dict[str, list[float]]] = {}
    for thing in (NETWORK, CK, NTK):
        for row in _of(trained(rows), thing, activation):
            setting = setting_of(row)
            place = tuple(setting[name] for name in ("target", "initial", "width"))
            by_place.setdefault(place, {}).setdefault(thing, []).append(row["value"])
    found = []
    for (target, initial, width), things in by_place.items():
        told = ", ".join(f"{thing} {statistics.median(v):.2g}" for thing, v in things.items())
        n = len(things[NETWORK])
        where = f"{FORMULAS[str(target)]}, {activation}, {initial}, width {width}"
        found.append(f"{where}, relative test error, median of {n}: {told}.")
    return found


def _gram(rows: Sequence[Row]) -> Claim:
    found = chosen(rows, GRAM, NTK)
    return claim(
        "CK1",
        "The NTK is the Gram matrix of the gradients",
        "The NTK of a network, computed without gradients by parameters, is the Gram matrix of those of autograd, to 1e-10.",
        exactly(found, _EXACT),
        f"relative distance {max(values(found)):.1g} at most" if found else "not measured",
    )


def _surrogates(rows: Sequence[Row]) -> Claim:
    """Both kernels of tanh networks beside these."""
    last = trained(rows)
    network = _of(last, NETWORK, _TANH)
    found = {thing: _ratios(_of(last, thing, _TANH), network) for thing in (CK, NTK)}
    sentences = [_STARTS, *_medians(rows, _TANH)]
    over = _ratios(network, chosen(rows, TRAINING, NETWORK))
    if over:
        sentences.append(f"Test error of the network over its training error: {_span(over)}.")
    return claim(
        "CK2",
        "Kernels of a trained network predict better than the network",
        "Ridge regression with CK, and with NTK, of a trained tanh network has a smaller test error than the network, on each target.",
        [word for ratios in found.values() for word in _words(ratios, _BELOW)],
        f"error over that of the network: CK {_span(found[CK])}, NTK {_span(found[NTK])}",
        sentences,
    )


def _marginally(rows: Sequence[Row]) -> Claim:
    last = trained(rows)
    every = _ratios(_of(last, CK, _TANH), _of(last, NTK, _TANH))
    smooth = {place: ratios for place, ratios in every.items() if place[0] in SMOOTH}
    rough = {place: ratios for place, ratios in every.items() if place[0] not in SMOOTH}
    return claim(
        "CK3",
        "On smooth functions CK is marginally worse than NTK",
        "On smooth targets the test error of CK is at most 10 times that of NTK, of tanh networks.",
        _words(smooth, _MARGINALLY),
        f"error of CK over that of NTK {_span(smooth)}",
        [*_by_start(smooth), *([f"On |x|: {_span(rough)}."] if rough else [])],
    )


def _by_start(found: dict[tuple[object, ...], list[float]]) -> list[str]:
    """A sentence for each setting: the geometric mean with its interval."""
    told = []
    for (target, _, initial, width, _), ratios in found.items():
        mean = ratio_interval(ratios)
        where = f"CK over NTK, {FORMULAS[str(target)]}, {initial}, width {width}"
        told.append(
            f"{where}: {mean.middle:.2g} [{mean.low:.2g}, {mean.high:.2g}] of {mean.n} draws."
        )
    return told


def _superior(rows: Sequence[Row]) -> Claim:
    last = trained(rows)
    found = _ratios(_of(last, CK, _RELU), _of(last, NTK, _RELU))
    network = _of(last, NETWORK, _RELU)
    sentences = [*_by_start(found), *_medians(rows, _RELU)]
    sentences += [
        f"Error of {thing} over that of the ReLU network: {_span(ratios)}."
        for thing in (CK, NTK)
        if (ratios := _ratios(_of(last, thing, _RELU), network))
    ]
    return claim(
        "CK4",
        "In certain cases CK is superior",
        "Of ReLU networks, whose features are continuous and whose gradients jump, CK has a smaller test error than NTK.",
        _words(found, _BELOW),
        f"error of CK over that of NTK {_span(found)}",
        sentences,
    )


def _regularity(rows: Sequence[Row]) -> Claim:
    """Kernels of tanh networks beside those of ReLU networks."""
    last = trained(rows)
    words, numbers, sentences = [], [], []
    for thing in (CK, NTK):
        every = _ratios(_of(last, thing, _TANH), _of(last, thing, _RELU), "activation")
        smooth = {place: ratios for place, ratios in every.items() if place[0] in SMOOTH}
        rough = {place: ratios for place, ratios in every.items() if place[0] not in SMOOTH}
        words += _words(smooth, _BELOW)
        numbers.append(f"{thing} {_span(smooth)}")
        if rough:
            sentences.append(f"{thing} on |x|, tanh over ReLU: {_span(rough)}.")
        dimensions = [
            f"{activation} {statistics.median(values(found)):.3g}"
            for activation in (_TANH, _RELU)
            if (found := chosen(last, DIMENSION, thing, activation=activation, ridge=RIDGE))
        ]
        if dimensions:
            sentences.append(f"Effective dimension of {thing}, median: {', '.join(dimensions)}.")
    return claim(
        "CK5",
        "The regularity of the kernel decides",
        "On smooth targets CK and NTK of tanh networks have smaller test errors than those of ReLU networks.",
        words,
        f"error of tanh over that of ReLU: {', '.join(numbers)}",
        sentences,
    )


def _training(rows: Sequence[Row]) -> Claim:
    last, start = trained(rows), chosen(rows, ERROR, steps=0)
    found = {
        thing: _ratios(_of(last, thing, _TANH), _of(start, thing, _TANH), "steps")
        for thing in (CK, NTK)
    }
    return claim(
        "CK6",
        "Training makes the kernels",
        "On each target CK and NTK of trained tanh networks have smaller test errors than those of networks as they are drawn (ours).",
        [word for ratios in found.values() for word in _words(ratios, _BELOW)],
        f"error after training over that before: CK {_span(found[CK])}, NTK {_span(found[NTK])}",
    )
