"""optimization-kernel: What do layers that are steps of an optimisation descend, and how does their
collapse depend on their number?

The features y <- h(D^T x + (I - D^T D) y), steps towards the least o(y) = |x - D y|^2/2 + R(y), and
their Gram matrix K_T after T steps (`nc1fast.estimators.proximal_map`).

Source: Lyu & Tsang (2021), arXiv 2106.06097.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

import nc1fast as nc
from nc1fast.estimators.proximal_limit import wide_gram
from nc1fast.estimators.proximal_map import ProximalMap, draw_proximal
from nc1fast.studies.experiment import grid, nc1_on_d1, part
from nc1fast.studies.fields import Count, Number
from nc1fast.studies.figures.looks import THEORY
from nc1fast.studies.figures.measured import Figure, Lines
from nc1fast.studies.findings.measured import claim, exact, mean
from nc1fast.studies.library.entry import experiment
from nc1fast.studies.measures import Measure
from nc1fast.studies.quantities import measured, together
from nc1fast.support.extras import require

Array = NDArray[np.float64]
Prox = Literal["relu", "soft", "hard"]
Threshold = Annotated[Number, Field(ge=0)]
Several = Annotated[tuple[Count, ...], Field(min_length=1)]

CODES, WIDE, NNGP = "codes (ours)", "infinite width (ours)", "ReLU NNGP"
RISE = "largest rise of the objective in a step"
SHARE = "T (o_T - o*) over |y*|²/2, largest"
BELOW = "largest fall below the least objective"
GAP, BOUND = "o_T - o*", "|y*|²/(2 T)"
GRAM = "relative distance from the kernel of infinite width"
MOVED = "NC1 over that of one step"
NAMES = {"relu": "ReLU", "soft": "soft threshold", "hard": "hard threshold"}


# What is measured


def minimiser(x: Array, net: ProximalMap) -> Array:
    """The y (m,) of least o for one signal x (d0,), by the active sets of Lawson & Hanson; of a
    convex objective.

    ReLU: their NNLS. The soft threshold: D y = x - p, where p is the point next to x with |D^T p|
    <= s, which their LDP finds.
    """
    nnls, D = require("scipy.optimize", "study").nnls, net.dictionary
    if net.prox == "relu":
        return np.asarray(nnls(D, x)[0])
    least = np.concatenate([D.T @ x, -D.T @ x]) - net.cut  # of [D, -D]^T D y
    system = np.vstack([np.hstack([D, -D]), least])
    z = nnls(system, np.eye(len(system))[-1])[0]
    plus, minus = np.split(z / (1 - least @ z), 2)
    return np.asarray(plus - minus)


def limit(X: Array, prox: str, threshold: float, steps: int) -> Array:
    """K_T of infinite width.

    ReLU: (2 - 2^(1 - T))^2 times the NNGP. The soft threshold is relu(u - t) - relu(-u - t), and u
    is symmetric: after one step 2 N(x, x') - 2 N(x, -x') with N the NNGP of relu(u - t). Others by
    `nc1fast.estimators.proximal_limit.wide_gram`.
    """
    if prox == "relu":
        return np.asarray((2 - 2.0 ** (1 - steps)) ** 2 * nc.NNGP("relu")(X))
    if prox == "soft" and steps == 1:
        one_sided = nc.NNGP(nc.ShiftedReLU(threshold))
        return np.asarray(2 * (one_sided(X) - one_sided(X, -X)))
    return wide_gram(X, prox=prox, steps=steps, threshold=threshold)


def descent_seconds(p: Any) -> float:
    """Of steps in small matrices, and of one active set a row."""
    step = 3e-5 + 4e-10 * p.n_samples * p.m * (p.d0 + 20)
    return float(0.01 + p.steps * step + 1e-6 * p.m * p.d0)


@part("descents", seconds=descent_seconds, libraries=("scipy.optimize",))
def descents(
    random: np.random.Generator,
    *,
    prox: Prox = grid("relu", "soft", "hard"),
    d0: Count = grid(16),
    m: Count = grid(24, 32, 128),
    threshold: Threshold = 1.0,
    n_samples: Count = 16,
    steps: Count = 200,
    shown: Several = (1, 2, 5, 10, 20, 50, 100, 200),
) -> Iterator[Measure]:
    """The objective along the steps for standard normal rows, relative to o(0), row by row: its
    largest rise; where it is convex, the gap to its least value and the bound on it.
    """
    X, seed = random.standard_normal((n_samples, d0)), int(random.integers(1 << 32))
    net = draw_proximal(d0, m, prox=prox, threshold=threshold, seed=seed)
    along = itertools.islice(net.iterates(X), steps)
    path = np.array([net.objective(X, y) for y in (np.zeros((n_samples, m)), *along)])
    start = path[0]
    yield Measure(CODES, RISE, float((np.diff(path, axis=0) / start).max()))
    if prox == "hard":
        return
    best = np.array([minimiser(x, net) for x in net.signals(X)])
    gap = (path - net.objective(X, best))[1:]
    bound = np.square(best).sum(axis=1) / 2 / np.arange(1, steps + 1)[:, None]
    some = bound.min(axis=0) > 0  # elsewhere 0 is best
    yield Measure(CODES, SHARE, float((gap[:, some] / bound[:, some]).max(initial=0.0)))
    yield Measure(CODES, BELOW, float((-gap / start).max()))
    for T in shown:
        middle = float((gap[T - 1] / start).mean()) if steps >= T else 0.0
        if middle > 1e-13:  # smaller gaps are rounding
            yield Measure(CODES, GAP, middle, at={"T": T})
            yield Measure(CODES, BOUND, float((bound[T - 1] / start).mean()), at={"T": T})


def limit_seconds(p: Any) -> float:
    """Of the steps, of D, and of Hermite series."""
    n, m = p.n_samples, sum(p.m)
    series = 0.0 if p.prox == "relu" else 3e-4 * n * len(p.steps)
    return float(0.02 + 1e-10 * n * m * (p.d0 + 80) * max(p.steps) + 1.5e-9 * m * p.d0**2 + series)


@part("limits", seconds=limit_seconds)
def limits(
    random: np.random.Generator,
    *,
    prox: Prox = grid("relu", "soft", "hard"),
    d0: Count = grid(16),
    m: Several = (32, 512, 20000),
    threshold: Threshold = 1.0,
    n_samples: Annotated[int, Field(ge=4, multiple_of=2)] = 100,
    steps: Several = (1, 2, 5, 20),
) -> Iterator[Measure]:
    """K_T and its NC1 on two classes N(-1, I) and N(+1, I), after several numbers of steps: of
    infinite width, and of several widths with one dictionary each, on the same rows.
    """
    sizes, seed = [n_samples // 2] * 2, int(random.integers(1 << 32))
    X, y = nc.datasets.gaussian_mixture([-1.0, 1.0], 1.0, sizes, d0, seed)
    exact = nc.collapse(X, y, nc.NNGP("relu"), convention="papyan")
    yield Measure(NNGP, "nc1", exact.nc1, exact.error_bound)
    wide = {T: limit(X, prox, threshold, T) for T in sorted({1, *steps})}
    results = {T: nc.collapse(K, y, "precomputed", convention="papyan") for T, K in wide.items()}
    yield from along_steps(WIDE, results, steps)
    for width in m:
        seed = int(random.integers(1 << 32))
        net = draw_proximal(d0, width, prox=prox, threshold=threshold, seed=seed)
        results = {}
        for T, codes in enumerate(itertools.islice(net.iterates(X), max(wide)), 1):
            if T in wide:
                results[T] = nc.collapse(codes, y, convention="papyan")
                distance = np.linalg.norm(codes @ codes.T - wide[T]) / np.linalg.norm(wide[T])
                yield Measure(CODES, GRAM, float(distance), at={"m": width, "T": T})
        yield from along_steps(CODES, results, steps, m=width)


def along_steps(
    thing: str, results: dict[int, Any], steps: tuple[int, ...], **at: int
) -> Iterator[Measure]:
    """NC1 along the steps, and over that of the first."""
    for T in steps:
        one = results[T]
        yield Measure(thing, "nc1", one.nc1, one.error_bound, {**at, "T": T})
        yield Measure(thing, MOVED, one.nc1 / results[1].nc1, at={**at, "T": T})


@nc1_on_d1(seconds=0.1)
def constructions_on_d1(
    X: Array, y: NDArray[Any], random: np.random.Generator
) -> Iterator[tuple[str, Any]]:
    """Codes of 1,024 units after one step and after twenty, of ReLU and of the soft threshold,
    beside the NNGP.
    """
    seed = int(random.integers(1 << 32))
    yield NNGP, nc.collapse(X, y, nc.NNGP("relu"), convention="papyan")
    for prox, name in (("relu", "ReLU codes"), ("soft", "sparse codes")):
        net = draw_proximal(X.shape[1], 1024, prox=prox, seed=seed)
        for T, codes in enumerate(itertools.islice(net.iterates(X), 20), 1):
            if T in (1, 20):
                yield f"{name}, T = {T}", nc.collapse(codes, y, convention="papyan")


# What is claimed

gram = measured(GRAM, m=20000)
one, later = gram.at(T=1), gram.at(T=lambda T: T > 1)
moved = measured(MOVED, CODES, m=20000, T=lambda T: T > 1)
moved_wide = measured(MOVED, WIDE, T=lambda T: T > 1)

CLAIMS = (
    claim(
        "OP1. The objective never rises",
        "With D Dᵀ = I, o(y) = |x - D y|²/2 + R(y) never rises from a step to the next by more "
        "than rounding, 1e-12 of o(0), be it convex (ReLU, soft threshold) or not (hard "
        "threshold).",
        exact("rise over o(0)", measured(RISE), high=1e-12, digits=1),
    ),
    claim(
        "OP2. The rate is 1/T or better",
        "Convex objectives converge as 1/T: T (o_T - o*) <= |y*|²/2 at every T, with o* and y* "
        "from active sets; no o_T lies below o* by more than 1e-12 of o(0).",
        exact("T (o_T - o*) over the bound", measured(SHARE), high=1.0),
        exact("fall below o* over o(0)", measured(BELOW), high=1e-12, digits=1),
    ),
    claim(
        "OP3. One step is the NNGP",
        "After one step of ReLU K_1 is the NNGP of a ReLU network with one hidden layer, within 2 "
        "% in Frobenius' norm at 20,000 units; after one of the soft threshold, that of its "
        "activation, relu(u - t) - relu(-u - t).",
        mean("mean distance", one.at(prox=("relu", "soft")), high=0.02),
    ),
    claim(
        "OP4. More steps scale it",
        "At infinite width each step of ReLU halves what is left of x, so that y_T = (2 - 2^(1 - "
        "T)) relu(D^T x) and K_T is (2 - 2^(1 - T))² times the NNGP: within 3 % at 20,000 units. "
        "(Ours.)",
        mean("mean distance", later.at(prox="relu"), high=0.03),
    ),
    claim(
        "OP5. NC1 hardly moves with T",
        "With ReLU, NC1 of K_T is within 1 % of that of K_1 at 20,000 units, however many steps "
        "are taken. (Ours: a factor does not change NC1.)",
        mean("NC1(K_T)/NC1(K_1)", moved.at(prox="relu"), 0.99, 1.01, digits=5),
    ),
    claim(
        "OP6. NC1 of sparse codes rises with T",
        "With the soft threshold NC1 of K_T is above that of K_1, on two classes N(-1, I) and "
        "N(+1, I), after any number of steps, at 20,000 units and at infinite width: what a unit "
        "does after several steps is no multiple of what it does after one. (Ours.)",
        mean("NC1(K_T)/NC1(K_1)", together(moved, moved_wide).at(prox="soft"), low=1.0, digits=5),
    ),
    claim(
        "OP7. Sparse codes have a limit",
        "Sparse codes have a kernel of infinite width as well, that of a hidden layer whose "
        "activation depends on |x| and T: within 7 % at 20,000 units after several steps. (Ours.)",
        mean("mean distance", later.at(prox=("soft", "hard")), high=0.07),
    ),
)

# What is drawn

FIGURES = (
    Figure(
        "descent",
        "How far the objective is above its least value after T steps. Means over rows and draws; "
        "pale bands are the bounds |y*|²/(2 T), and what is within rounding of o* is left out.",
        x="T",
        x_name="T: steps",
        y_name="(o_T - o*)/o(0)",
        lines={
            name: (
                Lines(measured(GAP, prox=prox), "m", "{} units"),
                Lines(measured(BOUND, prox=prox), "m", "{} units", theory=True),
            )
            for prox, name in NAMES.items()
        },
        axis="log2",
    ),
    Figure(
        "nc1",
        "NC1 of unrolled proximal features after T steps. Two classes N(-1, I) and N(+1, I); pale "
        "bands are infinite width. A construction of ours; each row of panels has a scale of its "
        "own.",
        x="T",
        x_name="T: steps",
        y_name="NC1",
        lines={
            name: (
                Lines(measured("nc1", CODES, prox=prox), "m", "{} units"),
                Lines(measured("nc1", WIDE, prox=prox), look=THEORY, theory=True),
            )
            for prox, name in NAMES.items()
        },
        rows="d0",
        row_title=", d₀ = {}",
        axis="log2",
        height=2.8,
        own_scales=True,
    ),
)

STUDY = experiment(
    __doc__,
    title="Kernels of unrolled optimisation: a construction of ours, after arXiv 2106.06097",
    parts=(descents, limits, constructions_on_d1),
    presets={
        "quick": """
repeats: 6
parts:
  - {part: descents}
  - {part: limits}
  - {part: nc1, repeats: 3}
""",
        "full": """
repeats: 20
parts:
  - {part: descents, m: [20, 24, 32, 128, 1024], n_samples: 32}
  - {part: limits, m: [32, 128, 512, 2048, 8192, 20000]}
  - {part: limits, d0: [128], m: [256, 2048, 20000]}
  - {part: nc1, repeats: 10}
""",
    },
    claims=CLAIMS,
    figures=FIGURES,
    ours="The features y <- h(D^T x + (I - D^T D) y) and their kernel: the paper's formula was not "
    "read.",
)
