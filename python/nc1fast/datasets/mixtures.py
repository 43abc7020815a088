"""Gaussian mixtures: one isotropic Gaussian per class, and the two data sets of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from nc1fast.datasets.parameters import labels_of, means_of, seed_sequence, sizes_of, stds_of
from nc1fast.support.arguments import as_count
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Seed: TypeAlias = int | Sequence[int] | np.random.SeedSequence


@ieee
def gaussian_mixture(
    means: ArrayLike,
    stds: ArrayLike,
    sizes: Sequence[int],
    n_features: int | None = None,
    seed: Seed = 0,
    *,
    labels: ArrayLike | None = None,
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Draw n_c rows from N(mu_c, s_c^2 I) for each class c, independently.

    Parameters
    ----------
    means : array_like of shape (n_classes,) or (n_classes, n_features)
        One vector mu_c per class, or one number a_c, for mu_c = a_c (1, ..., 1).
    stds : float or array_like of shape (n_classes,)
        Standard deviation s_c >= 0 of every feature, one for all classes or one per class.
    sizes : sequence of int
        Rows n_c >= 1 per class.
    n_features : int, optional
        Number of features d0 >= 1. Default: that of `means`, which must then hold vectors.
    seed : int, sequence of int or numpy.random.SeedSequence, default 0
        Class c is drawn from the c-th child of ``SeedSequence(seed)``. A SeedSequence is not
        changed.
    labels : array_like of shape (n_classes,), optional
        Distinct labels of the classes, default 0, 1, ..., n_classes - 1. They do not change X.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        Float64; the rows of the first class, then those of the second, and so on.
    y : ndarray of shape (n_samples,)
        Labels, with the dtype of `labels` (default int64).

    Raises
    ------
    ValueError
        If an argument has the wrong length or shape, is not finite, or is out of range.
    TypeError
        If means or stds are not numbers, or a size, `n_features` or the seed is not an integer.

    Notes
    -----
    The rows of a class depend only on the seed, its place c, its mean and standard deviation, and
    `n_features`: not on the other classes, and a larger n_c only appends rows. Data sets of one
    seed therefore share their noise; independent repeats need different seeds.

    Cost: n_samples n_features normal deviates, 10 to 30 ns each; memory is X.

    Accuracy: entries are mu + s z in float64 with z a deviate of NumPy's ziggurat (PCG64). Moments
    are checked against theory in ``tests/test_datasets.py``.

    Source: NumPy's ``SeedSequence.spawn`` for independent streams.

    Examples
    --------
    >>> X, y = gaussian_mixture(means=(-2, 2), stds=0.5, sizes=(3, 5), n_features=4, seed=0)
    >>> X.shape, y.tolist()
    ((8, 4), [0, 0, 0, 1, 1, 1, 1, 1])
    """
    mu = means_of(means, n_features)  # (C, d0), a broadcast view for scalars
    n_classes, d0 = mu.shape
    s = stds_of(stds, n_classes)
    n = sizes_of(sizes, n_classes)
    # A deviate of the ziggurat is below 14: its tail is 3.66 - log(2^-53)/3.66 at most.
    with np.errstate(over="ignore"):
        if not np.isfinite(np.abs(mu).max(axis=1) + 14 * s).all():
            raise ValueError(
                "means and stds must keep the data within float64, |mean| + 14 std overflows"
            )
    names = labels_of(labels, n_classes)
    root = seed_sequence(seed)

    X = np.empty((sum(n), d0))
    start = 0
    for c in range(n_classes):
        child = np.random.SeedSequence(
            root.entropy, spawn_key=(*root.spawn_key, c), pool_size=root.pool_size
        )  # spawn() would give the same, but count its calls in the caller's object
        rows = X[start : start + n[c]]  # (n_c, d0)
        np.random.Generator(np.random.PCG64(child)).standard_normal(out=rows)
        rows *= s[c]
        rows += mu[c]
        start += n[c]
    return X, np.repeat(names, n)


@ieee
def paper_d1(
    N: int, d0: int, seed: Seed = 0, *, sizes: Sequence[int] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Two classes: N(-2 1, 0.25 I) labelled -1 and N(+2 1, 0.25 I) labelled +1.

    Parameters
    ----------
    N : int
        Number of rows, even unless `sizes` is given.
    d0 : int
        Number of features.
    seed : int, sequence of int or numpy.random.SeedSequence, default 0
        See `gaussian_mixture`.
    sizes : sequence of two int, optional
        Rows per class, N in all, default N/2 each. The paper's imbalanced sizes have N = 2048:
        (1024, 1024), (768, 1280), (512, 1536) and (256, 1792).

    Returns
    -------
    X : ndarray of shape (N, d0)
        Float64, sorted by class.
    y : ndarray of shape (N,)
        Int64.

    Raises
    ------
    ValueError
        If N is not divisible by two, or `sizes` does not add up to N; otherwise as
        `gaussian_mixture`.

    Notes
    -----
    Cost: as `gaussian_mixture`.

    Accuracy: as `gaussian_mixture`.

    Source: "Can Kernel Methods Explain How the Data Affects Neural Collapse?", arXiv 2406.02105.

    Examples
    --------
    >>> X, y = paper_d1(2048, 8, seed=0, sizes=(768, 1280))
    >>> X.shape
    (2048, 8)
    """
    return _paper(N, d0, seed, sizes, means=(-2, 2), labels=(-1, 1))


@ieee
def paper_d2(
    N: int, d0: int, seed: Seed = 0, *, sizes: Sequence[int] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Four classes: N(a 1, 0.25 I) with a = -6, -2, 2, 6, labelled -3, -1, 1, 3.

    Parameters
    ----------
    N : int
        Number of rows, a multiple of four unless `sizes` is given.
    d0 : int
        Number of features.
    seed : int, sequence of int or numpy.random.SeedSequence, default 0
        See `gaussian_mixture`.
    sizes : sequence of four int, optional
        Rows per class, N in all, default N/4 each.

    Returns
    -------
    X : ndarray of shape (N, d0)
        Float64, sorted by class.
    y : ndarray of shape (N,)
        Int64.

    Raises
    ------
    ValueError
        If N is not divisible by four, or `sizes` does not add up to N; otherwise as
        `gaussian_mixture`.

    Notes
    -----
    Cost: as `gaussian_mixture`.

    Accuracy: as `gaussian_mixture`.

    Source: the paper of `paper_d1`.

    Examples
    --------
    >>> X, y = paper_d2(8, 3)
    >>> y.tolist()
    [-3, -3, -1, -1, 1, 1, 3, 3]
    """
    return _paper(N, d0, seed, sizes, means=(-6, -2, 2, 6), labels=(-3, -1, 1, 3))


def _paper(
    N: int,
    d0: int,
    seed: Seed,
    sizes: Sequence[int] | None,
    *,
    means: tuple[int, ...],
    labels: tuple[int, ...],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Classes N(mean 1, 0.25 I) of the paper, of equal sizes unless `sizes` is given."""
    n_samples = as_count("N", N)
    n_classes = len(means)
    if sizes is None:
        if n_samples % n_classes:
            raise ValueError(f"N must be divisible by {n_classes} (or give sizes), got {n_samples}")
        sizes = (n_samples // n_classes,) * n_classes
    elif sum(sizes_of(sizes, n_classes)) != n_samples:
        raise ValueError(f"sizes must add up to N = {n_samples}, got {sum(sizes)}")
    return gaussian_mixture(
        means, 0.5, sizes, as_count("d0", d0), seed, labels=np.array(labels, dtype=np.int64)
    )
