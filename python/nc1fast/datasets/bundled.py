"""Real data that come with scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nc1fast.datasets.scaling import Scale, apply_scale, check_scale
from nc1fast.support.arithmetic import ieee
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from numpy.typing import NDArray


@ieee
def digits(scale: Scale = "none") -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Handwritten digits of scikit-learn: 1797 images of 8 x 8 pixels, 10 classes.

    Parameters
    ----------
    scale : {"none", "unit-interval", "standardize", "unit-norm"}, default "none"
        See `apply_scale`. With "none" a pixel is a whole number from 0 to 16; "unit-interval"
        divides by 16, which is exact.

    Returns
    -------
    X : ndarray of shape (1797, 64)
        Float64.
    y : ndarray of shape (1797,)
        Int64, the digit; 174 to 183 rows per class.

    Raises
    ------
    ImportError
        If scikit-learn is not installed (extra ``sklearn``).
    ValueError
        If `scale` is unknown.

    Notes
    -----
    Cost: about 10 ms; nothing is downloaded, the file is part of scikit-learn.

    Accuracy: exact with "none"; see `apply_scale`.

    Source: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine
    Learning Repository (its test set).

    Examples
    --------
    >>> X, y = digits("unit-interval")  # doctest: +SKIP
    """
    check_scale(scale)
    X, y = require("sklearn.datasets", "sklearn").load_digits(return_X_y=True)
    return apply_scale(X, scale), np.asarray(y, dtype=np.int64)
