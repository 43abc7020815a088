"""Scaling of the features of a data set before a kernel sees them.

The scale is part of a result: the NC1 of an erf network, or of one with biases, changes with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

from nc1fast.inputs.arrays import check_shape, real_array, widened
from nc1fast.support.arguments import check_choice
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Scale: TypeAlias = Literal["none", "unit-interval", "standardize", "unit-norm"]
SCALES: tuple[str, ...] = get_args(Scale)


def check_scale(scale: object) -> None:
    """Raise ValueError unless `scale` is the name of a scale."""
    check_choice("scale", scale, SCALES)


@ieee
def apply_scale(X: ArrayLike, scale: Scale = "none") -> NDArray[np.float64]:
    """Scale the features of a data set.

    Parameters
    ----------
    X : array_like of shape (n_samples, n_features)
        Integers, booleans, float16, float32 or float64; finite. Never written to.
    scale : {"none", "unit-interval", "standardize", "unit-norm"}, default "none"
        In float64:

        - ``"none"``: values are widened to float64, exactly.
        - ``"unit-interval"``: (x - lo)/(hi - lo), with lo and hi the smallest and largest entry of
          the whole data set, whatever the dtype: 8-bit images in which both 0 and 255 occur are
          divided by 255, others are stretched. A constant data set becomes 0.
        - ``"standardize"``: (x - m)/s per feature, with the feature's mean m and standard deviation
          s over the samples (the population's: divided by n_samples). A constant feature becomes 0.
        - ``"unit-norm"``: x/|x| per sample, with the Euclidean norm. A zero row stays 0.

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        Float64, C-contiguous. With "none" it is X itself where that is such an array already.

    Raises
    ------
    ValueError
        If `scale` is unknown, or X is not a finite, non-empty, two-dimensional array of numbers, or
        holds integers beyond 2^53 in magnitude, which float64 cannot hold exactly.

    Notes
    -----
    Cost: O(n_samples n_features), a few passes; one float64 copy of X.

    Accuracy: with u = 2^-53, per entry z of the result: "none" 0; "unit-interval" 3 u z;
    "standardize" 8 u sqrt(n_samples) + n_samples u |z|; "unit-norm" (n_features + 4) u |z|. The
    bounds are checked against exact arithmetic in ``tests/test_datasets.py``. No intermediate value
    overflows.

    Source: standard definitions.

    Examples
    --------
    >>> apply_scale([[0, 51], [102, 255]], "unit-interval").tolist()
    [[0.0, 0.2], [0.4, 1.0]]
    """
    check_scale(scale)
    return scale_in_place(widen(X, "X", copy=scale != "none"), scale)


def scale_in_place(Z: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
    """Scale a matrix that `widen` returned, in place."""
    if scale == "unit-interval":
        _unit_interval(Z)
    elif scale == "standardize":
        _standardize(Z)
    elif scale == "unit-norm":
        _unit_norm(Z)
    return Z


def widen(X: ArrayLike, name: str, *, copy: bool = False) -> NDArray[np.float64]:
    """X (n_samples, n_features) in float64, exactly and C-contiguous; errors are ValueErrors that
    start with `name`.
    """
    try:
        A = real_array(X, name)
    except TypeError as error:
        raise ValueError(str(error)) from error
    check_shape(A.shape, name)
    Z = np.array(widened(A, name), order="C", copy=True if copy else None)
    # NaN goes through min and max, so that no N x d0 mask is needed
    if not (np.isfinite(Z.min()) and np.isfinite(Z.max())):
        row, column = np.argwhere(~np.isfinite(Z))[0]
        raise ValueError(
            f"{name} must be finite, but row {row}, column {column} (from 0) is {Z[row, column]}"
        )
    return Z


def _unit_interval(Z: NDArray[np.float64]) -> None:
    """Map the smallest entry to 0 and the largest to 1."""
    lo, hi = float(Z.min()), float(Z.max())
    if lo == hi:
        Z[...] = 0
        return
    if hi - lo == np.inf:  # Python floats: no warning
        Z *= 0.5
        lo, hi = 0.5 * lo, 0.5 * hi
    Z -= lo
    Z /= hi - lo  # rounding is monotone, so that 0 <= z <= 1 holds exactly


def _standardize(Z: NDArray[np.float64]) -> None:
    """Give each column the mean 0 and the standard deviation 1."""
    _, exponent = np.frexp(np.maximum(Z.max(axis=0), -Z.min(axis=0)))  # (d0,)
    # |z| < 1: squares cannot overflow, nor those of a spread of one ulp underflow
    np.ldexp(Z, -exponent, out=Z)
    Z -= Z[0].copy()  # exactly 0 where a feature is constant; the error is relative to the spread
    for _ in range(2):  # the second mean removes the rounding error of the first
        Z -= Z.mean(axis=0)
    s = np.sqrt(np.einsum("ij,ij->j", Z, Z) / len(Z))  # (d0,)
    np.divide(Z, s, out=Z, where=s > 0)


def _unit_norm(Z: NDArray[np.float64]) -> None:
    """Divide each row by its Euclidean norm."""
    _, exponent = np.frexp(np.maximum(Z.max(axis=1), -Z.min(axis=1)))  # (N,)
    np.ldexp(Z, -exponent[:, None], out=Z)  # 1/2 <= max |z| < 1
    norm = np.sqrt(np.einsum("ij,ij->i", Z, Z))[:, None]  # (N, 1)
    np.divide(Z, norm, out=Z, where=norm > 0)
