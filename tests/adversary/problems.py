"""A problem as a short description that can be pasted as code."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

import nc1fast as nc

if TYPE_CHECKING:
    from collections.abc import Callable

Twists = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Adapted:
    """An AdaptiveKernel whose Sigma, of a condition number and a trace, follows from a seed."""

    activation: Any
    n_features: int
    trace: float = 1.0
    condition: float = 10.0
    seed: int = 0

    def kernel(self) -> nc.AdaptiveKernel:
        d = self.n_features
        basis, _ = np.linalg.qr(np.random.default_rng(self.seed).normal(size=(d, d)))
        values = np.geomspace(1, self.condition, d)
        sigma = (basis * (values * self.trace / values.sum())) @ basis.T
        return nc.AdaptiveKernel((sigma + sigma.T) / 2, self.activation)


# --- what is done to Gaussian classes: (rng, X, y, size), in place; `size` is the number of the
# twist ---


def _near(rng: np.random.Generator, X: np.ndarray, y: np.ndarray, size: float) -> None:
    """Half of the rows become neighbours of another row, of any class, at this relative
    distance.
    """
    for i in rng.permutation(len(X))[: (len(X) + 1) // 2]:
        j = rng.integers(len(X))
        X[i] = X[j] * (1 + size * rng.normal(size=X.shape[1]))


def _opposite(rng: np.random.Generator, X: np.ndarray, y: np.ndarray, size: float) -> None:
    """The same, of the negative of another row."""
    for i in rng.permutation(len(X))[: (len(X) + 1) // 2]:
        j = rng.integers(len(X))
        X[i] = -X[j] * (1 + size * rng.normal(size=X.shape[1]))


def _norms(rng: np.random.Generator, X: np.ndarray, y: np.ndarray, size: float) -> None:
    """Rows of very different lengths: each is divided by up to `size`."""
    X /= size ** rng.uniform(size=(len(X), 1))


def _short_class(rng: np.random.Generator, X: np.ndarray, y: np.ndarray, size: float) -> None:
    """One class is shorter by `size` than the others."""
    X[y == y[0]] /= size


def _collinear(rng: np.random.Generator, X: np.ndarray, y: np.ndarray, size: float) -> None:
    """All rows are multiples of one direction, up to this relative distance."""
    line = rng.normal(size=X.shape[1])
    X[:] = X[:, :1] * line * (1 + size * rng.normal(size=X.shape))


def _thin(rng: np.random.Generator, X: np.ndarray, y: np.ndarray, size: float) -> None:
    """Classes spread along one axis only; `size` of the spread is left of the others."""
    for label in np.unique(y):
        mean = X[y == label].mean(axis=0)
        offset = X[y == label] - mean
        offset[:, 1:] *= size
        X[y == label] = mean + offset


def _nested(rng: np.random.Generator, X: np.ndarray, y: np.ndarray, size: float) -> None:
    """Class means draw near to one of them, which is shrunk by `size`: a class inside another."""
    mean = X[y == y[0]].mean(axis=0)
    for label in np.unique(y)[1:]:
        here = X[y == label].mean(axis=0)
        X[y == label] += (mean - here) * (1 - size)
    X[y == y[0]] = mean + (X[y == y[0]] - mean) * size


def _shifted(rng: np.random.Generator, X: np.ndarray, y: np.ndarray, size: float) -> None:
    """A common offset of all rows, `size` times their length."""
    X += size * np.sqrt((X**2).mean()) * rng.choice([-1.0, 1.0], size=X.shape[1])


def _offset(rng: np.random.Generator, X: np.ndarray, y: np.ndarray, size: float) -> None:
    """A constant is added to every feature."""
    X += size


def _two(rng: np.random.Generator, X: np.ndarray, y: np.ndarray, size: float) -> None:
    """Two rows of the first class are neighbours."""
    X[1] = X[0] * (1 + size * rng.normal(size=X.shape[1]))


def _zeros(rng: np.random.Generator, X: np.ndarray, y: np.ndarray, size: float) -> None:
    """Some rows are zero."""
    X[rng.integers(len(X), size=max(1, round(size)))] = 0


def _grid(rng: np.random.Generator, X: np.ndarray, y: np.ndarray, size: float) -> None:
    """Rows of small whole multiples of one number: ties and equal rows."""
    unit = np.sqrt((X**2).mean()) / size
    X[:] = np.rint(X / unit) * unit if unit > 0 else X


TWISTS: dict[str, Callable[[np.random.Generator, np.ndarray, np.ndarray, float], None]] = {
    "near": _near,
    "opposite": _opposite,
    "norms": _norms,
    "short class": _short_class,
    "collinear": _collinear,
    "thin": _thin,
    "nested": _nested,
    "shifted": _shifted,
    "offset": _offset,
    "two": _two,
    "zeros": _zeros,
    "grid": _grid,
}


@dataclass(frozen=True)
class Problem:
    """Labelled rows, a kernel and what is asked of it."""

    kernel: Any  # None: explicit features; "precomputed": the Gram matrix of the rows
    sizes: tuple[int, ...]
    n_features: int
    length: float = 1.0  # of a feature
    spread: float = 1.0  # of classes about their means, relative to the length
    twists: Twists = ()
    seed: int = 0
    single: bool = False  # rows stored as float32
    dtype: str = "float64"
    convention: str = "papyan"
    method: str = "exact"
    family: str = field(default="", compare=False)

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """(X, y), rows of all classes in random order."""
        rng = np.random.default_rng(self.seed)
        y = np.repeat(np.arange(len(self.sizes)), self.sizes)
        X = rng.normal(size=(len(self.sizes), self.n_features))[y]
        X += self.spread * rng.normal(size=X.shape)
        for name, size in self.twists:
            TWISTS[name](rng, X, y, size)
        X *= self.length
        if self.single:
            X = X.astype(np.float32)
        order = rng.permutation(len(y))
        X, y = X[order], y[order]
        if isinstance(self.kernel, str):
            K = np.array(
                [[(a * b).sum() for b in X.astype(np.float64)] for a in X.astype(np.float64)]
            )
            return np.tril(K) + np.tril(K, -1).T, y
        return X, y

    def kernel_object(self) -> Any:
        return self.kernel.kernel() if isinstance(self.kernel, Adapted) else self.kernel

    def __repr__(self) -> str:
        defaults = {f.name: f.default for f in fields(self)}
        shown = ((f.name, getattr(self, f.name)) for f in fields(self))
        text = (f"{name}={_code(v)}" for name, v in shown if v != defaults[name])
        return f"Problem({', '.join(text)})"


def _code(value: Any) -> str:
    text = repr(value)
    for name in ("Linear(", "NNGP(", "NTK(", "ConjugateKernel(", "LeakyReLU("):
        text = text.replace(name, f"nc.{name}")
    return text
