"""Derivatives of a Gram matrix with respect to the logarithms of the variances of its kernel.

With phi homogeneous of degree h and no biases in the layers l to L - 2, K minus the bias of the last layer is proportional to
w_l^(h^(L-1-l)): for Sigma by induction, and for Theta since kdot has the degree h - 1. So for ReLU without hidden biases all
derivatives are K itself, times the number of layers where one variance serves all. The last layer's are linear for every
activation. Other variances are moved a little to both sides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.activations import traits
from nc1fast.kernels.classes import ConjugateKernel, DeepKernel, Linear
from nc1fast.kernels.ntk import NTK

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from nc1fast.kernels.classes import Kernel

    Array = NDArray[np.float64]
    Affine = tuple[float, float]

NAMES = ("weight_variance", "bias_variance")
_STEP = 2.0**-17  # of a logarithm: step^2/6 and u/step are both 1e-11


@dataclass(frozen=True)
class Variance:
    """A variance above 0 of a kernel: one that can be learned by its logarithm.

    Attributes
    ----------
    name : {"weight_variance", "bias_variance"}
    layer : int or None
        From input to output; None for one that all layers share.
    """

    name: str
    layer: int | None

    def of(self, kernel: Kernel) -> float:
        """Its value in a kernel that has it."""
        value = getattr(kernel, self.name)
        return float(value if self.layer is None else value[self.layer])


def variances(kernel: Kernel, name: str) -> list[Variance]:
    """Those of a kernel by one name. A variance of 0 stays 0, and some kernels have none."""
    value = getattr(kernel, name, 0.0)
    if isinstance(value, tuple):
        return [Variance(name, layer) for layer, v in enumerate(value) if v > 0]
    return [Variance(name, None)] if value > 0 else []


def moved(kernel: Kernel, values: dict[Variance, float]) -> Kernel:
    """The kernel with other values of its variances."""
    changed: dict[str, Any] = {}
    for variance, value in values.items():
        if variance.layer is None:
            changed[variance.name] = value
        else:
            now = changed.setdefault(variance.name, list(getattr(kernel, variance.name)))
            now[variance.layer] = value
    return replace(kernel, **changed)  # type: ignore[type-var]


def derivative(
    kernel: Kernel, variance: Variance, K: Array, gram: Callable[[Kernel], Array]
) -> Array:
    """The derivative of the Gram matrix with respect to the logarithm of a variance.

    Parameters
    ----------
    kernel : Kernel
    variance : Variance
    K : ndarray of shape (n, n)
        The Gram matrix.
    gram : callable
        From a kernel of other variances to its Gram matrix.

    Returns
    -------
    ndarray of shape (n, n)

    Notes
    -----
    Cost: that of a multiple of K, or of two Gram matrices where central differences are taken.
    Accuracy: of differences 1e-9 of sqrt(k_ii k_jj) up to depth 5, 1e-7 at depth 16 (tests/test_sklearn_gp.py); else that of K.
    """
    known = affine(kernel, variance)
    if known is not None:
        factor, constant = known
        return factor * K + constant
    p = variance.of(kernel)
    above, below = p * math.exp(_STEP), p * math.exp(-_STEP)
    difference = gram(moved(kernel, {variance: above})) - gram(moved(kernel, {variance: below}))
    return np.asarray(difference / math.log(above / below))


def affine(kernel: Kernel, variance: Variance) -> Affine | None:
    """(a, b) of dK = a K + b, or None where the derivative is no such function of K."""
    if isinstance(kernel, Linear):
        b = kernel.bias_variance
        return (1.0, -b) if variance.name == "weight_variance" else (0.0, b)
    if not isinstance(kernel, DeepKernel) or getattr(kernel, "parametrization", "ntk") != "ntk":
        return None
    layers = range(kernel.depth) if variance.layer is None else (variance.layer,)
    rule = _of_weight if variance.name == "weight_variance" else _of_bias
    parts = [rule(kernel, layer) for layer in layers]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return sum(a for a, _ in known), sum(b for _, b in known)


def _last(kernel: DeepKernel) -> Affine:
    """Whether the last layer's weights scale the kernel, as 1 or 0, and the constant that its bias adds."""
    if isinstance(kernel, NTK):
        return 1.0, kernel.tangent_coefficients[-1][1]
    return float(not isinstance(kernel, ConjugateKernel)), kernel.readout[1]


def _of_bias(kernel: DeepKernel, layer: int) -> Affine | None:
    """Known for the last layer, whose bias is added."""
    return (0.0, _last(kernel)[1]) if layer == kernel.depth - 1 else None


def _of_weight(kernel: DeepKernel, layer: int) -> Affine | None:
    """Known where all above it is homogeneous."""
    scales, constant = _last(kernel)
    above = kernel.depth - 1 - layer
    if not above:
        return scales, -scales * constant
    homogeneous = traits(kernel.activation).homogeneous
    if homogeneous is None or any(kernel.bias_variances[layer:-1]):
        return None
    power = float(homogeneous.degree**above)
    return power, -power * constant
