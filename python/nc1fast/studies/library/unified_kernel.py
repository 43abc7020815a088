"""unified-kernel: How does collapse move from the NTK to the NNGP?

K(s) = (1 - s) NTK + s NNGP: NC1 along s from one pass, and from a Gram matrix that is mixed and
stored. Traces are linear in the kernel, NC1(s) = ((1 - s) W_NTK + s W_NNGP) / ((1 - s) B_NTK + s
B_NNGP), so that the curve follows from the sums of its two ends (`nc1fast.blend`).

Source: Zhang et al. (2024), arXiv 2403.17467.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

import nc1fast as nc
from nc1fast.studies.experiment import grid, nc1_on_d1, part
from nc1fast.studies.fields import Count, Number
from nc1fast.studies.figures.measured import Figure, Lines
from nc1fast.studies.findings import rules
from nc1fast.studies.findings.measured import JudgedCell, Test, claim, exact, signs, where
from nc1fast.studies.library.entry import experiment
from nc1fast.studies.measures import Measure, MeasuredCell, lines
from nc1fast.studies.quantities import measured, together

CURVE, STORED = "K(s), from one pass", "K(s), stored"
Shares = Annotated[tuple[Annotated[Number, Field(ge=0, le=1)], ...], Field(min_length=2)]


@part("mixtures", seconds=lambda p: 0.02 + len(p.shares) * 1e-7 * p.n_samples**2)
def mixtures(
    random: np.random.Generator,
    *,
    activation: str = grid("relu", "erf"),
    depth: Annotated[int, Field(ge=2)] = grid(2),
    d0: Count = grid(1, 8, 128),
    n_samples: Count = 128,
    shares: Shares,
) -> Iterator[Measure]:
    """NC1 at each share s of the NNGP on one draw of D1, both ways."""
    X, y = nc.datasets.paper_d1(n_samples, d0, int(random.integers(1 << 32)))
    kernels = [nc.NTK(activation, depth), nc.NNGP(activation, depth)]
    ends = nc.collapse(X, y, kernels, convention="papyan")
    tangent, conjugate = (kernel(X) for kernel in kernels)
    for s in shares:
        K = (1 - s) * tangent + s * conjugate
        stored = nc.collapse(K, y, "precomputed", convention="papyan")
        for thing, result in ((CURVE, nc.blend(ends, [1 - s, s])), (STORED, stored)):
            yield Measure(thing, "nc1", result.nc1, result.error_bound, {"s": s})
    for kernel, result in zip(kernels, ends, strict=True):
        yield Measure(kernel.name, "nc1", result.nc1, result.error_bound)


@nc1_on_d1()
def constructions_on_d1(
    X: NDArray[np.float64], y: NDArray[Any], random: np.random.Generator
) -> Iterator[tuple[str, Any]]:
    """NTK, K(1/2) and NNGP of a ReLU network with one hidden layer."""
    del random
    ends = nc.collapse(X, y, [nc.NTK("relu"), nc.NNGP("relu")], convention="papyan")
    yield "ReLU NTK", ends[0]
    yield "ReLU K(1/2)", nc.blend(ends, [0.5, 0.5])
    yield "ReLU NNGP", ends[1]


curve, stored = measured("nc1", CURVE), measured("nc1", STORED)
at_ends = together(
    curve.at(s=0).over(measured("nc1", "NTK"), "s"),
    curve.at(s=1).over(measured("nc1", "NNGP"), "s"),
)


def monotone(cells: Sequence[MeasuredCell]) -> list[JudgedCell]:
    """Each draw of a curve: HOLDS if its steps are all up or all down, but for equal ones."""
    found = []
    for line in lines(cells, "s"):
        first, last = line[min(line)], line[max(line)]
        for repeat in first.draws:
            draw = [cell for cell in line.values() if repeat in cell.draws]
            steps = [
                high.paired(low, lambda a, b: a - b, errors=True).only(repeat)
                for low, high in itertools.pairwise(draw)
            ]
            ways = {one.word for one in signs(steps)} - {rules.EQUAL}
            word = rules.EQUAL if not ways else rules.FAILS if len(ways) > 1 else rules.HOLDS
            ratio = last.draws[repeat] / first.draws[repeat]
            found.append(JudgedCell(where(last), word, rules.Interval(ratio, ratio, ratio, 1)))
    return found


CLAIMS = (
    claim(
        "U1. The family ends at NTK and NNGP",
        "K(0) has the NC1 of the NTK and K(1) that of the NNGP, to 1e-12.",
        exact("relative difference", at_ends.relative_difference(), high=1e-12, digits=1),
    ),
    claim(
        "U2. One pass gives the whole curve",
        "At every s, NC1 from the sums of the two ends is that of the mixed Gram matrix, to 1e-12.",
        exact(
            "relative difference", curve.over(stored).relative_difference(), high=1e-12, digits=1
        ),
    ),
    claim(
        "U3. The curve is monotone",
        "NC1(s) is monotone from the NTK to the NNGP.",
        Test("NC1(NNGP)/NC1(NTK)", curve, monotone),
    ),
)

FIGURES = (
    Figure(
        "along-s",
        "NC1 between the NTK and the NNGP. K(s) = (1 - s) NTK + s NNGP on D1; each curve from the "
        "class sums of its two ends alone.",
        x="s",
        x_name="s: share of the NNGP",
        y_name="NC1",
        lines=(Lines(curve, by=("activation", "depth")),),
        columns="d0",
        title="d₀ = {}",
        axis="linear",
    ),
)

STUDY = experiment(
    __doc__,
    title="Between the NTK and the NNGP: a family of ours, after arXiv 2403.17467",
    parts=(mixtures, constructions_on_d1),
    presets={
        "quick": """
repeats: 3
parts:
  - {part: mixtures, shares: [0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1]}
  - {part: nc1}
""",
        "full": """
repeats: 10
parts:
  - part: mixtures
    activation: [relu, erf, gelu]
    depth: [2, 3, 5]
    d0: [1, 2, 8, 32, 128]
    n_samples: 256
    shares: [0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1]
  - {part: nc1}
""",
    },
    claims=CLAIMS,
    figures=FIGURES,
    ours="The family K(s) = (1 - s) NTK + s NNGP: the paper's formula was not read, any family "
    "from the NTK to the NNGP stands in for it.",
)
