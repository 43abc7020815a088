"""Random features H of a ReLU NTK, H H^T ~ K: the Gram matrix, NC1, and ridge regression, against
those of the kernel.

The features are those of `nc1fast.estimators.ntk_features`. The paper sketches both factors of
Theta kdot; there one factor is sketched and the random unit is left as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

import nc1fast as nc
from nc1fast.studies.experiment import Part
from nc1fast.studies.fields import Count, Positive
from nc1fast.studies.library import on_d1
from nc1fast.studies.measures import Measure
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nc1fast.studies.measures import Setting

    Array = NDArray[np.float64]

FEATURES = "random features"
FROBENIUS, NC1 = "relative error of the Gram matrix", "relative error of NC1"
SPECTRAL = "eps of the spectral approximation"
PREDICTIONS, SQUARES, EXCESS = (
    "relative error of the predictions",
    "mean squared error over that of the kernel",
    "test error above that of the kernel",
)

_LINE, _SPREAD = (-6, -2, 2, 6), 0.5  # of D2
_ON_D1 = 2048  # features

Several = Annotated[tuple[Count, ...], Field(min_length=1)]
Depths = Annotated[tuple[Annotated[int, Field(ge=2)], ...], Field(min_length=1)]
Data = Literal["D2", "unit means"]
Sampling = Literal["stratified", "plain"]


class Features(Part):
    """m random features of an NTK on four classes, half of whose rows are to be predicted.

    Ridges are relative to the mean diagonal of K. "unit means": the class means are random unit
    vectors, the noise has variance 1/d0 in each direction. "D2": the means are -6, -2, 2 and 6 in
    every direction, the standard deviation is 1/2.
    """

    grid: ClassVar[tuple[str, ...]] = ("data", "d0", "depth", "sampling", "m")
    libraries: ClassVar[tuple[str, ...]] = ("scipy.linalg",)

    part: Literal["features"]
    data: Annotated[tuple[Data, ...], Field(min_length=1)] = ("D2", "unit means")
    d0: Several = (128,)
    depth: Depths = (2, 3)
    sampling: Annotated[tuple[Sampling, ...], Field(min_length=1)] = ("stratified",)
    m: Several = (512, 2048, 8192)
    n_samples: Annotated[int, Field(ge=8, multiple_of=8)] = 1200
    ridges: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.1, 0.01, 0.001)

    def seconds(self, setting: Setting) -> float:
        """Of the features, of both Gram matrices, and of an eigendecomposition for each ridge."""
        m, deep, n = int(setting["m"]), int(setting["depth"]) - 2, self.n_samples / 1200
        return n * (6e-5 * m + deep * 2.8e-8 * m**2) + n**2 * 3e-5 * m + 0.25 * n**3

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """How far the features are from the kernel, on the rows and on the rows to predict."""
        X, y = _rows(str(setting["data"]), self.n_samples, int(setting["d0"]), random)
        kernel = nc.NTK("relu", int(setting["depth"]))
        seed, sampling = int(random.integers(1 << 32)), str(setting["sampling"])
        H = nc.estimators.ntk_features(X, kernel, int(setting["m"]), seed, sampling=sampling)
        exact = nc.collapse(X, y, kernel, convention="papyan").nc1
        found = nc.collapse(H, y, convention="papyan").nc1
        K, G = kernel(X), H @ H.T
        yield Measure(FEATURES, FROBENIUS, float(np.linalg.norm(G - K) / np.linalg.norm(K)))
        yield Measure(FEATURES, NC1, abs(found / exact - 1))
        split = _Split.of(y, random)
        for share in self.ridges:
            yield from split.compared(K, G, share)


@dataclass(frozen=True)
class _Split:
    """Rows to fit and rows to predict, as many of each class in both, with targets: one-hot labels
    less their mean.
    """

    fitted: NDArray[np.intp]
    others: NDArray[np.intp]
    y: NDArray[np.int64]

    @classmethod
    def of(cls, y: NDArray[Any], random: np.random.Generator) -> _Split:
        """Halves of each class, at random; classes stand one after the other and are alike in size."""
        places = [random.permutation(np.flatnonzero(y == label)) for label in np.unique(y)]
        halves = [np.concatenate([p[part::2] for p in places]) for part in (0, 1)]
        return cls(halves[0], halves[1], y)

    def targets(self, rows: NDArray[np.intp]) -> Array:
        """One-hot labels less their mean, (n, C)."""
        n_classes = int(self.y.max()) + 1
        return np.eye(n_classes)[self.y[rows]] - 1 / n_classes

    def predictions(self, K: Array, ridge: float) -> Array:
        """K(Z, X) (K + ridge I)^-1 Y for the other rows Z."""
        linalg = require("scipy.linalg", "prediction")
        A = K[np.ix_(self.fitted, self.fitted)] + ridge * np.eye(len(self.fitted))
        dual = linalg.cho_solve(linalg.cho_factor(A), self.targets(self.fitted))
        return np.asarray(K[np.ix_(self.others, self.fitted)] @ dual)

    def compared(self, K: Array, G: Array, share: float) -> Iterator[Measure]:
        """Ridge regression with G = H H^T against that with K."""
        ridge, at = share * float(K.diagonal().mean()), {"ridge": share}
        among = np.ix_(self.fitted, self.fitted)
        eps = spectral_error(K[among], G[among], ridge)
        yield Measure(FEATURES, SPECTRAL, eps, at=at)
        exact, found = self.predictions(K, ridge), self.predictions(G, ridge)
        yield Measure(
            FEATURES,
            PREDICTIONS,
            float(np.linalg.norm(found - exact) / np.linalg.norm(exact)),
            at=at,
        )
        Y, labels = self.targets(self.others), self.y[self.others]
        squares = [float(np.square(f - Y).mean()) for f in (found, exact)]
        wrong = [float((f.argmax(axis=1) != labels).mean()) for f in (found, exact)]
        yield Measure(FEATURES, SQUARES, squares[0] / squares[1], at=at)
        yield Measure(FEATURES, EXCESS, wrong[0] - wrong[1], at=at)


def spectral_error(K: Array, G: Array, ridge: float) -> float:
    """The least eps with (1 - eps) (K + ridge I) <= G + ridge I <= (1 + eps) (K + ridge I).

    Notes
    -----
    Cost: a generalised symmetric eigenvalue problem, some 5 n^3 multiply-adds.
    Source: Zandieh et al. (2021), the guarantee of a spectral approximation.
    """
    linalg = require("scipy.linalg", "prediction")
    shift = ridge * np.eye(len(K))
    return float(np.abs(linalg.eigh(G + shift, K + shift, eigvals_only=True) - 1).max())


def _rows(data: str, n: int, d0: int, random: np.random.Generator) -> tuple[Array, NDArray[Any]]:
    """Rows of four classes of n/4 each."""
    seed, sizes = int(random.integers(1 << 32)), [n // 4] * 4
    if data == "D2":
        return nc.datasets.gaussian_mixture(_LINE, _SPREAD, sizes, d0, seed)
    means = random.standard_normal((4, d0))
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return nc.datasets.gaussian_mixture(means, d0**-0.5, sizes, seed=seed)


class FeaturesOnD1(on_d1.OnD1):
    """An NTK and random features of it."""

    seconds_each: ClassVar[float] = 0.3

    def constructions(
        self, X: Array, y: NDArray[Any], random: np.random.Generator
    ) -> Iterator[tuple[str, Any]]:
        """The ReLU NTK of two hidden layers, and 2,048 random features of it."""
        kernel = nc.NTK("relu", 3)
        yield "ReLU NTK, depth 3", nc.collapse(X, y, kernel, convention="papyan")
        H = nc.estimators.ntk_features(X, kernel, _ON_D1, int(random.integers(1 << 32)))
        yield f"{_ON_D1:,} features of it", nc.collapse(H, y, convention="papyan")
