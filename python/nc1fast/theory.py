"""Expected collapse of Gaussian mixtures under limiting kernels, by quadrature: no sample is drawn.

Class c is N(m_c 1, s_c^2 I) in d0 features, 1 the all-ones vector; one hidden layer, no biases. The kernel is an
expectation over hidden weights w ~ N(0, I):

    Q(x, x')  = E_w phi(u) phi(u'),   u = w.x/sqrt(d0)
    NTK(x, x') = Q + E_w phi'(u) phi'(u') <x, x'>/d0

Given w, u ~ N(z, v) with z = m_c rho tau, v = s_c^2 rho^2, rho = |w|/sqrt(d0), tau = w.1/|w|, and x splits into its part
along w, u/rho times a unit vector, and the rest, which is independent of u. With sin2 = 1 - tau^2/d0, for independent rows

    M_cc' = E k(x, x') = E_w[ Eu phi E'u phi + m_c m_c' sin2 Eu phi' E'u phi' + Eu[u phi'] E'u[u phi']/(d0 rho^2) ]

and the expected squared distance of a feature from its class mean is an integral of positive terms, so that nothing
cancels however small s_c is:

    V_c = E_w[ Var phi + m_c^2 sin2 Var phi' + s_c^2 (1 - 1/d0) E phi'^2 + Var(u phi')/(d0 rho^2) ]

(the first term alone for Q). What is left is an integral over tau, density (1 - tau^2/d0)^((d0-3)/2), and rho,
d0 rho^2 ~ chi^2(d0). ReLU is homogeneous: rho leaves the integral. At d0 = inf, tau ~ N(0, 1) and rho = sin2 = 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast import metrics
from nc1fast.datasets.mixtures import _numbers, _sizes, _stds
from nc1fast.kernels.classes import NNGP, NTK, ConjugateKernel
from nc1fast.support.arguments import as_count, shown
from nc1fast.support.arithmetic import ieee
from nc1fast.support.extras import require
from nc1fast.support.warnings import AccuracyWarning, warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

_COVERED = (
    "NNGP, ConjugateKernel and NTK (parametrization 'ntk') of relu or erf, depth 2, without biases"
)
_ANGLE_NODES = 16  # per panel; more change nothing beyond 1e-14
_SLEPIAN_NODES = 10  # of Var erf(u), likewise
_FAR = 9.0  # standard deviations where a normal density ends: e^-40
_MAX_FEATURES = 10**15  # where 1/d0 is near rounding
_CLIP = 39.0  # where the normal tail is below the smallest float


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
    kernel: NNGP | ConjugateKernel | NTK,
    means: ArrayLike,
    stds: ArrayLike,
    *,
    n_features: float,
    sizes: Sequence[int] | None = None,
    convention: str = "papyan",
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
        d0.
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
        For data that are not numbers, sizes or n_features that are not integers.
    ValueError
        For a kernel that is not covered, one class only, means that are vectors, NaN or Inf, negative stds,
        n_features < 1, sizes < 1 or of another length, an unknown convention, or traces that are both zero.
    ImportError
        Without scipy (extra "adaptive").

    Warns
    -----
    AccuracyWarning
        If trace_between is 0 to rounding: nc1 is infinite.

    Notes
    -----
    Cost: 0.2 to 5 ms and some MB for the mixtures of the papers; it grows with the logarithms of |m_c| and |m_c|/s_c.
    Accuracy: 1e-12 relative for the traces, V_c for arbitrarily small s_c included; trace_between has an absolute error
    of 1e-15 of the largest class_gram entry too, which matters where class means nearly coincide (tests/test_theory.py).
    With `sizes` both expectations are exact, but their ratio is not the expectation of the ratio: 0.3 % at N = 128.
    Source: the conditional moments follow from Cho & Saul (2009), Williams (1997) and Stein's lemma.

    Examples
    --------
    >>> import nc1fast as nc
    >>> theory = nc.theory.expected_collapse(nc.NTK("relu"), (-2, 2), 0.5, n_features=8)
    >>> round(theory.nc1, 5)
    0.21965
    """
    activation = _checked_kernel(kernel)
    m = _checked_means(means)
    s = _stds(stds, len(m))
    n_features = _checked_features(n_features)
    n = None if sizes is None else np.array(_sizes(sizes, len(m)), dtype=np.int64)
    w = metrics.weights(convention, np.ones(len(m), dtype=np.int64) if n is None else n)

    first, last = kernel.weight_variances
    scale = math.sqrt(first)  # Sigma^0 = sw2 <x, x'>/d0: as data of that scale
    with np.errstate(over="ignore", invalid="ignore"):
        m_w, s_w = scale * m, scale * s
        fits = bool(np.isfinite([m_w**2, s_w**2]).all())
        if fits:
            V, M = _population(activation, m_w, s_w, n_features, tangent=isinstance(kernel, NTK))
            if not isinstance(kernel, ConjugateKernel):
                V, M = last * V, last * M
            fits = bool(np.isfinite(V).all() and np.isfinite(M).all())
    if not fits:
        raise ValueError("means, stds or weight_variance are too large: the kernel overflows")
    if n is not None:  # the mean of n rows keeps V/n of the variance
        V, M = V * (1 - 1 / n), M + np.diag(V / n)
    within, between = metrics.trace_within(V, M, w), metrics.trace_between(M, w)
    return ExpectedCollapse(
        nc1=_ratio(within, between, rounding=2e-15 * float(np.diag(M).max())),
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


def _checked_kernel(kernel: Any) -> str:
    """The name of the activation of a kernel that is covered."""
    covered = isinstance(kernel, NNGP | ConjugateKernel | NTK) and kernel.depth == 2
    if covered:
        last = 1 if isinstance(kernel, ConjugateKernel) else 2  # it ignores the last layer's
        used = kernel.bias_variances[:last]
        covered = kernel.activation in _MOMENTS and not any(used)
        covered &= getattr(kernel, "parametrization", "ntk") == "ntk"
    if not covered:
        raise ValueError(f"kernel must be one of {_COVERED}; got {kernel!r}")
    return str(kernel.activation)


def _checked_means(means: ArrayLike) -> Array:
    m = _numbers("means", means)
    if m.ndim != 1:
        raise ValueError(
            "means must be one number per class (times the all-ones vector; other directions are not covered), "
            f"got shape {m.shape}"
        )
    if len(m) < 2:
        raise ValueError(f"means must be of at least two classes, got {len(m)}")
    return m


def _checked_features(n_features: Any) -> float:
    if isinstance(n_features, float) and n_features == math.inf:
        return n_features
    if not hasattr(n_features, "__index__"):
        raise TypeError(f"n_features must be an integer or math.inf, got {shown(n_features)}")
    d0 = as_count("n_features", n_features)
    if d0 > _MAX_FEATURES:
        raise ValueError(f"n_features must be at most {_MAX_FEATURES:.0e}, or math.inf, got {d0}")
    return d0


def _ratio(within: float, between: float, rounding: float) -> float:
    if abs(between) > rounding:
        return within / between
    if abs(within) <= rounding:
        raise ValueError("NC1 is 0/0: the expected trace_within and trace_between are both zero")
    warn("trace_between is 0 (the class means coincide): nc1 is infinite", AccuracyWarning)
    return math.copysign(math.inf, within)


class _Moments(NamedTuple):
    """Means and variances of phi(u), phi'(u) and u phi'(u), u ~ N(z, v): arrays of one shape."""

    value: Array
    value_variance: Array
    slope: Array
    slope_variance: Array
    flux: Array
    flux_variance: Array


def _relu_moments(z: Array, v: Array) -> _Moments:
    """With r = z/sqrt v: E relu = sqrt v (r Phi + phi), Var relu/v = Phi + r^2 Phi Phi(-r) + r phi (1 - 2 Phi) - phi^2."""
    ndtr = require("scipy.special", "adaptive").ndtr
    std = np.sqrt(v)
    tiny = np.finfo(np.float64).tiny
    r = z / np.maximum(np.maximum(std, np.abs(z) / _CLIP), tiny)
    Phi, tail = ndtr(r), ndtr(-r)
    phi = np.exp(-(r**2) / 2) / math.sqrt(2 * math.pi)
    value = z * Phi + std * phi
    variance = v * (Phi + r**2 * Phi * tail + r * phi * (tail - Phi) - phi**2)
    return _Moments(value, variance, Phi, Phi * tail, value, variance)  # u phi' = phi


def _erf_moments(z: Array, v: Array) -> _Moments:
    """Gaussian integrals; the variances as positive terms.

    E erf = erf(h), h^2 = z^2/(1+2v).  Var erf = 8 [T(sqrt 2 h, 1) - T(sqrt 2 h, 1/sqrt(1+4v))], Owen's T, which is
    (4/pi) int exp(-h^2/cos^2 f) df from atan(1/sqrt(1+4v)) to pi/4.
    phi' = (2/sqrt pi) exp(-u^2):  E phi'^2 = (4/pi) c2, (E phi')^2 = (4/pi) c2 e^-L.
    """
    erf = require("scipy.special", "adaptive").erf
    one, two = 1 + 2 * v, 1 + 4 * v
    h2 = z**2 / one
    width = np.arctan(4 * v / (np.sqrt(two) + 1) ** 2)
    variance = np.zeros(np.broadcast_shapes(z.shape, v.shape))
    for x, weight in zip(*_legendre(_SLEPIAN_NODES), strict=True):
        angle = math.pi / 4 - width * (1 - x) / 2
        variance += weight / 2 * np.exp(-h2 / np.cos(angle) ** 2)
    variance *= 4 / math.pi * width
    slope = 2 / math.sqrt(math.pi) * np.exp(-h2) / np.sqrt(one)
    c2 = 4 / math.pi * np.exp(-2 * z**2 / two) / np.sqrt(two)
    L = np.log1p(4 * v**2 / two) / 2 + 4 * z**2 * v / (one * two)
    flux_variance = c2 / two * (v - z**2 / two * np.expm1(2 * np.log1p(2 * v / one) - L))
    return _Moments(
        value=erf(z / np.sqrt(one)),
        value_variance=variance,
        slope=slope,
        slope_variance=-c2 * np.expm1(-L),
        flux=slope * z / one,
        flux_variance=flux_variance,
    )


_MOMENTS = {"relu": _relu_moments, "erf": _erf_moments}


def _population(
    activation: str, m: Array, s: Array, n_features: float, *, tangent: bool
) -> tuple[Array, Array]:
    """V of shape (C,) and M of shape (C, C)."""
    if activation == "relu":
        narrowest = min(
            (si / abs(mi) for mi, si in zip(m, s, strict=True) if mi and si), default=_FAR
        )
        tau, sin2, w_tau = _directions(n_features, narrowest)
        tau, sin2, w_tau = np.append(-tau, tau), np.tile(sin2, 2), np.tile(w_tau, 2)
        rho, w_rho = np.ones(1), np.ones(1)
    else:  # odd: the integrand is even in tau
        largest = float(max(np.abs(m).max(), s.max()))
        rho, w_rho = _radii(n_features, largest)
        saturation = np.sqrt(1 / rho.max() ** 2 + 2 * s**2)  # of erf, in units of m tau
        narrowest = float((saturation / np.maximum(np.abs(m), 1e-100)).min())
        tau, sin2, w_tau = _directions(n_features, narrowest)
    w = np.outer(w_rho, w_tau).ravel()
    w /= w.sum()
    z1, v1 = np.outer(rho, tau), rho[:, None] ** 2
    radial2 = n_features * v1  # |w|^2
    V = np.empty(len(m))
    features: list[list[Array]] = []  # per class, rows whose products add up to the kernel
    for c, (mean, std) in enumerate(zip(m, s, strict=True)):
        u = _MOMENTS[activation](mean * z1, std**2 * v1)
        variance, rows = u.value_variance, [u.value]
        if tangent:
            rows += [mean * np.sqrt(sin2) * u.slope, u.flux / np.sqrt(radial2)]
            variance = (
                variance
                + mean**2 * sin2 * u.slope_variance
                + std**2 * (1 - 1 / n_features) * (u.slope**2 + u.slope_variance)
                + u.flux_variance / radial2
            )
        V[c] = (w * variance.ravel()).sum()
        features.append([row.ravel() for row in rows])
    M = np.empty((len(m), len(m)))
    for c in range(len(m)):
        for e in range(c + 1):
            products = sum(a * b for a, b in zip(features[c], features[e], strict=True))
            M[c, e] = M[e, c] = (w * products).sum()
    return V, M


@lru_cache
def _legendre(n: int) -> tuple[Array, Array]:
    """Gauss-Legendre nodes and weights on [-1, 1]."""
    x, w = np.polynomial.legendre.leggauss(n)
    return x, w


def _directions(n_features: float, narrowest: float) -> tuple[Array, Array, Array]:
    """Nodes tau > 0, 1 - tau^2/d0 there, and weights up to a factor; for functions of tau/narrowest.

    Gauss-Legendre panels that double away from tau = 0, in the angle from the equator: tau = sqrt(d0) sin(angle).
    """
    if n_features == 1:
        return np.ones(1), np.zeros(1), np.ones(1)
    root = math.sqrt(n_features)
    end = _FAR
    if root < math.inf:  # density cos(angle)^(d0-2): within a normal one of variance 1/(d0-2)
        end = min(root * math.pi / 2, _FAR * root / math.sqrt(max(n_features - 2, 1)))
    start = min(2 * narrowest, end / 4)
    n_panels = math.ceil(math.log2(end / max(start, 1e-100)))
    edges = np.concatenate([[0.0], end * 2.0 ** -np.arange(n_panels, -1, -1)])
    x, w = _legendre(_ANGLE_NODES)
    half, middle = np.diff(edges) / 2, (edges[1:] + edges[:-1]) / 2
    arc, w = (middle[:, None] + half[:, None] * x).ravel(), np.outer(half, w).ravel()
    if root == math.inf:
        return arc, np.ones_like(arc), w * np.exp(-(arc**2) / 2)
    sine = np.sin(arc / root)
    density = np.exp((n_features - 2) / 2 * np.log1p(-(sine**2)))
    return root * sine, np.cos(arc / root) ** 2, w * density


def _radii(n_features: float, largest: float) -> tuple[Array, Array]:
    """Nodes rho and weights up to a factor: the trapezoidal rule in y = log rho, density exp(d0 (y - (e^2y - 1)/2)).

    `largest` is that of |m_c| and s_c: at d0 = 1 the region rho < 1/largest may hold all of the variance.
    """
    if n_features == math.inf:
        return np.ones(1), np.ones(1)
    root = math.sqrt(n_features)
    a = math.sqrt((_FAR**2 / 2 + 2 * math.log1p(largest)) / n_features)
    # outside of (low, high) the exponent is below -a^2 d0
    low, high = -(a + a**2), min(a, math.log1p((_FAR + 1) / root))
    # the rule errs by min over f of cos(2f)^(-d0/2) e^(-2 pi f/step), f < pi/4 where the integrands are analytic: 5e-14
    step = 1 / math.hypot(1 / 0.14, root / 0.55)
    y = np.arange(math.ceil(low / step), math.floor(high / step) + 1) * step
    return np.exp(y), np.exp(n_features * (y - np.expm1(2 * y) / 2))
