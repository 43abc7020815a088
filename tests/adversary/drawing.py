"""How a problem is drawn: one description of the families, for the dice of NumPy and of
hypothesis.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import hypothesis.strategies as st
import numpy as np
from tests.adversary.problems import TWISTS, Adapted, Problem

import nc1fast as nc
from nc1fast.core.activations import has_ntk
from nc1fast.metrics import CONVENTIONS
from nc1fast.shortcuts import shortcut_of

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

DTYPES = ("float64", "float64", "float32", "mixed")
ACTIVATIONS: tuple[Any, ...] = (
    *(name for name in nc.activations(elementary=True) if name != "leaky_relu"),
    nc.LeakyReLU(),
    nc.LeakyReLU(0.2),
    nc.LeakyReLU(-0.5),
    nc.LeakyReLU(3.0),
)
FAMILIES = {  # shares, of 20
    "benign": 5,
    "nasty data": 5,
    "nasty kernel": 4,
    "both": 3,
    "shortcut": 3,
    "composite": 0,  # sums and products of kernels, of problems of their own
}


class Dice(Protocol):
    """Who draws."""

    def pick(self, options: Sequence[T]) -> T: ...
    def whole(self, low: int, high: int) -> int: ...
    def power(self, low: float, high: float) -> float:
        """10^u of three digits, u between two exponents."""
        ...


class Numpy:
    """The dice of a seeded generator."""

    def __init__(self, seed: Sequence[int]) -> None:
        self.rng = np.random.default_rng(seed)

    def pick(self, options: Sequence[T]) -> T:
        return options[self.rng.integers(len(options))]

    def whole(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def power(self, low: float, high: float) -> float:
        return float(f"{10 ** self.rng.uniform(low, high):.3g}")


class Hypothesis:
    """The dice of hypothesis, which remembers and shrinks what fails."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw

    def pick(self, options: Sequence[T]) -> T:
        return self.draw(st.sampled_from(options))

    def whole(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def power(self, low: float, high: float) -> float:
        return float(f"{10 ** self.draw(st.floats(low, high)):.3g}")


def composite_problem(index: int, seed: int = 0) -> Problem:
    """The problem with this number among those of composite kernels."""
    return drawn(Numpy((seed, index)), "composite")


def problem(index: int, seed: int = 0) -> Problem:
    """The problem of a number."""
    return drawn(Numpy([seed, index]))


@st.composite
def problems(draw: Any, family: str | None = None) -> Problem:
    """Problems of a family, or of all."""
    return drawn(Hypothesis(draw), family)


def drawn(dice: Dice, family: str | None = None) -> Problem:
    """One problem of a family, or of any."""
    if family is None:
        family = dice.pick([name for name, share in FAMILIES.items() for _ in range(share)])
    shortcut = family == "shortcut"
    nasty_data = family in ("nasty data", "both") or (shortcut and dice.pick((False, True)))
    nasty_kernel = family in ("nasty kernel", "both") or (shortcut and dice.pick((False, True)))
    n_features = dice.pick((1, 2)) if shortcut else dice.pick((1, 2, 3, 8, 40))
    if family == "composite":
        nasty_data, nasty_kernel = dice.pick((False, True)), dice.pick((False, False, True))
        kernel = _composite(dice, n_features, nasty=nasty_kernel)
    else:
        kernel = _kernel(dice, n_features, nasty=nasty_kernel)
    if shortcut and shortcut_of(_built(kernel), n_features) is None:
        kernel = nc.Linear(dice.power(-0.3, 0.3), dice.pick((0.0, 0.3)))
    settings: dict[str, Any] = {
        "dtype": "float64" if shortcut else dice.pick(DTYPES),
        "convention": dice.pick(tuple(CONVENTIONS)) if dice.pick((False, True)) else "papyan",
        "single": dice.pick((False, False, True)),
        "seed": dice.whole(0, 999_999),
        "method": "shortcut" if shortcut else "exact",
    }
    if nasty_data:
        settings |= _nasty_data(dice, kernel, single=settings["single"])
    else:
        settings["spread"] = dice.power(-2, 0)
    return Problem(kernel, _sizes(dice, kernel), n_features, **settings, family=family)


def _built(kernel: Any) -> Any:
    return kernel.kernel() if isinstance(kernel, Adapted) else kernel


def _sizes(dice: Dice, kernel: Any) -> tuple[int, ...]:
    """Sizes of classes: few rows for deep kernels, sometimes many, as a panel of the pass has up to
    16.
    """
    deep = getattr(kernel, "depth", 2) > 12
    n_classes = dice.pick((2, 2, 3) if deep else (2, 2, 3, 3, 4, 5))
    most = 3 if deep else dice.pick((2, 5, 5, 5, 5, 5, 5, 5, 5, 24 // n_classes + 8))
    sizes = [dice.whole(1, most) for _ in range(n_classes)]
    return (sizes[0] + 1, *sizes[1:])


def _nasty_data(dice: Dice, kernel: Any, *, single: bool) -> dict[str, Any]:
    reach = dice.pick((0, 0, 3, 8, 8, 45, 150))
    if single:
        reach = min(reach, 30)
    if getattr(kernel, "activation", None) in ("exp", "relu2"):
        reach = min(reach, 3)
    length = dice.power(-reach, reach)
    spread = dice.power(*dice.pick(((-3, 0), (-8, -3), (-15, -8))))
    names = [dice.pick(tuple(TWISTS)) for _ in range(dice.pick((0, 1, 1, 1, 2)))]
    twists = tuple((name, _amount(dice, name)) for name in names)
    for name, amount in twists:  # rows stay within 1e-150 ... 1e150
        if name in ("shifted", "offset"):
            length = float(f"{length / amount:.3g}")
        elif name in ("norms", "short class") and length < 1e-100:
            length = float(f"{length * amount:.3g}")
    return {"length": length, "spread": spread, "twists": twists}


def _amount(dice: Dice, twist: str) -> float:
    if twist in ("zeros", "grid"):
        return float(dice.whole(1, 4))
    if twist in ("norms", "short class"):
        return dice.power(1, 16)
    if twist in ("shifted", "offset"):
        return dice.power(0, 12)
    return dice.pick((0.0, 1.0, 1.0)) * dice.power(-16, -3)


def _variances(dice: Dice, depth: int, low: float, high: float) -> Any:
    """One number, or one per layer."""
    if dice.pick((False, True)):
        return dice.power(low, high)
    return tuple(dice.power(low, high) for _ in range(depth))


def _kernel(dice: Dice, n_features: int, *, nasty: bool) -> Any:
    activation = dice.pick(ACTIVATIONS)
    if dice.pick((False, False, True)):
        activation = dice.pick(("relu", "erf"))
    depth, low, high = dice.whole(2, 6), -0.3, 0.3
    if nasty:
        depth = round(dice.power(math.log10(2), math.log10(64)))
        low, high = dice.pick(((-1, 1), (0, 2), (-4, 4)))
    if activation == "exp":  # deeper or larger, it leaves the range of float64
        depth, low, high = min(depth, 3), min(low, -1), -0.7
    if activation == "relu2":
        depth, high = min(depth, 5), min(high, 0.3)
    weights, biases = _variances(dice, depth, low, high), 0.0
    if dice.pick((False, True)):
        biases = _variances(dice, depth, *((low, high) if nasty else (-1.5, -0.3)))
    if isinstance(biases, tuple):
        biases = tuple(dice.pick((0.0, 1.0, 1.0)) * b for b in biases)
    kinds = ["NNGP", "NNGP", "NNGP", "NTK", "NTK", "NTK", "standard", "standard", "Conjugate"]
    kind = dice.pick([*kinds, "Linear", "adapted", "features"])
    if not has_ntk(activation) and kind in ("NTK", "standard"):
        kind = "NNGP"
    if kind == "features":
        return dice.pick((None, "precomputed"))
    if kind == "Linear":
        return nc.Linear(*(v[0] if isinstance(v, tuple) else v for v in (weights, biases)))
    if kind == "adapted":
        condition = dice.power(0, 12 if nasty else 1)
        return Adapted(activation, n_features, dice.power(low, high), condition, dice.whole(0, 99))
    if kind in ("NTK", "standard"):
        return _tangent(dice, activation, depth, weights, biases, standard=kind == "standard")
    family = nc.NNGP if kind == "NNGP" else nc.ConjugateKernel
    return family(activation, depth, weights, biases)


def _composite(dice: Dice, n_features: int, *, nasty: bool) -> Any:
    """A sum, product, power or multiple of two or three kernels of networks."""

    def leaf() -> Any:
        while True:
            kernel = _kernel(dice, n_features, nasty=nasty)
            if isinstance(kernel, nc.kernels.Kernel) and kernel.depth < 12:
                return kernel

    parts = [leaf() for _ in range(dice.pick((1, 2, 2, 3)))]
    if dice.pick((False, True)):
        parts[0] = dice.power(-2, 2) * parts[0]
    if len(parts) == 1 or dice.pick((False, False, True)):
        parts[-1] = parts[-1] ** dice.whole(2, 5)
    out = parts[0]
    for part in parts[1:]:
        out = out * part if dice.pick((False, True)) else out + part
    return out


def _tangent(
    dice: Dice, activation: Any, depth: int, weights: Any, biases: Any, *, standard: bool
) -> nc.NTK:
    train = dice.pick((None, True, False))
    if not standard:
        return nc.NTK(activation, depth, weights, biases, train_bias=train)
    width: Any = round(dice.power(0, 3))
    if dice.pick((False, True)):
        width = tuple(round(dice.power(0, 3)) for _ in range(depth - 1))
    return nc.NTK(activation, depth, weights, biases, "standard", width, train)
