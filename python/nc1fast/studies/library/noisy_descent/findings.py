"""Claims on noisy gradient descent, judged on the measures."""

from __future__ import annotations

import itertools
import statistics
from typing import TYPE_CHECKING

from nc1fast.studies.findings.measured import Range, claim, in_mean, of_interval, span
from nc1fast.studies.findings.rules import mean_interval
from nc1fast.studies.library.noisy_descent.parts import (
    APART,
    DRIFT,
    FLOOR,
    FROM_RIDGE,
    LANGEVIN,
    MOVED,
    NETWORK,
    OFF,
    PAPER,
    RATE,
    SECOND,
)
from nc1fast.studies.measures import along, by_cell, chosen, setting_of, values, written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.findings import Claim
    from nc1fast.studies.tidy import Row

_QUARTER, _HALF, _BELOW, _ABOVE, _TWICE, _NOT_TWICE = (
    Range(high=0.25),
    Range(high=0.5),
    Range(high=1.0),
    Range(low=1.0),
    Range(low=2.0),
    Range(high=2.0),
)
_PRIOR = Range(0.98, 1.02)
_FOUR = 4.0  # times alpha


def claims(rows: Sequence[Row]) -> list[Claim]:
    """The NTK along alpha, with noise and weights that leave; rate and floor; the prior; the
    kernels' prediction, and its end.
    """
    return [
        _drift(rows),
        _noise(rows),
        _linear(rows),
        _floor(rows),
        _prior(rows),
        _step(rows),
        _predicted(rows),
        _equilibrium(rows),
    ]


def _cells(rows: Sequence[Row], name: str) -> list[dict[float, list[Row]]]:
    """Cells along `name`, in each setting of all else."""
    told: dict[str, list[Row]] = {}
    for row in rows:
        rest = {k: v for k, v in setting_of(row).items() if k != name}
        told.setdefault(written(rest), []).append(row)
    return [along(members, name) for members in told.values()]


def _paired(rows: Sequence[Row], quantity: str, name: str) -> list[list[float]]:
    """Ratios of neighbours along `name`, the next over the first on the same draws, in each other
    setting.
    """
    return [
        _ratios(b, a)
        for cells in _cells(chosen(rows, quantity, NETWORK), name)
        for a, b in itertools.pairwise(cells.values())
    ]


def _ratios(upper: Sequence[Row], lower: Sequence[Row]) -> list[float]:
    """Ratios of two cells on the same draws."""
    below = {row["repeat"]: row["value"] for row in lower}
    return [row["value"] / below[row["repeat"]] for row in upper if row["repeat"] in below]


def _words(ratios: Sequence[Sequence[float]], allowed: Range) -> list[str]:
    return [of_interval(mean_interval(some), allowed) for some in ratios if some]


def _span(ratios: Sequence[Sequence[float]]) -> str:
    """The means of the cells: ".5", or "from .4 to .6"."""
    means = [statistics.fmean(some) for some in ratios if some]
    return span(means) if len(means) != 1 else f"{means[0]:.3g}"


def _told(rows: Sequence[Row], quantity: str, start: str) -> list[str]:
    """A sentence for each lambda, of means along alpha."""
    sentences = []
    for decay, some in along(chosen(rows, quantity, NETWORK), "lambda").items():
        means = {x: statistics.fmean(values(cell)) for x, cell in along(some, "alpha").items()}
        listed = ", ".join(f"{mean:.3g} at {x:g}" for x, mean in means.items())
        sentences.append(f"{start} at lambda = {decay:g}, by alpha: {listed}.")
    return sentences


def _fourfold(rows: Sequence[Row]) -> tuple[str, list[list[float]]]:
    """Ratios of the largest alpha to a quarter of it, and these in words."""
    most = max(along(rows, "alpha"), default=0.0)
    ratios = [
        _ratios(cells[most], cells.get(most / _FOUR, []))
        for cells in _cells(rows, "alpha")
        if most in cells
    ]
    return f"from alpha = {most / _FOUR:g} to {most:g}", ratios


def _drift(rows: Sequence[Row]) -> Claim:
    plain = [row for row in chosen(rows, DRIFT, NETWORK) if setting_of(row)["lambda"] == 0]
    where, ratios = _fourfold(plain)
    return claim(
        "ND1",
        "The larger alpha, the less the kernel moves",
        "Without noise, four times alpha, to its largest value, leaves less than a quarter of the largest relative change of the NTK.",
        _words(ratios, _QUARTER),
        f"{where} a factor {_span(ratios)}",
        _told(rows, DRIFT, "Largest relative change of the NTK"),
    )


def _noise(rows: Sequence[Row]) -> Claim:
    moved, drift = (_with_noise(chosen(rows, quantity, NETWORK)) for quantity in (MOVED, DRIFT))
    return claim(
        "ND2",
        "Noise carries the weights away, and the kernel stays",
        "At the largest alpha and lambda the mean square displacement of the weights is at least twice that without noise, the "
        "largest relative change of the NTK no more than twice.",
        _words(moved, _TWICE) + _words(drift, _NOT_TWICE),
        f"displacement {_span(moved)} times, change of the NTK {_span(drift)} times",
        _told(rows, MOVED, "Mean square displacement of the weights"),
    )


def _with_noise(rows: Sequence[Row]) -> list[list[float]]:
    """Ratios of the largest lambda to none, at the largest alpha."""
    by_alpha = along(rows, "alpha")
    most = by_alpha[max(by_alpha)] if by_alpha else []
    ends = [list(cells.values()) for cells in _cells(most, "lambda")]
    return [_ratios(cells[-1], cells[0]) for cells in ends if len(cells) > 1]


def _linear(rows: Sequence[Row]) -> Claim:
    found = chosen(rows, RATE, NETWORK)
    means = [statistics.fmean(values(some)) for _, some in by_cell(found)]
    return claim(
        "ND3",
        "The training loss converges linearly up to a certain accuracy",
        "At every step L <= L_0 exp(-2 alpha^2 Lambda t/n) + the loss at the end (none without noise), Lambda the least eigenvalue "
        "of the NTK, t = eta times the steps. (The rate is ours: half of what a constant kernel gives.)",
        in_mean(found, _ABOVE),
        f"mean rate until any step, over this one, at least {min(means):.3g}"
        if means
        else "not measured",
    )


def _floor(rows: Sequence[Row]) -> Claim:
    along_decay = _paired(rows, OFF, "lambda")
    along_alpha = _paired(rows, OFF, "alpha")
    return claim(
        "ND4",
        "The accuracy is worse with lambda and better with alpha",
        "The mean square distance of the outputs from those without noise, at the end (the training loss, once descents without "
        "noise have converged), rises with lambda, at every alpha, and falls with alpha, at every lambda.",
        _words(along_decay, _ABOVE) + _words(along_alpha, _BELOW),
        f"from one lambda to the next {_span(along_decay)} times, from one alpha to the next {_span(along_alpha)} times",
        [*_told(rows, OFF, "Distance"), *_told(rows, FLOOR, "Training loss at the end")],
    )


def _prior(rows: Sequence[Row]) -> Claim:
    found = chosen(rows, SECOND, LANGEVIN)
    means = [statistics.fmean(values(some)) for _, some in by_cell(found)]
    return claim(
        "ND5",
        "Without a gradient the weights return to the prior",
        "From three times those of the prior, the second moments of the weights come back to 1 within 2 %, for any step eta lambda.",
        in_mean(found, _PRIOR),
        f"from {min(means):.4g} to {max(means):.4g}" if means else "not measured",
    )


def _step(rows: Sequence[Row]) -> Claim:
    found = chosen(rows, SECOND, PAPER)
    shares = [
        {**row, "value": row["value"] * (1 - float(setting_of(row)["step"]) / 2)} for row in found
    ]
    sentences = [
        f"eta lambda = {step:g}: second moment {statistics.fmean(values(some)):.4g}."
        for step, some in along(found, "step").items()
    ]
    means = [statistics.fmean(values(some)) for _, some in by_cell(shares)]
    return claim(
        "ND6",
        "The step itself widens the prior",
        "The step theta <- (1 - eta lambda) theta + sqrt(2 eta lambda) xi has second moments 1/(1 - eta lambda/2), within 2 %. (Ours; "
        "all else here integrates the decay exactly.)",
        in_mean(shares, _PRIOR),
        f"ratio from {min(means):.4g} to {max(means):.4g}" if means else "not measured",
        sentences,
    )


def _predicted(rows: Sequence[Row]) -> Claim:
    where, ratios = _fourfold(chosen(rows, APART, NETWORK))
    return claim(
        "ND7",
        "With alpha, descents become those of kernels",
        "At every lambda, four times alpha, to its largest value, leaves less than half of the largest distance of the outputs from "
        "their prediction by the kernels of the start. (The prediction is ours.)",
        _words(ratios, _HALF),
        f"{where} a factor {_span(ratios)}",
        _told(rows, APART, "Largest distance over |y|"),
    )


def _equilibrium(rows: Sequence[Row]) -> Claim:
    cells = along(chosen(rows, FROM_RIDGE, "NNGP"), "ridge")
    others = along(chosen(rows, FROM_RIDGE, "NTK"), "ridge")
    ratios = [_ratios(cell, others.get(ridge, [])) for ridge, cell in cells.items()]
    sentences = [
        f"Ridge {ridge:g}: {statistics.fmean(values(cell)):.2g} of |y| from the NNGP's, "
        f"{statistics.fmean(values(others[ridge])):.2g} from the NTK's."
        for ridge, cell in cells.items()
        if ridge in others
    ]
    return claim(
        "ND8",
        "Noise turns the NTK into the NNGP",
        "After a time t >> 1/lambda, at a large alpha, the mean outputs are at most half as far from ridge regression with the NNGP "
        "as from that with the NTK, the ridge n lambda/(2 alpha^2). (Ours.)",
        _words(ratios, _HALF),
        f"distance from the NNGP's over that from the NTK's {_span(ratios)}",
        sentences,
    )
