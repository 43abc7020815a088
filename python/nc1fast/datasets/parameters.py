"""Parameters of Gaussian mixtures as callers give them, each checked and turned into an array in
one place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.inputs.arrays import host_array
from nc1fast.inputs.labels import as_labels
from nc1fast.support.arguments import as_count, as_items, as_seed, shown

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


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
    told = "an integer >= 0, a sequence of them or a SeedSequence"
    several = getattr(seed, "ndim", 1) > 0 and hasattr(seed, "__iter__")
    words = as_items("seed", seed, told) if several else [seed]
    if not words:
        raise ValueError(f"seed must be {told}, got {shown(seed)}")
    try:
        entropy = [as_seed(word) for word in words]
    except (TypeError, ValueError) as error:
        raise type(error)(f"seed must be {told}, got {shown(seed)}") from None
    return np.random.SeedSequence(entropy if several else entropy[0])
