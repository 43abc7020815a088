"""A problem as a short description that can be pasted as code, and how one is drawn: by NumPy, or by hypothesis."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

import nc1fast as nc
from nc1fast.shortcuts import shortcut_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
Twists = tuple[tuple[str, float], ...]

CONVENTIONS = ("papyan", "probe", "class", "sample", "released")
DTYPES = ("float64", "float32", "mixed")
ROOTED = ("sign", "step")  # without an NTK, and without a value at zero
ACTIVATIONS: tuple[Any, ...] = (
    *(name for name in nc.activations() if name != "leaky_relu"),
    nc.LeakyReLU(),
    nc.LeakyReLU(0.2),
    nc.LeakyReLU(-0.5),
    nc.LeakyReLU(3.0),
)


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


# --- what is done to Gaussian classes: (rng, X, y, size), in place; `size` is the number of the twist ---


def _near(rng: np.random.Generator, X: np.ndarray, y: np.ndarray, size: float) -> None:
    """Half of the rows become neighbours of another row, of any class, at this relative distance."""
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

    kernel: Any  # None: explicit features
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
        return X[order], y[order]

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


# --- drawing ---


class Dice(Protocol):
    """Who draws."""

    def pick(self, options: Sequence[T]) -> T: ...
    def whole(self, low: int, high: int) -> int: ...
    def power(self, low: float, high: float) -> float:
        """10^u, u uniform between two exponents; three digits."""
        ...


class Numpy:
    """Dice of a seeded generator."""

    def __init__(self, seed: Sequence[int]) -> None:
        self.rng = np.random.default_rng(seed)

    def pick(self, options: Sequence[T]) -> T:
        return options[self.rng.integers(len(options))]

    def whole(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def power(self, low: float, high: float) -> float:
        return float(f"{10 ** self.rng.uniform(low, high):.3g}")


FAMILIES = {  # shares, of 20
    "benign": 5,
    "nasty data": 5,
    "nasty kernel": 4,
    "both": 3,
    "shortcut": 3,
}


def problem(index: int, seed: int = 0) -> Problem:
    """The problem of a number; the same for ever."""
    return draw(Numpy([seed, index]))


def draw(dice: Dice, family: str | None = None) -> Problem:
    """One problem of a family, or of any."""
    if family is None:
        family = dice.pick([name for name, share in FAMILIES.items() for _ in range(share)])
    shortcut = family == "shortcut"
    nasty_data = family in ("nasty data", "both") or (shortcut and dice.pick((False, True)))
    nasty_kernel = family in ("nasty kernel", "both") or (shortcut and dice.pick((False, True)))
    n_features = dice.pick((1, 2)) if shortcut else dice.pick((1, 2, 3, 8, 40))
    kernel = _kernel(dice, n_features, nasty=nasty_kernel)
    deep = getattr(kernel, "depth", 2) > 12
    n_classes = dice.pick((2, 2, 3) if deep else (2, 2, 3, 3, 4, 5))
    sizes = tuple(dice.whole(1, 3 if deep else 5) for _ in range(n_classes))
    sizes = (sizes[0] + 1, *sizes[1:])  # one class of more than a row
    settings: dict[str, Any] = {
        "dtype": dice.pick(DTYPES),
        "convention": dice.pick(CONVENTIONS) if dice.pick((False, True)) else "papyan",
        "single": dice.pick((False, False, True)),
        "seed": dice.whole(0, 999_999),
    }
    data = _nasty_data(dice, kernel, **settings) if nasty_data else _benign_data(dice)
    if shortcut:
        settings |= {"method": "shortcut", "dtype": "float64"}
        if (
            shortcut_of(kernel.kernel() if isinstance(kernel, Adapted) else kernel, n_features)
            is None
        ):
            kernel = nc.Linear(1.5, dice.pick((0.0, 0.3)))
    return Problem(kernel, sizes, n_features, **data, **settings, family=family)


def _benign_data(dice: Dice) -> dict[str, Any]:
    return {"spread": dice.power(-2, 0)}


def _nasty_data(dice: Dice, kernel: Any, *, single: bool, dtype: str, **_: Any) -> dict[str, Any]:
    reach = dice.pick((0, 0, 3, 8, 8, 45, 150))
    if single:
        reach = min(reach, 30)
    if "exp" in str(getattr(kernel, "activation", "")) or "relu2" in repr(kernel):
        reach = min(reach, 3)
    twists = []
    for _ in range(dice.pick((0, 1, 1, 1, 2))):
        name = dice.pick(tuple(TWISTS))
        if name == "zeros":
            size = float(dice.whole(1, 3))
        elif name in ("norms", "short class"):
            size = dice.power(1, 16)
        elif name in ("shifted", "offset"):
            size = dice.power(0, 12)
        elif name == "grid":
            size = float(dice.whole(1, 4))
        else:
            size = dice.pick((0.0, dice.power(-16, -3)))
        twists.append((name, size))
    return {
        "length": dice.power(-reach, reach),
        "spread": dice.power(*dice.pick(((-3, 0), (-8, -3), (-15, -8)))),
        "twists": tuple(twists),
    }


def _variances(dice: Dice, depth: int, low: float, high: float) -> Any:
    """One number, or one per layer."""
    if dice.pick((False, True)):
        return dice.power(low, high)
    return tuple(dice.power(low, high) for _ in range(depth))


def _kernel(dice: Dice, n_features: int, *, nasty: bool) -> Any:
    activation = dice.pick(("relu", "erf")) if dice.pick((0, 0, 1)) else dice.pick(ACTIVATIONS)
    kinds = ("NNGP", "NNGP", "NTK", "NTK", "standard", "Conjugate", "Linear", "adapted", "features")
    kind = dice.pick(kinds)
    depth = dice.whole(2, 6)
    low, high = -0.3, 0.3
    if nasty:
        depth = round(dice.power(math.log10(2), math.log10(64)))
        low, high = dice.pick(((-1, 1), (0, 2), (-4, 4)))
    if activation in ("exp", "relu2"):  # which would leave the range of float64
        depth = min(depth, 3 if activation == "exp" else 5)
        low, high = min(low, -1), min(high, -0.7 if activation == "exp" else 0.3)
    weights = _variances(dice, depth, low, high)
    biases: Any = 0.0
    if dice.pick((False, True)):
        span = (low, high) if nasty else (-1.5, -0.3)
        biases = _variances(dice, depth, *span)
        if isinstance(biases, tuple):
            biases = tuple(dice.pick((0.0, b, b)) for b in biases)
    if kind == "features":
        return None
    if kind == "Linear":
        one = [v[0] if isinstance(v, tuple) else v for v in (weights, biases)]
        return nc.Linear(*one)
    if kind == "adapted":
        scale = dice.power(low, high)
        return Adapted(
            activation, n_features, scale, dice.power(0, 6 if nasty else 1), dice.whole(0, 99)
        )
    if kind == "Conjugate":
        return nc.ConjugateKernel(activation, depth, weights, biases)
    if kind == "NNGP" or activation in ROOTED:
        return nc.NNGP(activation, depth, weights, biases)
    train = dice.pick((None, True, False))
    if kind == "NTK":
        return nc.NTK(activation, depth, weights, biases, train_bias=train)
    width: Any = round(dice.power(0, 3))
    if dice.pick((False, True)):
        width = tuple(round(dice.power(0, 3)) for _ in range(depth - 1))
    return nc.NTK(
        activation,
        depth,
        weights,
        biases,
        parametrization="standard",
        width=width,
        train_bias=train,
    )
