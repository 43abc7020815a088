"""Kernels as the compiled core takes them: chains, plain data about one recursion over layers,
shared by several kernels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from nc1fast import _core
from nc1fast.core.activations import Activation, name_and_parameter
from nc1fast.core.series import SeriesTable, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

COVARIANCE, TANGENT = False, True  # what an output is taken from: Q, or Theta
MOST_HIDDEN = 63  # hidden layers that the core has room for
HIDDEN = -1  # position of an output that is only a leaf of expressions
_ACTIVATIONS = _core.activations()  # by name: whether it has a jump, or a kink, at 0
_SCALED = ("series", "shifted_relu")  # what is known of them begins above a variance of 0

# (level, COVARIANCE or TANGENT, scale, constant): of a covariance, scale Q^{level-1} + constant.
Taken = tuple[int, bool, float, float]


class SupportsChain(Protocol):
    """A kernel of a chain, as far as the core knows one."""

    def chain(self, n_features: int) -> Chain:
        """The chain for rows of `n_features`."""
        ...


@dataclass
class Chain:
    """One activation along its layers, and the kernels taken from it.

    Attributes
    ----------
    activation : str
    parameter : float
        Of the activation; 0 where it has none.
    weights, biases : tuple of float
        Variances of the layers before each hidden layer.
    tangent : bool
        Whether Theta is computed beside Sigma.
    theta_scale, theta_offset : float
        Theta^0 = theta_scale Sigma^0 + theta_offset.
    coefficients : tuple of (q, one, theta)
        Theta^{l+1} = q Q^l + one + theta Theta^l kdot, an entry for each hidden layer.
    outputs : list of Taken
        The kernels, in the words of the core.
    kernels : list of int
        Position of each output in the caller's list of kernels, or `HIDDEN`.
    lift : bool
        Whether the rows of its pass are without a bias, which is then added to their angles.
    table : SeriesTable or None
        Of an activation that is given by a series.
    factor : ndarray of shape (n_features, r) or None
        The rows are those of X times this.
    """

    activation: str
    parameter: float
    weights: tuple[float, ...]
    biases: tuple[float, ...]
    tangent: bool
    theta_scale: float = 1.0
    theta_offset: float = 0.0
    coefficients: tuple[tuple[float, float, float], ...] = ()
    outputs: list[Taken] = field(default_factory=list)
    kernels: list[int] = field(default_factory=lambda: [0])
    lift: bool = False
    table: SeriesTable | None = None
    factor: NDArray[np.float64] | None = None

    @property
    def input_layer(self) -> tuple[float, float]:
        """(1, bias/weight), the direction of the rows with their bias; (0, 1) or (0, 0) where the
        weight is 0.
        """
        if self.lift:
            return 1.0, 0.0
        weight, bias = self.weights[0], self.biases[0]
        return (1.0, bias / weight) if weight > 0 else (0.0, float(bias > 0))

    def shares_rows(self, other: Chain) -> bool:
        """Whether one pass can serve both."""
        return self.input_layer == other.input_layer and self.shares_factor(other)

    def shares_factor(self, other: Chain) -> bool:
        """Whether the rows are those of X times the same factor, or both X itself."""
        if self.factor is None or other.factor is None:
            return self.factor is other.factor
        return self.factor is other.factor or np.array_equal(self.factor, other.factor)

    @property
    def stable(self) -> bool:
        """Whether the core evaluates D2 within classes without cancellation."""
        return _core.distance_form(self.as_dict()) != "plain"

    @property
    def cancels(self) -> bool:
        """Whether Theta^0 is a difference: of Sigma^0 and of biases that do not train."""
        return self.tangent and self.theta_offset < 0

    @property
    def grows(self) -> bool:
        """Whether k_ii of a `stable` chain never falls as the rows grow: of erf, (2q/pi) asin n +
        theta Theta^0 kdot_ii.
        """
        if self.activation != "erf" or not self.tangent or not self.coefficients:
            return True
        q, _, theta = self.coefficients[0]
        return q + theta * (self.theta_scale - 2 * self.theta_offset) >= 0

    @property
    def undefined_at_zero(self) -> str:
        """Why a zero row has no value ("jump", "scale") or no derivative ("kink") in the input
        layer; "" where it has both.
        """
        if self.biases[0] != 0:
            return ""
        if self.activation in _SCALED:
            return "scale"
        known = _ACTIVATIONS[self.activation]
        if known["jump"]:
            return "jump"
        return "kink" if known["kink"] and self.theta_offset != 0 else ""

    def admits(self, other: Chain) -> bool:
        """Whether `other` is this recursion, cut shorter or continued."""
        return (
            all(getattr(self, name) == getattr(other, name) for name in _SHARED)
            and all(_agree(getattr(self, name), getattr(other, name)) for name in _BY_LAYER)
            and self.stable == other.stable
        )

    def join(self, other: Chain, kernel: int) -> int:
        """Take over the kernel of `other`, a chain that this one admits, and return the number of
        its output.

        Parameters
        ----------
        other : Chain
        kernel : int
            Its position in the caller's list. One that is `HIDDEN` may be an output that is there
            already.
        """
        for name in _BY_LAYER:
            setattr(self, name, max(getattr(self, name), getattr(other, name), key=len))
        (output,) = other.outputs
        if kernel == HIDDEN and output in self.outputs:
            return self.outputs.index(output)
        self.outputs.append(output)
        self.kernels.append(kernel)
        return len(self.outputs) - 1

    def as_dict(self) -> dict[str, Any]:
        """The chain in the words of the core (`as_chain` in cpp/border.cpp).

        Raises
        ------
        ValueError
            If it is deeper than the core goes.
        """
        depth = max(level for level, *_ in self.outputs) + 1
        if depth > MOST_HIDDEN + 1:
            raise ValueError(f"depth must be at most {MOST_HIDDEN + 1}, got {depth}")
        words = {k: v for k, v in vars(self).items() if k not in ("kernels", "factor")}
        table = None if self.table is None else self.table.as_dict()
        return words | {"summed": [kernel != HIDDEN for kernel in self.kernels], "table": table}


_SHARED = ("lift", "table", "activation", "parameter", "tangent", "theta_scale", "theta_offset")
_BY_LAYER = ("weights", "biases", "coefficients")


def _agree(a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Whether one sequence begins with the other."""
    return all(x == y for x, y in zip(a, b, strict=False))


def adaptive_chain(
    activation: Activation,
    rank: int,
    factor: NDArray[np.float64] | None = None,
    *,
    scale: float = 1.0,
    derivative: bool = False,
) -> Chain:
    """Kappa times scale, or its derivative kdot, of the plain inner products of rows of `rank`
    features.

    kdot is the NTK recursion with Theta^0 = 1, and without its covariance.
    """
    name, parameter = name_and_parameter(activation)
    head = (name, parameter, (float(rank),), (0.0,))
    table = table_of(activation)
    if derivative:
        outputs = [(1, TANGENT, 1.0, 0.0)]
        last = ((0.0, 0.0, scale),)
        return Chain(*head, TANGENT, 0.0, 1.0, last, outputs, table=table, factor=factor)
    outputs = [(1, COVARIANCE, scale, 0.0)]
    return Chain(*head, COVARIANCE, outputs=outputs, table=table, factor=factor)
