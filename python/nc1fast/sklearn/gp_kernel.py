"""A kernel as the covariance of scikit-learn's Gaussian processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.gaussian_process.kernels import Hyperparameter
from sklearn.gaussian_process.kernels import Kernel as Covariance

from nc1fast.kernels.classes import check_kernel
from nc1fast.sklearn.derivatives import NAMES, Grams, Scale, moved, scales
from nc1fast.sklearn.matrices import KernelMatrices, cosines, inverse_roots
from nc1fast.sklearn.parameters import PREFIX, KernelParameters
from nc1fast.support.arguments import check_choice

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


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
    differences; see `nc1fast.sklearn.derivatives`.
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
        return [
            scale
            for group, hyperparameter in zip(
                self._groups().values(), self.hyperparameters, strict=True
            )
            if not hyperparameter.fixed
            for scale in group
        ]

    def __call__(self, X: Any, Y: Any = None, eval_gradient: bool = False) -> Any:
        """Gram matrix, and its derivatives with respect to theta where they are asked for.

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
        """Gram matrix (n, n) and derivatives (n, n, n_dims); those of cosines by the quotient rule."""
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
