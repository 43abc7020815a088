"""The activations: one entry each with phi, its derivative and its traits.

The dual activations, E[phi(u) phi(v)] and E[phi'(u) phi'(v)] of a Gaussian pair, are C++ structs in
cpp/nc1fast/activations.hpp, one each, under the same names: a test holds the two lists together. A
new activation is one struct there and one line of `_NAMED` here; everything else that depends on an
activation follows from the two.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np

from nc1fast.support.arguments import as_count, as_items, as_number, shown
from nc1fast.support.elementwise import ARRAYS, of_tensors
from nc1fast.support.plugins import PluginGroup, named_so

# f(functions, u), in relu, step, erf, ... of torch tensors or of NumPy arrays
Expression: TypeAlias = Callable[[Any, Any], Any]
ArrayFunction: TypeAlias = Callable[[Any], Any]


class Homogeneous(NamedTuple):
    """phi(u) = odd sign(u) |u|^degree + even |u|^degree.

    Products of an odd and an even part have no expectation over symmetric weights, so that kappa
    and kdot are odd^2 times those of the one and even^2 times those of the other.
    """

    degree: int
    odd: float
    even: float


class Series(NamedTuple):
    """A Hermite series: the ends of the smooth pieces of phi, and the number of coefficients."""

    kinks: tuple[float, ...] = ()
    n_terms: int = 64


@dataclass(frozen=True)
class Traits:
    """Shape of an activation phi, and the functions that evaluate it.

    Attributes
    ----------
    phi : Expression
    slope : Expression or None
        phi'; None for an activation that jumps, whose NTK is infinite on the diagonal.
    homogeneous : Homogeneous or None
    parity : int
        1 for an even phi, -1 for an odd one, 0 for neither.
    smooth : bool
        Whether phi is analytic, and the kernel therefore its polynomial interpolant to rounding.
    series : Series or None
        How its kernels are evaluated, where they have no formula.
    """

    phi: Expression
    slope: Expression | None
    homogeneous: Homogeneous | None = None
    parity: int = 0
    smooth: bool = False
    series: Series | None = None

    @property
    def halves(self) -> tuple[float, float] | None:
        """(odd, even) of phi(u) = odd u + even |u|; None for other activations."""
        if self.homogeneous is None or self.homogeneous.degree != 1:
            return None
        return self.homogeneous.odd, self.homogeneous.even


def _density(f: Any, u: Any) -> Any:
    """Density of the standard normal distribution."""
    return f.exp(-(u**2) / 2) / math.sqrt(2 * math.pi)


def _logistic(f: Any, u: Any) -> Any:
    """1/(1 + exp(-u)), for u of any size."""
    return (1 + f.tanh(u / 2)) / 2


def _elu(scale: float, below: float) -> Traits:
    """Traits of phi(u) = scale u for u > 0, and scale below (e^u - 1) for u <= 0."""
    return Traits(
        lambda f, u: scale * (f.relu(u) + below * f.expm1(-f.relu(-u))),
        lambda f, u: scale * f.where(u > 0, 1.0, below * f.exp(-f.relu(-u))),
        series=Series((0.0,)),
    )


_NAMED: dict[str, Traits] = {
    "relu": Traits(lambda f, u: f.relu(u), lambda f, u: f.step(u), Homogeneous(1, 0.5, 0.5)),
    "abs": Traits(
        lambda f, u: f.abs(u), lambda f, u: f.sign(u), Homogeneous(1, 0.0, 1.0), parity=1
    ),
    "step": Traits(lambda f, u: f.step(u), None, Homogeneous(0, 0.5, 0.5)),
    "sign": Traits(lambda f, u: f.sign(u), None, Homogeneous(0, 1.0, 0.0), parity=-1),
    "relu2": Traits(
        lambda f, u: f.relu(u) ** 2, lambda f, u: 2 * f.relu(u), Homogeneous(2, 0.5, 0.5)
    ),
    "erf": Traits(
        lambda f, u: f.erf(u),
        lambda f, u: 2 / math.sqrt(math.pi) * f.exp(-(u**2)),
        parity=-1,
        smooth=True,
    ),
    "probit": Traits(lambda f, u: f.ndtr(u), _density, smooth=True),
    "gelu": Traits(
        lambda f, u: u * f.ndtr(u), lambda f, u: f.ndtr(u) + u * _density(f, u), smooth=True
    ),
    "sin": Traits(lambda f, u: f.sin(u), lambda f, u: f.cos(u), parity=-1, smooth=True),
    "cos": Traits(lambda f, u: f.cos(u), lambda f, u: -f.sin(u), parity=1, smooth=True),
    "exp": Traits(lambda f, u: f.exp(u), lambda f, u: f.exp(u), smooth=True),
    "gaussian": Traits(
        lambda f, u: f.exp(-(u**2)), lambda f, u: -2 * u * f.exp(-(u**2)), parity=1, smooth=True
    ),
    "rbf": Traits(lambda f, u: f.sin(u) + f.cos(u), lambda f, u: f.cos(u) - f.sin(u), smooth=True),
    "tanh": Traits(
        lambda f, u: f.tanh(u), lambda f, u: 1 - f.tanh(u) ** 2, parity=-1, series=Series()
    ),
    "sigmoid": Traits(_logistic, lambda f, u: _logistic(f, u) * _logistic(f, -u), series=Series()),
    "softplus": Traits(
        lambda f, u: f.relu(u) + f.log1p(f.exp(-f.abs(u))), _logistic, series=Series()
    ),
    "silu": Traits(
        lambda f, u: u * _logistic(f, u),
        lambda f, u: _logistic(f, u) * (1 + u * _logistic(f, -u)),
        series=Series(),
    ),
    "elu": _elu(1.0, 1.0),
    "selu": _elu(1.0507009873554805, 1.6732632423543773),  # Klambauer et al. (2017)
    "hard_tanh": Traits(
        lambda f, u: f.relu(u + 1) - f.relu(u - 1) - 1,
        lambda f, u: f.step(u + 1) - f.step(u - 1),
        parity=-1,
        series=Series((-1.0, 1.0)),
    ),
    "relu6": Traits(
        lambda f, u: f.relu(u) - f.relu(u - 6),
        lambda f, u: f.step(u) - f.step(u - 6),
        series=Series((0.0, 6.0)),
    ),
}


class _Rectifier:
    """Base of the rectifiers that have one field, their parameter."""

    name: ClassVar[str]

    def __post_init__(self) -> None:
        ((name, value),) = vars(self).items()
        object.__setattr__(self, name, as_number(name, value, above=-1e6, below=1e6))

    def __str__(self) -> str:
        return f"{self.name}({self.parameter:g})"

    @property
    def parameter(self) -> float:
        """The number that the core takes beside the name."""
        (value,) = vars(self).values()
        return float(value)


@dataclass(frozen=True)
class LeakyReLU(_Rectifier):
    """The leaky rectifier phi(u) = max(u, slope u).

    Parameters
    ----------
    slope : float, default 0.01
        Slope on the negative side; 0 is ReLU, -1 the absolute value.
    """

    slope: float = 0.01
    name = "leaky_relu"

    @property
    def traits(self) -> Traits:
        """Its traits, which depend on the slope."""
        odd, even = (1 + self.slope) / 2, (1 - self.slope) / 2
        return Traits(
            lambda f, u: f.where(u > 0, u, self.slope * u),
            lambda f, u: f.where(u > 0, 1.0, self.slope),
            Homogeneous(1, odd, even),
        )


@dataclass(frozen=True)
class ShiftedReLU(_Rectifier):
    """The rectifier with a threshold, phi(u) = max(u - threshold, 0).

    Parameters
    ----------
    threshold : float, default 0.5
        0 is ReLU. A row whose pre-activations have standard deviation s is active with probability
        Q(threshold/s).

    Notes
    -----
    Its kernels need some 30 exponentials a pair, about 20 times the time of the ReLU. Thresholds of
    many s lose digits.
    """

    threshold: float = 0.5
    name = "shifted_relu"

    @property
    def traits(self) -> Traits:
        """Its traits, which depend on the threshold."""
        return Traits(
            lambda f, u: f.relu(u - self.threshold), lambda f, u: f.step(u - self.threshold)
        )


@dataclass(frozen=True, repr=False, eq=False)
class GeneralActivation:
    """An activation phi by a function: its kernels are Hermite series (`nc1fast.Activation`).

    Parameters
    ----------
    function : callable
        phi of an array of float64, entry by entry; arrays of any shape. For trained networks, of
        torch tensors too.
    name : str, keyword-only
        For tables.
    kinks : sequence of float, default ()
        Where phi or its derivative has a kink or a jump. Others are looked for.
    n_terms : int, default 64
        Hermite coefficients of a row, 8 to 510: N n_terms numbers once for each layer, 2 n_terms
        multiply-adds a pair. What they leave out enters `error_bound`: about n_terms^-1.5 of a
        kernel where phi has a kink, exponentially little where it is analytic and the
        pre-activations are not much larger than the scale of phi.

    Raises
    ------
    TypeError, ValueError
        For a function that does not map numbers to numbers, and n_terms out of range.

    Notes
    -----
    Two of them are equal if name, kinks, n_terms and the values of phi at 2,049 points are. The NTK
    needs a phi that does not jump. Pre-activations have standard deviations from 2^-24 to 2^12; a
    row of zeros without a bias is out of range.
    Source: Mehler (1866); Daniely, Frostig & Singer (2016).
    """

    function: ArrayFunction
    _: KW_ONLY
    name: str
    kinks: tuple[float, ...] = ()
    n_terms: int = 64

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise TypeError(f"function must be callable, got {shown(self.function)}")
        given: Any = self.name
        if not isinstance(given, str) or not given:
            raise TypeError(f"name must be a text, got {shown(given)}")
        kinks = tuple(as_number("kinks", k) for k in as_items("kinks", self.kinks, "numbers"))
        object.__setattr__(self, "kinks", kinks)
        object.__setattr__(self, "n_terms", as_count("n_terms", self.n_terms, 8, 510))
        _ = self._digest

    @cached_property
    def _digest(self) -> str:
        """A hash of the values of phi on a grid, on which phi is checked."""
        u = np.linspace(-32, 32, 2049)
        try:
            with np.errstate(all="ignore"):  # the values are checked below
                values = np.asarray(self.function(u))
        except Exception as error:  # of user code
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise ValueError(
                f"function must give phi of every entry of an array, but it raises {reason}"
            ) from error
        if values.shape != u.shape or values.dtype.kind not in "fiu":
            raise ValueError(
                "function must give one real number for each of an array, got shape "
                f"{values.shape} of {values.dtype} for {u.shape}"
            )
        if not np.isfinite(values).all():
            raise ValueError("function must be finite, but it gives NaN or Inf between -32 and 32")
        return hashlib.blake2b(values.astype(np.float64).tobytes(), digest_size=8).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GeneralActivation) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        given = f"name={self.name!r}, kinks={self.kinks}, n_terms={self.n_terms}"
        return f"Activation(<{self._digest}>, {given})"

    def __str__(self) -> str:
        return self.name

    @property
    def traits(self) -> Traits:
        """Its traits: a numerical derivative, and no symmetry assumed."""
        phi, step = self.function, 2.0**-18
        return Traits(
            lambda _, u: phi(u),
            lambda _, u: (phi(u + step) - phi(u - step)) / (2 * step),
            series=Series(self.kinks, self.n_terms),
        )


Activation: TypeAlias = str | LeakyReLU | ShiftedReLU | GeneralActivation

# Activations with a parameter, by name.
FAMILIES: dict[str, type[LeakyReLU | ShiftedReLU]] = {f.name: f for f in (LeakyReLU, ShiftedReLU)}


PLUGINS = PluginGroup(
    "activations", GeneralActivation, taken=lambda: {*_NAMED, *FAMILIES}, accept=named_so
)


def activations(*, elementary: bool = False) -> list[str]:
    """Names of the activations, sorted, with those of plug-ins.

    `"leaky_relu"` stands for `LeakyReLU()`, `"shifted_relu"` for `ShiftedReLU()`, the name of a
    plug-in for its `Activation`.

    Parameters
    ----------
    elementary : bool, default False
        Only those whose kernels are elementary functions of the three inner products of two rows.
    """
    if not elementary:
        return sorted([*_NAMED, *FAMILIES, *PLUGINS.offered()])
    return sorted([*(name for name, known in _NAMED.items() if known.series is None), "leaky_relu"])


def as_activation(activation: Activation) -> Activation:
    """Check an activation; the name of a family or of a plug-in becomes its object."""
    if isinstance(activation, (*FAMILIES.values(), GeneralActivation)):
        return activation
    if not isinstance(activation, str):
        raise TypeError(
            f"activation must be a name, as 'relu', or an activation object, "
            f"got {shown(activation)}; nc1fast.Activation(function, name=NAME) wraps a function"
        )
    if activation in FAMILIES:
        return FAMILIES[activation]()
    if activation not in _NAMED:
        if (found := PLUGINS.get(activation)) is not None:
            return found
        raise ValueError(
            f"unknown activation {shown(activation)}; choose from {', '.join(activations())}"
        )
    return activation


def traits(activation: Activation) -> Traits:
    """The traits of an activation that `as_activation` has checked."""
    return _NAMED[activation] if isinstance(activation, str) else activation.traits


def has_ntk(activation: Activation) -> bool:
    """Whether the NTK is finite: phi' is a function, not a distribution."""
    return traits(as_activation(activation)).slope is not None


def name_and_parameter(activation: Activation) -> tuple[str, float]:
    """The activation as the compiled core takes it: a name and one number, 0 where it has none."""
    if (series := traits(activation).series) is not None:
        return "series", float(series.n_terms)
    if isinstance(activation, LeakyReLU | ShiftedReLU):
        return activation.name, activation.parameter
    return str(activation), 0.0


def named(name: str, parameter: float) -> Activation:
    """The activation of the result of `name_and_parameter`."""
    return FAMILIES[name](parameter) if name in FAMILIES else name


def phi(activation: Activation) -> ArrayFunction:
    """The activation as a function of torch tensors (needs the `torch` extra)."""
    known, functions = traits(as_activation(activation)), of_tensors()
    return lambda u: known.phi(functions, u)


def of_arrays(activation: Activation) -> tuple[ArrayFunction, ArrayFunction | None]:
    """Phi and phi' as functions of NumPy arrays; erf, probit and gelu need scipy."""
    phi, slope = traits(activation).phi, traits(activation).slope
    return lambda u: phi(ARRAYS, u), None if slope is None else lambda u: slope(ARRAYS, u)
