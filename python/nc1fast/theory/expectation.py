"""`expected_collapse`: traces of a Gaussian mixture under a limiting kernel, and their ratio."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.datasets.mixtures import finite_numbers, means_of, sizes_of, stds_of
from nc1fast.kernels.fully_connected import DeepKernel, Linear
from nc1fast.metrics import DEFAULT_CONVENTION, trace_between, trace_within, weights
from nc1fast.support.arguments import as_count, as_number, as_seed, seed_of, shown
from nc1fast.support.arithmetic import ieee
from nc1fast.support.warnings import AccuracyWarning, warn
from nc1fast.theory.pairs import Mixture, pair_moments
from nc1fast.theory.population import MOMENTS, population

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from nc1fast.kernels.classes import Kernel
    from nc1fast.metrics import Weights
    from nc1fast.theory.pairs import PairMoments

    Array = NDArray[np.float64]

_MAX_FEATURES = 10**15  # where 1/d0 is near rounding
_ROUNDING = 2e-15  # of Tr Sigma_B, relative to the largest entry of M
_SYMMETRIC = 1e-12  # of covariances, relative to their largest entry


@dataclass(frozen=True, eq=False)
class ExpectedCollapse:
    """Expectations of the fields of `nc1fast.Collapse` of the same name, over data sets drawn from
    a mixture.

    Attributes
    ----------
    nc1 : float
        trace_within / trace_between: the ratio of the expectations.
    standard_error : float
        Of nc1, where method is "pairs"; by quadrature 0, for a relative error of 1e-12.
    trace_within, trace_between : float
        Expected Tr Sigma_W and Tr Sigma_B.
    class_gram : ndarray of shape (n_classes, n_classes)
        Expected <mu_c, mu_c'>, not centred: M + diag(V_c/n_c), M alone in the population.
    within_by_class : ndarray of shape (n_classes,)
        Expected mean squared distance from the class mean: (1 - 1/n_c) V_c, V_c in the population.
    convention : str
    kernel : NNGP, ConjugateKernel, NTK or Linear
    means : tuple of float, or of tuples of float
        m_c, or the vector mu_c, of each class.
    stds : tuple of float or None
        One per class; None if covariances were given.
    covariances : ndarray of shape (n_classes, n_features, n_features) or None
    n_features : int or inf
    sizes : tuple of int or None
        Rows per class; None in the population.
    method : {"quadrature", "pairs"}
    """

    nc1: float
    standard_error: float
    trace_within: float
    trace_between: float
    class_gram: Array
    within_by_class: Array
    convention: str
    kernel: Any
    means: tuple[Any, ...]
    stds: tuple[float, ...] | None
    covariances: Array | None
    n_features: float
    sizes: tuple[int, ...] | None
    method: str


@ieee
def expected_collapse(
    kernel: Kernel,
    means: ArrayLike,
    stds: ArrayLike | None = None,
    *,
    n_features: float | None = None,
    covariances: ArrayLike | None = None,
    sizes: Sequence[int] | None = None,
    convention: str = DEFAULT_CONVENTION,
    tolerance: float = 1e-4,
    seed: int = 0,
    rng: int | np.random.Generator | None = None,
) -> ExpectedCollapse:
    """Expected NC1 of Gaussian classes N(mu_c, Sigma_c).

    Parameters
    ----------
    kernel : NNGP, ConjugateKernel, NTK or Linear
        Any activation, depth, variances and parametrization.
    means : array-like of shape (n_classes,) or (n_classes, n_features)
        One vector mu_c per class, or one number m_c, for mu_c = m_c (1, ..., 1).
    stds : float or array-like of shape (n_classes,), optional
        s_c >= 0, for Sigma_c = s_c^2 I. Either these or `covariances` are needed.
    n_features : int or math.inf, optional
        d0, at most 10^15 if it is finite. Default: that of `means`, which must then be vectors.
    covariances : array-like of shape (n_features, n_features) or (n_classes, n_features,
    n_features), optional
        Sigma_c, symmetric and positive semi-definite, one for all classes or one per class.
    sizes : sequence of int, optional
        Rows of each class. Default: the population, infinitely many rows and classes of equal
        weight.
    convention : {"papyan", "probe", "class", "sample", "released"}, default "papyan"
        Weights of the classes, from `sizes`; all agree when these are equal or absent.
    tolerance : float, default 1e-4
        Relative standard error of nc1 at which sampling ends; quadrature does not need it.
    seed : int, default 0
        Seed of the sampling.
    rng : None, int or numpy.random.Generator, optional
        What `seed` is, as SPEC 7 has it: an integer gives the bits of the same seed, a Generator
        its next integer.

    Returns
    -------
    ExpectedCollapse

    Raises
    ------
    TypeError
        For a kernel of another kind, means, stds or covariances that are not numbers, and sizes or
        n_features that are not integers.
    ValueError
        For one class only, shapes that do not match, NaN or Inf, negative stds, covariances that
        are not symmetric and positive semi-definite, n_features < 1, infinitely many features where
        quadrature does not apply, sizes < 1 or of another length, an unknown convention, and where
        both traces are zero or the kernel overflows.
    ImportError
        Without scipy (extra "adaptive").

    Warns
    -----
    AccuracyWarning
        If trace_between is 0 up to rounding, so that nc1 is infinite; if sampling misses its
        tolerance.

    Notes
    -----
    Quadrature serves NNGP, ConjugateKernel and NTK (parametrization "ntk") of relu or erf, depth 2,
    without biases, on means along (1, ..., 1) and stds. Everything else is the mean over pairs of
    rows from a scrambled Sobol sequence.
    Cost: quadrature 0.2 to 5 ms and some MB for the mixtures of the papers; it grows with the
    logarithms of |m_c| and |m_c|/s_c. Pairs: at least 16,384 per pair of classes, at most 2
    million, of 0.2 to 1 microsecond and more with the depth; the cost does not grow with n_features
    where stds are given.
    Accuracy: quadrature 1e-12 relative for the traces, and for V_c however small s_c is;
    trace_between also has an absolute error of 1e-15 of the largest entry of class_gram, which
    matters where class means nearly coincide (tests/test_theory.py). Pairs: `standard_error`, from
    16 scramblings (tests/test_theory_pairs.py). With `sizes` both expectations are those of finite
    samples, but their ratio is not the expectation of the ratio: they differ by 0.3 % at N = 128.
    Source: for quadrature the conditional moments follow from Cho & Saul (2009), Williams (1997)
    and Stein's lemma; for pairs see `nc1fast.theory.pairs`.

    Examples
    --------
    >>> import nc1fast as nc
    >>> theory = nc.theory.expected_collapse(nc.NTK("relu"), (-2, 2), 0.5, n_features=8)
    >>> round(theory.nc1, 5)
    0.21965
    """
    if not isinstance(kernel, DeepKernel | Linear):
        raise TypeError(
            f"kernel must be an NNGP, ConjugateKernel, NTK or Linear, got {shown(kernel)}"
        )
    mu, d0 = _means(means, n_features)
    n_classes = len(mu)
    tolerance, seed = as_number("tolerance", tolerance, above=0), as_seed(seed_of(rng, seed))
    s, Sigma = _spread(stds, covariances, n_classes, d0)
    n = None if sizes is None else np.array(sizes_of(sizes, n_classes), dtype=np.int64)
    w = weights(convention, np.ones(n_classes, dtype=np.int64) if n is None else n)

    if mu.ndim == 1 and s is not None and _has_quadrature(kernel):
        V, M = _finite(*_by_quadrature(kernel, mu, s, d0), n)
        error, method = 0.0, "quadrature"
    else:
        V, M, error = _by_pairs(kernel, _mixture(mu, s, Sigma, d0), (w, n), tolerance, seed)
        method = "pairs"
    within, between = trace_within(V, M, w), trace_between(M, w)
    return ExpectedCollapse(
        nc1=_ratio(within, between, rounding=_ROUNDING * float(np.diag(M).max())),
        standard_error=error,
        trace_within=within,
        trace_between=between,
        class_gram=M,
        within_by_class=V,
        convention=convention,
        kernel=kernel,
        means=tuple(mu.tolist() if mu.ndim == 1 else map(tuple, mu.tolist())),
        stds=None if s is None else tuple(s.tolist()),
        covariances=Sigma,
        n_features=d0,
        sizes=None if n is None else tuple(n.tolist()),
        method=method,
    )


def _finite(V: Array, M: Array, n: NDArray[np.int64] | None) -> tuple[Array, Array]:
    """Expectations of n rows per class: their mean keeps V/n of the variance."""
    return (V, M) if n is None else (V * (1 - 1 / n), M + np.diag(V / n))


def _by_quadrature(kernel: Any, m: Array, s: Array, n_features: float) -> tuple[Array, Array]:
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


def _has_quadrature(kernel: Kernel) -> bool:
    """Whether the moments of the kernel are known in closed form, given the hidden weights."""
    return (
        isinstance(kernel, DeepKernel)
        and kernel.depth == 2
        and kernel.activation in MOMENTS
        and not any((kernel.bias_variances[0], kernel.readout[1]))
        and getattr(kernel, "train_readout", True)
        and getattr(kernel, "parametrization", "ntk") == "ntk"
    )


def _by_pairs(
    kernel: Kernel,
    mixture: Mixture,
    classes: tuple[Weights, NDArray[np.int64] | None],
    tolerance: float,
    seed: int,
) -> tuple[Array, Array, float]:
    """V and M of classes with these weights and sizes, and the standard error of nc1."""
    w, n = classes

    def nc1(V: Array, M: Array) -> float:
        V, M = _finite(V, M, n)
        between = trace_between(M, w)
        return trace_within(V, M, w) / between if between else math.inf

    def missed(moments: PairMoments) -> float:
        """The relative standard error of nc1, in units of the tolerance."""
        return moments.standard_error(nc1) / (tolerance * abs(nc1(*moments.mean())))

    moments = pair_moments(kernel, mixture, lambda found: missed(found) <= 1, seed)
    if not missed(moments) <= 1:
        warn(
            f"nc1 has a relative standard error of {tolerance * missed(moments):.2g}, "
            f"tolerance {tolerance:g}",
            AccuracyWarning,
        )
    return *_finite(*moments.mean(), n), moments.standard_error(nc1)


def _mixture(mu: Array, s: Array | None, Sigma: Array | None, d0: float) -> Mixture:
    if d0 == math.inf:
        raise ValueError(
            "n_features may be infinite for NNGP, ConjugateKernel and NTK (parametrization 'ntk') "
            "of relu or erf, depth 2, without biases, and stds; give a number"
        )
    n_features = int(d0)
    if s is not None:  # any rotation will do: (1, ..., 1) becomes sqrt(d0) (1, 0, ..., 0)
        return Mixture(mu if mu.ndim > 1 else math.sqrt(d0) * mu[:, None], s, n_features)
    assert Sigma is not None
    if mu.ndim == 1:
        mu = np.repeat(mu[:, None], n_features, axis=1)
    return Mixture(mu, np.array([_root(one) for one in Sigma]), n_features)


def _root(Sigma: Array) -> Array:
    """L with L L^T = Sigma, by decreasing variance, as quasi-random points like it."""
    values, vectors = np.linalg.eigh(Sigma)
    root: Array = (vectors * np.sqrt(np.maximum(values, 0)))[:, ::-1]
    return root


def _means(means: ArrayLike, n_features: Any) -> tuple[Array, float]:
    """Means of two classes at least, (C,) or (C, d0), and d0."""
    mu = finite_numbers("means", means)
    d0 = None if n_features is None else _checked_features(n_features)
    if mu.ndim != 1 or d0 is None:
        mu = means_of(mu, None if d0 is None or d0 == math.inf else int(d0))
        if d0 == math.inf:
            raise ValueError(f"means has {mu.shape[1]} columns, but n_features is inf")
    if len(mu) < 2:
        raise ValueError(f"means must be of at least two classes, got {len(mu)}")
    return mu, float(mu.shape[1]) if d0 is None else d0


def _spread(
    stds: ArrayLike | None, covariances: ArrayLike | None, n_classes: int, d0: float
) -> tuple[Array | None, Array | None]:
    """The standard deviations (C,), or the covariances (C, d0, d0), whichever is given."""
    if (stds is None) == (covariances is None):
        raise ValueError("give either stds or covariances")
    if stds is not None:
        return stds_of(stds, n_classes), None
    assert covariances is not None
    Sigma = finite_numbers("covariances", covariances)
    if Sigma.shape not in ((d0, d0), (n_classes, d0, d0)):
        raise ValueError(
            f"covariances must have shape ({d0:g}, {d0:g}) or ({n_classes}, {d0:g}, {d0:g}), "
            f"got {Sigma.shape}"
        )
    n_columns = int(d0)
    largest = np.abs(Sigma).max()
    if np.abs(Sigma - np.swapaxes(Sigma, -1, -2)).max() > _SYMMETRIC * largest:
        raise ValueError("covariances must be symmetric")
    if np.linalg.eigvalsh(Sigma).min() < -_SYMMETRIC * n_columns * largest:
        raise ValueError("covariances must be positive semi-definite")
    return None, np.array(np.broadcast_to(Sigma, (n_classes, n_columns, n_columns)))


def _checked_features(n_features: Any) -> float:
    """Number of features d0, which may be infinite."""
    if isinstance(n_features, float) and n_features == math.inf:
        return n_features
    if not hasattr(n_features, "__index__"):
        raise TypeError(f"n_features must be an integer or math.inf, got {shown(n_features)}")
    return as_count("n_features", n_features, most=_MAX_FEATURES)


def _ratio(within: float, between: float, rounding: float) -> float:
    """NC1 = within / between; infinite, with a warning, where `between` is 0 up to its rounding
    error.
    """
    if abs(between) > rounding:
        return within / between
    if abs(within) <= rounding:
        raise ValueError("NC1 is 0/0: the expected trace_within and trace_between are both zero")
    warn("trace_between is 0 (the class means coincide): nc1 is infinite", AccuracyWarning)
    return math.copysign(math.inf, within)
