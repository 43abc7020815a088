"""A kernel as the covariance of scikit-learn's Gaussian processes, and the derivatives of its Gram
matrix with respect to the logarithms of its variances and factors.

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
from sklearn.gaussian_process.kernels import Hyperparameter
from sklearn.gaussian_process.kernels import Kernel as Covariance

from nc1fast.core.activations import traits
from nc1fast.kernels.algebra import Composite, Scaled
from nc1fast.kernels.classes import check_kernel
from nc1fast.kernels.fully_connected import NTK, ConjugateKernel, DeepKernel, Linear
from nc1fast.sklearn.matrices import KernelMatrices, cosines, inverse_roots
from nc1fast.sklearn.parameters import (
    PREFIX,
    KernelParameters,
    all_fields,
    own_fields,
    parts_of,
    with_fields,
)
from nc1fast.support.arguments import check_choice

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
    """Variances and factors of a kernel, then those of its parts.

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


class GPKernel(KernelParameters, Covariance):  # type: ignore[misc]
    """A kernel for GaussianProcessRegressor and GaussianProcessClassifier, which learn its
    variances.

    Parameters
    ----------
    kernel : Kernel
        Its variances above 0 are hyperparameters, theta their logarithms: one for each where it has
        one per layer, and one for all layers where it is a single number. A variance of 0 stays 0;
        depth, activation and the rest are fixed. Of a kernel made of others (a * k, k1 + k2, k1 *
        k2, k ** p) they are those of all parts, and the factors a.
    weight_variance_bounds, bias_variance_bounds : pair of float, array of shape (n, 2), or "fixed",
    default (1e-5, 1e5)
        Where the fit looks for the variances, for all of them or for each of the n above 0; "fixed"
        leaves them as they are.
    normalize : bool, default False
        k(x, z)/sqrt(k(x, x) k(z, z)) in place of k.
    factor_bounds : pair of float, array of shape (n, 2), or "fixed", default (1e-5, 1e5)
        The same for the factors.

    Notes
    -----
    Sums, products and powers with the kernels of scikit-learn are kernels of scikit-learn.
    Parameters of parts are named by their place: kernel__kernels__0__depth of the first kernel of a
    sum or product, kernel__kernel__depth of one that is multiplied or raised, kernel__factor. Of a
    kernel whose variances only scale it (ReLU without biases) the data determine a single number:
    one shared variance, or the last of them with the others fixed, is enough; a factor before it
    determines nothing more.
    Cost of a gradient: one Gram matrix, and two more for each hyperparameter whose derivative is
    not known in closed form: variances of hidden layers, but for weights below which an activation
    that is homogeneous has no bias.
    Accuracy of a gradient: that of the Gram matrix, or 1e-9 of sqrt(k_ii k_jj) by central
    differences (`Grams.derivative`).
    Source: Lee et al. (2018) for Gaussian processes with the NNGP; Rasmussen & Williams (2006),
    section 5.4.

    Examples
    --------
    >>> import nc1fast as nc
    >>> from sklearn.gaussian_process import GaussianProcessRegressor
    >>> from sklearn.gaussian_process.kernels import WhiteKernel
    >>> X, y = nc.datasets.paper_d1(100, 8, seed=0)
    >>> kernel = nc.sklearn.GPKernel(nc.NNGP("erf", depth=3)) + WhiteKernel()
    >>> GaussianProcessRegressor(kernel).fit(X, 1.0 * y).score(X, y) > 0.99
    True
    """

    def __init__(
        self,
        kernel: Any,
        weight_variance_bounds: Any = (1e-5, 1e5),
        bias_variance_bounds: Any = (1e-5, 1e5),
        normalize: bool = False,
        factor_bounds: Any = (1e-5, 1e5),
    ) -> None:
        self.kernel = kernel
        self.weight_variance_bounds = weight_variance_bounds
        self.bias_variance_bounds = bias_variance_bounds
        self.normalize = normalize
        self.factor_bounds = factor_bounds

    @property
    def hyperparameters(self) -> list[Hyperparameter]:
        """Factors and variances above 0, as scikit-learn describes them: of the kernel, then of its
        parts.
        """
        groups = self._groups()
        taken = dict.fromkeys(NAMES, 0)
        found = []
        for name, group in groups.items():
            kind = group[0].name
            count = sum(len(other) for other in groups.values() if other[0].name == kind)
            bounds = _rows_of(f"{kind}_bounds", getattr(self, f"{kind}_bounds"), count)
            part = bounds if isinstance(bounds, str) else bounds[taken[kind] :][: len(group)]
            taken[kind] += len(group)
            found.append(Hyperparameter(PREFIX + name, "numeric", part, len(group)))
        return found

    @property
    def theta(self) -> Array:
        """Logarithms of the factors and variances that are not fixed, from input to output."""
        return np.log([scale.of(self.kernel) for scale in self._free()])

    @theta.setter
    def theta(self, theta: Any) -> None:
        free = self._free()
        if len(theta) != len(free):
            raise ValueError(f"theta must have {len(free)} entries, got {len(theta)}")
        values = [float(value) for value in np.exp(np.asarray(theta, dtype=np.float64))]
        self.kernel = moved(self.kernel, dict(zip(free, values, strict=True)))

    def _groups(self) -> dict[str, list[Scale]]:
        """Factors and variances above 0, by the field that they are in."""
        groups: dict[str, list[Scale]] = {}
        for scale in scales(check_kernel(self.kernel)):
            groups.setdefault(scale.field, []).append(scale)
        return groups

    def _free(self) -> list[Scale]:
        """Factors and variances that are learned."""
        groups = zip(self._groups().values(), self.hyperparameters, strict=True)
        return [scale for group, found in groups if not found.fixed for scale in group]

    def __call__(self, X: Any, Y: Any = None, eval_gradient: bool = False) -> Any:
        """Gram matrix, and its derivatives with respect to theta where requested.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        Y : array-like of shape (m_samples, n_features), optional
            Default: X.
        eval_gradient : bool, default False

        Returns
        -------
        ndarray of shape (n_samples, m_samples), and ndarray of shape (n_samples, n_samples, n_dims)
        with `eval_gradient`

        Raises
        ------
        ValueError
            For a gradient with Y.
        """
        X = np.atleast_2d(X)
        if not eval_gradient:
            return KernelMatrices(self.kernel, self.normalize).between(X, Y)
        if Y is not None:
            raise ValueError("the gradient can only be evaluated without Y")
        return self._with_gradient(X)

    def _with_gradient(self, X: Array) -> tuple[Array, Array]:
        """Gram matrix (n, n) and derivatives (n, n, n_dims), of cosines by the quotient rule."""
        grams = Grams(lambda kernel: KernelMatrices(kernel).between(X))
        K, free = grams(self.kernel), self._free()
        gradient = np.empty((*K.shape, len(free)))
        roots = inverse_roots(K.diagonal())
        for index, scale in enumerate(free):
            dK = grams.derivative(self.kernel, scale)
            if self.normalize:
                relative = dK.diagonal() * roots**2 / 2
                dK = (dK - K * (relative[:, None] + relative)) * roots[:, None] * roots
            gradient[..., index] = dK
        return (cosines(K) if self.normalize else K), gradient

    def diag(self, X: Any) -> Array:
        """k(x_i, x_i), shape (n_samples,), from the norms alone."""
        return KernelMatrices(self.kernel, self.normalize).diagonal(np.atleast_2d(X))

    def is_stationary(self) -> bool:
        """False: k(x, z) is no function of x - z."""
        return False

    def __repr__(self) -> str:
        return f"GPKernel({self.kernel!r}{', normalize=True' if self.normalize else ''})"


def _rows_of(name: str, bounds: Any, count: int) -> Any:
    """Bounds as an array of shape (count, 2); text as it is.

    Raises
    ------
    ValueError
        For other text, and an array of another shape.
    """
    if isinstance(bounds, str):
        check_choice(name, bounds, ("fixed",))
        return bounds
    rows = np.atleast_2d(np.asarray(bounds, dtype=np.float64))
    if rows.shape not in ((1, 2), (count, 2)):
        raise ValueError(
            f"{name} must be a pair or an array of shape ({count}, 2), got shape {np.shape(bounds)}"
        )
    return np.broadcast_to(rows, (count, 2))
