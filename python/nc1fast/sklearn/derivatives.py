"""Derivatives of a Gram matrix with respect to the logarithms of the variances of its kernel, and
of the factors in it.

With phi homogeneous of degree h and no biases in the layers l to L - 2, K minus the bias of the
last layer is proportional to w_l^(h^(L-1-l)): for Sigma by induction, and for Theta since kdot has
the degree h - 1. So for ReLU without hidden biases all derivatives are K itself, times the number
of layers where one variance serves all. The last layer's are linear for every activation. Other
variances are moved a little to both sides. Kernels made of others follow by the chain rule, entry
by entry.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.activations import traits
from nc1fast.kernels.algebra import Composite, Scaled
from nc1fast.kernels.fully_connected import NTK, ConjugateKernel, DeepKernel, Linear
from nc1fast.sklearn.parameters import all_fields, own_fields, parts_of, with_fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from nc1fast.kernels.classes import Kernel

    Array = NDArray[np.float64]
    Affine = tuple[float, float]

NAMES = ("factor", "weight_variance", "bias_variance")
_STEP = 2.0**-17  # of a logarithm: step^2/6 and u/step are both 1e-11


@dataclass(frozen=True)
class Scale:
    """A variance above 0 of a kernel or of one of its parts, or a factor: what can be learned by
    its logarithm.

    Attributes
    ----------
    field : str
        As of `all_fields`: weight_variance, kernels__0__bias_variance, factor, ...
    layer : int or None
        From input to output; None for one that all layers share.
    """

    field: str
    layer: int | None = None

    @property
    def name(self) -> str:
        """One of `NAMES`: the last part of the field."""
        return self.field.rpartition("__")[2]

    def of(self, kernel: Kernel) -> float:
        """Its value in a kernel that has it."""
        value = all_fields(kernel)[self.field]
        return float(value if self.layer is None else value[self.layer])

    def within(self, part: str) -> Scale | None:
        """The same as seen from a part of the kernel; None for one that the part does not have."""
        begin = f"{part}__"
        if not self.field.startswith(begin):
            return None
        return Scale(self.field.removeprefix(begin), self.layer)


def scales(kernel: Kernel) -> list[Scale]:
    """Those of a kernel, then those of its parts.

    A variance of 0 stays 0, and some kernels have none.
    """
    found = []
    for name, value in own_fields(kernel).items():
        if name in NAMES:
            layers = enumerate(value) if isinstance(value, tuple) else ((None, value),)
            found += [Scale(name, layer) for layer, one in layers if one > 0]
    for name, part in parts_of(kernel).items():
        found += [Scale(f"{name}__{one.field}", one.layer) for one in scales(part)]
    return found


def moved(kernel: Kernel, values: dict[Scale, float]) -> Kernel:
    """The kernel with other values of its variances and factors."""
    known, changed = all_fields(kernel), dict[str, Any]()
    for scale, value in values.items():
        if scale.layer is None:
            changed[scale.field] = value
        else:
            changed.setdefault(scale.field, list(known[scale.field]))[scale.layer] = value
    return with_fields(kernel, changed)


@dataclass(frozen=True, eq=False)
class Grams:
    """Gram matrices of the kernels that one is made of, each computed once, on rows that they
    share.

    Attributes
    ----------
    gram : callable
        From a kernel to its Gram matrix.
    """

    gram: Callable[[Kernel], Array]
    known: dict[Kernel, Array] = field(default_factory=dict)

    def __call__(self, kernel: Kernel) -> Array:
        """The Gram matrix of a kernel."""
        if kernel not in self.known:
            self.known[kernel] = self.gram(kernel)
        return self.known[kernel]

    def derivative(self, kernel: Kernel, scale: Scale) -> Array:
        """The derivative of the Gram matrix with respect to the logarithm of a variance or factor,
        shape (n, n).

        Notes
        -----
        Cost: that of a multiple of K, or of two Gram matrices where central differences are taken;
        for a kernel made of others one Gram matrix of each part and the chain rule beside.
        Accuracy: of differences 1e-9 of sqrt(k_ii k_jj) up to depth 5, 1e-7 at depth 16
        (tests/test_sklearn_gp.py); else that of K. Of a part these are multiplied by what the part
        is multiplied with.
        """
        for index, (name, part) in enumerate(parts_of(kernel).items()):
            inner = scale.within(name)
            if inner is not None and isinstance(kernel, Composite):
                return np.asarray(kernel.slope(index, self) * self.derivative(part, inner))
        known = affine(kernel, scale)
        if known is not None:
            factor, constant = known
            return factor * self(kernel) + constant
        p = scale.of(kernel)
        above, below = p * math.exp(_STEP), p * math.exp(-_STEP)
        pair = (self.gram(moved(kernel, {scale: value})) for value in (above, below))
        return np.asarray(np.subtract(*pair) / math.log(above / below))


def affine(kernel: Kernel, scale: Scale) -> Affine | None:
    """(a, b) of dK = a K + b, or None where the derivative is no such function of K."""
    if isinstance(kernel, Scaled):
        return 1.0, 0.0
    if isinstance(kernel, Linear):
        b = kernel.bias_variance
        return (1.0, -b) if scale.name == "weight_variance" else (0.0, b)
    if not isinstance(kernel, DeepKernel) or getattr(kernel, "parametrization", "ntk") != "ntk":
        return None
    layers = range(kernel.depth) if scale.layer is None else (scale.layer,)
    rule = _of_weight if scale.name == "weight_variance" else _of_bias
    parts = [rule(kernel, layer) for layer in layers]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return sum(a for a, _ in known), sum(b for _, b in known)


def _last(kernel: DeepKernel) -> Affine:
    """Whether the last layer's weights scale the kernel, as 1 or 0, and the constant that its bias
    adds.
    """
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
