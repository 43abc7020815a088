"""`expected_collapse`: the traces of a Gaussian mixture under a limiting kernel, and their ratio."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.datasets.parameters import finite_numbers, sizes_of, stds_of
from nc1fast.kernels.classes import DeepKernel
from nc1fast.metrics import DEFAULT_CONVENTION, trace_between, trace_within, weights
from nc1fast.support.arguments import as_count, shown
from nc1fast.support.arithmetic import ieee
from nc1fast.support.warnings import AccuracyWarning, warn
from nc1fast.theory.gaussian_moments import MOMENTS
from nc1fast.theory.population import population

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

_COVERED = (
    "NNGP, ConjugateKernel and NTK (parametrization 'ntk') of relu or erf, depth 2, without biases"
)
_MAX_FEATURES = 10**15  # where 1/d0 is near rounding
_ROUNDING = 2e-15  # of Tr Sigma_B, relative to the largest entry of M


@dataclass(frozen=True, eq=False)
class ExpectedCollapse:
    """Expectations of the fields of `nc1fast.Collapse` of the same name, over data sets drawn from a mixture.

    Attributes
    ----------
    nc1 : float
        trace_within / trace_between: the ratio of the expectations.
    trace_within, trace_between : float
        Expected Tr Sigma_W and Tr Sigma_B.
    class_gram : ndarray of shape (n_classes, n_classes)
        Expected <mu_c, mu_c'>, not centred: M + diag(V_c/n_c), M alone in the population.
    within_by_class : ndarray of shape (n_classes,)
        Expected mean squared distance from the class mean: (1 - 1/n_c) V_c, V_c in the population.
    convention : str
    kernel : NNGP, ConjugateKernel or NTK
    means, stds : tuple of float
        One per class.
    n_features : int or inf
    sizes : tuple of int or None
        Rows per class; None in the population.
    """

    nc1: float
    trace_within: float
    trace_between: float
    class_gram: Array
    within_by_class: Array
    convention: str
    kernel: Any
    means: tuple[float, ...]
    stds: tuple[float, ...]
    n_features: float
    sizes: tuple[int, ...] | None


@ieee
def expected_collapse(
    kernel: DeepKernel,
    means: ArrayLike,
    stds: ArrayLike,
    *,
    n_features: float,
    sizes: Sequence[int] | None = None,
    convention: str = DEFAULT_CONVENTION,
) -> ExpectedCollapse:
    """Expected NC1 of Gaussian classes N(m_c 1, s_c^2 I), 1 the all-ones vector.

    Parameters
    ----------
    kernel : NNGP, ConjugateKernel or NTK
        Of relu or erf, depth 2, without biases, any weight variances; NTK in the parametrization "ntk".
    means : array-like of shape (n_classes,)
        m_c: every feature of class c has this mean.
    stds : float or array-like of shape (n_classes,)
        s_c >= 0, of every feature.
    n_features : int or math.inf
        d0, at most 10^15 if it is finite.
    sizes : sequence of int, optional
        Rows of each class. Default: the population, infinitely many rows and classes of equal weight.
    convention : {"papyan", "probe", "class", "sample", "released"}, default "papyan"
        Weights of the classes, from `sizes`; all agree when these are equal or absent.

    Returns
    -------
    ExpectedCollapse

    Raises
    ------
    TypeError
        For means or stds that are not numbers, and sizes or n_features that are not integers.
    ValueError
        For a kernel that is not covered, one class only, means that are vectors, NaN or Inf, negative stds,
        n_features < 1, sizes < 1 or of another length, an unknown convention, and where both traces are zero or
        the kernel overflows.
    ImportError
        Without scipy (extra "adaptive").

    Warns
    -----
    AccuracyWarning
        If trace_between is 0 up to rounding: nc1 is infinite.

    Notes
    -----
    Cost: 0.2 to 5 ms and some MB for the mixtures of the papers; it grows with the logarithms of |m_c| and |m_c|/s_c.
    Accuracy: 1e-12 relative for the traces, and for V_c however small s_c is; trace_between also has an absolute error
    of 1e-15 of the largest entry of class_gram, which matters where class means nearly coincide (tests/test_theory.py).
    With `sizes` both expectations are those of finite samples, but their ratio is not the expectation of the ratio:
    they differ by 0.3 % at N = 128.
    Source: the conditional moments follow from Cho & Saul (2009), Williams (1997) and Stein's lemma.

    Examples
    --------
    >>> import nc1fast as nc
    >>> theory = nc.theory.expected_collapse(nc.NTK("relu"), (-2, 2), 0.5, n_features=8)
    >>> round(theory.nc1, 5)
    0.21965
    """
    _check_kernel(kernel)
    m = _checked_means(means)
    s = stds_of(stds, len(m))
    n_features = _checked_features(n_features)
    n = None if sizes is None else np.array(sizes_of(sizes, len(m)), dtype=np.int64)
    w = weights(convention, np.ones(len(m), dtype=np.int64) if n is None else n)

    V, M = _moments(kernel, m, s, n_features)
    if n is not None:  # the mean of n rows keeps V/n of the variance
        V, M = V * (1 - 1 / n), M + np.diag(V / n)
    within, between = trace_within(V, M, w), trace_between(M, w)
    return ExpectedCollapse(
        nc1=_ratio(within, between, rounding=_ROUNDING * float(np.diag(M).max())),
        trace_within=within,
        trace_between=between,
        class_gram=M,
        within_by_class=V,
        convention=convention,
        kernel=kernel,
        means=tuple(m.tolist()),
        stds=tuple(s.tolist()),
        n_features=n_features,
        sizes=None if n is None else tuple(n.tolist()),
    )


def _moments(kernel: DeepKernel, m: Array, s: Array, n_features: float) -> tuple[Array, Array]:
    """V (C,) and M (C, C) in the population; ValueError if the kernel overflows."""
    last, _ = kernel.readout
    scale = math.sqrt(kernel.weight_variances[0])  # Sigma^0 = sw2 <x, x'>/d0: as data of that scale
    with np.errstate(over="ignore", invalid="ignore"):
        m_w, s_w = scale * m, scale * s
        if np.isfinite([m_w**2, s_w**2]).all():
            activation = str(kernel.activation)
            V, M = population(activation, m_w, s_w, n_features, tangent=kernel.is_tangent)
            V, M = last * V, last * M
            if np.isfinite(V).all() and np.isfinite(M).all():
                return V, M
    raise ValueError("means, stds or weight_variance are too large: the kernel overflows")


def _check_kernel(kernel: Any) -> None:
    """Raise ValueError unless the kernel is covered."""
    covered = isinstance(kernel, DeepKernel) and kernel.depth == 2
    if covered:
        used = kernel.bias_variances[0], kernel.readout[1]
        covered = kernel.activation in MOMENTS and not any(used)
        covered &= getattr(kernel, "parametrization", "ntk") == "ntk"
    if not covered:
        raise ValueError(f"kernel must be one of {_COVERED}; got {kernel!r}")


def _checked_means(means: ArrayLike) -> Array:
    """Means m_c of two classes at least, shape (C,)."""
    m = finite_numbers("means", means)
    if m.ndim != 1:
        raise ValueError(
            "means must be one number per class (times the all-ones vector; other directions are not covered), "
            f"got shape {m.shape}"
        )
    if len(m) < 2:
        raise ValueError(f"means must be of at least two classes, got {len(m)}")
    return m


def _checked_features(n_features: Any) -> float:
    """Number of features d0, which may be infinite."""
    if isinstance(n_features, float) and n_features == math.inf:
        return n_features
    if not hasattr(n_features, "__index__"):
        raise TypeError(f"n_features must be an integer or math.inf, got {shown(n_features)}")
    d0 = as_count("n_features", n_features)
    if d0 > _MAX_FEATURES:
        raise ValueError(f"n_features must be at most {_MAX_FEATURES:.0e}, or math.inf, got {d0}")
    return d0


def _ratio(within: float, between: float, rounding: float) -> float:
    """NC1 = within / between; infinite, with a warning, where `between` is 0 up to its rounding error."""
    if abs(between) > rounding:
        return within / between
    if abs(within) <= rounding:
        raise ValueError("NC1 is 0/0: the expected trace_within and trace_between are both zero")
    warn("trace_between is 0 (the class means coincide): nc1 is infinite", AccuracyWarning)
    return math.copysign(math.inf, within)
