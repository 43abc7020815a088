"""How far the empirical NTK of finite networks differs from draw to draw: moments of its entries,
with standard errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.datasets.paths import reads_files
from nc1fast.networks.ensemble import Ensemble, check_alike, numbers_of
from nc1fast.networks.network import generator_of
from nc1fast.networks.probing.modules import placed
from nc1fast.support.arguments import as_count
from nc1fast.support.arithmetic import ieee
from nc1fast.support.extras import require

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]
else:
    torch = require("torch", "torch")

_NUMBERS = 1 << 20  # of the draws that are evaluated at once


@dataclass(frozen=True, eq=False)
class TangentDispersion:
    """Moments of the entries of the empirical NTK over independent networks; each array is
    (n_samples, m_samples).

    Attributes
    ----------
    mean, variance : ndarray
        The variance is unbiased.
    third, fourth : ndarray
        Central moments.
    draws : int

    Notes
    -----
    Standard errors are those of many draws. Entries of deep networks have heavy tails: beyond a
    relative deviation of about 1 so few draws decide the variance that its error is itself only a
    rough number.
    """

    mean: Array
    variance: Array
    third: Array
    fourth: Array
    draws: int

    @property
    def mean_error(self) -> Array:
        """Standard error of the mean."""
        return np.sqrt(self.variance / self.draws)

    @property
    def variance_error(self) -> Array:
        """Standard error of the variance, sqrt((mu_4 - variance^2)/draws)."""
        return np.sqrt(np.maximum(self.fourth - self.variance**2, 0) / self.draws)

    @property
    def relative_variance(self) -> Array:
        """Var/mean^2, NaN where the mean is 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.mean == 0, np.nan, self.variance / self.mean**2)

    @property
    def relative_deviation(self) -> Array:
        """Standard deviation over the mean's absolute value, NaN where the mean is 0."""
        return np.sqrt(self.relative_variance)

    @property
    def relative_variance_error(self) -> Array:
        """Standard error of Var/mean^2, to first order in the errors of both."""
        v, m = self.variance, self.mean
        with np.errstate(divide="ignore", invalid="ignore"):
            square = (self.fourth - v**2) / m**4 - 4 * v * self.third / m**5 + 4 * v**3 / m**6
        return np.sqrt(np.maximum(square, 0) / self.draws)


@ieee
@reads_files("X", "Z", in_memory=True)
def tangent_dispersion(
    network: Any,
    X: ArrayLike,
    Z: ArrayLike | None = None,
    *,
    draws: int = 1000,
    seed: int | None = None,
) -> TangentDispersion:
    """Mean and variance of the entries of the empirical NTK over independent draws of a network.

    Parameters
    ----------
    network : ShallowNetwork
        Its architecture, variances, parametrization, and what of it trains; its own weights are not
        used.
    X : array-like of shape (n_samples, n_features), or path
    Z : array-like of shape (m_samples, n_features), or path, optional
        Default: X.
    draws : int, default 1000
        At least 2.
    seed : int, optional
        Of all draws. Default: one from the operating system.

    Returns
    -------
    TangentDispersion

    Raises
    ------
    TypeError, ValueError
        As for `Ensemble` and `empirical_ntk`.

    Notes
    -----
    Cost: that of `Ensemble.tangent_kernels` and of one normal number per weight and draw; memory
    for some million numbers, or for one draw.
    Source: the dispersion of Seleznova & Kutyniok (2021), arXiv 2012.04477. Of a ReLU network
    without biases Var/mean^2 of Theta(x, x) is `nc1fast.theory.tangent_moment` - 1, 3/m with one
    hidden layer of m units.

    Examples
    --------
    >>> network = nc.networks.ShallowNetwork("relu", 8, depth=16, width=64, weight_variance=3.0, parametrization="ntk")
    >>> found = nc.networks.tangent_dispersion(network, X[:2], draws=3000, seed=0)
    >>> found.relative_variance, found.relative_variance_error
    """
    check_alike(network)
    draws = as_count("draws", draws, 2)
    rows = placed(network, X)
    columns = None if Z is None else placed(network, Z, "Z")
    generator = generator_of(seed)
    n_rows = len(rows) + (0 if columns is None else len(columns))
    at_once = max(2, _NUMBERS // numbers_of(network, n_rows))
    shift: Any = None
    sums: Any = 0.0
    for first in range(0, draws, at_once):
        own = int(torch.randint(1 << 62, (), generator=generator))
        ensemble = Ensemble(network, min(at_once, draws - first), seed=own)
        kernels = ensemble.tangent_kernels(rows, columns)
        if shift is None:
            shift = kernels.mean(axis=0)  # so that no power sum cancels
        d = kernels - shift
        sums = sums + np.stack([(d**p).sum(axis=0) for p in (1, 2, 3, 4)])
    m, s2, s3, s4 = sums / draws
    return TangentDispersion(
        mean=shift + m,
        variance=np.maximum(s2 - m**2, 0) * draws / (draws - 1),
        third=s3 - 3 * m * s2 + 2 * m**3,
        fourth=s4 - 4 * m * s3 + 6 * m**2 * s2 - 3 * m**4,
        draws=draws,
    )
