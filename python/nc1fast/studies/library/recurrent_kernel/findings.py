"""Claims about recurrent kernels, judged on the measures."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from nc1fast.studies.findings import rules
from nc1fast.studies.findings.measured import Range, claim, exactly, span, step
from nc1fast.studies.library.recurrent_kernel.parts import (
    ENTRY,
    FROM_RELU,
    FROM_STORED,
    KERNELS,
)
from nc1fast.studies.measures import along, by_cell, chosen, values
from nc1fast.studies.summary import grouped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.findings import Claim
    from nc1fast.studies.tidy import Row

_DEVIATIONS = 3  # standard errors that the mean of networks may be from the limit
_DRAWS = 150  # networks, for a word


def claims(rows: Sequence[Row]) -> list[Claim]:
    """One step; finite networks; streamed sums; length."""
    return [_one_step(rows), _networks(rows), _streamed(rows), _length(rows)]


def _one_step(rows: Sequence[Row]) -> Claim:
    found = chosen(rows, FROM_RELU)
    statement = "On sequences of one step both kernels are those of the shallow ReLU network with biases, to 1e-12."
    number = f"largest relative difference {max(values(found), default=math.nan):.1g}"
    words = exactly(found, Range(high=1e-12))
    return claim("RK1", "One step is the shallow network", statement, words, number)


def _networks(rows: Sequence[Row]) -> Claim:
    words, sentences, scores = [], [], []
    for cell, members in by_cell(chosen(rows, ENTRY)):
        ratios, n = values(members), len(members)
        if n < 2:
            continue
        error = statistics.stdev(ratios) / math.sqrt(n)
        score = abs(statistics.fmean(ratios) - 1) / error
        scores.append(score)
        words.append(rules.TOO_FEW if n < _DRAWS else Range(high=_DEVIATIONS).word(score, score))
        sentences.append(
            f"{cell['thing']}, {cell['setting']}: {statistics.fmean(ratios):.4f} +- {error:.4f} of the limit, {n} networks."
        )
    statement = (
        "The kernel of last states, and the inner product of gradients, of tied-weight networks tend to the recurrent NNGP "
        f"and NTK: the mean of {_DRAWS} networks or more is within {_DEVIATIONS} standard errors of them."
    )
    number = f"at most {max(scores):.1f} standard errors" if scores else "no networks"
    return claim("RK2", "Finite networks have these limits", statement, words, number, sentences)


def _streamed(rows: Sequence[Row]) -> Claim:
    found = chosen(rows, FROM_STORED)
    statement = "NC1 from tiles is that of the stored Gram matrix to 1e-10, with sequences of different lengths."
    number = f"largest relative difference {max(values(found), default=math.nan):.1g}"
    words = exactly(found, Range(high=1e-10))
    return claim("RK3", "Tiles give the NC1 of the matrix", statement, words, number)


def _length(rows: Sequence[Row]) -> Claim:
    """Ours: longer sequences have more evidence of their class, and more that differs within it."""
    words, sentences, means = [], [], []
    for name in KERNELS:
        curves = [row for row in chosen(rows, "nc1", name) if row["part"] == "lengths"]
        for weight, members in along(curves, "weight_variance").items():
            by_length = list(along(members, "T").items())
            (shortest, first), (longest, last) = by_length[0], by_length[-1]
            pairs = _paired(first, last) if longest > shortest else []
            if not pairs:
                continue
            draws = [step(a, b) for a, b in pairs]
            word, _ = rules.of_draws(draws)
            words.append(word)
            means.append(rules.ratio_interval(b["value"] / a["value"] for a, b in pairs).middle)
            sentences.append(
                f"{name}, weight variance {weight:g}: NC1 at T = {longest:g} over that at T = {shortest:g} is {means[-1]:.3g}, "
                f"above 1 in {draws.count(rules.HOLDS)} of {len(draws)} draws: {word}."
            )
    statement = "Ours: NC1 of the longest sequences is above that of the shortest, for both kernels and all weight variances."
    number = (
        f"NC1 of the longest over that of the shortest {span(means)}" if means else "no lengths"
    )
    return claim(
        "RK4", "Longer sequences are less collapsed (ours)", statement, words, number, sentences
    )


def _paired(first: Sequence[Row], second: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Rows of the same repeat."""
    others = {cell["repeat"]: rows[0] for cell, rows in grouped(second, ("repeat",))}
    return [(row, others[row["repeat"]]) for row in first if row["repeat"] in others]
