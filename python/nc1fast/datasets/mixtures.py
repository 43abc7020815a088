"""Gaussian mixtures: one isotropic Gaussian per class, and the two data sets of the paper; and the
checks of their parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from nc1fast.inputs.arrays import host_array
from nc1fast.inputs.labels import as_labels
from nc1fast.support.arguments import as_count, as_items, as_seed, seed_of, shown
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
    rng: int | np.random.Generator | None = None,
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
    rng : None, int or numpy.random.Generator, optional
        What `seed` is, as SPEC 7 has it: an integer gives the bits of the same seed, a Generator
        its next integer.

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
    root = seed_sequence(seed_of(rng, seed))

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
    N: int,
    d0: int,
    seed: Seed = 0,
    *,
    sizes: Sequence[int] | None = None,
    rng: int | np.random.Generator | None = None,
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
    rng : None, int or numpy.random.Generator, optional
        What `seed` is, as SPEC 7 has it: an integer gives the bits of the same seed, a Generator
        its next integer.

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
    return _paper(N, d0, seed_of(rng, seed), sizes, means=(-2, 2), labels=(-1, 1))


@ieee
def paper_d2(
    N: int,
    d0: int,
    seed: Seed = 0,
    *,
    sizes: Sequence[int] | None = None,
    rng: int | np.random.Generator | None = None,
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
    rng : None, int or numpy.random.Generator, optional
        What `seed` is, as SPEC 7 has it: an integer gives the bits of the same seed, a Generator
        its next integer.

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
    return _paper(N, d0, seed_of(rng, seed), sizes, means=(-6, -2, 2, 6), labels=(-3, -1, 1, 3))


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


# --- parameters as callers give them ---


def finite_numbers(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """Finite real numbers of any shape, in float64; TypeError or ValueError that names the
    argument.
    """
    try:
        array = host_array(value, name)
    except ValueError as error:
        if "masked" in str(error):
            raise
        raise ValueError(f"{name} must be numbers, or vectors of one length") from None
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be real numbers, got dtype {array.dtype}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite")
    return array.astype(np.float64)


def means_of(means: ArrayLike, n_features: int | None) -> NDArray[np.float64]:
    """Class means, (C, d0): a read-only view where one number is given per class.

    `n_features` may be None where `means` holds vectors.
    """
    mu = finite_numbers("means", means)
    if mu.ndim not in (1, 2) or mu.size == 0:
        raise ValueError(
            f"means must have shape (n_classes,) or (n_classes, n_features), got {mu.shape}"
        )
    if n_features is None:
        if mu.ndim == 1:
            raise ValueError("n_features is needed where means holds one number per class")
        return mu
    d0 = as_count("n_features", n_features)
    if mu.ndim == 2 and mu.shape[1] != d0:
        raise ValueError(f"means has {mu.shape[1]} columns, but n_features is {d0}")
    return mu if mu.ndim == 2 else np.broadcast_to(mu[:, None], (len(mu), d0))


def stds_of(stds: ArrayLike, n_classes: int) -> NDArray[np.float64]:
    """Standard deviations >= 0, (C,), from one number for all classes or one for each."""
    s = finite_numbers("stds", stds)
    if s.shape not in ((), (n_classes,)):
        raise ValueError(
            f"stds must be a number or {n_classes} numbers (one per class), got shape {s.shape}"
        )
    if (s < 0).any():
        raise ValueError(f"stds must be >= 0, got {s.min()}")
    return np.broadcast_to(s, (n_classes,))


def sizes_of(sizes: Any, n_classes: int) -> list[int]:
    """Rows of each class, C integers >= 1."""
    given = as_items("sizes", sizes, f"{n_classes} integers (one per class)")
    n = [as_count(f"sizes[{c}]", size) for c, size in enumerate(given)]
    if len(n) != n_classes:
        raise ValueError(f"sizes must be {n_classes} integers (one per class), got {len(n)}")
    return n


def labels_of(labels: ArrayLike | None, n_classes: int) -> NDArray[Any]:
    """Distinct labels of the classes, (C,), of numbers or strings; 0, 1, ..., C - 1 for None."""
    if labels is None:
        return np.arange(n_classes, dtype=np.int64)
    classes, names = as_labels(labels, n_classes, "labels")
    if names.dtype.kind not in "biufUS":
        raise TypeError(f"labels must be numbers or strings, got dtype {names.dtype}")
    if names.dtype.kind == "f" and not np.isfinite(names).all():
        raise ValueError("labels must be finite")
    if len(names) != n_classes:
        raise ValueError("labels must be distinct")
    return names[classes]


def seed_sequence(seed: Any) -> np.random.SeedSequence:
    """NumPy's seed sequence of an integer >= 0 or a sequence of them; a SeedSequence is returned as
    it is.
    """
    if isinstance(seed, np.random.SeedSequence):
        return seed
    allowed = "an integer >= 0, a sequence of them or a SeedSequence"
    several = getattr(seed, "ndim", 1) > 0 and hasattr(seed, "__iter__")
    words = as_items("seed", seed, allowed) if several else [seed]
    if not words:
        raise ValueError(f"seed must be {allowed}, got {shown(seed)}")
    try:
        entropy = [as_seed(word) for word in words]
    except (TypeError, ValueError) as error:
        raise type(error)(f"seed must be {allowed}, got {shown(seed)}") from None
    return np.random.SeedSequence(entropy if several else entropy[0])
