"""Claims on silent alignment, judged on the measures."""

from __future__ import annotations

import itertools
import statistics
from typing import TYPE_CHECKING

from nc1fast.studies.findings.curves import curves
from nc1fast.studies.findings.measured import Range, claim, exactly, in_mean, of_interval, span
from nc1fast.studies.findings.rules import mean_interval
from nc1fast.studies.library.silent_alignment.parts import (
    ALIGNMENT,
    CLOSED,
    COLLAPSED,
    EARLY,
    END,
    FINAL,
    GAINED,
    IDENTITY,
    LIKENESS,
    LIMIT,
    MACHINE,
    OVER_END,
    START,
)
from nc1fast.studies.measures import along, chosen, setting_of, values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.findings import Claim
    from nc1fast.studies.tidy import Row

_EXACT, _ONE = Range(high=1e-12), Range(0.99, 1.01)
_SILENT, _LATE, _OVER, _RISES = Range(low=0.95), Range(high=0.6), Range(low=1.2), Range(low=0.0)
_BEYOND, _BELOW = Range(low=1.0), Range(high=1.0)
_ALIKE, _UNLIKE = Range(low=0.99), Range(high=0.99)
_NEAR, _FAR = Range(high=0.02), Range(low=0.1)
_SMALL, _LARGE = {"scale": 0.01}, {"scale": 0.1}
_WHITENED, _NORMAL, _GRADED = ({"inputs": name} for name in ("whitened", "normal", "graded"))
_SHALLOW = {"depth": 2}


def claims(rows: Sequence[Row]) -> list[Claim]:
    """The identity; where alignment ends, when it comes, with scale, depth and inputs; the kernel
    machine; collapse.
    """
    return [
        _identity(rows),
        _final(rows),
        _silent(rows),
        _monotone(rows),
        _deeper(rows),
        _overshoot(rows),
        _by_a_fifth(rows),
        _grows(rows),
        _machine(rows),
        _collapse(rows),
        _rebound(rows),
    ]


def _span(rows: Sequence[Row], digits: int = 3) -> str:
    """The range of some numbers: "from .4 to .6"."""
    return span(values(rows), digits)


def _mean(rows: Sequence[Row]) -> str:
    return f"{statistics.fmean(values(rows)):.3g} in the mean" if rows else "not measured"


def _told(rows: Sequence[Row], name: str) -> list[str]:
    """A sentence for each depth and kind of rows: means along the scale."""
    kinds: dict[tuple[object, object], list[Row]] = {}
    for row in rows:
        setting = setting_of(row)
        kinds.setdefault((setting["depth"], setting["inputs"]), []).append(row)
    return [
        f"{name}, {depth} layers, {inputs} rows: "
        + ", ".join(
            f"{statistics.fmean(values(some)):.3g} at scale {scale:g}"
            for scale, some in along(members, "scale").items()
        )
        + "."
        for (depth, inputs), members in kinds.items()
    ]


def _identity(rows: Sequence[Row]) -> Claim:
    found = chosen(rows, IDENTITY)
    return claim(
        "SA1",
        "Alignment is N Tr Sigma_B/|K|",
        "For balanced labels -1 and 1, y^T K y/(|K|_F |y|^2) = N Tr Sigma_B/|K|_F with Tr Sigma_B of the kernel, to 1e-12.",
        exactly(found, _EXACT),
        f"relative difference {max(values(found)):.1g} at most" if found else "not measured",
    )


def _final(rows: Sequence[Row]) -> Claim:
    found = chosen(rows, FINAL, END, **_SMALL, **_WHITENED)
    limits = along(chosen(rows, ALIGNMENT, LIMIT, **_SMALL, **_WHITENED), "depth")
    ends = along(chosen(rows, ALIGNMENT, END, **_SMALL, **_WHITENED), "depth")
    sentences = [
        f"{depth:g} layers: {statistics.fmean(values(some)):.5f} at the end, {statistics.fmean(values(limits[depth])):.5f} of the "
        "balanced network, in the mean."
        for depth, some in ends.items()
        if depth in limits
    ]
    return claim(
        "SA2",
        "Small weights end at the balanced network",
        "From scale .01, with whitened rows, the final alignment is within 1 % of that of the balanced network, which is "
        "L/sqrt(d0 - 1 + L^2) for L layers, 2/sqrt(d0 + 3) for two, to 1e-12.",
        in_mean(found, _ONE) + exactly(chosen(rows, CLOSED), _EXACT),
        f"ratio {_span(found, 6)}",
        sentences + _told(chosen(rows, FINAL), "Ratio"),
    )


def _silent(rows: Sequence[Row]) -> Claim:
    small = chosen(rows, GAINED, EARLY, **_SHALLOW, **_SMALL, **_WHITENED)
    large = chosen(rows, GAINED, EARLY, **_SHALLOW, **_LARGE, **_WHITENED)
    return claim(
        "SA3",
        "Alignment is silent from small weights",
        "Two layers, whitened rows: when the loss has fallen by 5 %, alignment has gone 95 % of its way or more from scale .01, and "
        "less than 60 % from scale .1.",
        in_mean(small, _SILENT) + in_mean(large, _LATE),
        f"share {_mean(small)} from scale .01, {_mean(large)} from scale .1",
        _told(chosen(rows, GAINED, EARLY, **_WHITENED), "Share of the way"),
    )


def _steps(rows: Sequence[Row], name: str, sign: int) -> tuple[list[str], list[float]]:
    """Words for a number that rises along a part of the setting (sign 1) or falls (-1), and the
    mean moves.

    A word is of the interval of the mean difference from a place to the next, repeat by repeat.
    """
    words, moves = [], []
    for one in curves(rows, name):
        places = sorted({place for draw in one.draws.values() for place in draw})
        for a, b in itertools.pairwise(places):
            pairs = [draw for draw in one.draws.values() if a in draw and b in draw]
            mean = mean_interval(sign * (draw[b] - draw[a]) for draw in pairs)
            words.append(of_interval(mean, _RISES))
            moves.append(mean.middle)
    return words, moves


def _monotone(rows: Sequence[Row]) -> Claim:
    words, moves = _steps(chosen(rows, GAINED, EARLY, **_WHITENED), "scale", -1)
    return claim(
        "SA4",
        "The smaller the weights, the more silent",
        "With whitened rows, the share of its way that alignment has gone at 5 % of the loss rises from each scale to the next smaller "
        "one.",
        words,
        f"steps from {min(moves):.2g} to {max(moves):.2g}" if moves else "one scale",
    )


def _deeper(rows: Sequence[Row]) -> Claim:
    words, moves = _steps(chosen(rows, GAINED, EARLY, **_WHITENED), "depth", 1)
    return claim(
        "SA5",
        "Deeper networks align earlier",
        "With whitened rows, at each scale, the share of its way that alignment has gone at 5 % of the loss rises with the depth.",
        words,
        f"steps from {min(moves):.2g} to {max(moves):.2g}" if moves else "one depth",
    )


def _overshoots(rows: Sequence[Row]) -> list[list[Row]]:
    """Shares of two layers from scale .01, of normal rows and of graded ones."""
    return [
        chosen(rows, GAINED, EARLY, **_SHALLOW, **_SMALL, **kind) for kind in (_NORMAL, _GRADED)
    ]


def _overshoot(rows: Sequence[Row]) -> Claim:
    normal, graded = _overshoots(rows)
    return claim(
        "SA6",
        "Without whitening alignment overshoots",
        "Two layers, scale .01, normal rows as they are drawn, and such whose feature k has the variance 1/k: when the loss has fallen "
        "by 5 %, alignment has gone beyond where it ends.",
        in_mean([*normal, *graded], _BEYOND),
        f"share {_mean(normal)} with normal rows, {_mean(graded)} with graded ones",
        [
            line
            for kind in (_NORMAL, _GRADED)
            for line in _told(chosen(rows, GAINED, EARLY, **kind), "Share of the way")
        ],
    )


def _by_a_fifth(rows: Sequence[Row]) -> Claim:
    normal, graded = _overshoots(rows)
    words = [in_mean(some, _OVER) for some in (normal, graded)]
    return claim(
        "SA7",
        "The overshoot is a fifth of the way",
        "On the same rows, alignment has gone 1.2 times its way or more, with normal and with graded ones.",
        [word for some in words for word in some],
        f"share {_mean(normal)} with normal rows, {_mean(graded)} with graded ones",
        [
            f"{name} rows: {', '.join(some)}; from {min(values(found)):.3g} to {max(values(found)):.3g} over the draws."
            for name, some, found in zip(("Normal", "Graded"), words, (normal, graded), strict=True)
            if found
        ],
    )


def _grows(rows: Sequence[Row]) -> Claim:
    whitened, graded = (
        chosen(rows, LIKENESS, EARLY, **_SMALL, **kind) for kind in (_WHITENED, _GRADED)
    )
    return claim(
        "SA8",
        "Then the kernel grows in scale alone",
        "From scale .01, the tangent kernel at 5 % of the loss has a cosine of .99 or more with the final one where rows are whitened, "
        "and less where feature k has the variance 1/k.",
        in_mean(whitened, _ALIKE) + in_mean(graded, _UNLIKE),
        f"cosine {_span(whitened, 4)} whitened, {_span(graded)} graded",
        _told(chosen(rows, LIKENESS), "Cosine"),
    )


def _machine(rows: Sequence[Row]) -> Claim:
    end, start = (chosen(rows, MACHINE, thing, **_SMALL) for thing in (END, START))
    return claim(
        "SA9",
        "The network ends as a kernel machine",
        "From scale .01, with fewer rows than features, the trained network is within 2 % of regression with its final tangent kernel, "
        "and 10 % or more from regression with the one at its start.",
        in_mean(end, _NEAR) + in_mean(start, _FAR),
        f"relative distance {_span(end, 2)} by the final kernel, {_span(start, 2)} by the first",
        [
            line
            for thing in (START, EARLY, END)
            for line in _told(chosen(rows, MACHINE, thing), f"Distance by the {thing}")
        ],
    )


def _collapse(rows: Sequence[Row]) -> Claim:
    found = chosen(rows, COLLAPSED, EARLY, **_SMALL, **_WHITENED)
    large = chosen(rows, COLLAPSED, EARLY, **_SHALLOW, **_LARGE, **_WHITENED)
    return claim(
        "SA10",
        "Collapse is silent too (ours)",
        "Two classes, whitened rows: when the loss has fallen by 5 %, log NC1 of the tangent kernel has gone 95 % of its way or more "
        "from scale .01, and with two layers less than 60 % from scale .1.",
        in_mean(found, _SILENT) + in_mean(large, _LATE),
        f"share {_mean(found)} from scale .01, {_mean(large)} from scale .1",
        _told(chosen(rows, COLLAPSED, EARLY, **_WHITENED), "Share of the way of log NC1"),
    )


def _rebound(rows: Sequence[Row]) -> Claim:
    found = [
        row
        for kind in (_NORMAL, _GRADED)
        for row in chosen(rows, OVER_END, EARLY, **_SMALL, **kind)
    ]
    return claim(
        "SA11",
        "Without whitening NC1 rises again (ours)",
        "From scale .01, with rows that are not whitened, NC1 of the tangent kernel at 5 % of the loss is below that at the end.",
        in_mean(found, _BELOW),
        f"NC1 over that at the end {_span(found)}",
        _told(chosen(rows, OVER_END), "NC1 over that at the end"),
    )
