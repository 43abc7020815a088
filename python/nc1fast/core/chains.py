"""Kernels as the compiled core takes them: chains, which are recursions shared by several kernels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nc1fast.activations import Activation, name_and_parameter
from nc1fast.kernels.classes import NNGP, NTK, AdaptiveKernel, ConjugateKernel, Kernel, Linear

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

COVARIANCE, TANGENT = False, True
_DEEPEST = 63  # hidden layers that the core has room for


@dataclass
class Chain:
    """One activation along its layers, and the kernels taken from it.

    `coefficients[l]` is (q, one, theta) of Theta^{l+1} = q Q^l + one + theta Theta^l kdot;
    Theta^0 = theta_scale Sigma^0 + theta_offset.
    """

    activation: str
    parameter: float
    weights: tuple[float, ...]
    biases: tuple[float, ...]
    tangent: bool
    theta_scale: float = 1.0
    theta_offset: float = 0.0
    coefficients: tuple[tuple[float, float, float], ...] = ()
    outputs: list[tuple[int, bool, float, float]] = field(default_factory=list)
    kernels: list[int] = field(default_factory=list)  # position of each output in the caller's list
    factor: NDArray[np.float64] | None = None  # (d0, r): the rows are those of X times this

    @property
    def input_layer(self) -> tuple[float, float]:
        """The direction of the augmented rows, bias beside weights."""
        weight, bias = self.weights[0], self.biases[0]
        return (1.0, bias / weight) if weight > 0 else (0.0, float(bias > 0))

    def shares_rows(self, other: Chain) -> bool:
        """Whether one pass can serve both."""
        return self.input_layer == other.input_layer and self.factor is other.factor

    @property
    def stable(self) -> bool:
        """Whether the core evaluates D2 within classes without cancellation."""
        shallow = max(level for level, *_ in self.outputs) <= 1
        return (self.activation == "erf" and shallow) or self.activation in (
            "relu",
            "leaky_relu",
            "abs",
        )

    @property
    def cancels(self) -> bool:
        """Whether Theta^0 is a difference: of Sigma^0 and of biases that do not train."""
        return self.tangent and self.theta_offset < 0

    def admits(self, other: Chain) -> bool:
        """Whether `other` is this recursion, cut shorter or continued."""
        same = (self.activation, self.parameter, self.tangent, self.theta_scale, self.theta_offset)
        return (
            same
            == (
                other.activation,
                other.parameter,
                other.tangent,
                other.theta_scale,
                other.theta_offset,
            )
            and self.stable == other.stable
            and _agree(self.weights, other.weights)
            and _agree(self.biases, other.biases)
            and _agree(self.coefficients, other.coefficients)
        )

    def join(self, other: Chain) -> None:
        """Take over the kernels of `other`."""
        for name in ("weights", "biases", "coefficients"):
            setattr(self, name, max(getattr(self, name), getattr(other, name), key=len))
        self.outputs += other.outputs
        self.kernels += other.kernels

    def as_dict(self) -> dict[str, Any]:
        """The chain in the core's words."""
        return {k: v for k, v in vars(self).items() if k not in ("kernels", "factor")}


def _agree(a: Sequence[Any], b: Sequence[Any]) -> bool:
    return all(x == y for x, y in zip(a, b, strict=False))


def chain_of(kernel: Kernel, n_features: int, position: int = 0) -> Chain:
    """The chain of one kernel.

    Raises
    ------
    TypeError
        If it is not a kernel of the core.
    ValueError
        If it is deeper than the core goes, or has a standard parametrization without input weights.
    """
    if isinstance(kernel, Linear):
        out = [(0, TANGENT, 1.0, 0.0)]
        w, b = kernel.weight_variances, kernel.bias_variances
        return Chain("relu", 0.0, w, b, TANGENT, outputs=out, kernels=[position])
    if isinstance(kernel, AdaptiveKernel):
        d0 = len(kernel.sigma)
        if d0 != n_features:
            raise ValueError(f"sigma is {d0} x {d0}, but X has {n_features} features")
        return adaptive_chain(kernel.activation, d0, position, kernel.factor)
    if not isinstance(kernel, ConjugateKernel | NNGP | NTK):
        raise TypeError(f"kernel must be a kernel object, got {kernel!r}")
    n_duals = kernel.depth - 1
    if n_duals > _DEEPEST:
        raise ValueError(f"depth must be at most {_DEEPEST + 1}, got {kernel.depth}")
    name, parameter = name_and_parameter(kernel.activation)
    w, b = kernel.weight_variances, kernel.bias_variances
    head = (name, parameter, w[:-1], b[:-1])
    if isinstance(kernel, ConjugateKernel):
        return Chain(
            *head, COVARIANCE, outputs=[(n_duals, COVARIANCE, 1.0, 0.0)], kernels=[position]
        )
    if isinstance(kernel, NNGP):
        return Chain(
            *head, COVARIANCE, outputs=[(n_duals, COVARIANCE, w[-1], b[-1])], kernels=[position]
        )
    first, *rest = kernel.tangent_coefficients
    if kernel.parametrization == "standard":  # Theta^0 = <x, x'> + tau, from Sigma^0
        if w[0] == 0:
            raise ValueError(
                "weight_variance of the input layer must be > 0 with parametrization='standard'"
            )
        scale = n_features / w[0]
    else:
        scale = 1.0
    offset = first[1] - scale * b[0]
    outputs = [(n_duals, TANGENT, 1.0, 0.0)]
    return Chain(*head, TANGENT, scale, offset, tuple(rest), outputs, [position])


def adaptive_chain(
    activation: Activation,
    rank: int,
    position: int = 0,
    factor: NDArray[np.float64] | None = None,
    *,
    scale: float = 1.0,
    derivative: bool = False,
) -> Chain:
    """Kappa times scale, or its derivative kdot, of the plain inner products of rows of `rank` features.

    kdot is the NTK recursion with Theta^0 = 1, and without its covariance.
    """
    name, parameter = name_and_parameter(activation)
    head = (name, parameter, (float(rank),), (0.0,))
    if derivative:
        outputs = [(1, TANGENT, 1.0, 0.0)]
        return Chain(*head, TANGENT, 0.0, 1.0, ((0.0, 0.0, scale),), outputs, [position], factor)
    outputs = [(1, COVARIANCE, scale, 0.0)]
    return Chain(*head, COVARIANCE, outputs=outputs, kernels=[position], factor=factor)


def chains_of(kernels: Sequence[Kernel], n_features: int) -> list[list[Chain]]:
    """Chains of a list of kernels, grouped by pass: those of one group share their rows."""
    passes: list[list[Chain]] = []
    for position, kernel in enumerate(kernels):
        chain = chain_of(kernel, n_features, position)
        group = next((g for g in passes if g[0].shares_rows(chain)), None)
        if group is None:
            passes.append([chain])
        elif host := next((c for c in group if c.admits(chain)), None):
            host.join(chain)
        else:
            group.append(chain)
    return passes
