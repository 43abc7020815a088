"""recurrent-kernel: Is the RNTK the tangent kernel of wide recurrent networks, and does it collapse
along time?

The kernels of recurrent ReLU networks after one step, beside networks with tied weights, and along
the length of sequences.

Source: Alemohammad, Wang, Balestriero & Baraniuk (2021), arXiv 2006.10246.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import nc1fast as nc
from nc1fast.studies.experiment import grid, nc1_on_d1, part
from nc1fast.studies.fields import Count, Variance
from nc1fast.studies.figures import palette
from nc1fast.studies.figures.looks import Look
from nc1fast.studies.figures.measured import Figure, Lines
from nc1fast.studies.findings import rules
from nc1fast.studies.findings.measured import JudgedCell, Range, Test, claim, exact, signs, where
from nc1fast.studies.library.entry import experiment
from nc1fast.studies.measures import Measure, MeasuredCell
from nc1fast.studies.quantities import measured

Array = NDArray[np.float64]

NNGP, NTK = "recurrent NNGP", "recurrent NTK"
KERNELS = {NNGP: nc.RecurrentNNGP, NTK: nc.RecurrentNTK}
ENTRY = "entry over its limit"
FROM_RELU = "largest relative difference from the ReLU kernel"
FROM_STORED = "relative difference of NC1 from the stored Gram matrix"
FEATURES = 3  # of a step


# What is measured


@part("one step", seconds=lambda _: 0.01)
def one_step(
    random: np.random.Generator, *, bias_variance: Variance = grid(0.0, 0.5), n_samples: Count = 64
) -> Iterator[Measure]:
    """Sequences of one step, beside NNGP and NTK of the shallow ReLU network with biases: entry by
    entry, relative to the largest entry of its row.
    """
    X = random.normal(size=(n_samples, FEATURES))
    for name, kind in KERNELS.items():
        shallow = (nc.NTK if name == NTK else nc.NNGP)(
            "relu", weight_variance=(0.7, 1.3), bias_variance=(bias_variance, 0.0)
        )
        kernel = kind(input_variance=0.7, bias_variance=bias_variance, readout_variance=1.3)
        K, expected = kernel(X[:, None, :]), shallow(X)
        yield Measure(name, FROM_RELU, float((np.abs(K - expected) / expected.max(1)).max()))


@part("tied networks", seconds=lambda p: 0.02 + 1.0e-7 * p.width**2, libraries=("torch",))
def tied_networks(
    random: np.random.Generator, *, lengths: str = grid("4:4", "3:5"), width: Count = 1000
) -> Iterator[Measure]:
    """The two entries of one network with tied weights over those of its limit, on two sequences of
    these lengths, which are the same for all repeats.
    """
    import torch

    steps, fixed = [int(n) for n in lengths.split(":")], np.random.default_rng(0)
    base = fixed.normal(size=(max(steps), FEATURES))  # alike, so that entries are of order 1
    x, z = (base[-n:] + 0.5 * fixed.normal(size=(n, FEATURES)) for n in steps)
    variances: Any = {"weight_variance": 1.5, "bias_variance": 0.1}
    seed = int(random.integers(1 << 32))
    network = nc.networks.RecurrentNetwork(FEATURES, width=width, seed=seed, **variances)
    with torch.no_grad():
        h, k = (network.features(torch.from_numpy(s[None])).numpy()[0] for s in (x, z))
    tangent = nc.networks.empirical_ntk(network, x[None], z[None])[0, 0]
    for name, entry in ((NNGP, h @ k / width), (NTK, tangent)):
        limit = KERNELS[name](**variances)([x], [z])[0, 0]
        yield Measure(name, ENTRY, float(entry / limit))


@part("lengths", seconds=lambda p: 0.02 + 1e-7 * p.n_samples**2 * p.T)
def along_lengths(
    random: np.random.Generator,
    *,
    weight_variance: Variance = grid(0.5, 2.0),
    T: Count = grid(1, 2, 4, 8, 16),
    n_samples: Count = 200,
) -> Iterator[Measure]:
    """NC1 of two classes of sequences of T/2 to T steps N(+-1/4, I), streamed and from the stored
    Gram matrix.
    """
    y = np.repeat([-1, 1], n_samples // 2)
    lengths = random.integers((T + 1) // 2, T + 1, size=len(y))
    X = [
        random.normal(0.25 * label, 1, size=(n, FEATURES))
        for label, n in zip(y, lengths, strict=True)
    ]
    for name, kind in KERNELS.items():
        kernel = kind(weight_variance=weight_variance, bias_variance=0.1)
        result = nc.collapse(X, y, kernel, convention="papyan")
        yield Measure(name, "nc1", result.nc1, result.error_bound)
        yield Measure(name, FROM_STORED, abs(result.nc1 / nc1_of(kernel(X), y) - 1))


def nc1_of(K: Array, y: NDArray[Any]) -> float:
    """NC1 of a Gram matrix of equal classes, as it is defined: by means of its blocks."""
    classes = np.unique(y)
    means = np.array([[K[np.ix_(y == a, y == b)].mean() for b in classes] for a in classes])
    between = np.trace(means) / len(classes) - means.mean()
    return float((K.trace() / len(K) - np.trace(means) / len(classes)) / between)


@nc1_on_d1(seconds=0.5)
def constructions_on_d1(
    X: Array, y: NDArray[Any], random: np.random.Generator
) -> Iterator[tuple[str, Any]]:
    """Each row of D1 as one step of d0 features, and as d0 steps of one feature; sw^2 = 2 keeps the
    length of states.
    """
    del random
    readings = {"one step": X[:, None, :], "a step for each feature": X[:, :, None]}
    for reading, sequences in readings.items():
        kernels = [kind(weight_variance=2.0) for kind in KERNELS.values()]
        results = nc.collapse(sequences, y, kernels, convention="papyan")
        for name, result in zip(KERNELS, results, strict=True):
            yield f"{name}, {reading}", result


# What is claimed

DEVIATIONS, DRAWS = 3, 150  # standard errors of the mean from the limit; networks, for a word


def within_errors(cells: Sequence[MeasuredCell]) -> list[JudgedCell]:
    """Standard errors by which the mean of a cell deviates from 1."""
    found = []
    for cell in cells:
        ratios = list(cell.draws.values())
        if len(ratios) > 1:
            error = statistics.stdev(ratios) / math.sqrt(len(ratios))
            score = abs(statistics.fmean(ratios) - 1) / error
            few = len(ratios) < DRAWS
            word = rules.TOO_FEW if few else Range(high=DEVIATIONS).word(score, score)
            found.append(
                JudgedCell(where(cell), word, rules.Interval(score, score, score, len(ratios)))
            )
    return found


def longer_is_less_collapsed(cells: Sequence[MeasuredCell]) -> list[JudgedCell]:
    """Each kernel and weight variance, by the signs of its draws."""
    found = []
    for cell in cells:
        word, _ = rules.of_draws([one.word for one in signs([cell])])
        found.append(JudgedCell(where(cell), word, cell.mean()))
    return found


CLAIMS = (
    claim(
        "RK1. One step is the shallow network",
        "On sequences of one step both kernels are those of the shallow ReLU network with biases, "
        "to 1e-12.",
        exact("relative difference", measured(FROM_RELU), high=1e-12, digits=1),
    ),
    claim(
        "RK2. Finite networks have these limits",
        "The kernel of last states, and the inner product of gradients, of tied-weight networks "
        f"tend to the recurrent NNGP and NTK: the mean of {DRAWS} networks or more is within "
        f"{DEVIATIONS} standard errors of them.",
        Test("standard errors", measured(ENTRY), within_errors, 2),
    ),
    claim(
        "RK3. Tiles give the NC1 of the matrix",
        "NC1 from tiles is that of the stored Gram matrix to 1e-10, with sequences of different "
        "lengths.",
        exact("relative difference", measured(FROM_STORED), high=1e-10, digits=1),
    ),
    claim(
        "RK4. Longer sequences are less collapsed (ours)",
        "NC1 of the longest sequences is above that of the shortest, for both kernels and all "
        "weight variances: they have more evidence of their class, and more that differs within "
        "it.",
        Test(
            "NC1 of the longest less that of the shortest",
            measured("nc1", part="lengths").ends("T", difference=True),
            longer_is_less_collapsed,
        ),
    ),
)

# What is drawn

FIGURES = (
    Figure(
        "along-length",
        "NC1 of recurrent kernels against the length of sequences. Two classes of sequences of T/2 "
        "to T steps, whose steps differ in their mean by half a standard deviation for each "
        "feature.",
        x="T",
        x_name="T: longest sequence",
        y_name="NC1",
        lines=(
            Lines(measured("nc1", NNGP, part="lengths"), look=Look(NNGP, palette.NNGP, "o")),
            Lines(measured("nc1", NTK, part="lengths"), look=Look(NTK, palette.NTK, "s")),
        ),
        columns="weight_variance",
        title="weight variance {}",
    ),
)

STUDY = experiment(
    __doc__,
    title="The recurrent neural tangent kernel, after arXiv 2006.10246",
    parts=(one_step, tied_networks, along_lengths, constructions_on_d1),
    presets={
        "quick": """
repeats: 160
parts:
  - {part: one step, repeats: 3}
  - {part: tied networks, width: 300}
  - {part: lengths, repeats: 3}
  - {part: nc1, repeats: 3}
""",
        "full": """
repeats: 300
parts:
  - {part: one step, bias_variance: [0, 0.1, 1], repeats: 10}
  - {part: tied networks, width: 1500, lengths: ["4:4", "3:5", "1:6", "8:8"]}
  - {part: lengths, weight_variance: [0.5, 1, 2, 3], T: [1, 2, 4, 8, 16, 32],
     n_samples: 400, repeats: 10}
  - {part: nc1, repeats: 10}
""",
    },
    claims=CLAIMS,
    figures=FIGURES,
)
