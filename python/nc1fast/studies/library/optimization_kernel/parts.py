"""Unrolled proximal features (ours): the objective beside its least value, and Gram matrices and
NC1 beside the infinite width.

y <- h(D^T x + (I - D^T D) y) from y = 0, D D^T = I: T steps of `nc1fast.estimators.proximal_map`
down o(y) = |x - D y|^2/2 + R(y), and the kernel K_T = <y_T(x), y_T(x')>.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

import nc1fast as nc
from nc1fast.estimators.proximal_limit import wide_gram
from nc1fast.estimators.proximal_map import draw_proximal
from nc1fast.studies.experiment import Part
from nc1fast.studies.fields import Count, Number
from nc1fast.studies.library import on_d1
from nc1fast.studies.measures import Measure
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nc1fast.estimators.proximal_map import ProximalMap
    from nc1fast.studies.measures import Setting

    Array = NDArray[np.float64]

CODES, WIDE, NNGP = "codes (ours)", "infinite width (ours)", "ReLU NNGP"
RISE = "largest rise of the objective in a step"
SHARE = "T (o_T - o*) over |y*|²/2, largest"
BELOW = "largest fall below the least objective"
GAP, BOUND = "o_T - o*", "|y*|²/(2 T)"
GRAM = "relative distance from the kernel of infinite width"
MOVED = "NC1 over that of one step"

_CERTAIN = 1e-13  # of o(0): smaller gaps are rounding
_ON_D1 = 1024  # units

Prox = Literal["relu", "soft", "hard"]
Kinds = Annotated[tuple[Prox, ...], Field(min_length=1)]
Several = Annotated[tuple[Count, ...], Field(min_length=1)]
Threshold = Annotated[Number, Field(ge=0)]


def minimiser(x: Array, net: ProximalMap) -> Array:
    """The y (m,) of least o for one signal x (d0,), by the active sets of Lawson & Hanson; of a
    convex objective.

    ReLU: their NNLS. The soft threshold: D y = x - p, where p is the point next to x with |D^T p|
    <= s, which their LDP finds.
    """
    nnls = require("scipy.optimize", "study").nnls
    D = net.dictionary
    if net.prox == "relu":
        positive: Array = nnls(D, x)[0]
        return positive
    least = np.concatenate([D.T @ x, -D.T @ x]) - net.cut  # of [D, -D]^T D y
    system = np.vstack([np.hstack([D, -D]), least])
    z = nnls(system, np.eye(len(system))[-1])[0]
    plus, minus = np.split(z / (1 - least @ z), 2)
    found: Array = plus - minus
    return found


def limit(X: Array, prox: str, threshold: float, steps: int) -> Array:
    """K_T of infinite width.

    Notes
    -----
    ReLU: (2 - 2^(1 - T))^2 times the NNGP. The soft threshold is relu(u - t) - relu(-u - t), and u
    is symmetric: after one step 2 N(x, x') - 2 N(x, -x') with N the NNGP of relu(u - t). Others by
    `nc1fast.estimators.proximal_limit.wide_gram`.
    """
    if prox == "relu":
        grown: Array = (2 - 2.0 ** (1 - steps)) ** 2 * nc.NNGP("relu")(X)
        return grown
    if prox == "soft" and steps == 1:
        one_sided = nc.NNGP(nc.ShiftedReLU(threshold))
        both: Array = 2 * (one_sided(X) - one_sided(X, -X))
        return both
    return wide_gram(X, prox=prox, steps=steps, threshold=threshold)


class ProximalDescents(Part):
    """The objective along the steps, for standard normal rows, beside its least value where it is
    convex.

    What is measured of a step is relative to o(0), row by row.
    """

    grid: ClassVar[tuple[str, ...]] = ("prox", "d0", "m")
    libraries: ClassVar[tuple[str, ...]] = ("scipy.optimize",)

    part: Literal["descents"]
    prox: Kinds = ("relu", "soft", "hard")
    d0: Several = (16,)
    m: Several = (24, 32, 128)
    threshold: Threshold = 1.0
    n_samples: Count = 16
    steps: Count = 200
    shown: Several = (1, 2, 5, 10, 20, 50, 100, 200)

    def seconds(self, setting: Setting) -> float:
        """Of steps in small matrices, and of one active set a row."""
        m, d0 = int(setting["m"]), int(setting["d0"])
        return 0.01 + self.steps * (3e-5 + 4e-10 * self.n_samples * m * (d0 + 20)) + 1e-6 * m * d0

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """The largest rise; where o is convex, the gap to its least value and the bound on it."""
        prox, d0, m = str(setting["prox"]), int(setting["d0"]), int(setting["m"])
        X = random.standard_normal((self.n_samples, d0))
        net = draw_proximal(
            d0, m, prox=prox, threshold=self.threshold, seed=int(random.integers(1 << 32))
        )
        steps = itertools.islice(net.iterates(X), self.steps)
        path = np.array([net.objective(X, y) for y in (np.zeros((len(X), m)), *steps)])
        start = path[0]
        yield Measure(CODES, RISE, float((np.diff(path, axis=0) / start).max()))
        if prox == "hard":
            return
        best = np.array([minimiser(x, net) for x in net.signals(X)])
        gap = (path - net.objective(X, best))[1:]
        bound = np.square(best).sum(axis=1) / 2 / np.arange(1, self.steps + 1)[:, None]
        some = bound.min(axis=0) > 0  # elsewhere 0 is best
        yield Measure(CODES, SHARE, float((gap[:, some] / bound[:, some]).max(initial=0.0)))
        yield Measure(CODES, BELOW, float((-gap / start).max()))
        for T in self.shown:
            if self.steps >= T and (mean := float((gap[T - 1] / start).mean())) > _CERTAIN:
                yield Measure(CODES, GAP, mean, at={"T": T})
                yield Measure(CODES, BOUND, float((bound[T - 1] / start).mean()), at={"T": T})


class ProximalLimits(Part):
    """K_T and its NC1 on two classes N(-1, I) and N(+1, I), after several numbers of steps, of
    several widths and of infinite width.
    """

    grid: ClassVar[tuple[str, ...]] = ("prox", "d0")

    part: Literal["limits"]
    prox: Kinds = ("relu", "soft", "hard")
    d0: Several = (16,)
    m: Several = (32, 512, 20000)
    threshold: Threshold = 1.0
    n_samples: Annotated[int, Field(ge=4, multiple_of=2)] = 100
    steps: Several = (1, 2, 5, 20)

    def seconds(self, setting: Setting) -> float:
        """Of the steps, of D, and of Hermite series."""
        d0, n, m = int(setting["d0"]), self.n_samples, sum(self.m)
        series = 0.0 if setting["prox"] == "relu" else 3e-4 * n * len(self.steps)
        return 0.02 + 1e-10 * n * m * (d0 + 80) * max(self.steps) + 1.5e-9 * m * d0**2 + series

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """The same rows for all widths, and one dictionary of each for all numbers of steps."""
        prox, d0 = str(setting["prox"]), int(setting["d0"])
        sizes = [self.n_samples // 2] * 2
        X, y = nc.datasets.gaussian_mixture(
            [-1.0, 1.0], 1.0, sizes, d0, int(random.integers(1 << 32))
        )
        exact = nc.collapse(X, y, nc.NNGP("relu"), convention="papyan")
        yield Measure(NNGP, "nc1", exact.nc1, exact.error_bound)
        limits = {T: limit(X, prox, self.threshold, T) for T in sorted({1, *self.steps})}
        wide = {T: nc.collapse(K, y, "precomputed", convention="papyan") for T, K in limits.items()}
        yield from self._along(WIDE, wide)
        for m in self.m:
            net = draw_proximal(
                d0, m, prox=prox, threshold=self.threshold, seed=int(random.integers(1 << 32))
            )
            found = {}
            for T, codes in enumerate(itertools.islice(net.iterates(X), max(limits)), 1):
                if T not in limits:
                    continue
                found[T] = nc.collapse(codes, y, convention="papyan")
                distance = np.linalg.norm(codes @ codes.T - limits[T]) / np.linalg.norm(limits[T])
                yield Measure(CODES, GRAM, float(distance), at={"m": m, "T": T})
            yield from self._along(CODES, found, m=m)

    def _along(self, thing: str, found: dict[int, Any], **at: int) -> Iterator[Measure]:
        """NC1 along the steps, and over that of the first."""
        for T in self.steps:
            one = found[T]
            yield Measure(thing, "nc1", one.nc1, one.error_bound, {**at, "T": T})
            yield Measure(thing, MOVED, one.nc1 / found[1].nc1, at={**at, "T": T})


class UnrolledOnD1(on_d1.OnD1):
    """Codes after one step and after twenty, of 1,024 units, beside the NNGP."""

    seconds_each: ClassVar[float] = 0.1

    def constructions(
        self, X: Array, y: NDArray[Any], random: np.random.Generator
    ) -> Iterator[tuple[str, Any]]:
        """ReLU and the soft threshold."""
        seed = int(random.integers(1 << 32))
        yield NNGP, nc.collapse(X, y, nc.NNGP("relu"), convention="papyan")
        for prox, name in (("relu", "ReLU codes"), ("soft", "sparse codes")):
            net = draw_proximal(X.shape[1], _ON_D1, prox=prox, seed=seed)
            for T, codes in enumerate(itertools.islice(net.iterates(X), 20), 1):
                if T in (1, 20):
                    yield f"{name}, T = {T}", nc.collapse(codes, y, convention="papyan")
