"""Claims on finite and infinite networks, judged on the measures."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from nc1fast.studies.findings.curves import in_power
from nc1fast.studies.findings.measured import (
    Range,
    apart,
    claim,
    exactly,
    of_interval,
    span,
    words_of,
)
from nc1fast.studies.findings.rules import mean_interval
from nc1fast.studies.library.finite_infinite.parts import (
    BOTH,
    CENTRED,
    CENTRED_4,
    DECAY,
    DEVIATION,
    DISTANCE,
    LARGE,
    LEAST,
    NC1,
    OFF,
    OVER_BOUND,
    PLAIN,
    PLAIN_4,
    RIDGE,
    SMALL,
    STOPPED,
    STORED,
    STREAMED,
)
from nc1fast.studies.measures import along, by_cell, chosen, setting_of, values

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nc1fast.studies.findings import Claim
    from nc1fast.studies.findings.measured import Judged
    from nc1fast.studies.tidy import Row

_POWER, _BELOW, _TWICE = Range(-0.65, -0.35), Range(high=1.0), Range(low=2.0)
_ALIKE = Range(1 / 1.05, 1.05)
_COLLAPSED, _LOST = 1e-10, Range(low=1.0)


def claims(rows: Sequence[Row]) -> list[Claim]:
    """Width, ensembles, centring; decay and rate; early stopping; the two kernels; precision."""
    return [
        _width(rows),
        _ensembles(rows),
        _centring(rows),
        _broken(rows),
        _stopping(rows),
        _kernels(rows),
        _precision(rows),
        _streamed(rows),
    ]


def _ratios(upper: Sequence[Row], lower: Iterable[Row], allowed: Range) -> list[Judged]:
    """Mean ratios of the values of two things on the same draws, cell by cell, and whether they are
    in a range.
    """
    below = {(row["setting"], row["repeat"]): row["value"] for row in lower}
    found = []
    for cell, members in by_cell(upper):
        keys = [(row["setting"], row["repeat"]) for row in members]
        pairs = zip(members, keys, strict=True)
        mean = mean_interval(row["value"] / below[key] for row, key in pairs if key in below)
        if mean.n:
            found.append((cell["setting"], of_interval(mean, allowed), mean))
    return found


def _span(ratios: Iterable[Judged]) -> str:
    """The means of the cells: "from .4 to .6"."""
    return span([mean.middle for *_, mean in ratios])


def _told(rows: Sequence[Row], name: str, start: str) -> list[str]:
    """Sentences on means along a part of the setting."""
    found = along(rows, name)
    told = ", ".join(f"{statistics.fmean(values(some)):.3g} at {x:g}" for x, some in found.items())
    return [f"{start}: {told}."] if told else []


def _width(rows: Sequence[Row]) -> Claim:
    found = chosen(rows, DEVIATION, CENTRED)
    words, powers = in_power(found, "width", _POWER)
    sentences = [
        line
        for thing in (CENTRED, CENTRED_4, PLAIN, PLAIN_4)
        for line in _told(
            chosen(rows, DEVIATION, thing), "width", f"{thing.capitalize()}, by width"
        )
    ]
    return claim(
        "FI1",
        "Wide networks do as their NTK",
        "The distance of a centred network from the infinite one falls as width^-1/2, the exponent within .15.",
        words,
        f"exponents {', '.join(f'{p:.2f}' for p in powers)}" if powers else "one width",
        sentences,
    )


def _ensembles(rows: Sequence[Row]) -> Claim:
    pairs = ((CENTRED_4, CENTRED), (PLAIN_4, PLAIN))
    ratios = [
        some
        for together, single in pairs
        for some in _ratios(
            chosen(rows, DEVIATION, together), chosen(rows, DEVIATION, single), _BELOW
        )
    ]
    return claim(
        "FI2",
        "Ensembles are nearer to the infinite network",
        "At every width the mean of an ensemble is nearer to the infinite network than its members are.",
        words_of(ratios),
        f"distance of the ensemble over that of its members {_span(ratios)}",
        apart(ratios),
    )


def _centring(rows: Sequence[Row]) -> Claim:
    ratios = _ratios(chosen(rows, DEVIATION, CENTRED), chosen(rows, DEVIATION, PLAIN), _BELOW)
    return claim(
        "FI3",
        "Centring brings networks nearer",
        "At every width a network whose output starts at 0 is nearer to the infinite network than one that is not centred.",
        words_of(ratios),
        f"distance of centred networks over that of others {_span(ratios)}",
        apart(ratios),
    )


def _broken(rows: Sequence[Row]) -> Claim:
    small = chosen(rows, DEVIATION, SMALL)
    widest = max(along(small, "width"), default=0.0)
    judged, numbers, sentences = [], [], []
    for thing in (DECAY, LARGE):
        found = chosen(rows, DEVIATION, thing)
        ratios = _ratios(along(found, "width").get(widest, []), small, _TWICE)
        judged += ratios
        numbers.append(f"{thing} {_span(ratios)}")
        sentences += _told(found, "width", f"Distance {thing}, by width")
    sentences += _told(small, "width", "Distance without either, by width")
    return claim(
        "FI4",
        "Weight decay and large learning rates break the correspondence",
        "With weight decay, and with a learning rate above 2/lambda_max, the widest networks are at least twice as far from the "
        "infinite one as those of small steps.",
        words_of(judged),
        f"distance over that of small steps: {'; '.join(numbers)}",
        [*apart(judged), *sentences],
    )


def _stopping(rows: Sequence[Row]) -> Claim:
    ratios = _ratios(chosen(rows, LEAST, STOPPED), chosen(rows, LEAST, RIDGE), _ALIKE)
    sentences = _told(
        chosen(rows, DISTANCE, BOTH),
        "ridge",
        "Relative distance of the predictions at t = n/ridge, by ridge in units of the mean diagonal",
    )
    return claim(
        "FI5",
        "Diagonal regularization acts as early stopping does",
        "The least test error along early stopping is within 5 % of the least along ridges.",
        words_of(ratios),
        f"least test error along early stopping over that along ridges {_span(ratios)}",
        [*apart(ratios), *sentences],
    )


def _kernels(rows: Sequence[Row]) -> Claim:
    """Ridge regression with either kernel, draw by draw."""
    found: dict[str, list[Row]] = {"NTK": [], "NNGP": []}
    for row in chosen(rows, LEAST, RIDGE):
        bare, _, kernel = row["setting"].rpartition(", kernel=")
        found[kernel].append({**row, "setting": bare})
    ratios = _ratios(found["NNGP"], found["NTK"], _BELOW)
    told = "; ".join(f"{mean.middle:.3g} ({where})" for where, _, mean in ratios)
    sentences = [f"NNGP over NTK, in the mean: {told}."] if told else []
    return claim(
        "FI6",
        "The NNGP outperforms the NTK",
        "The least test error of the NNGP is below that of the NTK.",
        words_of(ratios),
        f"ratio of the least test errors, NNGP over NTK, {_span(ratios)}",
        [*apart(ratios, 3), *sentences],
    )


def _precision(rows: Sequence[Row]) -> Claim:
    """Stored Gram matrices of classes whose exact NC1 is below 1e-10."""
    exact = {
        (row["thing"], row["setting"], row["repeat"]): row["value"] for row in chosen(rows, NC1)
    }
    found, kept = chosen(rows, OFF, STORED), []
    for row in found:
        bare, _, kernel = row["setting"].rpartition(", kernel=")
        if exact[kernel, bare, row["repeat"]] < _COLLAPSED:
            kept.append(row)
    sentences = [
        line
        for kernel in ("NTK", "NNGP")
        for line in _told(
            [row for row in found if setting_of(row)["kernel"] == kernel],
            "s",
            f"{kernel}, relative error of NC1 by the standard deviation of the classes",
        )
    ]
    return claim(
        "FI7",
        "Floating point precision limits a stored kernel",
        "A Gram matrix that is stored in single precision loses all digits of NC1 where NC1 is below 1e-10. (The paper: beyond a "
        "critical number of samples; here: of collapsed classes.)",
        exactly(kept, _LOST),
        f"relative error from {min(values(kept)):.2g}" if kept else "no class so collapsed",
        sentences,
    )


def _streamed(rows: Sequence[Row]) -> Claim:
    found, off = chosen(rows, OVER_BOUND, STREAMED), values(chosen(rows, OFF, STREAMED))
    return claim(
        "FI8",
        "Streamed in single precision, NC1 keeps its digits",
        "Streamed in single precision, NC1 of collapsed classes is within its error bound.",
        exactly(found, _BELOW),
        f"relative error {max(off):.1g} at most" if off else "not measured",
    )
