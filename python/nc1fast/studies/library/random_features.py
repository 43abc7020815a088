"""random-features: How many random features of the NTK give its collapse, and how many its
predictions?

Random features H of a ReLU NTK, H H^T ~ K, those of `nc1fast.estimators.ntk_features`: the Gram
matrix, NC1, and ridge regression, against those of the kernel.

Source: Zandieh et al. (2021), arXiv 2106.07880.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

import nc1fast as nc
from nc1fast.studies.experiment import grid, nc1_on_d1, part
from nc1fast.studies.fields import Count, Positive
from nc1fast.studies.figures import palette
from nc1fast.studies.figures.looks import Look
from nc1fast.studies.figures.measured import Figure, Lines
from nc1fast.studies.findings.measured import claim, mean
from nc1fast.studies.library.entry import experiment
from nc1fast.studies.measures import Measure
from nc1fast.studies.quantities import measured
from nc1fast.support.extras import require

Array = NDArray[np.float64]
Rows = NDArray[np.intp]

FEATURES = "random features"
FROBENIUS, NC1 = "relative error of the Gram matrix", "relative error of NC1"
SPECTRAL = "eps of the spectral approximation"
PREDICTIONS = "relative error of the predictions"
SQUARES = "mean squared error over that of the kernel"
EXCESS = "test error above that of the kernel"


# What is measured


def drawn(data: str, n: int, d0: int, random: np.random.Generator) -> tuple[Array, NDArray[Any]]:
    """Four classes of n/4 rows. "unit means": the means are random unit vectors, the noise has
    variance 1/d0 in each direction; "D2": -6, -2, 2 and 6 in every direction, deviation 1/2.
    """
    seed, sizes = int(random.integers(1 << 32)), [n // 4] * 4
    if data == "D2":
        return nc.datasets.gaussian_mixture((-6, -2, 2, 6), 0.5, sizes, d0, seed)
    means = random.standard_normal((4, d0))
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return nc.datasets.gaussian_mixture(means, d0**-0.5, sizes, seed=seed)


def seconds(p: Any) -> float:
    """Of the features, of both Gram matrices, and of an eigendecomposition for each ridge."""
    deep, n = p.depth - 2, p.n_samples / 1200
    return float(n * (6e-5 * p.m + deep * 2.8e-8 * p.m**2) + n**2 * 3e-5 * p.m + 0.25 * n**3)


@part("features", seconds=seconds, libraries=("scipy.linalg",))
def features(
    random: np.random.Generator,
    *,
    data: Literal["D2", "unit means"] = grid("D2", "unit means"),
    d0: Count = grid(128),
    depth: Annotated[int, Field(ge=2)] = grid(2, 3),
    sampling: Literal["stratified", "plain"] = grid("stratified"),
    m: Count = grid(512, 2048, 8192),
    n_samples: Annotated[int, Field(ge=8, multiple_of=8)] = 1200,
    ridges: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.1, 0.01, 0.001),
) -> Iterator[Measure]:
    """Draw m random features of an NTK, half of whose rows are to be predicted by ridge regression;
    ridges are relative to the mean diagonal of K.
    """
    X, y = drawn(data, n_samples, d0, random)
    kernel, seed = nc.NTK("relu", depth), int(random.integers(1 << 32))
    H = nc.estimators.ntk_features(X, kernel, m, seed, sampling=sampling)
    ratio = nc.collapse(H, y, convention="papyan").nc1
    ratio /= nc.collapse(X, y, kernel, convention="papyan").nc1
    K, G = kernel(X), H @ H.T
    yield Measure(FEATURES, FROBENIUS, float(np.linalg.norm(G - K) / np.linalg.norm(K)))
    yield Measure(FEATURES, NC1, abs(ratio - 1))
    halves = halved(y, random)
    for share in ridges:
        ridge, at = share * float(K.diagonal().mean()), {"ridge": share}
        among = np.ix_(halves[0], halves[0])
        yield Measure(FEATURES, SPECTRAL, spectral_error(K[among], G[among], ridge), at=at)
        exact, found = (predictions(A, y, halves, ridge) for A in (K, G))
        error = float(np.linalg.norm(found - exact) / np.linalg.norm(exact))
        yield Measure(FEATURES, PREDICTIONS, error, at=at)
        squares = [float(np.square(f - targets(y)[halves[1]]).mean()) for f in (found, exact)]
        wrong = [float((f.argmax(axis=1) != y[halves[1]]).mean()) for f in (found, exact)]
        yield Measure(FEATURES, SQUARES, squares[0] / squares[1], at=at)
        yield Measure(FEATURES, EXCESS, wrong[0] - wrong[1], at=at)


def halved(y: NDArray[Any], random: np.random.Generator) -> tuple[Rows, Rows]:
    """Rows to fit and rows to predict: halves of each class, at random; classes stand one after the
    other and are alike in size.
    """
    places = [random.permutation(np.flatnonzero(y == label)) for label in np.unique(y)]
    first, second = (np.concatenate([p[half::2] for p in places]) for half in (0, 1))
    return first, second


def targets(y: NDArray[Any]) -> Array:
    """One-hot labels less their mean, (n, C)."""
    n_classes = int(y.max()) + 1
    return np.asarray(np.eye(n_classes)[y] - 1 / n_classes)


def predictions(K: Array, y: NDArray[Any], halves: tuple[Rows, Rows], ridge: float) -> Array:
    """K(Z, X) (K + ridge I)^-1 Y for the other rows Z."""
    linalg, (fitted, others) = require("scipy.linalg", "prediction"), halves
    A = K[np.ix_(fitted, fitted)] + ridge * np.eye(len(fitted))
    dual = linalg.cho_solve(linalg.cho_factor(A), targets(y)[fitted])
    return np.asarray(K[np.ix_(others, fitted)] @ dual)


def spectral_error(K: Array, G: Array, ridge: float) -> float:
    """The least eps with (1 - eps) (K + ridge I) <= G + ridge I <= (1 + eps) (K + ridge I), the
    guarantee of a spectral approximation of Zandieh et al. (2021).
    """
    linalg, shift = require("scipy.linalg", "prediction"), ridge * np.eye(len(K))
    return float(np.abs(linalg.eigh(G + shift, K + shift, eigvals_only=True) - 1).max())


@nc1_on_d1(seconds=0.3)
def constructions_on_d1(
    X: Array, y: NDArray[Any], random: np.random.Generator
) -> Iterator[tuple[str, Any]]:
    """The ReLU NTK of two hidden layers, and 2,048 random features of it."""
    kernel = nc.NTK("relu", 3)
    yield "ReLU NTK, depth 3", nc.collapse(X, y, kernel, convention="papyan")
    H = nc.estimators.ntk_features(X, kernel, 2048, int(random.integers(1 << 32)))
    yield "2,048 features of it", nc.collapse(H, y, convention="papyan")


# What is claimed

many: Any = {"m": 8192, "sampling": "stratified"}  # at which numbers are held to what is promised
gram = measured(FROBENIUS)

CLAIMS = (
    claim(
        "RF1. Features have the Gram matrix of the NTK",
        "|H Hᵀ - K|_F is at most 6 % of |K|_F at m = 8,192.",
        mean("relative error", gram.at(**many), high=0.06),
    ),
    claim(
        "RF2. The error falls as m^-1/2",
        "|H Hᵀ - K|_F falls as m^-1/2 (exponent within .1) for independent weights, and no slower "
        "than m^-0.4 for those stratified along class means.",
        mean("exponent (plain)", gram.at(sampling="plain").power("m"), -0.6, -0.4, 2),
        mean(
            "exponent (stratified)", gram.at(sampling="stratified").power("m"), high=-0.4, digits=2
        ),
    ),
    claim(
        "RF3. Features collapse as the NTK does",
        "NC1 of the features is within 3 % of that of the kernel at m = 8,192.",
        mean("relative error", measured(NC1, **many), high=0.03),
    ),
    claim(
        "RF4. The approximation is spectral",
        "The least eps with (1 - eps)(K + λI) ≤ H Hᵀ + λI ≤ (1 + eps)(K + λI) falls with every "
        "step of m; λ is in units of the mean diagonal of K.",
        mean("eps over that of the next smaller m", measured(SPECTRAL).steps("m"), high=1.0),
    ),
    claim(
        "RF5. Ridge regression needs far more features than NC1",
        "At the same m, NC1 of the features is at least three times as accurate as the predictions "
        "of ridge regression on them: at the rate m^-1/2 these need nine times the features.",
        mean(
            "relative error of NC1 over that of the predictions",
            measured(PREDICTIONS).over(measured(NC1), "ridge").inverse(),
            high=1 / 3,
            digits=2,
        ),
    ),
    claim(
        "RF6. Features match the accuracy of the kernel",
        "A linear regressor on m = 8,192 features errs on at most 1 % of the test rows more than "
        "the NTK itself.",
        mean("test error above that of the kernel", measured(EXCESS, **many), high=0.01, digits=2),
    ),
)

# What is drawn


def by_ridge(quantity: str, what: str) -> Lines:
    """A curve for each ridge, the smaller the darker."""
    query = measured(quantity, sampling="stratified")
    return Lines(query, "ridge", what + ", λ = {}", descending=True)


def against_m(name: str, caption: str, y_name: str, *lines: Lines, **look: Any) -> Figure:
    """A panel for each kind of data and depth."""
    return Figure(
        name,
        caption,
        x="m",
        x_name="m: random features",
        y_name=y_name,
        lines=lines,
        columns=("data", "d0", "depth"),
        **look,
    )


FIGURES = (
    against_m(
        "errors",
        "Relative errors of random features of the NTK. Gram matrix in Frobenius' norm, NC1, and "
        "predictions of ridge regression for other rows, against those of the kernel; λ in units "
        "of the mean diagonal of K.",
        "relative error",
        Lines(gram.at(sampling="stratified"), look=Look("Gram matrix", palette.NTK, "s")),
        Lines(measured(NC1, sampling="stratified"), look=Look("NC1", palette.NNGP, "o", "--")),
        by_ridge(PREDICTIONS, "ridge regression"),
        height=3.4,
    ),
    against_m(
        "spectral",
        "Spectral approximation by random features. The least eps with (1 - eps)(K + λI) ≤ H Hᵀ + "
        "λI ≤ (1 + eps)(K + λI).",
        "eps",
        by_ridge(SPECTRAL, "eps"),
        height=3.0,
        reference=1.0,
    ),
)

STUDY = experiment(
    __doc__,
    title="Random features of neural tangent kernels, after arXiv 2106.07880",
    parts=(features, constructions_on_d1),
    presets={
        "quick": """
repeats: 3
parts:
  - {part: features}
  - {part: nc1}
""",
        "full": """
repeats: 6
parts:
  - part: features
    sampling: [stratified, plain]
    m: [512, 2048, 8192, 16384]
  - {part: nc1}
""",
    },
    claims=CLAIMS,
    figures=FIGURES,
    ours="Of the two factors of Theta kdot one is sketched, the random unit is left as it is; the "
    "paper sketches both.",
)
